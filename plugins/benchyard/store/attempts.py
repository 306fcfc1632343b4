"""Attempts: each is one try at a job's measurement on one host, and ends once."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from benchyard.store.errors import Conflict, StoreError
from benchyard.store.history import LAB, record
from benchyard.store.rows import FINAL_ATTEMPT_STATUSES, Attempt
from benchyard.store.sql import locked_row, require, to_row
from benchyard.store.tables import attempts, jobs


def current_attempt(conn: sa.Connection, job_id: int) -> Attempt | None:
    """Return a job's latest attempt, or None before the first."""
    statement = sa.select(attempts).where(attempts.c.job_id == job_id).order_by(attempts.c.number.desc()).limit(1)
    row = conn.execute(statement).mappings().first()
    return None if row is None else to_row(Attempt, row)


def new_attempt(conn: sa.Connection, job_id: int, *, now: float) -> Attempt:
    """Make a job's next attempt, numbered from 1; one that is pending is returned instead.

    Conflict while one is running: two attempts at a time would measure the same job twice.
    """
    # The row of the job is what two masters queue up for.
    require(locked_row(conn, jobs, jobs.c.id == job_id), f"job {job_id}")
    current = current_attempt(conn, job_id)
    if current is not None and current.status == "pending":
        return current
    if current is not None and not current.is_final:
        raise Conflict(f"job {job_id} cannot be tried anew: attempt {current.run} is running on host {current.host}")
    number = 1 if current is None else current.number + 1
    conn.execute(sa.insert(attempts).values(job_id=job_id, number=number, status="pending"))
    record(conn, "attempt", f"{job_id}.{number}", now=now, who=LAB, change={"status": "pending"})
    return _get(conn, job_id, number)


def list_attempts(conn: sa.Connection, job_id: int) -> tuple[Attempt, ...]:
    """Return a job's attempts, oldest first."""
    return _all(conn, sa.select(attempts).where(attempts.c.job_id == job_id).order_by(attempts.c.number))


def attempts_of(conn: sa.Connection, job_ids: Sequence[int]) -> dict[int, tuple[Attempt, ...]]:
    """Return the attempts of several jobs, oldest first, by job; one without any is left out."""
    statement = sa.select(attempts).where(attempts.c.job_id.in_(job_ids))
    found = _all(conn, statement.order_by(attempts.c.job_id, attempts.c.number))
    return {job_id: tuple(group) for job_id, group in groupby(found, key=lambda attempt: attempt.job_id)}


def place_attempt(conn: sa.Connection, job_id: int, number: int, *, host: str, now: float) -> Attempt:
    """Give an attempt its host, for good, and call it running.

    On the same host again nothing changes, even after the end: a retried build asks anew. Conflict on another
    host, as the run may still be alive on the first, and for an attempt that ended before it had a host.
    """
    attempt = _lock(conn, job_id, number)
    if attempt.host == host:
        return attempt
    if attempt.host is not None:
        raise Conflict(f"attempt {attempt.run} is on host {attempt.host}, it cannot go to {host}")
    if attempt.is_final:
        raise Conflict(f"attempt {attempt.run} has ended ({attempt.status}), it cannot go to host {host}")
    return _change(conn, attempt, {"status": "running", "host": host, "started": now}, now=now)


def end_attempt(
    conn: sa.Connection,
    job_id: int,
    number: int,
    *,
    status: str,
    cause: str | None,
    now: float,
    report: dict[str, Any] | None = None,
) -> Attempt:
    """End an attempt with a final status; the first end wins, a later one returns the row as it is."""
    if status not in FINAL_ATTEMPT_STATUSES:
        known = ", ".join(sorted(FINAL_ATTEMPT_STATUSES))
        raise StoreError(f"{status!r} does not end an attempt; these do: {known}")
    attempt = _lock(conn, job_id, number)
    if attempt.is_final:
        return attempt
    return _change(conn, attempt, {"status": status, "cause": cause, "finished": now, "report": report}, now=now)


def running_attempts(conn: sa.Connection) -> tuple[Attempt, ...]:
    """Return every attempt that is on a host and has not ended, oldest job first."""
    statement = sa.select(attempts).where(attempts.c.status == "running")
    return _all(conn, statement.order_by(attempts.c.job_id, attempts.c.number))


def _change(conn: sa.Connection, attempt: Attempt, values: dict[str, Any], *, now: float) -> Attempt:
    where = sa.and_(attempts.c.job_id == attempt.job_id, attempts.c.number == attempt.number)
    conn.execute(sa.update(attempts).where(where).values(**values))
    # The report is the attempt's own column, and long.
    change = {key: value for key, value in values.items() if key != "report" and value is not None}
    record(conn, "attempt", attempt.run, now=now, who=LAB, change=change)
    return _get(conn, attempt.job_id, attempt.number)


def _get(conn: sa.Connection, job_id: int, number: int) -> Attempt:
    where = sa.and_(attempts.c.job_id == job_id, attempts.c.number == number)
    row = conn.execute(sa.select(attempts).where(where)).mappings().first()
    return to_row(Attempt, require(row, f"attempt {job_id}.{number}"))


def _lock(conn: sa.Connection, job_id: int, number: int) -> Attempt:
    row = locked_row(conn, attempts, sa.and_(attempts.c.job_id == job_id, attempts.c.number == number))
    return to_row(Attempt, require(row, f"attempt {job_id}.{number}"))


def _all(conn: sa.Connection, statement: sa.Select[Any]) -> tuple[Attempt, ...]:
    return tuple(to_row(Attempt, row) for row in conn.execute(statement).mappings())
