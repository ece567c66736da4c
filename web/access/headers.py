"""Headers that every answer has, so that browsers allow pages of ours no more than they need."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders

#: Scripts, styles and connections of this site alone, no inline script, no frame around it.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def secure(headers: MutableHeaders, *, api: bool, encrypted: bool) -> None:
    """Adds them where the answer has none of its own. `encrypted`: people reach it by https."""
    headers.setdefault("Content-Security-Policy", POLICY)
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("X-Frame-Options", "DENY")
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    if encrypted:
        headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    if api:
        headers.setdefault("Cache-Control", "no-store")
