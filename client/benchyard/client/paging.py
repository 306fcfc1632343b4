"""Lists that fetch their pages as they are read."""

from collections.abc import Iterator
from typing import Generic

from benchyard.client.entities import E, Link, make_entity
from benchyard.client.errors import ServerError
from benchyard.client.http import Params

PAGE = 100


class Pages(Generic[E]):
    """An iterator over a list of the lab; after it ends, `next` is the cursor of what the limit left out.

    Pages are asked for one by one as they are needed, at most `limit` items in all (None: all there are).
    """

    def __init__(
        self,
        kind: type[E],
        path: str,
        params: Params,
        link: Link,
        *,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> None:
        self.next = cursor
        self._items = self._read(kind, path, params, link, limit)

    def __iter__(self) -> Iterator[E]:
        return self

    def __next__(self) -> E:
        return next(self._items)

    def _read(self, kind: type[E], path: str, params: Params, link: Link, limit: int | None) -> Iterator[E]:
        left = limit
        while left is None or left > 0:
            size = PAGE if left is None else min(PAGE, left)
            page = link.api.get(path, {**params, "limit": size, "cursor": self.next})
            items, cursor = page.get("items"), page.get("next")
            if not isinstance(items, list) or not isinstance(cursor, str | None):
                raise ServerError(f"the answer of {link.api.url} to {path} is not a list")
            if cursor is not None and cursor == self.next:
                raise ServerError(f"{link.api.url} pages {path} in a circle")
            self.next = cursor
            for item in items[:left]:
                yield make_entity(kind, item, link)
            left = None if left is None else left - len(items)
            if cursor is None:
                return
