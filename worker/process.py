"""What `towpath up` and `towpath worker` run: everything that a worker hosts, from its start to its end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.runtime import Runtime

from activities.outside import open_outside
from activities.programs import missing_programs
from activities.project_state import ProjectState
from model.names import CLUSTER
from model.project_state import ClusterState
from worker import log
from worker.catalog import Catalog, everything
from worker.codec_endpoint import CodecEndpoint
from worker.collection import collect_forever
from worker.embedded import EmbeddedServer
from worker.host import host
from worker.namespace import ensure_search_attributes
from worker.runtime import sdk_runtime
from worker.settings import WorkerSettings
from worker.workers import Workers, build_workers
from workflows.connection import connect
from workflows.converter import Codec, read_keys
from workflows.leaving import leave
from workflows.settings import unknown_variables

logger = logging.getLogger("towpath.worker")

#: Variables that are read by someone else than the settings: by the tests, and by the command line.
OTHER_VARIABLES = frozenset(
    {
        "TOWPATH_ACTOR",
        "TOWPATH_ACTOR_GROUPS",
        "TOWPATH_ACTOR_ROLES",
        "TOWPATH_DEBUG",
        "TOWPATH_PROJECT",
        "TOWPATH_TEST_CHROMIUM",
        "TOWPATH_TEST_HELM",
        "TOWPATH_TEST_KARGO_ADVANCED",
        "TOWPATH_TEST_KARGO_CLI",
        "TOWPATH_TEST_KUBECONFIG",
    }
)


@dataclass(frozen=True)
class Running:
    """A worker at work, and where things are."""

    client: Client
    #: `host:port` of Temporal, and the namespace worked in.
    address: str
    namespace: str
    #: URLs of the Temporal UI and of the codec endpoint; empty where there is none.
    ui: str
    codec: str
    task_queue: str
    data_directory: Path
    #: Ends when something that is needed can't go on; raises why.
    failed: asyncio.Task[None]


Ready = Callable[[Running], Awaitable[None] | None]
Beside = Callable[[Running], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def up(settings: WorkerSettings, contents: Catalog | None = None) -> AsyncIterator[Running]:
    """A Temporal server of our own, and a worker on it, for as long as the context lasts.

    Raises DirectoryTaken, ServerFailed, KeysInvalid, OSError. `contents`: what to host, instead of everything.
    """
    runtime = sdk_runtime(settings.metrics_address)
    async with AsyncExitStack() as stack:
        endpoint = _codec_endpoint(settings, always=True)
        server = EmbeddedServer(
            settings,
            port=settings.temporal_port,
            ui_port=settings.temporal_ui_port,
            codec_endpoint=endpoint.url if endpoint else "",
            runtime=runtime,
        )
        stack.push_async_callback(server.stop)
        client = await server.start()
        if endpoint:
            endpoint.allow(server.ui_url, server.ui_url.replace("127.0.0.1", "localhost"), *settings.codec_origins)
            await stack.enter_async_context(endpoint)
        yield await _host(
            stack,
            settings,
            client,
            contents,
            single=True,
            address=server.address,
            ui=server.ui_url,
            codec=endpoint.url if endpoint else "",
            also=[server.supervise],
        )


@asynccontextmanager
async def worker(
    settings: WorkerSettings, contents: Catalog | None = None, runtime: Runtime | None = None
) -> AsyncIterator[Running]:
    """A worker on a Temporal server that runs elsewhere, one of as many as there are hosts.

    Raises ServerUnreachable, NamespaceUnfit, SettingsInvalid, KeysInvalid, OSError.
    """
    async with AsyncExitStack() as stack:
        client = await connect(settings, runtime=runtime or sdk_runtime(settings.metrics_address))
        await ensure_search_attributes(client)
        endpoint = _codec_endpoint(settings, always=False)
        if endpoint:
            endpoint.allow(*settings.codec_origins)
            await stack.enter_async_context(endpoint)
        yield await _host(
            stack,
            settings,
            client,
            contents,
            single=False,
            address=client.service_client.config.target_host,
            codec=endpoint.url if endpoint else "",
        )


def _codec_endpoint(settings: WorkerSettings, *, always: bool) -> CodecEndpoint | None:
    if not settings.codec_address and not always:
        return None
    address, _, port = settings.codec_address.rpartition(":")
    return CodecEndpoint(
        Codec(read_keys(settings.encryption_keys_file) if settings.encryption_keys_file else ()),
        host=address or "127.0.0.1",
        port=int(port or 0),
        token=settings.codec_token.get_secret_value() if settings.codec_token else "",
    )


async def _host(
    stack: AsyncExitStack,
    settings: WorkerSettings,
    client: Client,
    contents: Catalog | None,
    *,
    single: bool,
    address: str,
    ui: str = "",
    codec: str = "",
    also: Sequence[Callable[[], Awaitable[None]]] = (),
) -> Running:
    here = host(settings, single=single)
    outside = open_outside(settings, host_queue=here.queue)
    outside.state = ProjectState(client)
    hosted = everything(outside, client) if contents is None else contents
    workers = Workers(
        build_workers(client, settings, here, hosted.workflows, hosted.activities), settings.shutdown_grace
    )
    if not settings.shard and any(kind.__name__ == "Cluster" for kind in hosted.workflows):
        await client.start_workflow(
            "Cluster",
            ClusterState(),
            id=CLUSTER,
            task_queue=here.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary="Cluster-wide tasks, templates and settings",
        )
    workers.start()
    tasks = [
        asyncio.ensure_future(workers.failed()),
        asyncio.ensure_future(collect_forever(client, outside.workspaces, settings.collection_interval)),
        *(asyncio.ensure_future(needed()) for needed in also),
    ]
    failed = asyncio.create_task(_first_failure(tasks))

    async def end() -> None:
        for task in (failed, *tasks):
            task.cancel()
        await asyncio.gather(failed, *tasks, return_exceptions=True)
        await workers.stop()
        for close in hosted.closing:
            await close()

    stack.push_async_callback(end)
    for sentence in missing_programs():
        logger.info("%s", sentence)
    logger.info("working on %s, namespace %s, task queue %s", address, client.namespace, here.task_queue)
    return Running(
        client=client,
        address=address,
        namespace=client.namespace,
        ui=ui,
        codec=codec,
        task_queue=here.task_queue,
        data_directory=settings.data_directory,
        failed=failed,
    )


async def _first_failure(tasks: Sequence[asyncio.Future[None]]) -> None:
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


async def run_up(settings: WorkerSettings, ready: Ready, beside: Beside | None = None) -> None:
    """`towpath up`: until SIGINT or SIGTERM. Calls `ready` when everything works. Raises as `up` does.

    `beside`: what else lives as long as the worker.
    """
    configure(settings)
    stop = stop_signal()
    async with up(settings) as running, AsyncExitStack() as stack:
        if beside is not None:
            await stack.enter_async_context(beside(running))
        await until(stop, running, ready)


async def run_worker(settings: WorkerSettings, ready: Ready | None = None) -> None:
    """`towpath worker`: until SIGINT or SIGTERM. Raises as `worker` does."""
    configure(settings)
    stop = stop_signal()
    async with worker(settings) as running:
        await until(stop, running, ready)


async def until(stop: asyncio.Event, running: Running, ready: Ready | None = None) -> None:
    """Wait for `stop`. Raises what made the worker unable to go on, if that comes first."""
    if ready is not None and (answer := ready(running)) is not None:
        await answer
    waiting = asyncio.create_task(stop.wait())
    await asyncio.wait([waiting, running.failed], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if running.failed.done():
        running.failed.result()


def stop_signal() -> asyncio.Event:
    """An event that SIGINT and SIGTERM set. A second one ends the process at once: nothing is lost by that."""
    stop = asyncio.Event()

    def received(number: int) -> None:
        if stop.is_set():
            leave(128 + number)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, received, number)
    return stop


def configure(settings: WorkerSettings) -> None:
    """Set up logging for a process that hosts a worker, and say which variables mean nothing."""
    secrets = [os.environ.get("TEMPORAL_API_KEY", "")]
    if settings.codec_token:
        secrets.append(settings.codec_token.get_secret_value())
    log.configure(settings.log_level, settings.log_format, [secret for secret in secrets if secret])
    for sentence in unknown_variables(WorkerSettings, os.environ, OTHER_VARIABLES):
        logger.warning("%s", sentence)


def run_to_the_end(main: Callable[[], Awaitable[int]]) -> NoReturn:
    """Run an async main in this process, then leave with the exit code it returns.

    Exceptions are the caller's to turn into codes, within `main`: there is no way back from here.
    """

    async def inside() -> NoReturn:
        leave(await main())

    asyncio.run(inside())
    raise AssertionError("the process has been left")
