"""Settings come from TOWPATH_ variables, are documented one by one, and refuse what can't be."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from activities.settings import ActivitySettings


def test_every_setting_is_documented() -> None:
    assert [name for name, field in ActivitySettings.model_fields.items() if not field.description] == []


def test_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {
        "DATA_DIRECTORY": str(tmp_path),
        "REGISTRY_MIRRORS": "ghcr.io=127.0.0.1:5000, quay.io = mirror.example",
        "PLAIN_HTTP_REGISTRIES": "127.0.0.1:5000",
        "GIT_TRANSPORTS": "https,ssh",
        "MIRROR_DIRECTORY": str(tmp_path / "elsewhere"),
    }.items():
        monkeypatch.setenv(f"TOWPATH_{name}", value)
    settings = ActivitySettings()
    assert settings.registry_mirrors == {"ghcr.io": "127.0.0.1:5000", "quay.io": "mirror.example"}
    assert settings.plain_http_registries == ["127.0.0.1:5000"]
    assert settings.git_transports == ["https", "ssh"]
    assert settings.workspace_directory == tmp_path / "workspaces"
    assert settings.mirror_directory == tmp_path / "elsewhere"


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("GIT_TRANSPORTS", "file", "can't be allowed"),
        ("REGISTRY_MIRRORS", "ghcr.io", "not of the form name=value"),
        ("STEP_CONCURRENCY", "0", "greater than 0"),
        ("GIT_PUSH_INTEGRATION_POLICY", "Sometimes", "AlwaysRebase"),
    ],
)
def test_what_can_not_be(monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str) -> None:
    monkeypatch.setenv(f"TOWPATH_{name}", value)
    with pytest.raises(ValidationError, match=says):
        ActivitySettings()
