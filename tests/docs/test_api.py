"""The page about the API names every endpoint, and the document has an id for each."""

from __future__ import annotations

from collections import Counter

from tests.docs.pages import ROOT
from web.api.reference import PAGE, document, rewritten


def test_the_table_is_what_the_program_writes() -> None:
    text = (ROOT / PAGE).read_text()
    assert text == rewritten(text), "run `make docs`"


def test_every_operation_has_an_id_of_its_own_and_says_what_it_does() -> None:
    operations = [operation for path in document()["paths"].values() for operation in path.values()]
    ids = Counter(operation.get("operationId") for operation in operations)
    assert [name for name, count in ids.items() if count > 1 or not name] == []
    assert all(operation.get("description") or operation.get("summary") for operation in operations)
