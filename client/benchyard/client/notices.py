"""Notices: what the lab has told people, and the collection `client.notices`."""

import builtins
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from benchyard.client.entities import Document, Link, ask
from benchyard.client.http import segment
from benchyard.client.paging import Moment, Pages, pages


class Telling(Document, frozen=True, kw_only=True):
    """What became of a notice at a notifier: told, nobody (had an address) or failed, with the other side's words."""

    notifier: str
    outcome: str
    time: datetime | None = None
    words: str = ""


class Notice(Document, frozen=True, kw_only=True):
    """Something that people are told: a job is done, a regression, a host quarantined, a lane stale, an upload refused.

    `users` are those whom it is for, `data` has the numbers of the text. `tellings` are for admins to see.
    """

    id: int
    kind: str
    key: str = ""
    time: datetime | None = None
    target: str | None = None
    subject: str = ""
    body: str = ""
    users: tuple[str, ...] = ()
    data: dict[str, Any] = msgspec.field(default_factory=dict)
    tellings: tuple[Telling, ...] = ()


class Notices:
    """The notices of a lab, newest first."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def __iter__(self) -> Iterator[Notice]:
        return self.list()

    def list(
        self,
        *,
        kind: str | builtins.list[str] | None = None,
        user: str | None = None,
        target: str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Pages[Notice]:
        """Iterate over notices: of these kinds, for a user, about a target, of a stretch of time, where given."""
        given = {"kind": kind, "user": user, "target": target, "since": since, "until": until}
        return pages(Notice, "/notices", given, self._link, limit=limit, cursor=cursor)

    def get(self, id: int) -> Notice:
        """Return the notice of this number; NotFound if there is none."""
        return ask(Notice, self._link, "GET", f"/notices/{segment(id)}")
