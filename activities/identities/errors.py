"""What can go wrong when a token is asked for."""

from __future__ import annotations


class IdentityError(Exception):
    """No token was to be had. The message names who was asked and what to do, and holds no secret."""


class IdentityUnavailable(IdentityError):
    """Who gives the token can't be reached, or is in trouble: it may be had a while later."""
