"""All senders by the type of their receivers. Generic receivers are told what to do instead (web.webhooks.generic)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from web.webhooks import (
    artifactory,
    azure,
    bitbucket,
    dockerhub,
    gitea,
    github,
    gitlab,
    harbor,
    quay,
)
from web.webhooks.delivery import Sender

SENDERS: Final[Mapping[str, Sender]] = {
    "artifactory": artifactory.read,
    "azure": azure.read,
    "bitbucket": bitbucket.read,
    "dockerhub": dockerhub.read,
    "gitea": gitea.read,
    "github": github.read,
    "gitlab": gitlab.read,
    "harbor": harbor.read,
    "quay": quay.read,
}
