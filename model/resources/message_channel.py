"""MessageChannel and ClusterMessageChannel: where messages go, and by what.

Kargo's documents (its paid edition): user guide, "Message Channels"; operator guide, "Cluster Message Channels".
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from model.base import Duration, Json, Manifest
from model.resources.resource import KARGO_ENTERPRISE, KargoEnterpriseVersion, Resource


class SecretReference(Manifest):
    """The Secret with what opens the channel."""

    #: Of a MessageChannel in its Project, of a ClusterMessageChannel in the cluster's directory.
    name: str = Field(min_length=1)
    #: Taken for Kargo's sake, and of no effect there either.
    namespace: str = ""


class SlackChannel(Manifest):
    """A channel of Slack. Its Secret holds `apiKey`."""

    channel_id: str = Field(alias="channelID", min_length=1)


class SmtpChannel(Manifest):
    """Mail by a server. Its Secret, if it has one, holds `username` and `password`."""

    sender: str = Field(alias="from", min_length=1)
    #: The first is the recipient, the others get copies.
    to: list[str] = Field(default_factory=list)
    host: str = Field(min_length=1)
    port: int = Field(ge=1, le=65535)
    use_tls: bool = Field(default=True, alias="useTLS")
    insecure_skip_verify: bool = False


class NamedText(Manifest):
    """A header or a query parameter."""

    name: str = Field(min_length=1)
    value: str


class HttpChannel(Manifest):
    """Requests to an address. Its Secret, if it has one, holds `bearerToken` or `authorization`."""

    url: str = Field(min_length=1)
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    headers: list[NamedText] = Field(default_factory=list)
    query_params: list[NamedText] = Field(default_factory=list)
    timeout: Duration | None = None
    insecure_skip_tls_verify: bool = False
    #: Expressions on `response`, of which one decides; without them any 2xx is a success.
    success_expression: str = ""
    failure_expression: str = ""


class MessageChannelSpec(Manifest):
    """Exactly one kind of channel, and its Secret."""

    secret_ref: SecretReference | None = None
    slack: SlackChannel | None = None
    smtp: SmtpChannel | None = None
    http: HttpChannel | None = None


class MessageChannel(Resource):
    """A channel of one Project."""

    api_version: KargoEnterpriseVersion = KARGO_ENTERPRISE
    kind: Literal["MessageChannel"] = "MessageChannel"
    spec: MessageChannelSpec
    status: dict[str, Json] | None = None


class ClusterMessageChannel(Resource):
    """A channel for all Projects."""

    cluster_scoped: ClassVar[bool] = True

    api_version: KargoEnterpriseVersion = KARGO_ENTERPRISE
    kind: Literal["ClusterMessageChannel"] = "ClusterMessageChannel"
    spec: MessageChannelSpec
    status: dict[str, Json] | None = None
