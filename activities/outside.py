"""The worker's ways to the outside, made once per process and handed to every activity."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import httpx

from activities.credentials import Credentials, credentials_of
from activities.git.mirrors import Git
from activities.settings import ActivitySettings
from activities.workspace import Workspaces

if TYPE_CHECKING:
    from activities.kubernetes import Kubernetes
    from activities.project_state import ProjectState


@dataclass
class Outside:
    """Settings, credentials, Git, HTTP and Kubernetes, as activities reach them."""

    settings: ActivitySettings
    credentials: Credentials
    git: Git
    workspaces: Workspaces
    #: The task queue on which a promotion's next steps find the workspace that a step here worked in.
    host_queue: str
    #: What Stages and Freight know. None: this worker has no Temporal client to ask with.
    state: ProjectState | None = field(default=None, repr=False)
    #: Tests put a double of the Kubernetes API here; else it is made on first use.
    kubernetes_api: Kubernetes | None = field(default=None, repr=False)

    def http(
        self, *, timeout: float | None = None, verify: bool = True, follow_redirects: bool = False
    ) -> httpx.AsyncClient:
        """A new HTTP client; close it with `async with`. Proxy variables are honoured, TLS is verified unless told."""
        return httpx.AsyncClient(
            timeout=timeout or self.settings.http_timeout,
            verify=verify,
            follow_redirects=follow_redirects,
            headers={"User-Agent": "towpath"},
        )

    @cached_property
    def kubernetes(self) -> Kubernetes:
        """The Kubernetes API of the settings' kubeconfig, or of the worker's own cluster; made on first use."""
        if self.kubernetes_api is not None:
            return self.kubernetes_api
        from activities.kubernetes import Kubernetes

        return Kubernetes(self.settings)


def open_outside(settings: ActivitySettings, *, host_queue: str | None = None) -> Outside:
    """The ways to the outside as the settings say.

    `host_queue` is the queue next steps must use; by default this host's own. Raises OSError where the workspace
    directory can't be written.
    """
    workspaces = Workspaces(settings.workspace_directory)
    return Outside(
        settings=settings,
        credentials=credentials_of(settings),
        git=Git(settings),
        workspaces=workspaces,
        host_queue=host_queue or workspaces.queue(),
    )
