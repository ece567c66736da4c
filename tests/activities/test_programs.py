"""What a worker says at its start about the programs it will need."""

from __future__ import annotations

from pathlib import Path

import pytest

from activities.programs import NEEDED_BY, missing_programs


def test_programs_that_are_missing_are_named_with_what_needs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert len(missing_programs()) == len(NEEDED_BY)
    assert (
        "helm is not on PATH: needed by helm-template, helm-update-chart, and charts in kustomize-build"
        in missing_programs()
    )
    (tmp_path / "helm").write_text("#!/bin/sh\n")
    (tmp_path / "helm").chmod(0o755)
    assert not any(sentence.startswith("helm ") for sentence in missing_programs())
