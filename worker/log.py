"""What the worker writes to standard error: one line an event, as text or JSON, without secrets."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Iterable
from typing import Literal

from temporalio.exceptions import ApplicationError

from activities.mask import MASKED, Mask, current

#: Secrets in the shapes they are known to be sent in, whoever logs them.
_SHAPES = [
    re.compile(r"(?P<keep>\b[a-z][a-z0-9+.-]*://)[^/\s:@'\"]*:[^/\s@'\"]+(?=@)", re.IGNORECASE),
    re.compile(
        r"(?P<keep>\b(?:authorization|proxy-authorization)['\"]?\s*[:=]\s*['\"]?(?:bearer|basic|token)\s+)[^\s'\",]+",
        re.IGNORECASE,
    ),
]
#: Of the attributes that Temporal adds to records, those that tell which run a line is about.
_RUN = ("workflow_type", "workflow_id", "run_id", "activity_type", "activity_id", "attempt", "task_queue")


class MaskedFormatter(logging.Formatter):
    """Formats a record, then masks what is known to be secret in the whole of it, tracebacks included."""

    def __init__(self, mask: Mask) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%SZ")
        self._mask = mask

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        return self.masked(super().format(record))

    def masked(self, text: str) -> str:
        text = self._mask.text(text)
        if step := current():
            text = step.text(text)
        for shape in _SHAPES:
            text = shape.sub(rf"\g<keep>{MASKED}", text)
        return text


class JsonFormatter(MaskedFormatter):
    """One JSON object a line: time, level, logger, message, and the run it is about."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": self.formatTime(record, self.datefmt),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self.masked(record.getMessage()),
        }
        for attribute in ("temporal_workflow", "temporal_activity"):
            about = getattr(record, attribute, None)
            if isinstance(about, dict):
                entry |= {name: about[name] for name in _RUN if name in about}
        if record.exc_info:
            entry["error"] = self.masked(self.formatException(record.exc_info))
        return json.dumps(entry, default=str, ensure_ascii=False)


def configure(
    level: str = "INFO", form: Literal["text", "json"] = "text", secrets: Iterable[str] = ()
) -> logging.Handler:
    """Have this process log to standard error from `level` on, with `secrets` masked wherever they occur.

    Libraries are heard from WARNING on. Returns the handler, by which it can be undone.
    """
    mask = Mask()
    for secret in secrets:
        mask.add(secret)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(mask) if form == "json" else MaskedFormatter(mask))
    root = logging.getLogger()
    for former in root.handlers[:]:
        if isinstance(former.formatter, MaskedFormatter):
            root.removeHandler(former)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for ours in ("towpath", "activities", "workflows", "worker", "model", "expressions", "temporalio"):
        logging.getLogger(ours).setLevel(level)
    # What the SDK says of its own doings at INFO, nobody can use.
    logging.getLogger("temporalio.worker").setLevel("DEBUG" if level == "DEBUG" else "WARNING")
    # A step that failed has said so in its outcome; the SDK would add a traceback through its own insides.
    logging.getLogger("temporalio.activity").addFilter(_without_traceback)
    return handler


def _without_traceback(record: logging.LogRecord) -> bool:
    """Leave the traceback out where an activity ended with an error of ours, and keep what it says."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, ApplicationError):
        record.msg, record.args = f"{record.getMessage().split(' (', 1)[0]}: {error}", ()
        record.exc_info = None
    return True
