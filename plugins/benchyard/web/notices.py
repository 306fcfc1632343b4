"""Notices over REST: what people were told, for those as well whom no mail reaches."""

from typing import Any, Literal

import msgspec

from benchyard.access.roles import Role
from benchyard.store import notices
from benchyard.store.rows import NOTICE_KINDS, Notice, Telling
from benchyard.web.calls import Call, Paged, Route
from benchyard.web.filters import Moment, Wanted, moment, split_words
from benchyard.web.jobs import page_of
from benchyard.web.views import Page, Time, known_time


class NoticeFilter(Paged, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which notices: of these kinds, for a user, about a target."""

    kind: Wanted = ""
    user: Wanted | None = None
    target: Wanted | None = None
    since: Moment | None = None
    until: Moment | None = None


class TellingView(msgspec.Struct, frozen=True):
    """What became of a notice at a notifier: `failed` where that will never take it, in its own `words`."""

    notifier: str
    time: Time
    outcome: Literal["told", "nobody", "failed"]
    words: str


class NoticeView(msgspec.Struct, frozen=True):
    """Something that people are told; `data` is the same in numbers. By whom it was told, admins see."""

    id: int
    key: str
    kind: Literal["job_done", "regression", "host_quarantined", "lane_stale", "upload_refused"]
    time: Time
    target: str | None
    subject: str
    body: str
    users: tuple[str, ...]
    data: dict[str, Any]
    tellings: tuple[TellingView, ...] = ()


async def list_notices(call: Call) -> Page[NoticeView]:
    """A page of notices, newest first. Who reads the lab reads them: they are about jobs, results and hosts."""
    query: NoticeFilter = call.query
    views = await call.jobs.db(
        _views,
        call.caller.role >= Role.ADMIN,
        kind=split_words(query.kind, NOTICE_KINDS, "kind"),
        user=query.user,
        target=query.target,
        since=moment(query.since, "since"),
        until=moment(query.until, "until"),
        before=query.cursor,
        limit=query.limit + 1,
    )
    return page_of(views, query.limit)


async def get_notice(call: Call, notice_id: int) -> NoticeView:
    """One notice."""
    view: NoticeView = await call.jobs.db(_view, call.caller.role >= Role.ADMIN, notice_id)
    return view


def _views(conn: Any, tellings: bool, **filters: Any) -> list[NoticeView]:
    found = notices.list_notices(conn, **filters)
    known = notices.tellings_of(conn, [notice.id for notice in found]) if tellings else {}
    return [_notice_view(notice, known.get(notice.id, ())) for notice in found]


def _view(conn: Any, tellings: bool, notice_id: int) -> NoticeView:
    notice = notices.get_notice(conn, notice_id)
    return _notice_view(notice, notices.tellings_of(conn, [notice_id]).get(notice_id, ()) if tellings else ())


def _notice_view(notice: Notice, tellings: tuple[Telling, ...]) -> NoticeView:
    return NoticeView(
        id=notice.id,
        key=notice.key,
        kind=notice.kind,  # type: ignore[arg-type]
        time=known_time(notice.time),
        target=notice.target,
        subject=notice.subject,
        body=notice.body,
        users=notice.users,
        data=notice.data,
        tellings=tuple(
            TellingView(each.notifier, known_time(each.time), each.outcome, each.words)  # type: ignore[arg-type]
            for each in tellings
        ),
    )


ROUTES = (
    Route("GET", "/notices", Role.VIEWER, list_notices, Page[NoticeView], query=NoticeFilter),
    Route("GET", "/notices/<int:notice_id>", Role.VIEWER, get_notice, NoticeView),
)
