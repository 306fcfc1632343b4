"""Regressions: levels of series that have changed, as records, and the collection `client.regressions`."""

import builtins
from collections.abc import Iterator
from typing import ClassVar, Literal

from msgspec import UNSET, UnsetType

from benchyard.client.entities import Link, Record, ask
from benchyard.client.http import segment
from benchyard.client.paging import Pages, pages


class Regression(Record, frozen=True, kw_only=True):
    """A level of a series that has changed between two commits, for the worse or, where not `worse`, for the better.

    It is "new", "confirmed" by a later result, "known" because somebody says so, or "fixed". The levels `before` and
    `after` are in `unit`; `step` is relative, `change` says it in words, `sure` is of 1. Of the geometric mean of all,
    the `benchmark` is empty. `result` is the first on the new level.
    """

    id: int
    worse: bool = True
    benchmark: str = ""
    unit: str = ""
    host: str = ""
    flags: tuple[str, ...] = ()
    branch: str = ""
    implementation: str = ""
    suite: str = ""
    suite_version: str = ""
    mode: str = ""
    epoch: int | None = None
    commit: str = ""
    commit_before: str = ""
    result: int | None = None
    result_before: int | None = None
    found_by: int | None = None
    before: float = 0.0
    after: float = 0.0
    step: float = 0.0
    change: str = ""
    sure: float = 0.0
    confirmed_by: int | None = None
    fixed_by: str | None = None
    owner: str | None = None
    comment: str = ""

    collection_: ClassVar[str] = "regressions"

    def modify(
        self,
        *,
        status: str | UnsetType = UNSET,
        owner: str | None | UnsetType = UNSET,
        comment: str | UnsetType = UNSET,
        expect: bool = True,
    ) -> "Regression":
        """Say that it is "known" or "fixed", who cares for it, or why it is so; returns it as it is then.

        Stale if the same was changed meanwhile.
        """
        return self._modified({"status": status, "owner": owner, "comment": comment}, expect=expect)


class Regressions:
    """The regressions of a lab, newest first."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def __iter__(self) -> Iterator[Regression]:
        return self.list()

    def list(
        self,
        *,
        status: str | builtins.list[str] | None = None,
        direction: Literal["worse", "better", "both"] | None = None,
        benchmark: str | None = None,
        mean: bool = False,
        host: str | None = None,
        branch: str | None = None,
        owner: str | None = None,
        result: int | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Pages[Regression]:
        """Iterate over what has become worse (or better, or both): with these statuses, of what is given.

        With `mean`, changes of the geometric mean alone; of a `result`, those that it is the first of.
        """
        given = {"status": status, "direction": direction, "benchmark": benchmark, "host": host, "branch": branch}
        given |= {"owner": owner, "result": None if result is None else str(result)}
        given |= {"mean": "true" if mean else None}
        return pages(Regression, "/regressions", given, self._link, limit=limit, cursor=cursor)

    def get(self, id: int) -> Regression:
        """Return the regression of this number; NotFound if there is none."""
        return ask(Regression, self._link, "GET", f"/regressions/{segment(id)}")
