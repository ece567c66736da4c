"""Where the web may listen without a login: on this machine alone."""

from __future__ import annotations

from workflows.settings import SettingsInvalid, WebSettings, is_loopback


def check_binding(settings: WebSettings) -> None:
    """Raises SettingsInvalid where everybody in reach would be an admin."""
    host = settings.web_address.rpartition(":")[0]
    if not settings.web_api or settings.login_needed or is_loopback(host):
        return
    raise SettingsInvalid(
        f"TOWPATH_WEB_ADDRESS is {settings.web_address}, which others can reach, and nobody would have to log in: set "
        "TOWPATH_WEB_ADMIN_PASSWORD_HASH (`towpath web hash-password` makes one) or TOWPATH_OIDC_ISSUER, "
        "or TOWPATH_WEB_API=false to serve webhook receivers alone"
    )


def describe(settings: WebSettings) -> str:
    """Who may, in a sentence for the log."""
    if not settings.web_api:
        return "only webhook receivers are served"
    if not settings.login_needed:
        return "no login is configured: whoever uses this machine is admin; see docs/access.md"
    ways = ["the local admin's password"] if settings.web_admin_password_hash else []
    ways += [f"OpenID Connect at {settings.oidc_issuer}"] if settings.oidc_issuer else []
    return f"one logs in by {' or '.join(ways)}, or sends an API token"
