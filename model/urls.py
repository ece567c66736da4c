"""Repository URLs brought to one form, for comparison and for the fingerprint of Freight (Kargo: pkg/urls).

The forms are part of Freight's name, so they follow Kargo to the letter, and with it Go's reading of URLs
(net/url) and of image references (go-containerregistry, weak validation). What can't be read is returned as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote_to_bytes

_SCP = re.compile(r"((?:[\w-]+@)?[\w-]+(?:\.[\w-]+)*)(?::(.*))?", re.ASCII)
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")
_BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")
_HOST = re.compile(r"[\w.~!$&'()*+,;=:\[\]<>\"\u0080-\U0010ffff-]*", re.ASCII)
_HOST_SAFE = "!$&'()*+,;=:[]<>\"-_.~"
_USER = re.compile(r"[\w.:~!$&'()*+,;=%@-]*", re.ASCII)
_AS_IS = re.compile(r"[\w.~!$&'()*+,;=:@/%\[\]-]*", re.ASCII)
_PORT = re.compile(r"(:\d*)?", re.ASCII)

_REPOSITORY = re.compile(r"[a-z0-9_./-]{2,255}")
_TAG = re.compile(r"[\w.-]{0,128}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_DOCKER_HUB = ("docker.io", "index.docker.io", "registry-1.docker.io", "")


def sanitize(url: str) -> str:
    """The URL without blanks around it and without characters that can't be seen, such as byte order marks."""
    return "".join(character for character in url if character.isprintable()).strip()


def normalize_git(repo: str) -> str:
    """One form for all ways to write the same Git repository: `https://host/path`, `ssh://user@host/path`."""
    url = sanitize(repo.lower())
    try:
        if url.startswith(("http://", "https://", "ssh://")):
            parsed = _parse(url)
            if parsed.has_query():
                return repo
            if parsed.scheme != "ssh":
                parsed.user = None
            parsed.trim()
            return str(parsed)
        match = _SCP.fullmatch(url)
        if not match:
            return repo
        host, path = match[1], _parse(match[2] or "")
    except ValueError:
        return repo
    path.trim()
    return f"ssh://{host}/{path}" if path.path else f"ssh://{host}"


def normalize_image(repo: str) -> str:
    """One form for all ways to write the same image repository: Docker Hub's host and `library/` are dropped."""
    url = sanitize(repo.lower())
    try:
        registry, name = _image(url)
    except ValueError:
        return repo
    return name.removeprefix("library/") if registry in _DOCKER_HUB else f"{registry}/{name}"


def normalize_chart(repo: str) -> str:
    """One form for all ways to write the same chart repository: without `oci://`, then as an image repository."""
    url = sanitize(repo)
    try:
        _parse(url)
    except ValueError:
        return repo
    return normalize_image(url.lower().removeprefix("oci://"))


def _image(reference: str) -> tuple[str, str]:
    """Registry (empty: none is named) and repository of an image reference. Raises ValueError."""
    base, separator, tag = reference.rpartition(":")
    if separator and "/" not in tag and _TAG.fullmatch(tag):
        try:
            return _repository(base)
        except ValueError:
            pass
    elif not separator or "/" in tag:
        try:
            return _repository(reference)
        except ValueError:
            pass
    base, separator, digest = reference.partition("@")
    if not separator or not _DIGEST.fullmatch(digest) or not base:
        raise ValueError(f"{reference!r} is no image reference")
    name, separator, tag = base.rpartition(":")
    if not separator or "/" in tag:
        return _repository(base)
    if not _TAG.fullmatch(tag):
        raise ValueError(f"{reference!r} is no image reference")
    return _repository(name)


def _repository(name: str) -> tuple[str, str]:
    first, separator, rest = name.partition("/")
    named = bool(separator) and ("." in first or ":" in first or first == "localhost")
    registry, repository = (first, rest) if named else ("", name)
    if not _REPOSITORY.fullmatch(repository) or _parse(f"//{registry}").host != registry:
        raise ValueError(f"{name!r} is no image repository")
    return registry, repository


@dataclass
class _Url:
    """A URL in the parts Go sees in it."""

    scheme: str = ""
    user: str | None = None
    host: str = ""
    path: bytes = b""
    #: The path as it was written, where that differs from how it would be escaped.
    raw_path: str = ""
    opaque: str = ""
    query: str | None = None
    fragment: str = ""
    authority: bool = field(default=False)

    def has_query(self) -> bool:
        return any(part and ";" not in part for part in (self.query or "").split("&"))

    def trim(self) -> None:
        """Drop one trailing slash, then one `.git`."""
        self.path = self.path.removesuffix(b"/").removesuffix(b".git")

    def escaped_path(self) -> str:
        if self.raw_path and _AS_IS.fullmatch(self.raw_path) and unquote_to_bytes(self.raw_path) == self.path:
            return self.raw_path
        return _escape(self.path)

    def __str__(self) -> str:
        path = self.escaped_path()
        text = f"{self.scheme}:" if self.scheme else ""
        if self.opaque:
            text += self.opaque
        else:
            if self.host or self.user is not None or (self.scheme and self.authority and path):
                user = "" if self.user is None else f"{_escape_user(self.user)}@"
                text += f"//{user}{quote(self.host, safe=_HOST_SAFE)}"
            if path and not path.startswith("/") and self.host:
                text += "/"
            text += path
        if self.query is not None:
            text += f"?{self.query}"
        return text + (f"#{_escape_fragment(self.fragment)}" if self.fragment else "")


def _escape(path: bytes) -> str:
    return quote(path, safe="$&+,/:;=@-_.~")


def _escape_fragment(fragment: str) -> str:
    if _AS_IS.fullmatch(fragment):
        return fragment
    return quote(unquote_to_bytes(fragment), safe="$&+,/:;=?@!()*-_.~")


def _escape_user(user: str) -> str:
    name, colon, password = user.partition(":")
    return colon.join(quote(unquote_to_bytes(part), safe="$&+,;=-_.~") for part in (name, password)[: 1 + bool(colon)])


def _parse(text: str) -> _Url:
    """Read a URL as Go does. Raises ValueError."""
    rest, _, fragment = text.partition("#")
    if _BAD_ESCAPE.search(fragment):
        raise ValueError("bad escape in the fragment")
    url = _Url(fragment=fragment)
    if match := _SCHEME.match(rest):
        url.scheme, rest = match[0][:-1].lower(), rest[match.end() :]
    elif rest.startswith(":"):
        raise ValueError("missing scheme")
    rest, mark, query = rest.partition("?")
    url.query = query if mark else None
    if not rest.startswith("/"):
        if url.scheme:
            url.opaque = rest
            return url
        if ":" in rest.partition("/")[0]:
            raise ValueError("the first part of a path can't contain a colon")
    if rest.startswith("//") and (url.scheme or not rest.startswith("///")):
        url.authority = True
        authority, slash, path = rest[2:].partition("/")
        rest = slash + path
        user, at, url.host = authority.rpartition("@")
        url.user = user if at else None
        _, bracket, port = url.host.rpartition("]") if url.host.startswith("[") else ("", "", "")
        if not bracket:
            _, colon, port = url.host.rpartition(":")
            port = colon + port if colon else ""
        if not _PORT.fullmatch(port):
            raise ValueError("bad port")
        if not _HOST.fullmatch(url.host) or not _USER.fullmatch(user) or _BAD_ESCAPE.search(user):
            raise ValueError("bad host or user")
    if _BAD_ESCAPE.search(rest):
        raise ValueError("bad escape in the path")
    url.path = unquote_to_bytes(rest)
    url.raw_path = "" if _escape(url.path) == rest else rest
    return url
