"""The reference of settings: `python -m worker.reference` rewrites the tables in docs/configuration.md.

What stands between `<!-- settings: GROUP -->` and `<!-- end -->` there is this program's; all else is written by hand.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from annotated_types import Ge, Gt, Le
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from activities.annotations import cell, type_words, value_words
from activities.settings import ActivitySettings
from worker.settings import WorkerSettings
from workflows.settings import PREFIX, ClientSettings, WebSettings

PAGE = Path("docs/configuration.md")
#: Stands for the data directory while defaults are taken, since the real one depends on the machine.
_DATA = Path("/data-directory")
_REGION = re.compile(r"(<!-- settings: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_HEAD = "| variable | type | default | meaning |\n| --- | --- | --- | --- |\n"
_GROUPS: dict[str, type[BaseSettings]] = {
    "clients": ClientSettings,
    "activities": ActivitySettings,
    "worker": WorkerSettings,
    "web": WebSettings,
}


def table(group: str) -> str:
    """The table of one group: the settings that its model adds. Raises KeyError where there is no such group."""
    model = _GROUPS[group]
    defaults = _defaults()
    inherited = {name for name in ClientSettings.model_fields if model is not ClientSettings}
    if model in (WebSettings, WorkerSettings):
        inherited |= set(ActivitySettings.model_fields)
    if model is WorkerSettings:
        inherited |= set(WebSettings.model_fields)
    rows = [
        (f"`{PREFIX}{name.upper()}`", cell(_type(field)), _default(name, defaults), cell(field.description or ""))
        for name, field in model.model_fields.items()
        if name not in inherited
    ]
    return _HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def rewritten(text: str) -> str:
    """The page with its tables as they should be."""
    return _REGION.sub(lambda found: f"{found[1]}{table(found[2])}{found[3]}", text)


def _defaults() -> WorkerSettings:
    # Constructed, not validated: the environment of this process must not show.
    return WorkerSettings.model_construct(data_directory=_DATA)


def _default(name: str, defaults: WorkerSettings) -> str:
    value = getattr(defaults, name)
    if name == "data_directory":
        return "`$XDG_DATA_HOME/towpath`, that is `~/.local/share/towpath`"
    if isinstance(value, Path) and _DATA in value.parents:
        return f"`{value.relative_to(_DATA)}` in the data directory"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value_words(value)


def _type(field: FieldInfo) -> str:
    return "; ".join([_kind(field), *_bounds(field)])


def _kind(field: FieldInfo) -> str:
    if field.annotation == list[str]:
        return "list, `a,b`"
    if field.annotation == dict[str, str]:
        return "pairs, `a=b,c=d`"
    return type_words(field.annotation)


def _bounds(field: FieldInfo) -> Iterator[str]:
    for part in field.metadata:
        if isinstance(part, Ge):
            yield f"at least {part.ge}"
        elif isinstance(part, Gt):
            yield f"above {part.gt}"
        elif isinstance(part, Le):
            yield f"at most {part.le}"


def main() -> None:
    """Rewrite the tables of the page, by default docs/configuration.md."""
    path = Path(sys.argv[1] if len(sys.argv) > 1 else PAGE)
    path.write_text(rewritten(path.read_text()))


if __name__ == "__main__":
    main()
