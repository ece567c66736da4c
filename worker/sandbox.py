"""The sandbox in which workflows run: it reloads the files of workflows, and nothing else, and those cheaply."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, ModuleType

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import StorageDriverStoreContext
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import Info


def passed_through(workflows: Iterable[type]) -> set[str]:
    """All modules loaded by now but those that define these workflows, as the sandbox wants them named.

    Reloading our models for each workflow would cost 360 ms of CPU per start and 3.45 MB per cached workflow, instead
    of 16 ms and 0.32 MB. A name stands for its whole package, so packages with workflows in them are given module by
    module.
    """
    own = {workflow.__module__ for workflow in workflows}
    parents = {module.rpartition(".")[0] for module in own}
    for package in list(parents):
        while package := package.rpartition(".")[0]:
            parents.add(package)
    parents.discard("")
    mixed = {module.partition(".")[0] for module in own}
    names: set[str] = set()
    for name in sys.modules:
        top = name.partition(".")[0]
        if top not in mixed:
            names.add(top)
        elif name not in own and name not in parents:
            names.add(name)
    return names - {"__main__"}


def sandbox(workflows: Iterable[type]) -> SandboxedWorkflowRunner:
    """The runner for a worker of these workflows. Make it when everything they need has been imported."""
    workflows = list(workflows)
    _compile_once({workflow.__module__ for workflow in workflows})
    restrictions = SandboxRestrictions.default
    return _Runner(restrictions=restrictions.with_passthrough_modules(*passed_through(workflows)))


class _Runner(SandboxedWorkflowRunner):
    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        return _WithoutContexts(super().create_instance(det))


class _WithoutContexts(WorkflowInstance):
    """A workflow in the sandbox that isn't entered to ask in which context a payload is converted.

    The SDK asks several times for each payload, and every time costs as much as a small workflow task. Our converter
    (workflows.converter) does the same in every context, and stores nothing outside.
    """

    def __init__(self, inside: WorkflowInstance) -> None:
        self._inside = inside

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        return self._inside.activate(act)

    def get_serialization_context(self, command_info: object) -> None:
        return None

    def get_external_store_context(self, command_info: object) -> StorageDriverStoreContext:
        return StorageDriverStoreContext(target=None)

    def get_info(self) -> Info:
        return self._inside.get_info()

    def get_thread_id(self) -> int | None:
        return self._inside.get_thread_id()


class _CompiledOnce(SourceFileLoader):
    """Keeps the compiled module: the sandbox loads it anew for every workflow that starts.

    Otherwise it is read from disk each time, and compiled each time where no bytecode may be written.
    """

    _code: CodeType | None = None

    def get_code(self, fullname: str) -> CodeType | None:
        if self._code is None:
            self._code = super().get_code(fullname)
        return self._code


class _Finder(MetaPathFinder):
    def __init__(self) -> None:
        self.loaders: dict[str, _CompiledOnce] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        loader = self.loaders.get(fullname)
        return None if loader is None else importlib.util.spec_from_file_location(fullname, loader.path, loader=loader)


_finder = _Finder()


def _compile_once(modules: Iterable[str]) -> None:
    """Have these modules, which are loaded by now, compiled no more than once again."""
    for name in modules:
        file = sys.modules[name].__file__
        if file is not None and name not in _finder.loaders:
            _finder.loaders[name] = _CompiledOnce(name, file)
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
