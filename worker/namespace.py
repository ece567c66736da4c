"""What Towpath needs of a Temporal namespace: its search attributes, and how long closed runs are kept."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, UpdateNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from workflows.attributes import ALL, CHANGED

#: By these, runs and entities are found: name and type.
SEARCH_ATTRIBUTES = {key.name: "Datetime" if key is CHANGED else "Keyword" for key in ALL}
#: How long the embedded server keeps closed runs; its own default is a day.
RETENTION = timedelta(days=90)

_TIMEOUT = timedelta(seconds=10)
_TYPES = {
    "Keyword": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    "Datetime": IndexedValueType.INDEXED_VALUE_TYPE_DATETIME,
}


class NamespaceUnfit(Exception):
    """The namespace isn't there, or lacks search attributes and doesn't let us add them. Says what to do."""


async def add_search_attributes(client: Client, names: Iterable[str] = SEARCH_ATTRIBUTES) -> None:
    """Add these. Raises RPCError (ALREADY_EXISTS)."""
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(
            namespace=client.namespace,
            search_attributes={name: _TYPES[SEARCH_ATTRIBUTES[name]] for name in names},
        ),
        timeout=_TIMEOUT,
    )


async def ensure_search_attributes(client: Client) -> None:
    """Add what is missing of SEARCH_ATTRIBUTES. Raises NamespaceUnfit."""
    try:
        found = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace), timeout=_TIMEOUT
        )
        for name, kind in found.custom_attributes.items():
            wanted = SEARCH_ATTRIBUTES.get(name)
            if wanted is not None and kind != _TYPES[wanted]:
                raise NamespaceUnfit(
                    f"search attribute {name} of the namespace {client.namespace} must be of type {wanted}"
                )
        missing = [name for name in SEARCH_ATTRIBUTES if name not in found.custom_attributes]
        if missing:
            await add_search_attributes(client, missing)
    except RPCError as error:
        if error.status is RPCStatusCode.ALREADY_EXISTS:
            return  # another worker was quicker
        if error.status is RPCStatusCode.NOT_FOUND:
            raise NamespaceUnfit(
                f"there is no namespace {client.namespace!r} on this Temporal server: "
                "create it, or name another in TEMPORAL_NAMESPACE"
            ) from error
        raise NamespaceUnfit(
            f"can't see to the search attributes of the namespace {client.namespace} ({error.message}). "
            f"Have someone who may add these: "
            f"{', '.join(f'{name} ({kind})' for name, kind in SEARCH_ATTRIBUTES.items())}"
        ) from error


async def ensure_retention(client: Client, retention: timedelta = RETENTION) -> None:
    """Have closed runs kept at least that long. For servers of our own: on others it is their operator's to decide."""
    service = client.workflow_service
    found = await service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace), timeout=_TIMEOUT)
    if found.config.workflow_execution_retention_ttl.ToTimedelta() >= retention:
        return
    config = NamespaceConfig()
    config.workflow_execution_retention_ttl.FromTimedelta(retention)
    await service.update_namespace(UpdateNamespaceRequest(namespace=client.namespace, config=config), timeout=_TIMEOUT)
