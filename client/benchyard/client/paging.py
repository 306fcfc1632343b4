"""Lists that fetch their pages as they are read, and what the collections of entities have in common."""

import builtins
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Generic, TypeVar

from benchyard.client.entities import D, E, Link, ask, make_document
from benchyard.client.errors import ServerError
from benchyard.client.http import Params, segment

PAGE = 100

Moment = datetime | str
"""A time as a filter takes it: a datetime (one without zone is local), or ISO 8601 text, which the lab reads."""

M = TypeVar("M")


class Pages(Generic[M]):
    """An iterator over a list of the lab; after it ends, `next` is the cursor of what the limit left out.

    Pages are asked for one by one as they are needed, at most `limit` items in all (None: all there are). A `whole`
    list comes in one answer: the lab is not told how many, as it would refuse to be.
    """

    def __init__(
        self,
        make: Callable[[object], M],
        path: str,
        params: Params,
        link: Link,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        items: str = "items",
        whole: bool = False,
    ) -> None:
        self.next = cursor
        self._whole = whole
        self._items = self._read(make, path, params, link, limit, items)

    def __iter__(self) -> Iterator[M]:
        return self

    def __next__(self) -> M:
        return next(self._items)

    def _read(
        self, make: Callable[[object], M], path: str, params: Params, link: Link, limit: int | None, key: str
    ) -> Iterator[M]:
        left = limit
        while left is None or left > 0:
            size = PAGE if left is None else min(PAGE, left)
            part = {} if self._whole else {"limit": size, "cursor": self.next}
            page = link.api.get(path, {**params, **part})
            items, cursor = page.get(key), page.get("next")
            if not isinstance(items, list) or not isinstance(cursor, str | None):
                raise ServerError(f"the answer of {link.api.url} to {path} is not a list")
            if cursor is not None and cursor == self.next:
                raise ServerError(f"{link.api.url} pages {path} in a circle")
            self.next = cursor
            for item in items[:left]:
                yield make(item)
            left = None if left is None else left - len(items)
            if cursor is None:
                return


def pages(
    kind: type[D],
    path: str,
    params: Mapping[str, object],
    link: Link,
    *,
    limit: int | None = None,
    cursor: str | None = None,
    items: str = "items",
    whole: bool = False,
) -> Pages[D]:
    """Iterate over the documents of a kind in a list; `items` is its name in the answer, `whole` as in Pages."""
    given = {name: _filter_text(value) for name, value in params.items()}
    return Pages(
        lambda item: make_document(kind, item, link),
        path,
        given,
        link,
        limit=limit,
        cursor=cursor,
        items=items,
        whole=whole,
    )


class Collection(Generic[E]):
    """The entities of a kind in a lab; iterating over it asks for all of them, page by page."""

    def __init__(self, kind: type[E], link: Link) -> None:
        self._kind = kind
        self._link = link
        self._path = f"/{kind.collection_}"

    def __iter__(self) -> Iterator[E]:
        return self._listed({})

    def _get(self, key: str | int) -> E:
        return ask(self._kind, self._link, "GET", f"{self._path}/{segment(key)}")

    def _added(self, body: Mapping[str, Any]) -> E:
        """Make an entity of what was given, leaving out what is None."""
        given = {name: value for name, value in body.items() if value is not None}
        return ask(self._kind, self._link, "POST", self._path, given)

    def _remove(self, key: str | int) -> None:
        self._link.api.delete(f"{self._path}/{segment(key)}")

    def _listed(self, params: Mapping[str, object], limit: int | None = None, cursor: str | None = None) -> Pages[E]:
        return pages(self._kind, self._path, params, self._link, limit=limit, cursor=cursor)


def _filter_text(value: object) -> str | int | None:
    """Write a filter's value as the query has it: times as ISO 8601, several values with commas between."""
    if isinstance(value, datetime):
        return value.astimezone().isoformat()
    if isinstance(value, builtins.list | tuple | set | frozenset):
        return ",".join(value)
    return value if isinstance(value, str | int) else None
