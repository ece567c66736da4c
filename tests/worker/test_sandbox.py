"""Only the files of workflows are reloaded in the sandbox."""

from __future__ import annotations

import importlib.util
import sys

from tests.worker.pipeline import Soak, Tow
from worker.sandbox import passed_through, sandbox


def test_everything_but_the_workflows_own_files_passes() -> None:
    names = passed_through([Tow, Soak])
    assert {"pydantic", "temporalio", "model", "workflows", "asyncio"} & set(sys.modules) <= names
    assert not {"tests", "tests.worker", "tests.worker.pipeline", "__main__"} & names
    assert __name__ in names, "its neighbours in the same package pass"


def test_files_of_workflows_are_compiled_once() -> None:
    sandbox([Tow, Soak])
    # Out of the loaded modules, as in the sandbox: what is asked is how it would be loaded again.
    module = sys.modules.pop(Tow.__module__)
    try:
        loaders = [importlib.util.find_spec(Tow.__module__).loader for _ in range(2)]  # type: ignore[union-attr]
        codes = [loader.get_code(Tow.__module__) for loader in loaders]  # type: ignore[union-attr]
    finally:
        sys.modules[Tow.__module__] = module
    assert codes[0] is not None
    assert codes[0] is codes[1]
