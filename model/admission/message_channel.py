"""Rules about channels of messages."""

from __future__ import annotations

from urllib.parse import urlsplit

from model.findings import Findings, error
from model.mail import MAX_RECIPIENTS, MailInvalid, address
from model.resources import ClusterMessageChannel, MessageChannel

_KINDS = ("slack", "smtp", "http")


def check_message_channel(channel: MessageChannel | ClusterMessageChannel) -> Findings:
    """Exactly one kind, and what that needs."""
    spec = channel.spec
    given = [kind for kind in _KINDS if getattr(spec, kind) is not None]
    if len(given) != 1:
        found = f"; this one has {' and '.join(given)}" if given else ""
        yield error(("spec",), f"a channel needs exactly one of {', '.join(_KINDS)}{found}")
    if spec.slack is not None and spec.secret_ref is None:
        yield error(("spec", "secretRef"), "Slack needs a Secret with apiKey: name it")
    if spec.smtp is not None:
        if len(spec.smtp.to) > MAX_RECIPIENTS:
            yield error(("spec", "smtp", "to"), f"at most {MAX_RECIPIENTS} recipients are allowed")
        for path, text in [(("from",), spec.smtp.sender), *((("to", i), to) for i, to in enumerate(spec.smtp.to))]:
            try:
                address(text)
            except MailInvalid as wrong:
                yield error(("spec", "smtp", *path), str(wrong))
    if spec.http is not None and urlsplit(spec.http.url).scheme not in ("http", "https"):
        yield error(("spec", "http", "url"), "the address must begin with http:// or https://")
