"""Where the receivers of webhooks are reached: `status.webhookReceivers` of a ProjectConfig and of the ClusterConfig.

URLs are made from secrets, which stay where they lie: they are shown by whoever can read the credentials directory,
and no workflow knows them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from credentials.directory import CLUSTER, ManifestDirectory
from model.receivers import SECRET_KEYS, receiver_path, receiver_settings, receiver_type
from model.resources.project_config import WebhookReceiverConfig, WebhookReceiverDetails
from starter.shapes import Resource
from workflows.record import read_web_record
from workflows.settings import WebSettings

#: The data of a Secret by its name, None where it isn't there.
Secrets = Callable[[str], dict[str, str] | None]


@dataclass(frozen=True)
class Placed:
    """A receiver, and what its Secret made of it."""

    project: str
    config: WebhookReceiverConfig
    #: `<type>/<hash>`; empty: the Secret isn't as it should be, and `problem` says why.
    path: str = ""
    secret: str = ""
    problem: str = ""

    def __repr__(self) -> str:
        return f"Placed({self.project!r}, {self.config.name!r})"


def place(project: str, config: WebhookReceiverConfig, secrets: Secrets) -> Placed:
    """Looks up a receiver's Secret. `project` is empty for a receiver of the ClusterConfig."""
    kind, settings = receiver_type(config), receiver_settings(config)
    name = settings.secret_ref.name if settings else ""
    data = secrets(name)
    if data is None:
        where = f"{project or CLUSTER}/"
        return Placed(project, config, problem=f"there is no Secret {name} in {where} of the credentials directory")
    if not data.get(SECRET_KEYS[kind]):
        return Placed(project, config, problem=f"Secret {name} has no {SECRET_KEYS[kind]}, as a {kind} receiver needs")
    secret = data[SECRET_KEYS[kind]]
    return Placed(project, config, receiver_path(project, kind, config.name, secret), secret)


def secrets_of(manifests: ManifestDirectory, project: str) -> Secrets:
    """The Secrets for the receivers of a Project, or of the ClusterConfig."""

    def find(name: str) -> dict[str, str] | None:
        held = manifests.read(project or CLUSTER).secrets.get(name)
        return None if held is None else dict(held.data)

    return find


def base_url(settings: WebSettings) -> str:
    """Where the receivers lie, without a slash at the end, as far as the settings say."""
    return settings.webhook_base_url.rstrip("/") or f"http://{settings.web_address}/webhooks"


def describe_receivers(
    config: Resource, project: str, receivers: Sequence[WebhookReceiverConfig], settings: WebSettings
) -> Resource:
    """The config with its status: the receivers' URLs, or a condition that says why they aren't known."""
    directory, base = _sources(settings)
    if directory is None:
        problems = ["their URLs are made from secrets: set TOWPATH_CREDENTIALS_DIRECTORY to see them"]
        details = []
    else:
        placed = [place(project, config, secrets_of(ManifestDirectory(directory), project)) for config in receivers]
        problems = [f"{receiver.config.name}: {receiver.problem}" for receiver in placed if receiver.problem]
        details = [
            WebhookReceiverDetails(name=receiver.config.name, path=_path(base, receiver.path), url=_url(base, receiver))
            for receiver in placed
            if receiver.path
        ]
    condition = {
        "type": "Ready",
        "status": "False" if problems else "True",
        "reason": "ReceiversUnknown" if directory is None else "SecretMissing" if problems else "Ready",
        "message": "; ".join(problems),
    }
    status = {"conditions": [condition], "webhookReceivers": [detail.shown() for detail in details]}
    return {**config, "status": {**config.get("status", {}), **status}}


def _sources(settings: WebSettings) -> tuple[Path | None, str]:
    """The credentials directory and the base URL: of the settings, else what the web of this machine uses."""
    record = read_web_record(settings.data_directory)
    directory = settings.credentials_directory or (record.credentials_directory if record else None)
    if settings.webhook_base_url or record is None:
        return directory, base_url(settings)
    return directory, record.webhooks


def _url(base: str, receiver: Placed) -> str:
    return f"{base}/{receiver.path}"


def _path(base: str, path: str) -> str:
    return "/" + f"{base}/{path}".split("://", 1)[1].partition("/")[2]
