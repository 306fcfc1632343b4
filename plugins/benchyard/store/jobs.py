"""Jobs: made once, moved through their statuses, never changed after a final one."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from benchyard.store.errors import Conflict, StoreError
from benchyard.store.history import record
from benchyard.store.rows import FINAL_JOB_STATUSES, JOB_STATUSES, Job
from benchyard.store.sql import insert_id, insert_once, locked_row, page_size, require, to_row
from benchyard.store.tables import jobs

# The column that says when a job first reached a status.
_REACHED = {"queued": "queued", "running": "started", **dict.fromkeys(FINAL_JOB_STATUSES, "finished")}


def create_job(
    conn: sa.Connection,
    *,
    now: float,
    who: str,
    kind: str,
    target: str,
    host: str | None,
    spec: dict[str, Any],
    owner: str,
    origin: str,
    reason: str,
    status: str = "created",
    error: str | None = None,
    request_id: int | None = None,
) -> Job:
    """Make a job and return it; for a build request that has a job already, that job is returned instead."""
    _check_statuses([status])
    values: dict[str, Any] = {
        "kind": kind,
        "target": target,
        "host": host,
        "status": status,
        "enabled": True,
        "spec": spec,
        "owner": owner,
        "origin": origin,
        "reason": reason,
        "error": error,
        "request_id": request_id,
        "pushes": 0,
        "created": now,
        "changed": now,
        "changed_by": who,
    }
    if status in _REACHED:
        values[_REACHED[status]] = now
    if request_id is None:
        job = get_job(conn, insert_id(conn, jobs, values))
    else:
        inserted = insert_once(conn, jobs, values, unique=["request_id"])
        job = require(job_of_request(conn, request_id), f"job of request {request_id}")
        if not inserted:
            return job
    change = {"status": status, "target": target, "host": host, "owner": owner, "origin": origin}
    record(conn, "job", job.id, now=now, who=who, change=change)
    return job


def get_job(conn: sa.Connection, id: int) -> Job:
    """Return a job; NotFound where there is none."""
    row = conn.execute(sa.select(jobs).where(jobs.c.id == id)).mappings().first()
    return require(None if row is None else to_row(Job, row), f"job {id}")


def job_of_request(conn: sa.Connection, request_id: int) -> Job | None:
    """Return the job that a build request of Buildbot's stands for now, or None."""
    row = conn.execute(sa.select(jobs).where(jobs.c.request_id == request_id)).mappings().first()
    return None if row is None else to_row(Job, row)


def list_jobs(
    conn: sa.Connection,
    *,
    status: Sequence[str] = (),
    target: str | None = None,
    owner: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> tuple[Job, ...]:
    """Return jobs with one of the statuses (any where empty) and an id below `before`, newest first."""
    _check_statuses(status)
    statement = sa.select(jobs).order_by(jobs.c.id.desc()).limit(page_size(limit))
    if status:
        statement = statement.where(jobs.c.status.in_(status))
    if target is not None:
        statement = statement.where(jobs.c.target == target)
    if owner is not None:
        statement = statement.where(jobs.c.owner == owner)
    if before is not None:
        statement = statement.where(jobs.c.id < before)
    return _all(conn, statement)


def unfinished_jobs(conn: sa.Connection) -> tuple[Job, ...]:
    """Return every job without a final status, oldest first."""
    open_statuses = [status for status in JOB_STATUSES if status not in FINAL_JOB_STATUSES]
    return _all(conn, sa.select(jobs).where(jobs.c.status.in_(open_statuses)).order_by(jobs.c.id))


def set_status(conn: sa.Connection, job_id: int, status: str, *, now: float, who: str, error: str | None = None) -> Job:
    """Move a job to a status and return it.

    A final status never changes: the row is then returned as it is. The same status again changes nothing,
    unless it brings another error. Progress is dropped at the end.
    """
    _check_statuses([status])
    job = _lock(conn, job_id)
    if job.is_final or (job.status == status and error in (None, job.error)):
        return job
    values: dict[str, Any] = {"status": status}
    if error is not None:
        values["error"] = error
    change = dict(values)
    reached = _REACHED.get(status)
    if reached is not None and getattr(job, reached) is None:
        values[reached] = now
    if status in FINAL_JOB_STATUSES:
        values["progress"] = None
    return _change(conn, job_id, values, now=now, who=who, change=change)


def set_request(conn: sa.Connection, job_id: int, request_id: int | None) -> Job:
    """Tie a job to a build request of Buildbot's, or to none; Conflict where another job has the request.

    This is plumbing between two tables, not a change that somebody made: it has no history.
    """
    job = _lock(conn, job_id)
    if request_id is not None:
        other = job_of_request(conn, request_id)
        if other is not None and other.id != job_id:
            raise Conflict(f"request {request_id} is of job {other.id}, it cannot be of job {job_id} as well")
    if job.request_id != request_id:
        conn.execute(sa.update(jobs).where(jobs.c.id == job_id).values(request_id=request_id))
    return get_job(conn, job_id)


def count_push(conn: sa.Connection, job_id: int) -> int:
    """Count one more push of a job to its queue and return the number: each push has a key of its own."""
    statement = sa.update(jobs).where(jobs.c.id == job_id).values(pushes=jobs.c.pushes + 1)
    pushes: int | None = conn.execute(statement.returning(jobs.c.pushes)).scalar_one_or_none()
    return require(pushes, f"job {job_id}")


def set_progress(conn: sa.Connection, job_id: int, progress: dict[str, Any] | None) -> None:
    """Keep a job's progress; it is for display, so it has no history, and a final job keeps none."""
    where = sa.and_(jobs.c.id == job_id, jobs.c.status.not_in(FINAL_JOB_STATUSES))
    if conn.execute(sa.update(jobs).where(where).values(progress=progress)).rowcount == 0:
        get_job(conn, job_id)


def ask_cancel(conn: sa.Connection, job_id: int, *, now: float, who: str) -> Job:
    """Keep that `who` wants a job canceled, before anything is done about it; the first who asks stays."""
    job = _lock(conn, job_id)
    if job.is_final or job.cancel_by is not None:
        return job
    values = {"cancel_by": who}
    return _change(conn, job_id, values, now=now, who=who, change=values)


def count_by_status(conn: sa.Connection) -> dict[str, int]:
    """Return how many jobs have each status, with a zero for statuses that no job has."""
    rows = conn.execute(sa.select(jobs.c.status, sa.func.count()).group_by(jobs.c.status))
    return dict.fromkeys(JOB_STATUSES, 0) | {row[0]: row[1] for row in rows}


def _change(
    conn: sa.Connection, job_id: int, values: dict[str, Any], *, now: float, who: str, change: dict[str, Any]
) -> Job:
    conn.execute(sa.update(jobs).where(jobs.c.id == job_id).values(**values, changed=now, changed_by=who))
    record(conn, "job", job_id, now=now, who=who, change=change)
    return get_job(conn, job_id)


def _lock(conn: sa.Connection, job_id: int) -> Job:
    row = locked_row(conn, jobs, jobs.c.id == job_id)
    return require(None if row is None else to_row(Job, row), f"job {job_id}")


def _all(conn: sa.Connection, statement: sa.Select[Any]) -> tuple[Job, ...]:
    return tuple(to_row(Job, row) for row in conn.execute(statement).mappings())


def _check_statuses(statuses: Sequence[str]) -> None:
    for status in statuses:
        if status not in JOB_STATUSES:
            raise StoreError(f"unknown job status {status!r}; known are {', '.join(JOB_STATUSES)}")
