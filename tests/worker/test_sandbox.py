"""Only the files of workflows are reloaded in the sandbox."""

from __future__ import annotations

import sys

from tests.worker.pipeline import Soak, Tow
from worker.sandbox import passed_through


def test_everything_but_the_workflows_own_files_passes() -> None:
    names = passed_through([Tow, Soak])
    assert {"pydantic", "temporalio", "model", "workflows", "asyncio"} & set(sys.modules) <= names
    assert not {"tests", "tests.worker", "tests.worker.pipeline", "__main__"} & names
    assert __name__ in names, "its neighbours in the same package pass"
