"""What expressions of a step may ask the worker for: Secrets and ConfigMaps of its Project, and shared ones."""

from __future__ import annotations

from activities.outside import Outside


class WorkerData:
    """The data functions of expressions, answered for one Project.

    Missing Secrets and ConfigMaps are empty, as in Kargo.
    """

    def __init__(self, project: str, outside: Outside) -> None:
        self._project = project
        self._credentials = outside.credentials

    def config_map(self, name: str) -> dict[str, str]:
        return self._credentials.config_map(self._project, name) or {}

    def shared_config_map(self, name: str) -> dict[str, str]:
        return self._credentials.shared_config_map(name) or {}

    def secret(self, name: str) -> dict[str, str]:
        return self._credentials.secret(self._project, name) or {}

    def shared_secret(self, name: str) -> dict[str, str]:
        return self._credentials.shared_secret(name) or {}
