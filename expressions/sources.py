"""What expressions may ask the outside for. Whoever evaluates brings the answers: this room does no I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from expressions.errors import Fault
from expressions.functions.builtin import text_argument
from expressions.values import Function, StringMap, Value
from model.base import Json


class DataSource(Protocol):
    """ConfigMaps and Secrets by name, for one Project; one that isn't there is empty (Kargo: DataOperations)."""

    def config_map(self, name: str) -> Mapping[str, str]:
        """Data of a ConfigMap of the Project."""
        ...

    def shared_config_map(self, name: str) -> Mapping[str, str]:
        """Data of a shared ConfigMap."""
        ...

    def secret(self, name: str) -> Mapping[str, str]:
        """Decoded data of a Secret of the Project."""
        ...

    def shared_secret(self, name: str) -> Mapping[str, str]:
        """Decoded data of a shared Secret, if it is labelled as generic credentials."""
        ...


class StatusSource(Protocol):
    """What the owners of Freight and Stages know of them; None where there is no such thing or nothing is set."""

    def freight_metadata(self, name: str) -> Mapping[str, Json] | None:
        """`status.metadata` of a piece of Freight."""
        ...

    def freight_status(self, name: str) -> Mapping[str, Json] | None:
        """`status` of a piece of Freight."""
        ...

    def stage_metadata(self, name: str) -> Mapping[str, Json] | None:
        """`status.metadata` of a Stage."""
        ...


def data_functions(data: DataSource) -> dict[str, Function]:
    """`configMap(name)` and its like. Each thing is read once for as long as the functions live."""
    return {
        "configMap": _texts("configMap", data.config_map),
        "sharedConfigMap": _texts("sharedConfigMap", data.shared_config_map),
        "secret": _texts("secret", data.secret),
        "sharedSecret": _texts("sharedSecret", data.shared_secret),
    }


def _texts(function: str, read: Callable[[str], Mapping[str, str]]) -> Function:
    known: dict[str, StringMap] = {}

    def call(name: Value) -> StringMap:
        key = text_argument(name, function)
        if key not in known:
            known[key] = StringMap(read(key))
        return known[key]

    return Function(function, call, 1, 1)


def status_functions(status: StatusSource | None) -> dict[str, Function]:
    """`freightMetadata(name)`, `freightStatus(name)`, `stageMetadata(name)`; without a source they say so."""

    def function(name: str, read: Callable[[str], Mapping[str, Json] | None] | None) -> Function:
        def call(subject: Value, key: Value = None) -> Value:
            found = _status(name, read, subject)
            return found if key is None or found is None else found.get(text_argument(key, name))

        # Kargo's older releases took a key as the second argument of the metadata functions.
        return Function(name, call, 1, 1 if name == "freightStatus" else 2)

    return {
        "freightMetadata": function("freightMetadata", status.freight_metadata if status else None),
        "freightStatus": function("freightStatus", status.freight_status if status else None),
        "stageMetadata": function("stageMetadata", status.stage_metadata if status else None),
    }


def _status(
    name: str, read: Callable[[str], Mapping[str, Json] | None] | None, subject: Value
) -> dict[str, Value] | None:
    text = text_argument(subject, name)
    if not text:
        raise Fault(f"{name}() needs a name, got an empty one")
    if read is None:
        raise Fault(f"{name}() is not available here")
    found = read(text)
    return None if found is None else dict(found)
