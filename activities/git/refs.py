"""Names of branches and tags, commit ids, addresses of repositories: checked before Git sees them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from activities.credentials import Credential
from activities.git.errors import InvalidRef, TransportRefused

_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//")
_SCP = re.compile(r"(?:[A-Za-z0-9._][A-Za-z0-9._-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*:(?!//)[^\s:-][^\s]*")


def branch_ref(name: str) -> str:
    """`refs/heads/<name>`. Raises InvalidRef (rules of git-check-ref-format)."""
    return f"refs/heads/{_checked(name, 'branch')}"


def tag_ref(name: str) -> str:
    """`refs/tags/<name>`. Raises InvalidRef."""
    return f"refs/tags/{_checked(name, 'tag')}"


def commit_id(text: str) -> str:
    """A full or shortened commit id in lower case. Raises InvalidRef."""
    if not _COMMIT.fullmatch(text.lower()):
        raise InvalidRef(f"{text!r} is not a commit id: expected 7 to 40 hexadecimal digits")
    return text.lower()


def _checked(name: str, kind: str) -> str:
    parts = name.split("/")
    if (
        not name
        or name == "@"
        or name.startswith(("-", "/"))
        or name.endswith((".", "/"))
        or _FORBIDDEN.search(name)
        or any(part.startswith(".") or part.endswith(".lock") for part in parts)
    ):
        raise InvalidRef(f"{name!r} can't be the name of a {kind}")
    return name


@dataclass(frozen=True)
class Remote:
    """A repository elsewhere, and how to get in."""

    url: str
    credential: Credential | None = field(default=None, repr=False)
    insecure_skip_tls_verify: bool = False

    def __post_init__(self) -> None:
        check_url(self.url)

    @property
    def shown(self) -> str:
        """The address for messages, without user and password."""
        return without_user(self.url)


@dataclass(frozen=True)
class RemoteRefs:
    """What a remote has, as of one look. Ids of tags are those of the commits they point at."""

    #: Name of the default branch; empty where HEAD is detached or the repository is empty.
    default: str = ""
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    #: Annotated tags: ids of the tag objects themselves.
    tag_objects: dict[str, str] = field(default_factory=dict)
    head: str = ""


def check_url(url: str) -> None:
    """Raises TransportRefused where the address is not one of https, http or ssh."""
    if url.startswith(("https://", "http://", "ssh://")):
        host = urlsplit(url).hostname or "-"
        if not url.isprintable() or " " in url or host.startswith("-") or urlsplit(url).netloc.startswith("-"):
            raise TransportRefused(f"{without_user(url)!r} is not the address of a Git repository")
        if urlsplit(url).password is not None:
            raise TransportRefused(
                f"the address of {without_user(url)} holds a password: put it into a Secret labelled "
                "kargo.akuity.io/cred-type: git, and out of the address"
            )
        return
    if not _SCP.fullmatch(url):
        raise TransportRefused(
            f"{url!r} is not the address of a remote Git repository: expected https://…, http://… or ssh://…"
        )


def without_user(url: str) -> str:
    """The address without user and password."""
    return re.sub(r"(://)[^/@\s]*@", r"\1", url)
