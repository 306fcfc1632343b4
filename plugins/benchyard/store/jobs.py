"""Jobs: made once, moved through their statuses, never changed after a final one."""

from collections.abc import Sequence
from types import EllipsisType
from typing import Any

import sqlalchemy as sa

from benchyard.store.durations import shape_of
from benchyard.store.errors import Conflict, Stale, StoreError
from benchyard.store.filters import between, with_commit
from benchyard.store.history import record
from benchyard.store.places import after_last, ahead_of_measurements, before_first, count_change, lock_queue
from benchyard.store.rows import FINAL_JOB_STATUSES, JOB_STATUSES, MAINTENANCE, QUEUED_JOB_STATUSES, Job
from benchyard.store.sql import insert_once, insert_row, locked_row, page_size, require, to_row
from benchyard.store.tables import attempts, jobs, results

# The column that says when a job first reached a status.
_REACHED = {"queued": "queued", "running": "started", **dict.fromkeys(FINAL_JOB_STATUSES, "finished")}

#: Doors whose jobs let all others go first.
LOWEST_ORIGINS = ("backfill",)


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
    identity: str | None = None,
    base_job: int | None = None,
) -> Job:
    """Make a job and return it; for a build request that has a job already, that job is returned instead.

    With a status of the queue, it is put at the end of its target's queue; if it looks after a host, at the front.
    """
    _check_statuses([status])
    values: dict[str, Any] = {
        "kind": kind,
        "target": target,
        "host": host,
        "status": status,
        "enabled": True,
        "spec": spec,
        "shape": shape_of(kind, target, spec),
        "owner": owner,
        "origin": origin,
        "reason": reason,
        "error": error,
        "request_id": request_id,
        "identity": identity,
        "base_job": base_job,
        "pushes": int(status in QUEUED_JOB_STATUSES),
        "created": now,
        "changed": now,
        "changed_by": who,
    }
    if status in _REACHED:
        values[_REACHED[status]] = now
    if status in QUEUED_JOB_STATUSES:
        lock_queue(conn, target)
        values["place"] = _place_of_new(conn, target, kind, origin)
    if request_id is None:
        job = to_row(Job, insert_row(conn, jobs, values))
    else:
        inserted = insert_once(conn, jobs, values, unique=["request_id"])
        job = require(job_of_request(conn, request_id), f"job of request {request_id}")
        if not inserted:
            return job
    if job.place is not None:
        count_change(conn, target, {"job": job.id, "queued": True}, now=now, who=who)
    change = {"status": status, "target": target, "host": host, "owner": owner, "origin": origin}
    record(conn, "job", job.id, now=now, who=who, change=change)
    return job


def get_job(conn: sa.Connection, id: int) -> Job:
    """Return a job; NotFound where there is none, or none any more."""
    row = conn.execute(sa.select(jobs).where(jobs.c.id == id, jobs.c.removed.is_(None))).mappings().first()
    return require(None if row is None else to_row(Job, row), f"job {id}")


def job_of_request(conn: sa.Connection, request_id: int) -> Job | None:
    """Return the job that a build request of Buildbot's stands for now, or None."""
    where = sa.and_(jobs.c.request_id == request_id, jobs.c.removed.is_(None))
    row = conn.execute(sa.select(jobs).where(where)).mappings().first()
    return None if row is None else to_row(Job, row)


def list_jobs(
    conn: sa.Connection,
    *,
    status: Sequence[str] = (),
    kind: str | None = None,
    target: str | None = None,
    owner: str | None = None,
    before: int | None = None,
    limit: int = 50,
    host: str | None = None,
    commit: str | None = None,
    branch: str | None = None,
    since: float | None = None,
    until: float | None = None,
) -> tuple[Job, ...]:
    """Return jobs with one of the statuses (any where empty) and an id below `before`, newest first.

    `host` is the one asked for or, of an attempt, the one that measured. `commit` (its beginning is enough) and
    `branch` are of the job's results. Jobs made at `since` are listed, those made at `until` are not.
    """
    _check_statuses(status)
    statement = sa.select(jobs).where(jobs.c.removed.is_(None)).order_by(jobs.c.id.desc()).limit(page_size(limit))
    if status:
        statement = statement.where(jobs.c.status.in_(status))
    if kind is not None:
        statement = statement.where(jobs.c.kind == kind)
    if target is not None:
        statement = statement.where(jobs.c.target == target)
    if owner is not None:
        statement = statement.where(jobs.c.owner == owner)
    if host is not None:
        placed = sa.select(attempts.c.job_id).where(attempts.c.host == host)
        statement = statement.where(sa.or_(jobs.c.host == host, jobs.c.id.in_(placed)))
    if commit is not None or branch is not None:
        measured = sa.select(results.c.job_id).where(results.c.job_id.is_not(None))
        if commit is not None:
            measured = measured.where(with_commit(results.c.commit, commit))
        if branch is not None:
            measured = measured.where(results.c.branch == branch)
        statement = statement.where(jobs.c.id.in_(measured))
    if before is not None:
        statement = statement.where(jobs.c.id < before)
    return _all(conn, statement.where(*between(jobs.c.created, since, until)))


def unfinished_jobs(conn: sa.Connection) -> tuple[Job, ...]:
    """Return every job without a final status, oldest first."""
    open_statuses = [status for status in JOB_STATUSES if status not in FINAL_JOB_STATUSES]
    where = sa.and_(jobs.c.status.in_(open_statuses), jobs.c.removed.is_(None))
    return _all(conn, sa.select(jobs).where(where).order_by(jobs.c.id))


def set_status(conn: sa.Connection, job_id: int, status: str, *, now: float, who: str, error: str | None = None) -> Job:
    """Move a job to a status and return it.

    A final status never changes: the row is then returned as it is. The same status again changes nothing,
    unless it brings another error. Progress is dropped at the end. The statuses of the queue put a job at the
    end of its target's queue (in front, if it was running: that is another attempt), the others take it off.
    """
    _check_statuses([status])
    seen = get_job(conn, job_id)
    if seen.is_final:
        return seen
    lock_queue(conn, seen.target)
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
    if (job.place is not None) != (status in QUEUED_JOB_STATUSES):
        values["place"] = _new_place(conn, job, status)
        count_change(conn, job.target, {"job": job_id, "queued": job.place is None}, now=now, who=who)
    return _change(conn, job_id, values, now=now, who=who, change=change)


def modify_job(
    conn: sa.Connection,
    id: int,
    *,
    now: float,
    who: str,
    reason: str | None = None,
    host: str | EllipsisType | None = ...,
    spec: dict[str, Any] | None = None,
    identity: str | None = None,
    expected_changed: float | None = None,
) -> Job:
    """Change what a job is for, or where and what it measures; what is not given stays, and `host` may be None.

    The reason may change at any time, host and spec only while the job is created or queued: else Conflict.
    Stale where the job's `changed` is not the one that the caller expects.
    """
    job = _lock(conn, id)
    if expected_changed is not None and job.changed != expected_changed:
        raise Stale(f"job {id} was changed by {job.changed_by}: read it again")
    given: dict[str, Any] = {"reason": reason, "spec": spec}
    values = {key: value for key, value in given.items() if value is not None and value != getattr(job, key)}
    if host is not ... and host != job.host:
        values["host"] = host
    if values.keys() - {"reason"} and job.status not in ("created", "queued"):
        raise Conflict(f"job {id} is {job.status}; what it measures can change while it is created or queued only")
    if not values:
        return job
    change = dict(values)
    if spec is not None:
        values["shape"] = shape_of(job.kind, job.target, spec)
        values["identity"] = identity
    return _change(conn, id, values, now=now, who=who, change=change)


def enable_job(conn: sa.Connection, id: int, enabled: bool, *, now: float, who: str) -> Job:
    """Let a job start or not; it keeps its place, and what runs now goes on."""
    job = _lock(conn, id)
    if job.enabled == enabled:
        return job
    values = {"enabled": enabled}
    return _change(conn, id, values, now=now, who=who, change=values)


def set_prepared(conn: sa.Connection, job_id: int, prepared: dict[str, Any] | None) -> None:
    """Keep what was made for a job's measurement; the lab's own note, so it has no history."""
    conn.execute(sa.update(jobs).where(jobs.c.id == job_id).values(prepared=prepared))


def same_jobs(conn: sa.Connection, identity: str, statuses: Sequence[str]) -> tuple[Job, ...]:
    """Return the jobs with one of the statuses that measure just the same, newest first."""
    where = sa.and_(jobs.c.identity == identity, jobs.c.status.in_(statuses), jobs.c.removed.is_(None))
    return _all(conn, sa.select(jobs).where(where).order_by(jobs.c.id.desc()))


def jobs_based_on(conn: sa.Connection, job_id: int) -> tuple[Job, ...]:
    """Return the jobs that are to be compared with a job."""
    return _all(conn, sa.select(jobs).where(jobs.c.base_job == job_id, jobs.c.removed.is_(None)).order_by(jobs.c.id))


def remove_job(conn: sa.Connection, id: int, *, now: float, who: str) -> None:
    """Take a job that was never started or has ended out of all lists; its results and its history stay.

    Conflict for any other job: cancel it first.
    """
    job = _lock(conn, id)
    if job.status != "created" and not job.is_final:
        raise Conflict(f"job {id} is {job.status}; cancel it before it is removed")
    conn.execute(sa.update(jobs).where(jobs.c.id == id).values(removed=now, changed=now, changed_by=who))
    record(conn, "job", id, now=now, who=who, change={"removed": now})


def tie_request(conn: sa.Connection, job_id: int, request_id: int, *, push: int) -> Job:
    """Let the build request that the N-th push made stand for a job, and return the job.

    It stays as it is if it has another request, was taken off its queue or has ended since that push. This is
    plumbing between two tables, not a change that somebody made: it has no history.
    """
    wanted = sa.and_(
        jobs.c.id == job_id,
        jobs.c.removed.is_(None),
        jobs.c.request_id.is_(None),
        jobs.c.place.is_not(None),
        jobs.c.pushes == push,
    )
    conn.execute(sa.update(jobs).where(wanted).values(request_id=request_id))
    return get_job(conn, job_id)


def untie_request(conn: sa.Connection, job_id: int) -> None:
    """Let no build request stand for a job any more."""
    conn.execute(sa.update(jobs).where(jobs.c.id == job_id).values(request_id=None))


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
    counts = sa.select(jobs.c.status, sa.func.count()).where(jobs.c.removed.is_(None)).group_by(jobs.c.status)
    rows = conn.execute(counts)
    return dict.fromkeys(JOB_STATUSES, 0) | {row[0]: row[1] for row in rows}


def _new_place(conn: sa.Connection, job: Job, status: str) -> int | None:
    if status not in QUEUED_JOB_STATUSES:
        return None
    if job.status in ("running", "storing"):
        return before_first(conn, job.target)
    return _place_of_new(conn, job.target, job.kind, job.origin)


def _place_of_new(conn: sa.Connection, target: str, kind: str, origin: str) -> int:
    if kind in MAINTENANCE:
        return ahead_of_measurements(conn, target)
    return after_last(conn, target, lowest=origin in LOWEST_ORIGINS)


def _change(
    conn: sa.Connection, job_id: int, values: dict[str, Any], *, now: float, who: str, change: dict[str, Any]
) -> Job:
    statement = sa.update(jobs).where(jobs.c.id == job_id).values(**values, changed=now, changed_by=who)
    row = conn.execute(statement.returning(jobs)).mappings().one()
    record(conn, "job", job_id, now=now, who=who, change=change)
    return to_row(Job, row)


def _lock(conn: sa.Connection, job_id: int) -> Job:
    row = locked_row(conn, jobs, sa.and_(jobs.c.id == job_id, jobs.c.removed.is_(None)))
    return require(None if row is None else to_row(Job, row), f"job {job_id}")


def _all(conn: sa.Connection, statement: sa.Select[Any]) -> tuple[Job, ...]:
    return tuple(to_row(Job, row) for row in conn.execute(statement).mappings())


def _check_statuses(statuses: Sequence[str]) -> None:
    for status in statuses:
        if status not in JOB_STATUSES:
            raise StoreError(f"unknown job status {status!r}; known are {', '.join(JOB_STATUSES)}")
