"""The page about settings says what the settings are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from starter.configuration import configuration_path
from tests.docs.pages import ROOT, blocks, name, pages
from worker.process import OTHER_VARIABLES
from worker.reference import PAGE, rewritten, table
from worker.settings import WorkerSettings
from workflows.settings import FILE_VARIABLE, PREFIX

#: What the command line reads, and what docker-compose.yml does.
_ELSEWHERE = {
    "TOWPATH_PROJECT",
    "TOWPATH_ACTOR",
    "TOWPATH_ACTOR_GROUPS",
    "TOWPATH_ACTOR_ROLES",
    "TOWPATH_DEBUG",
    "TOWPATH_CREDENTIALS",
}
_SETTINGS = {f"{PREFIX}{field.upper()}" for field in WorkerSettings.model_fields}


def test_the_tables_are_what_the_program_writes() -> None:
    text = (ROOT / PAGE).read_text()
    assert text == rewritten(text), "run `make docs`"


def test_every_setting_stands_in_a_table() -> None:
    text = (ROOT / PAGE).read_text()
    rows = re.findall(r"^\| `(TOWPATH_\w+)` \|", text, re.MULTILINE)
    assert sorted(row for row in rows if row not in _ELSEWHERE) == sorted(_SETTINGS)


def test_every_setting_is_described() -> None:
    assert [field for field, info in WorkerSettings.model_fields.items() if not info.description] == []


def test_defaults_do_not_depend_on_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = table("activities")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("TOWPATH_ARGOCD_NAMESPACE", "elsewhere")
    assert table("activities") == before


@pytest.mark.parametrize("page", pages(), ids=name)
def test_variables_in_documents_mean_something(page: Path) -> None:
    known = _SETTINGS | OTHER_VARIABLES | _ELSEWHERE | {FILE_VARIABLE}
    assert set(re.findall(r"\bTOWPATH_[A-Z_]+[A-Z]\b", page.read_text())) - known == set()


def test_the_settings_file_of_the_page_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    examples = [block for block in blocks("toml") if block.place.startswith(str(PAGE))]
    assert examples
    for field in WorkerSettings.model_fields:
        monkeypatch.delenv(f"{PREFIX}{field.upper()}", raising=False)
    for block in examples:
        file = tmp_path / "settings.toml"
        file.write_text(block.text)
        monkeypatch.setenv(FILE_VARIABLE, str(file))
        settings = WorkerSettings()
        for field, value in tomllib.loads(block.text).items():
            read = getattr(settings, field)
            assert str(read) == value if isinstance(read, Path) else read == value


def test_the_page_says_where_the_command_line_keeps_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert f"$XDG_CONFIG_HOME/{configuration_path().relative_to(tmp_path)}" in (ROOT / PAGE).read_text()
