"""The page about manifests says what is refused."""

from __future__ import annotations

from starter.refusals import PAGE, kinds, refused, rewritten, warned
from tests.docs.pages import ROOT


def test_the_tables_are_what_the_program_writes() -> None:
    text = (ROOT / PAGE).read_text()
    assert text == rewritten(text), "run `make docs`"
    assert all(table in text for table in (kinds(), refused(), warned()))
