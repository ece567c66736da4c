"""Settings come from variables and one file, and whatever is wrong with them is said with its name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from worker.settings import WorkerSettings, worker_settings
from workflows.settings import ClientSettings, SettingsInvalid, load_settings, unknown_variables


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("TOWPATH_") or name == "XDG_DATA_HOME":
            monkeypatch.delenv(name)


@pytest.fixture
def settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TOWPATH_SETTINGS", str(tmp_path / "towpath.toml"))
    return tmp_path / "towpath.toml"


def test_nothing_has_to_be_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    settings = worker_settings()
    assert settings.data_directory == tmp_path / "towpath"
    assert settings.workspace_directory == tmp_path / "towpath" / "workspaces"
    assert (settings.workflow_cache, settings.host_slots) == (5000, 200)
    assert settings.encryption_keys_file is None


def test_a_relative_data_home_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "somewhere")
    assert load_settings(ClientSettings).data_directory == Path.home() / ".local/share/towpath"


def test_variables_win_over_the_file(settings_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings_file.write_text(
        'log_level = "debug"\nworkflow_cache = 700\nplain_http_registries = ["127.0.0.1:5000"]\n'
        '[registry_mirrors]\n"ghcr.io" = "127.0.0.1:5000"\n'
    )
    monkeypatch.setenv("TOWPATH_WORKFLOW_CACHE", "800")
    settings = worker_settings()
    assert (settings.log_level, settings.workflow_cache) == ("DEBUG", 800)
    assert settings.plain_http_registries == ["127.0.0.1:5000"]
    assert settings.registry_mirrors == {"ghcr.io": "127.0.0.1:5000"}


def test_clients_read_their_part_of_the_same_file(settings_file: Path, tmp_path: Path) -> None:
    settings_file.write_text(f'data_directory = "{tmp_path}"\nworkflow_cache = 700\n')
    assert load_settings(ClientSettings).data_directory == tmp_path
    assert worker_settings().data_directory == tmp_path


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (
            'workflow_cash = 700\nlog_level = "INFO"\n',
            "workflow_cash: there is no such setting, did you mean workflow_c",
        ),
        ("workflow_cache = 7\n", r"TOWPATH_WORKFLOW_CACHE \(workflow_cache\): .*greater than or equal to 100"),
        ('codec_origins = ["http://x/y"]\n', r"TOWPATH_CODEC_ORIGINS .*'http://x/y' is not an origin"),
        ("workflow_cache\n", r"towpath\.toml \(TOWPATH_SETTINGS\) is not TOML"),
    ],
)
def test_a_wrong_file_is_explained(settings_file: Path, content: str, complaint: str) -> None:
    settings_file.write_text(content)
    with pytest.raises(SettingsInvalid, match=complaint):
        worker_settings()


@pytest.mark.usefixtures("settings_file")
def test_a_file_that_is_named_must_be_there() -> None:
    with pytest.raises(SettingsInvalid, match=r"can't read the settings file .*towpath\.toml"):
        worker_settings()


@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("TOWPATH_HOST_SLOTS", "many", "TOWPATH_HOST_SLOTS .*valid integer"),
        ("TOWPATH_LOG_LEVEL", "LOUD", "TOWPATH_LOG_LEVEL .*'DEBUG', 'INFO'"),
        ("TOWPATH_GIT_TRANSPORTS", "https,file", "TOWPATH_GIT_TRANSPORTS .*'file' can't be allowed"),
        ("TOWPATH_METRICS_ADDRESS", "9090", "TOWPATH_METRICS_ADDRESS"),
        ("TOWPATH_SHARD", "not a name", "TOWPATH_SHARD"),
    ],
)
def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, complaint: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsInvalid, match=complaint):
        worker_settings()


def test_a_secret_is_not_shown_when_settings_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOWPATH_CODEC_TOKEN", "not-to-be-seen")
    monkeypatch.setenv("TOWPATH_HOST_SLOTS", "many")
    with pytest.raises(SettingsInvalid) as caught:
        worker_settings()
    assert "not-to-be-seen" not in str(caught.value)


def test_variables_that_mean_nothing_are_pointed_out() -> None:
    found = list(
        unknown_variables(
            WorkerSettings, {"TOWPATH_HOSTSLOTS": "1", "TOWPATH_SETTINGS": "x", "TOWPATH_SHARD": "", "HOME": ""}
        )
    )
    assert found == ["the variable TOWPATH_HOSTSLOTS means nothing to Towpath: did you mean TOWPATH_HOST_SLOTS?"]


@pytest.mark.parametrize("name", sorted(WorkerSettings.model_fields))
def test_every_setting_is_described(name: str) -> None:
    assert WorkerSettings.model_fields[name].description
