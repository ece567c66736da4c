"""The way to Temporal: its own environment configuration, else the server that `towpath up` runs on this machine."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from temporalio.client import Client, Interceptor
from temporalio.envconfig import ClientConfigProfile, ClientConnectConfig
from temporalio.runtime import Runtime

from workflows.converter import data_converter, read_keys
from workflows.record import running_server
from workflows.settings import ClientSettings, SettingsInvalid, load_settings

#: Where a Temporal server listens when nothing says otherwise.
USUAL_ADDRESS = "127.0.0.1:7233"
#: How long to wait for a server, in seconds.
PATIENCE = 4.0


class ServerUnreachable(Exception):
    """No Temporal server answers at `address`; the text says why and how to start one."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(
            f"no Temporal server can be reached at {address}: {reason}. "
            "Start one with `towpath up`, or name another in TEMPORAL_ADDRESS."
        )
        self.address = address
        self.reason = reason


@dataclass(frozen=True)
class Target:
    """Which server and namespace to connect to, and where that was said."""

    config: ClientConnectConfig
    #: The recorded server of this machine is meant, not one that was configured.
    local: bool

    @property
    def address(self) -> str:
        return self.config.get("target_host", USUAL_ADDRESS)

    @property
    def namespace(self) -> str:
        return self.config.get("namespace", "default")


def target(settings: ClientSettings) -> Target:
    """What Temporal's variables and profiles say, else the data directory's running server, else the usual address.

    Raises SettingsInvalid where Temporal's configuration can't be read.
    """
    try:
        config = ClientConfigProfile.load().to_client_connect_config()
    except (RuntimeError, ValueError, TypeError) as error:
        raise SettingsInvalid(f"Temporal's configuration (TEMPORAL_…) can't be used: {error}") from error
    if "target_host" in config:
        return Target(config, local=False)
    record = running_server(settings.data_directory)
    if record is None:
        config["target_host"] = USUAL_ADDRESS
        return Target(config, local=False)
    config["target_host"] = record.address
    config.setdefault("namespace", record.namespace)
    return Target(config, local=True)


async def connect(
    settings: ClientSettings | None = None,
    *,
    runtime: Runtime | None = None,
    interceptors: Sequence[Interceptor] = (),
    identity: str | None = None,
) -> Client:
    """A client with the house's data converter.

    Raises ServerUnreachable within PATIENCE seconds, SettingsInvalid, KeysInvalid.
    """
    settings = load_settings(ClientSettings) if settings is None else settings
    return await connect_to(target(settings).config, settings, runtime, interceptors, identity)


async def connect_to(
    config: ClientConnectConfig,
    settings: ClientSettings,
    runtime: Runtime | None = None,
    interceptors: Sequence[Interceptor] = (),
    identity: str | None = None,
) -> Client:
    """A client of exactly this server. Raises ServerUnreachable, KeysInvalid."""
    keys = read_keys(settings.encryption_keys_file) if settings.encryption_keys_file else ()
    address = config.get("target_host", USUAL_ADDRESS)
    try:
        return await asyncio.wait_for(
            Client.connect(
                address,
                namespace=config.get("namespace", "default"),
                api_key=config.get("api_key"),
                tls=config.get("tls"),
                rpc_metadata=config.get("rpc_metadata", {}),
                data_converter=data_converter(keys),
                interceptors=list(interceptors),
                identity=identity,
                connect_timeout=timedelta(seconds=PATIENCE),
                runtime=runtime,
            ),
            PATIENCE,
        )
    except TimeoutError:
        raise ServerUnreachable(address, f"no answer within {PATIENCE:g} seconds") from None
    except (RuntimeError, ValueError) as error:
        # The SDK raises a plain RuntimeError for everything that goes wrong here.
        raise ServerUnreachable(address, reason(str(error))) from error


_REASONS = [
    (re.compile(r"ConnectionRefused|Connection refused"), "connection refused"),
    (re.compile(r"dns error"), "there is no host of that name"),
    (re.compile(r"code: (?:Unauthenticated|PermissionDenied)"), "it refuses the credentials (TEMPORAL_API_KEY, TLS)"),
    (re.compile(r"TimedOut|DeadlineExceeded|timed out"), "it doesn't answer in time"),
    (re.compile(r"[Cc]ertificate|tls|Tls|TLS"), "the TLS connection can't be made; check TEMPORAL_TLS and its files"),
    (
        re.compile(r"code: Unimplemented|Http2|http2|broken pipe|operation was canceled"),
        "what listens there is not a Temporal server",
    ),
]


def reason(text: str) -> str:
    """The SDK's account of a failed connection, which is the innards of Rust errors, in words."""
    for pattern, words in _REASONS:
        if pattern.search(text):
            return words
    quoted = re.findall(r'(?:message|error): "([^"]+)"', text)
    return quoted[-1] if quoted else text[:200]
