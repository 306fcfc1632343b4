"""Regressions over REST: the changes of series as records, and what people say of them."""

from typing import Annotated, Any, Literal

import msgspec

from benchyard.access.roles import Role
from benchyard.results.patterns import END
from benchyard.results.units import format_change
from benchyard.store import regressions, users
from benchyard.store.errors import NotFound
from benchyard.store.rows import REGRESSION_STATUSES, Regression
from benchyard.web.calls import MAX_ID, Call, Paged, Reply, Route, entity_tag
from benchyard.web.filters import Wanted, split_words
from benchyard.web.jobs import page_of
from benchyard.web.problems import Problem
from benchyard.web.views import Page, Time, known_time

Status = Literal["new", "confirmed", "known", "fixed"]
Comment = Annotated[str, msgspec.Meta(max_length=2000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*" + END)]
Id = Annotated[int, msgspec.Meta(ge=1, le=MAX_ID)]


class RegressionFilter(Paged, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which records: `direction` is worse (the default), better or both; with `mean`, those of the geometric mean."""

    status: Wanted = ""
    direction: Literal["worse", "better", "both"] = "worse"
    benchmark: Wanted | None = None
    mean: bool = False
    host: Wanted | None = None
    branch: Wanted | None = None
    owner: Wanted | None = None
    result: Id | None = None


class RegressionChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is said of a regression: its status, who cares for it, and why it is as it is."""

    status: Status | msgspec.UnsetType = msgspec.UNSET
    owner: Wanted | None | msgspec.UnsetType = msgspec.UNSET
    comment: Comment | msgspec.UnsetType = msgspec.UNSET


class RegressionView(msgspec.Struct, frozen=True):
    """A level of a series that has changed between two commits, for the worse or the better.

    `before` and `after` are the levels, in `unit`; of the geometric mean (an empty `benchmark`) they are relative.
    `result` is the first on the new level, `found_by` the one by which it was found, `confirmed_by` a later one that
    says the same, `fixed_by` the commit by which it went back.
    """

    id: int
    status: Status
    worse: bool
    benchmark: str
    unit: str
    host: str
    flags: tuple[str, ...]
    branch: str
    implementation: str
    suite: str
    suite_version: str
    mode: str
    epoch: int | None
    commit: str
    commit_before: str
    result: int
    result_before: int
    found_by: int
    before: float
    after: float
    step: float
    change: str
    sure: float
    confirmed_by: int | None
    fixed_by: str | None
    owner: str | None
    comment: str
    created: Time
    changed: Time
    changed_by: str


async def list_regressions(call: Call) -> Page[RegressionView]:
    """A page of regressions, newest first."""
    query: RegressionFilter = call.query
    if query.mean and query.benchmark:
        raise Problem(400, "either a benchmark, or the geometric mean", "mean")
    rows = await call.jobs.db(
        regressions.list_regressions,
        status=split_words(query.status, REGRESSION_STATUSES, "status"),
        worse={"worse": True, "better": False}.get(query.direction),
        benchmark="" if query.mean else query.benchmark,
        host=query.host,
        branch=query.branch,
        owner=query.owner,
        result=query.result,
        before=query.cursor,
        limit=query.limit + 1,
    )
    return page_of([_regression_view(row) for row in rows], query.limit)


async def get_regression(call: Call, regression_id: int) -> Reply:
    """One regression."""
    return _reply(await call.jobs.db(regressions.get_regression, regression_id))


async def modify_regression(call: Call, regression_id: int) -> Reply:
    """Say that a regression is known, or fixed, who cares for it, and why."""
    row = await call.jobs.db(regressions.get_regression, regression_id)
    seen = call.must_match("regression", row.changed)
    change: RegressionChange = call.body
    given: dict[str, Any] = {
        name: value for name, value in msgspec.structs.asdict(change).items() if value is not msgspec.UNSET
    }
    owner = given.get("owner")
    if owner:
        await _must_be_there(call, owner)
    changed = await call.jobs.db(
        regressions.modify_regression,
        regression_id,
        now=call.now(),
        who=call.caller.name,
        expected_changed=seen,
        **given,
    )
    return _reply(changed)


async def _must_be_there(call: Call, owner: str) -> None:
    try:
        await call.jobs.db(users.get_user, owner)
    except NotFound as exc:
        raise Problem(400, f"there is no user {owner!r}", "owner") from exc


def _reply(row: Regression) -> Reply:
    return Reply(_regression_view(row), tag=entity_tag("regression", row.changed))


def _regression_view(row: Regression) -> RegressionView:
    same = {name: getattr(row, name) for name in RegressionView.__struct_fields__ if hasattr(row, name)}
    return RegressionView(
        **{
            **same,
            "result": row.result_id,
            "change": format_change(1.0 / (1.0 + row.step), row.unit or "second"),
            "created": known_time(row.created),
            "changed": known_time(row.changed),
        }
    )


ROUTES = (
    Route("GET", "/regressions", Role.VIEWER, list_regressions, Page[RegressionView], query=RegressionFilter),
    Route("GET", "/regressions/<int:regression_id>", Role.VIEWER, get_regression, RegressionView),
    Route(
        *("PATCH", "/regressions/<int:regression_id>", Role.MEMBER, modify_regression, RegressionView),
        body=RegressionChange,
    ),
)
