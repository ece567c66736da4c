"""Lists by the page, in Kubernetes' manner: `limit`, and the `continue` that the page before gave."""

from __future__ import annotations

import binascii
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query

from starter.shapes import Resource
from web.api.errors import Unfit


@dataclass(frozen=True)
class Page:
    """Which part of a list is wanted. `limit` 0: all that is left; `after`: the last name that was shown already."""

    limit: int = 0
    after: str = ""

    def of_sorted(self, items: Sequence[Resource]) -> tuple[list[Resource], dict[str, str | int]]:
        """The part of a list in the order of names, and what the list's metadata say of the rest."""
        return self._cut([item for item in items if _name(item) > self.after])

    def of(self, items: Sequence[Resource]) -> tuple[list[Resource], dict[str, str | int]]:
        """The part of a list in an order of its own. Raises Unfit: what was shown last is no longer there."""
        if not self.after:
            return self._cut(items)
        for index, item in enumerate(items):
            if _name(item) == self.after:
                return self._cut(items[index + 1 :])
        raise Unfit(410, "what the page before ended with is no longer there: ask for the first page again")

    def _cut(self, items: Sequence[Resource]) -> tuple[list[Resource], dict[str, str | int]]:
        if not self.limit or len(items) <= self.limit:
            return list(items), {}
        token = urlsafe_b64encode(_name(items[self.limit - 1]).encode()).decode()
        return list(items[: self.limit]), {"continue": token, "remainingItemCount": len(items) - self.limit}


def page(
    limit: Annotated[int, Query(ge=0, le=100_000, description="At most so many; 0: all")] = 0,
    token: Annotated[
        str, Query(alias="continue", max_length=1000, description="Of the page before, its `metadata.continue`")
    ] = "",
) -> Page:
    """The page that a request asks for. Raises Unfit."""
    try:
        after = b64decode(token.encode(), b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise Unfit(400, "continue is nothing that a page before has given") from None
    return Page(limit, after)


Paging = Annotated[Page, Depends(page)]


def _name(item: Resource) -> str:
    return str(item["metadata"]["name"])
