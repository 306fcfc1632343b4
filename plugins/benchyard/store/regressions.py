"""Regressions: the changes of series as records, made once each, with what people say of them.

What the series tells moves a record on, never back: new, confirmed, fixed. That it is known only people say, and that
stays until it is fixed.
"""

from collections.abc import Sequence
from types import EllipsisType
from typing import Any

import sqlalchemy as sa

from benchyard.store.errors import Stale, StoreError
from benchyard.store.history import LAB, record
from benchyard.store.rows import REGRESSION_STATUSES, Regression
from benchyard.store.sql import insert_once, locked_row, page_size, require, to_row
from benchyard.store.tables import regressions

# What of a record stays as it was found.
_LANE = ("host", "branch", "implementation", "suite", "suite_version", "mode", "epoch", "version", "benchmark")
_AUTOMATIC = ("new", "confirmed")


def note_shift(
    conn: sa.Connection,
    values: dict[str, Any],
    *,
    near: Sequence[str] = (),
    others: Sequence[str] = (),
    confirmed_by: int | None,
    fixed_by: str | None,
    now: float,
) -> Regression | None:
    """Make the record of a change, or move it on; gives it where it is a new one.

    `values` are its columns up to `worse`. A change in one of the commits `near`, of the same series and in the same
    direction, is this one: results of commits in between came later, and show better where it is, or those of its own
    commit do not count any more, and what it was after tells. Unless it is one of the `others`, keys of those that are
    there as well.
    """
    known = _known(conn, values, near, others)
    if known is not None:
        _move_on(conn, known, values, confirmed_by, fixed_by, now)
        return None
    status = _status("new", bool(values["worse"]), confirmed_by, fixed_by)
    rest: dict[str, Any] = {"status": status, "confirmed_by": confirmed_by, "fixed_by": fixed_by}
    rest |= {"owner": None, "comment": "", "created": now, "changed": now, "changed_by": LAB}
    if not insert_once(conn, regressions, {**values, **rest}, unique=["key"]):
        return None
    made = require(_of_key(conn, values["key"]), f"regression of key {values['key']}")
    change = {"status": status, "benchmark": made.benchmark, "commit": made.commit, "step": made.step}
    record(conn, "regression", made.id, now=now, who=LAB, change=change)
    return made


def get_regression(conn: sa.Connection, id: int) -> Regression:
    """Return a regression; NotFound where there is none."""
    row = conn.execute(sa.select(regressions).where(regressions.c.id == id)).mappings().first()
    return to_row(Regression, require(row, f"regression {id}"))


def list_regressions(
    conn: sa.Connection,
    *,
    status: Sequence[str] = (),
    worse: bool | None = None,
    benchmark: str | None = None,
    host: str | None = None,
    branch: str | None = None,
    owner: str | None = None,
    result: int | None = None,
    before: int | None = None,
    limit: int = 50,
) -> tuple[Regression, ...]:
    """Return records with an id below `before`, newest first; of the geometric mean the benchmark is empty."""
    for name in status:
        if name not in REGRESSION_STATUSES:
            raise StoreError(f"unknown status of a regression {name!r}; known are {', '.join(REGRESSION_STATUSES)}")
    equal: dict[sa.Column[Any], Any] = {
        regressions.c.benchmark: benchmark,
        regressions.c.host: host,
        regressions.c.branch: branch,
        regressions.c.owner: owner,
        regressions.c.result_id: result,
        regressions.c.worse: worse,
    }
    conditions = [column == value for column, value in equal.items() if value is not None]
    if status:
        conditions.append(regressions.c.status.in_(status))
    if before is not None:
        conditions.append(regressions.c.id < before)
    statement = sa.select(regressions).where(*conditions).order_by(regressions.c.id.desc()).limit(page_size(limit))
    return tuple(to_row(Regression, row) for row in conn.execute(statement).mappings())


def modify_regression(
    conn: sa.Connection,
    id: int,
    *,
    now: float,
    who: str,
    status: str | None = None,
    owner: str | EllipsisType | None = ...,
    comment: str | None = None,
    expected_changed: float | None = None,
) -> Regression:
    """Change what people say of a regression; what is not given stays, the owner may be None.

    Stale where its `changed` is not the one that the caller expects.
    """
    if status is not None and status not in REGRESSION_STATUSES:
        raise StoreError(f"unknown status of a regression {status!r}; known are {', '.join(REGRESSION_STATUSES)}")
    row = locked_row(conn, regressions, regressions.c.id == id)
    known = to_row(Regression, require(row, f"regression {id}"))
    if expected_changed is not None and known.changed != expected_changed:
        raise Stale(f"regression {id} was changed by {known.changed_by}: read it again")
    given: dict[str, Any] = {
        "status": ... if status is None else status,
        "owner": owner,
        "comment": ... if comment is None else comment,
    }
    values = {key: value for key, value in given.items() if value is not ... and value != getattr(known, key)}
    return _change(conn, id, values, now=now, who=who) if values else known


def _known(
    conn: sa.Connection, values: dict[str, Any], near: Sequence[str], others: Sequence[str]
) -> Regression | None:
    found = _of_key(conn, values["key"])
    if found is not None or not near:
        return found
    alike = [regressions.c[name].is_not_distinct_from(values[name]) for name in _LANE]
    where = (*alike, regressions.c.flags == values["flags"], regressions.c.worse == values["worse"])
    close = sa.or_(regressions.c.commit.in_(near), regressions.c.commit_before.in_(near[:-1]))
    statement = sa.select(regressions).where(*where, close, regressions.c.key.not_in(others)).order_by(regressions.c.id)
    row = conn.execute(statement.limit(1)).mappings().first()
    return None if row is None else to_row(Regression, row)


def _move_on(
    conn: sa.Connection,
    known: Regression,
    values: dict[str, Any],
    confirmed_by: int | None,
    fixed_by: str | None,
    now: float,
) -> None:
    given: dict[str, Any] = {}
    if known.key != values["key"]:  # it is elsewhere than was thought
        given |= {name: value for name, value in values.items() if name not in (*_LANE, "flags", "worse", "found_by")}
    if known.confirmed_by is None and confirmed_by is not None:
        given["confirmed_by"] = confirmed_by
    if known.fixed_by is None and fixed_by is not None:
        given["fixed_by"] = fixed_by
    if ("confirmed_by" in given and known.status in _AUTOMATIC) or "fixed_by" in given:
        given["status"] = _status(known.status, known.worse, confirmed_by, fixed_by)
    changed = {name: value for name, value in given.items() if value != getattr(known, name)}
    if changed:
        _change(conn, known.id, changed, now=now, who=LAB)


def _status(present: str, worse: bool, confirmed_by: int | None, fixed_by: str | None) -> str:
    """What it is by the series alone; what has become better is not fixed by becoming worse again."""
    if worse and fixed_by is not None:
        return "fixed"
    return "confirmed" if present == "new" and confirmed_by is not None else present


def _change(conn: sa.Connection, id: int, values: dict[str, Any], *, now: float, who: str) -> Regression:
    conn.execute(sa.update(regressions).where(regressions.c.id == id).values(**values, changed=now, changed_by=who))
    record(conn, "regression", id, now=now, who=who, change=values)
    return get_regression(conn, id)


def _of_key(conn: sa.Connection, key: str) -> Regression | None:
    row = conn.execute(sa.select(regressions).where(regressions.c.key == key)).mappings().first()
    return None if row is None else to_row(Regression, row)
