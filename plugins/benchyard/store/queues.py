"""Queues: the order of a target's waiting jobs, and whether they may start.

The queue of a target are its jobs that are queued, building or ready, by (place, id). Positions, which people use,
begin at 1. Statuses are set in `jobs`, which keeps a job's place in step with its status.
"""

import re
from typing import Any

import sqlalchemy as sa

from benchyard.store import jobs as job_store
from benchyard.store.columns import Flag
from benchyard.store.errors import BadPosition, Conflict, Stale
from benchyard.store.places import LOWEST, STEP, after_last, before_first, count_change, in_queue, lock_queue
from benchyard.store.rows import QUEUED_JOB_STATUSES, Job, Queue
from benchyard.store.sql import to_row
from benchyard.store.tables import jobs, queues

_POSITION = re.compile(r"(?P<sign>[+-]?)(?P<number>[0-9]{1,9})", re.ASCII)

# A queue that nothing has changed yet has no row.
_UNTOUCHED = {"paused": False, "paused_by": None, "paused_at": None, "reason": "", "version": 0}


def get_queue(conn: sa.Connection, target: str) -> Queue:
    """Return the state of a target's queue; which targets there are is in the settings, not here."""
    row = conn.execute(sa.select(queues).where(queues.c.target == target)).mappings().first()
    return to_row(Queue, {"target": target, **_UNTOUCHED} if row is None else row)


def list_queue(conn: sa.Connection, target: str, *, limit: int | None = None, offset: int = 0) -> tuple[Job, ...]:
    """Return the jobs of a queue in order, at most `limit` of them, behind the first `offset`."""
    statement = _ordered(sa.select(jobs), target).limit(limit).offset(offset)
    return tuple(to_row(Job, row) for row in conn.execute(statement).mappings())


def first(conn: sa.Connection, target: str) -> Job | None:
    """Return the first job of a queue, be it enabled or not; None where the queue is empty."""
    return next(iter(list_queue(conn, target, limit=1)), None)


def length(conn: sa.Connection, target: str) -> int:
    """Return how many jobs a queue has."""
    return int(conn.execute(sa.select(sa.func.count()).select_from(jobs).where(in_queue(target))).scalar_one())


def position_of(conn: sa.Connection, job_id: int) -> int | None:
    """Return a job's position in its target's queue, from 1; None where it is in none."""
    job = job_store.get_job(conn, job_id)
    return None if job.place is None else _position(conn, job)


def push(conn: sa.Connection, job_id: int, *, now: float, who: str) -> Job:
    """Put a created job at the end of its target's queue, counting the push; Conflict for any other."""
    job = _locked(conn, job_id)
    if job.status != "created":
        raise Conflict(f"job {job_id} is {job.status}; only a created job can be put on the queue")
    job_store.count_push(conn, job_id)
    return job_store.set_status(conn, job_id, "queued", now=now, who=who)


def take_off(conn: sa.Connection, job_id: int, *, now: float, who: str) -> Job:
    """Make a job of the queue a created one without a request again; Conflict for a job that is in no queue."""
    job = _locked(conn, job_id)
    if job.status not in QUEUED_JOB_STATUSES:
        raise Conflict(f"job {job_id} is not in the queue of {job.target}: it is {job.status}")
    job_store.untie_request(conn, job_id)
    return job_store.set_status(conn, job_id, "created", now=now, who=who)


def move(
    conn: sa.Connection, job_id: int, to: str, *, now: float, who: str, expected_version: int | None = None
) -> int:
    """Move a job within its queue and return its new position, from 1.

    `to` is a position, `+N` (later), `-N` (earlier), `first` or `last`; BadPosition outside the queue. Conflict
    for a job that is in no queue, Stale where the queue has not the version that the caller expects. Where the
    job is there already, nothing changes.
    """
    job = _locked(conn, job_id, expected_version)
    if job.place is None:
        raise Conflict(f"job {job_id} is not in the queue of {job.target}: it is {job.status}")
    old, count = _position(conn, job), length(conn, job.target)
    new = _wanted(to, old, count)
    if new == old:
        return old
    place = _place_at(conn, job, new, count)
    if place is None:
        _renumber(conn, job.target)
        place = _place_at(conn, job, new, count)
    conn.execute(sa.update(jobs).where(jobs.c.id == job_id).values(place=place))
    count_change(conn, job.target, {"job": job_id, "position": new}, now=now, who=who)
    return new


def pause(conn: sa.Connection, target: str, *, now: float, who: str, reason: str = "") -> Queue:
    """Let no job of the queue start from now on, and keep why; Conflict where it is paused already."""
    queue = lock_queue(conn, target)
    if queue.paused:
        raise Conflict(f"the queue of {target} is paused already, by {queue.paused_by}")
    return _set_pause(conn, target, True, now=now, who=who, reason=reason)


def unpause(conn: sa.Connection, target: str, *, now: float, who: str) -> Queue:
    """Let the jobs of the queue start again; Conflict where it is not paused."""
    if not lock_queue(conn, target).paused:
        raise Conflict(f"the queue of {target} is not paused")
    return _set_pause(conn, target, False, now=now, who=who, reason="")


def paused_targets(conn: sa.Connection) -> frozenset[str]:
    """Return the targets whose queues are paused."""
    rows = conn.execute(sa.select(queues.c.target).where(queues.c.paused == sa.literal(True, Flag)))
    return frozenset(row.target for row in rows)


def _set_pause(conn: sa.Connection, target: str, paused: bool, *, now: float, who: str, reason: str) -> Queue:
    values = {
        "paused": paused,
        "paused_by": who if paused else None,
        "paused_at": now if paused else None,
        "reason": reason,
    }
    conn.execute(sa.update(queues).where(queues.c.target == target).values(**values))
    change = {"paused": True, "reason": reason} if paused else {"paused": False}
    count_change(conn, target, change, now=now, who=who)
    return get_queue(conn, target)


def _locked(conn: sa.Connection, job_id: int, expected_version: int | None = None) -> Job:
    """The job, read under the lock of its queue: no job comes, goes or moves there until the transaction ends."""
    target = job_store.get_job(conn, job_id).target
    queue = lock_queue(conn, target)
    if expected_version is not None and queue.version != expected_version:
        raise Stale(f"the queue of {target} is at version {queue.version}, not at {expected_version}: read it again")
    return job_store.get_job(conn, job_id)


def _wanted(to: str, old: int, count: int) -> int:
    """The position that `to` means for the job at `old` of `count`."""
    if to in ("first", "last"):
        return 1 if to == "first" else count
    match = _POSITION.fullmatch(to)
    if match is None:
        raise BadPosition(f"{to[:40]!r} is no position; write 3, +2 (later), -1 (earlier), first or last")
    number = int(match["number"])
    new = {"": number, "+": old + number, "-": old - number}[match["sign"]]
    if not 1 <= new <= count:
        raise BadPosition(f"there is no position {new} in this queue: its positions are 1 to {count}")
    return new


def _place_at(conn: sa.Connection, job: Job, position: int, count: int) -> int | None:
    """A place for `job` at a position, in the middle between its neighbours there; None where there is no room."""
    if position == 1:
        return before_first(conn, job.target)
    if position == count:
        return after_last(conn, job.target)
    others = _ordered(sa.select(jobs.c.place), job.target).where(jobs.c.id != job.id)
    before, after = conn.execute(others.offset(position - 2).limit(2)).scalars()
    middle: int = (before + after) // 2
    return middle if before < middle < after else None


def _renumber(conn: sa.Connection, target: str) -> None:
    """Give every job of the queue room again, in the same order."""
    rows = conn.execute(_ordered(sa.select(jobs.c.id, jobs.c.place), target)).all()
    lowest = [LOWEST if row.place >= LOWEST else 0 for row in rows]
    places = [
        {"job": row.id, "new_place": low + n * STEP} for n, (row, low) in enumerate(zip(rows, lowest, strict=True), 1)
    ]
    statement = sa.update(jobs).where(jobs.c.id == sa.bindparam("job")).values(place=sa.bindparam("new_place"))
    conn.execute(statement, places)


def _position(conn: sa.Connection, job: Job) -> int:
    ahead = sa.or_(jobs.c.place < job.place, sa.and_(jobs.c.place == job.place, jobs.c.id < job.id))
    statement = sa.select(sa.func.count()).select_from(jobs).where(in_queue(job.target), jobs.c.place <= job.place)
    return int(conn.execute(statement.where(ahead)).scalar_one()) + 1


def _ordered(statement: sa.Select[Any], target: str) -> sa.Select[Any]:
    return statement.where(in_queue(target)).order_by(jobs.c.place, jobs.c.id)
