"""Messages by mail, through an SMTP server (RFC 5321, STARTTLS: RFC 3207)."""

from __future__ import annotations

import asyncio
import smtplib
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

import httpx

from activities.guarded import Address, addresses_of
from activities.messages.delivery import TIMEOUT, Delivery
from activities.steps.registry import StepContext, StepErrored, StepFailed
from model.base import Json
from model.mail import MAX_RECIPIENTS, MailInvalid, address, subject
from model.resources.message_channel import SmtpChannel

#: On this port a server speaks TLS from the first byte (RFC 8314).
TLS_PORT = 465


@dataclass(frozen=True)
class MailOptions:
    """What the step's config says of a mail."""

    to: Sequence[str] = ()
    subject: str = ""
    html: bool = False


class _Connection(smtplib.SMTP):
    """Connects to an address that was checked, and holds the server to its name."""

    def __init__(self, host: str, pinned: Address, context: ssl.SSLContext | None) -> None:
        # Our own name stays at home.
        super().__init__(local_hostname="localhost", timeout=TIMEOUT.total_seconds())
        self._host, self._pinned, self._context = host, pinned, context

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        found = socket.create_connection((str(self._pinned), port), timeout)
        if self._context is None:
            return found
        return self._context.wrap_socket(found, server_hostname=host)


async def send_mail(channel: SmtpChannel, delivery: Delivery, context: StepContext, options: MailOptions) -> None:
    """Sends it. Raises StepFailed for what the server won't have, StepErrored."""
    mail = mail_of(channel, delivery, context, options)
    where = f"{delivery.channel}: {channel.host}:{channel.port}"
    try:
        [pinned, *_] = await addresses_of(channel.host, channel.port)
    except (httpx.TransportError, ValueError) as error:
        raise StepErrored(f"{where}: {error}") from error
    if delivery.secret and not channel.use_tls and not pinned.is_loopback:
        raise StepErrored(
            f"{where}: without TLS its user and password are not sent; set smtp.useTLS, or leave out secretRef",
            final=True,
        )
    implicit = channel.use_tls and channel.port == TLS_PORT
    connection = _Connection(channel.host, pinned, _tls(channel) if implicit else None)
    try:
        async with asyncio.timeout(TIMEOUT.total_seconds()):
            rejected = await asyncio.to_thread(_deliver, connection, channel, delivery, mail)
    except TimeoutError as error:
        raise StepErrored(
            f"{where}: not done within {TIMEOUT.total_seconds():g} seconds; it may have arrived all the same"
        ) from error
    except smtplib.SMTPAuthenticationError as error:
        raise StepErrored(f"{where}: user or password refused ({_said(error)})", final=True) from error
    except smtplib.SMTPRecipientsRefused as error:
        code, text = next(iter(error.recipients.values()))
        raise _refused(f"{where}: no recipient was taken", code, text) from error
    except smtplib.SMTPResponseException as error:
        raise _refused(where, error.smtp_code, error.smtp_error) from error
    except smtplib.SMTPNotSupportedError as error:
        raise StepErrored(f"{where}: {error}; smtp.useTLS: false sends it unprotected", final=True) from error
    except ssl.SSLCertVerificationError as error:
        raise StepErrored(
            f"{where}: its certificate can't be verified: {error.verify_message}; "
            "smtp.insecureSkipVerify: true takes any"
        ) from error
    except (smtplib.SMTPException, OSError) as error:
        raise StepErrored(f"{where}: {error}") from error
    finally:
        # Ends the thread too, where it still waits.
        with suppress(OSError):
            connection.close()
    for recipient, (code, text) in rejected.items():
        context.warn(f"{recipient} didn't get it: {code} {_text(text)}")


def mail_of(channel: SmtpChannel, delivery: Delivery, context: StepContext, options: MailOptions) -> EmailMessage:
    """The mail. Raises StepFailed for addresses and subjects that can't be."""
    fields = delivery.known("subject", "body", "to", "html") if delivery.fields is not None else None
    to: Json = list(options.to) if fields is None else fields.get("to", [])
    to = [to] if isinstance(to, str) else to
    title: Json = options.subject if fields is None else fields.get("subject", "")
    body: Json = delivery.text if fields is None else fields.get("body", "")
    html: Json = options.html if fields is None else fields.get("html", False)
    if not isinstance(to, list) or not all(isinstance(entry, str) for entry in to):
        raise StepFailed("message: to must be an address, or a list of addresses")
    if not isinstance(title, str) or not isinstance(body, str) or not isinstance(html, bool):
        raise StepFailed("message: subject and body must be texts, html true or false; `quote()` keeps texts so")
    recipients = to or channel.to
    if not recipients:
        raise StepFailed(f"nobody gets it: {delivery.channel} has no smtp.to, and neither has the step")
    if len(recipients) > MAX_RECIPIENTS:
        raise StepFailed(f"it has {len(recipients)} recipients; at most {MAX_RECIPIENTS} are allowed")
    mail = EmailMessage(policy=SMTP)
    try:
        mail["From"] = address(channel.sender)
        first, *copies = [address(entry) for entry in recipients]
        mail["To"] = first
        if copies:
            mail["Cc"] = copies
        mail["Subject"] = subject(title or delivery.subject)
    except MailInvalid as error:
        raise StepFailed(str(error)) from error
    mail["Date"] = format_datetime(context.started_at)
    mail["Message-ID"] = delivery.message_id
    mail.set_content(body, subtype="html" if html else "plain", cte="base64" if not body.isascii() else None)
    return mail


def _deliver(
    connection: _Connection, channel: SmtpChannel, delivery: Delivery, mail: EmailMessage
) -> dict[str, tuple[int, bytes]]:
    code, text = connection.connect(channel.host, channel.port)
    if code != 220:
        raise smtplib.SMTPConnectError(code, text)
    if channel.use_tls and channel.port != TLS_PORT:
        # Raises where the server doesn't offer it: whoever sits between must not be able to take it away.
        connection.starttls(context=_tls(channel))
    if delivery.secret:
        connection.login(delivery.secret.get("username", ""), delivery.secret.get("password", ""))
    rejected = connection.send_message(mail)
    with suppress(smtplib.SMTPException, OSError):
        # It is delivered: a server that forgets its manners now changes nothing.
        connection.quit()
    return rejected


def _tls(channel: SmtpChannel) -> ssl.SSLContext:
    return httpx.create_ssl_context(verify=not channel.insecure_skip_verify, trust_env=True)


def _refused(where: str, code: int, text: bytes | str) -> Exception:
    said = f"{where}: {code} {_text(text)}"
    return StepFailed(said) if code >= 500 else StepErrored(said)


def _said(error: smtplib.SMTPResponseException) -> str:
    return f"{error.smtp_code} {_text(error.smtp_error)}"


def _text(text: bytes | str) -> str:
    shown = text.decode(errors="replace") if isinstance(text, bytes) else text
    return " ".join(shown.split())[:200]
