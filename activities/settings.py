"""What an operator sets about a worker's ways to the outside, from `TOWPATH_…` environment variables."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

#: Git transports that may be allowed at all. `file`, `git` and `ext` reach the worker's own disk, send data
#: unencrypted and unauthenticated, or run commands.
GIT_TRANSPORTS = ("https", "http", "ssh")


def _default_data_directory() -> Path:
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "towpath"


def _below(name: str) -> Any:
    """A default that is a directory of the data directory. `Any`, as pydantic types default factories."""
    return lambda data: data["data_directory"] / name


def _split(value: object) -> object:
    """A comma-separated list, as environment variables hold it."""
    if isinstance(value, str):
        return [part for part in (part.strip() for part in value.split(",")) if part]
    return value


def _pairs(value: object) -> object:
    """Comma-separated `name=value` pairs."""
    if not isinstance(value, str):
        return value
    pairs = {}
    for part in _split(value) or []:  # type: ignore[attr-defined]  # a str was split into a list
        name, equals, target = part.partition("=")
        if not (name.strip() and equals and target.strip()):
            raise ValueError(f"{part!r} is not of the form name=value")
        pairs[name.strip()] = target.strip()
    return pairs


#: A list, written with commas in an environment variable.
Listed = Annotated[list[str], NoDecode, BeforeValidator(_split)]
#: A mapping, written `a=b,c=d` in an environment variable.
Paired = Annotated[dict[str, str], NoDecode, BeforeValidator(_pairs)]


class ActivitySettings(BaseSettings):
    """Settings of activities: where things lie on disk, and what of the outside they may reach, and how."""

    model_config = SettingsConfigDict(env_prefix="TOWPATH_", extra="ignore", populate_by_name=True)

    data_directory: Path = Field(
        default_factory=_default_data_directory,
        description="Directory of everything the worker keeps. The directories below lie in it unless set.",
    )
    workspace_directory: Path = Field(
        default_factory=_below("workspaces"),
        description="Directory in which each promotion gets its workspace. It also holds the id of this host; "
        "two workers on one machine may share it only if they are one host to each other.",
    )
    mirror_directory: Path = Field(
        default_factory=_below("mirrors"),
        description="Directory of the bare Git mirrors. On the same file system as the workspaces, clones are "
        "made of hard links; on another one, objects are copied. May be deleted at any time.",
    )
    cache_directory: Path = Field(
        default_factory=_below("cache"),
        description="Directory of other things that may be deleted at any time: charts, downloads.",
    )

    credentials_directory: Path | None = Field(
        default=None,
        description="Directory of Secret and ConfigMap manifests: `<project>/*.yaml` for one Project, "
        "`shared/*.yaml` for all. None: no credentials.",
    )
    allow_credentials_over_http: bool = Field(
        default=False,
        description="Send credentials to `http://` addresses too. Without it they are treated as if they had none.",
    )

    git_config_file: Path | None = Field(
        default=None,
        description="Git config file of the worker (`url.<base>.insteadOf`, `http.proxy`, `http.sslCAInfo`). "
        "No other Git config of the machine or user is read.",
    )
    git_transports: Listed = Field(
        default_factory=lambda: list(GIT_TRANSPORTS),
        description="Git transports that may be used, of `https`, `http`, `ssh`. `file`, `git` and `ext` are refused.",
    )
    git_ssh_host_keys: Literal["AcceptNew", "Strict", "Off"] = Field(
        default="AcceptNew",
        description="Which SSH host keys are believed: the first that a host shows, and then no other (AcceptNew), "
        "only known ones (Strict), or any (Off, as in Kargo). A Secret with `sshKnownHosts` decides for itself.",
    )
    git_ssh_known_hosts_file: Path | None = Field(
        default=None, description="File of known SSH host keys, as OpenSSH's known_hosts."
    )
    git_author_name: str = Field(default="Towpath", min_length=1, description="Author of commits, unless a step says.")
    git_author_email: str = Field(
        default="towpath@users.noreply.localhost", min_length=1, description="Its e-mail address."
    )
    git_signing_key_file: Path | None = Field(
        default=None,
        description="File with the armored private GPG key, without a passphrase, that commits and tags are signed "
        "with where git-clone names no author.",
    )
    git_timeout: float = Field(default=60.0, gt=0, description="Seconds a local Git command may take.")
    git_transfer_timeout: float = Field(
        default=600.0, gt=0, description="Seconds a Git command may take that talks to a remote."
    )
    git_output_limit: int = Field(
        default=64 * 1024 * 1024,
        gt=0,
        description="Bytes of output read from one Git command, such as the refs of a repository.",
    )
    git_push_integration_policy: Literal["AlwaysRebase", "RebaseOrMerge", "RebaseOrFail", "AlwaysMerge"] = Field(
        default="AlwaysRebase",
        description="How git-push integrates what the remote branch has and the local one has not. The Or "
        "policies rebase where commits keep what they have: all are signed by git-clone's key, or, without one, none.",
    )
    github_push_max_revisions: int = Field(
        default=10, gt=0, description="Commits that one github-push step may make anew at GitHub."
    )
    github_push_verify_untrusted_commits: bool = Field(
        default=False,
        description="Let github-push leave author and committer to GitHub, which then signs every commit with its own "
        "key; the author is kept in a Co-authored-by line. Without it commits keep both, and are not verified.",
    )

    registry_mirrors: Paired = Field(
        default_factory=dict,
        description="Registries to ask instead of others, by host: `ghcr.io=127.0.0.1:5000,quay.io=mirror.example`.",
    )
    plain_http_registries: Listed = Field(
        default_factory=list,
        description="Registries, by host and port, that are spoken to over plain HTTP. All others: HTTPS, verified.",
    )
    http_mirrors: Paired = Field(
        default_factory=dict,
        description="Other addresses to send HTTP requests of steps and metrics to, by the beginning of the address: "
        "`https://metrics.example.com=http://127.0.0.1:8080`. The operator answers for where it leads.",
    )
    prometheus_address: str = Field(
        default="",
        description="Address of the Prometheus server that metrics ask which name none: `http://prometheus:9090`.",
    )
    job_namespace: str = Field(
        default="",
        description="Namespace in which the Jobs of metrics run. Empty: that of the name of the Project.",
    )
    registry_requests_per_second: float = Field(
        default=20.0, gt=0, description="Requests per second to one registry, of all Warehouses together."
    )
    cache_by_tag_policy: Literal["Allow", "Forbid", "Require", "Force"] = Field(
        default="Allow",
        description="Whether image subscriptions may take a tag that was read once to stay what it was: as "
        "`cacheByTag` says (Allow), never (Forbid), always (Force), or only such ones may be looked at (Require).",
    )
    freight_retained: int = Field(
        default=20,
        ge=0,
        description="Pieces of Freight a Warehouse keeps that are older than the oldest one in some Stage.",
    )
    freight_minimum_age: float = Field(
        default=336.0, ge=0, le=100_000, description="Hours for which any Freight is kept, however many there are."
    )
    minimum_discovery_interval: float = Field(
        default=1.0, ge=1, description="Seconds between two looks of a Warehouse at least, whatever its interval says."
    )
    http_timeout: float = Field(
        default=30.0, gt=0, description="Seconds one HTTP request of the worker's own may take."
    )

    ui_base_url: str = Field(default="", description="Address of the web page: what expressions see as ctx.uiBaseUrl.")
    kubeconfig: Path | None = Field(
        default=None,
        description="kubeconfig of the cluster where Argo CD runs. None: KUBECONFIG, else the worker's own cluster.",
    )
    argocd_namespace: str = Field(
        default="argocd",
        min_length=1,
        description="Namespace of Argo CD Applications, where a step doesn't say another one.",
    )
    step_concurrency: int = Field(
        default=8, gt=0, description="Steps that work at once on this host; more wait their turn, heartbeating."
    )
    download_limit: int = Field(
        default=100 * 1024 * 1024, gt=0, description="Bytes of what http-download and oci-download fetch."
    )
    oci_push_limit: int = Field(
        default=1024 * 1024 * 1024,
        gt=0,
        description="Bytes that oci-push copies between repositories: config and layers, of all platforms.",
    )
    step_output_limit: int = Field(
        default=256 * 1024, gt=0, description="Bytes of JSON that one step may put out. More: the step is Errored."
    )

    @field_validator("git_transports")
    @classmethod
    def _transports_are_safe(cls, value: list[str]) -> list[str]:
        for transport in value:
            if transport not in GIT_TRANSPORTS:
                raise ValueError(f"Git transport {transport!r} can't be allowed: only {', '.join(GIT_TRANSPORTS)}")
        return value

    @field_validator(
        "data_directory",
        "workspace_directory",
        "mirror_directory",
        "cache_directory",
        "credentials_directory",
        "git_config_file",
        "git_ssh_known_hosts_file",
        "kubeconfig",
    )
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return value and value.expanduser().absolute()
