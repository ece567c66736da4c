"""What is known of Git hosts by their names: the address of a commit's page (Kargo: pkg/gitprovider)."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from model.urls import normalize_git

Provider = Literal["azure", "bitbucket", "gitea", "github", "gitlab"]


def provider_of(repo_url: str) -> Provider | None:
    """The kind of Git host a repository lives on, guessed from the host's name; None where it can't be guessed."""
    host = (urlsplit(normalize_git(repo_url)).hostname or "").lower()
    if host == "bitbucket.org":
        return "bitbucket"
    if host == "dev.azure.com" or host.endswith(".visualstudio.com"):
        return "azure"
    if "github" in host or host.endswith(".ghe.com"):
        return "github"
    if "gitlab" in host:
        return "gitlab"
    return "gitea" if "gitea" in host else None


def commit_url(repo_url: str, commit: str, provider: Provider | None = None) -> str | None:
    """The address of a commit's page; None where the host is not known and `provider` does not say."""
    kind = provider or provider_of(repo_url)
    if kind is None:
        return None
    parts = urlsplit(normalize_git(repo_url))
    host = parts.netloc.rpartition("@")[2]
    if kind == "azure":
        return f"https://dev.azure.com{parts.path.removeprefix('/v3')}/commit/{commit}"
    page = {"github": "commit", "gitea": "commit", "gitlab": "-/commit", "bitbucket": "commits"}[kind]
    return f"https://{host}{parts.path}/{page}/{commit}"
