"""Places: what orders the jobs of a target's queue, and the lock under which they change.

Places are integers far apart, so that a job goes between two others without touching them. Whoever changes one
locks the queue's row first and the job's row after it: always in this order, or two masters wait for each other.
"""

from typing import Any

import sqlalchemy as sa

from benchyard.store.history import record
from benchyard.store.rows import MAINTENANCE, Queue
from benchyard.store.sql import insert_once, locked_row, require, to_row
from benchyard.store.tables import jobs, queues

STEP = 2**20
"""The room that a job is given on either side: twenty moves between the same two neighbours fit."""


LOWEST = 2**52
"""Where the places of jobs begin that let all others go first."""


def in_queue(target: str) -> sa.ColumnElement[bool]:
    """The condition that a job is in the queue of a target."""
    return sa.and_(jobs.c.target == target, jobs.c.place.is_not(None))


def lock_queue(conn: sa.Connection, target: str) -> Queue:
    """Lock a target's queue until the transaction ends, and return its state; made where there is none yet."""
    row = locked_row(conn, queues, queues.c.target == target)
    if row is None:
        values: dict[str, Any] = {"target": target, "paused": False, "reason": "", "version": 0}
        insert_once(conn, queues, values, unique=["target"])
        row = locked_row(conn, queues, queues.c.target == target)
    return to_row(Queue, require(row, f"queue {target!r}"))


def after_last(conn: sa.Connection, target: str, *, lowest: bool = False) -> int:
    """The place behind all jobs of the queue but those that let all others go first, or behind these too."""
    statement = sa.select(sa.func.max(jobs.c.place)).where(jobs.c.target == target)
    last = conn.execute(statement if lowest else statement.where(jobs.c.place < LOWEST)).scalar()
    if lowest:
        return max(int(last or 0), LOWEST) + STEP
    return STEP if last is None else int(last) + STEP


def before_first(conn: sa.Connection, target: str) -> int:
    """The place in front of all jobs of the queue."""
    first = conn.execute(sa.select(sa.func.min(jobs.c.place)).where(jobs.c.target == target)).scalar()
    return STEP if first is None else int(first) - STEP


def ahead_of_measurements(conn: sa.Connection, target: str) -> int:
    """The place in front of all jobs that measure, behind those that look after hosts."""
    queued = sa.select(jobs.c.place, jobs.c.kind).where(in_queue(target)).order_by(jobs.c.place)
    last = conn.execute(queued.where(jobs.c.kind.in_(MAINTENANCE)).order_by(None).order_by(jobs.c.place.desc())).first()
    if last is None:
        return before_first(conn, target)
    following = conn.execute(queued.where(jobs.c.place > last.place).limit(1)).first()
    return last.place + STEP if following is None else (int(last.place) + int(following.place)) // 2


def count_change(conn: sa.Connection, target: str, change: dict[str, Any], *, now: float, who: str) -> None:
    """Give the queue its next version, and keep what was changed."""
    where = queues.c.target == target
    conn.execute(sa.update(queues).where(where).values(version=queues.c.version + 1))
    record(conn, "queue", target, now=now, who=who, change=change)
