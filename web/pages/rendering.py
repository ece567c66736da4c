"""Templates: Jinja2 with autoescape, and the few things that they say themselves."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from model.base import Json
from web.pages.states import Tone, tone

#: What is shown of a value that somebody's step put out.
_LONGEST = 20_000


@lru_cache(maxsize=1)
def environment() -> Environment:
    """All templates."""
    built = Environment(
        loader=PackageLoader("web.pages", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    built.globals |= {"path": path, "icon": icon, "moment": moment, "tone": tone, "tone_icon": tone_icon}
    built.filters |= {"yaml": as_yaml, "json": as_json, "took": took, "plural": plural}
    return built


def render(name: str, /, **values: object) -> str:
    """A template filled in; whatever was not made by a template is escaped."""
    return environment().get_template(name).render(**values)


def path(*parts: str, **query: str) -> str:
    """An address here; names are quoted."""
    found = "/" + "/".join(quote(part, safe="") for part in parts)
    asked = "&".join(f"{key}={quote(value, safe='')}" for key, value in query.items() if value)
    return f"{found}?{asked}" if asked else found


def icon(name: str, label: str = "") -> Markup:
    """An icon of the sprite; without a label it says nothing to who can't see it."""
    if label:
        return Markup('<svg class="icon" role="img" aria-label="{}"><use href="/static/icons.svg#{}"/></svg>').format(
            label, name
        )
    return Markup('<svg class="icon" aria-hidden="true"><use href="/static/icons.svg#{}"/></svg>').format(name)


_ICONS = {
    Tone.GOOD: "check",
    Tone.BUSY: "busy",
    Tone.WAIT: "clock",
    Tone.WARN: "alert",
    Tone.BAD: "cross",
    Tone.IDLE: "dot",
}


def tone_icon(of: Tone, label: str = "") -> Markup:
    """The icon of a tone."""
    return icon(_ICONS[of], label)


def moment(at: str, prefix: str = "") -> Markup:
    """A moment: in full here, and as `5 min ago` once the browser has read it. `at`: RFC 3339; empty: nothing."""
    found = _time(at)
    if found is None:
        return Markup("")
    return Markup('{}<time datetime="{}" title="{}">{}</time>').format(
        f"{prefix} " if prefix else "",
        at,
        found.strftime("%Y-%m-%d %H:%M:%S UTC"),
        found.strftime("%Y-%m-%d %H:%M"),
    )


def _time(at: str) -> datetime | None:
    try:
        return datetime.fromisoformat(at).astimezone(UTC)
    except ValueError:
        return None


def took(started: str, finished: str) -> str:
    """How long something took: `0.4s`, `1m5s`; empty where it is not over."""
    begin, end = _time(started), _time(finished)
    if begin is None or end is None:
        return ""
    seconds = max((end - begin).total_seconds(), 0)
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{rest}s" if hours else f"{minutes}m{rest}s"


def as_yaml(value: Json) -> str:
    """As a person would have written it."""
    return _bounded(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100))


def as_json(value: Json) -> str:
    return _bounded(json.dumps(value, indent=2, ensure_ascii=False))


def plural(count: int, one: str, many: str = "") -> str:
    """`1 Stage`, `2 Stages`."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def _bounded(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}\n… {len(text) - _LONGEST} characters more"
