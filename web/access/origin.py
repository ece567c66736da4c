"""Whether a request comes from where it should: against rebound names (DNS rebinding) and requests of other sites."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers

from workflows.settings import is_loopback

#: Methods that change nothing.
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


def host_problem(headers: Headers, own: str = "") -> str:
    """Why a request that needs no login is not one of this machine's own; empty: it is.

    A page of another site may have its name lead to 127.0.0.1, and its browser then sends the other site's name. What
    a proxy passed on may come from anywhere. `own`: another host by which people reach this web.
    """
    named = host_of(headers.get("host", ""))
    if not is_loopback(named) and (not own or named != own):
        return "without a login, this is only for http://127.0.0.1 and http://localhost; see docs/access.md"
    if any(name in headers for name in _FORWARDED):
        return "a proxy passed this on, and no login is configured: see docs/access.md"
    return ""


def site_problem(method: str, headers: Headers, scheme: str, own: str = "") -> str:
    """Why a request that changes something was not made by a page of this site, nor by a program; empty: it was.

    Browsers send Origin with what changes something, and Sec-Fetch-Site with everything; programs send neither.
    `own`: the URL by which people reach this web.
    """
    if method in SAFE:
        return ""
    site = headers.get("sec-fetch-site")
    if site not in (None, "same-origin", "none"):
        return "a page of another site asked for it"
    origin = headers.get("origin")
    if origin is None:
        return ""
    here = {f"{scheme}://{headers.get('host', '')}".lower()}
    if own:
        here.add(own.rstrip("/").lower())
    return "" if origin.lower() in here else "a page of another site asked for it"


def host_of(header: str) -> str:
    """The name in a Host header, without the port."""
    try:
        return (urlsplit(f"//{header}").hostname or "").rstrip(".")
    except ValueError:
        return ""
