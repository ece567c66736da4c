"""What a mail's addresses and subject may be: nothing that would become another header. Pure."""

from __future__ import annotations

import re
from email.errors import MessageError
from email.headerregistry import Address
from email.utils import getaddresses

#: Characters of a subject, and recipients of one mail.
MAX_SUBJECT = 500
MAX_RECIPIENTS = 50
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]")


class MailInvalid(ValueError):
    """This can't stand in a mail's head; the message says why."""


def address(text: str) -> Address:
    """One address, with or without a name before it. Raises MailInvalid."""
    if _CONTROL.search(text):
        raise MailInvalid(f"{_CONTROL.sub('?', text)!r} has a line break or another control character in it")
    # Of several there is more than one, or an empty one for what can't be read.
    [(name, found), *more] = getaddresses([text]) or [("", "")]
    user, at, host = found.rpartition("@")
    if more or not (user and at and host) or any(character in found for character in ' ,;<>"') or not found.isascii():
        raise MailInvalid(f"{text!r} is not a mail address")
    try:
        return Address(name, user, host)
    except (ValueError, IndexError, MessageError) as error:
        raise MailInvalid(f"{text!r} is not a mail address") from error


def subject(text: str) -> str:
    """A subject. Raises MailInvalid."""
    if _CONTROL.search(text):
        raise MailInvalid("the subject has a line break or another control character in it")
    if len(text) > MAX_SUBJECT:
        raise MailInvalid(f"the subject has {len(text)} characters; at most {MAX_SUBJECT} are allowed")
    return text
