"""An SMTP server on loopback that takes mail, or refuses it as told (RFC 5321)."""

from __future__ import annotations

import asyncio
import base64
import ssl
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from types import TracebackType


@dataclass
class MailServer:
    """Speaks with one client after another; `async with`."""

    #: Offers STARTTLS with this.
    tls: ssl.SSLContext | None = None
    #: Speaks TLS from the first byte.
    implicit: bool = False
    #: `user password` that it lets in; empty: it asks nobody.
    login: str = ""
    #: Answers by command, `RCPT TO:<…>` or `DATA`, in place of its own.
    answers: dict[str, str] = field(default_factory=dict)
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    async def __aenter__(self) -> MailServer:
        tls = self.tls if self.implicit else None
        self._server = await asyncio.start_server(self._speak, "127.0.0.1", 0, ssl=tls)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()

    @property
    def port(self) -> int:
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        encrypted = self.implicit

        def say(line: str) -> None:
            writer.write(line.encode() + b"\r\n")

        say("220 mail.test ready")
        try:
            while line := (await reader.readline()).decode(errors="replace").strip():
                self.commands.append(line)
                command = line.upper()
                told = next((answer for start, answer in self.answers.items() if command.startswith(start)), "")
                if told:
                    say(told)
                elif command.startswith("EHLO"):
                    say("250-mail.test")
                    if self.tls and not encrypted:
                        say("250-STARTTLS")
                    say("250 AUTH PLAIN" if self.login else "250 HELP")
                elif command == "STARTTLS" and self.tls:
                    say("220 go on")
                    await writer.start_tls(self.tls)
                    encrypted = True
                elif command.startswith("AUTH PLAIN"):
                    given = base64.b64decode(line.split()[-1]).decode().split("\0")
                    say("235 fine" if " ".join(given[1:]) == self.login else "535 who are you?")
                elif command == "DATA":
                    say("354 go on")
                    body = await reader.readuntil(b"\r\n.\r\n")
                    mail = message_from_bytes(body.removesuffix(b".\r\n"), policy=policy.default)
                    self.mails.append(mail)
                    say("250 taken")
                elif command == "QUIT":
                    say("221 bye")
                    break
                else:
                    if command.startswith("RCPT TO:"):
                        self.recipients.append(line[8:].strip("<> "))
                    say("250 fine")
        except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()


def certificate(directory: Path) -> ssl.SSLContext:
    """TLS with a certificate that nobody has signed."""
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = directory / "server.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    return context
