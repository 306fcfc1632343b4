"""When something has last happened to a target, a schedule or a branch: what tells that nothing does any more."""

from typing import NamedTuple

import sqlalchemy as sa

from benchyard.store.columns import Flag
from benchyard.store.forks import fork_of
from benchyard.store.places import in_queue
from benchyard.store.rows import BENCHMARKS, Job
from benchyard.store.sql import to_row
from benchyard.store.tables import attempts, history, jobs, results

_YES = sa.literal(True, Flag)

# Results that are looked at in one go: the newest is hardly ever far.
_PAGE = 50


class Waiting(NamedTuple):
    """The jobs of a queue that may start: how many, and since when the first of them waits as it does now."""

    jobs: int
    since: float


def waiting(conn: sa.Connection, target: str) -> Waiting | None:
    """What waits in the queue of a target; None where nothing does, disabled jobs aside."""
    statement = sa.select(sa.func.count(), sa.func.min(jobs.c.changed))
    number, since = conn.execute(statement.where(in_queue(target), jobs.c.enabled == _YES)).one()
    return Waiting(number, since) if number else None


def last_begun(conn: sa.Connection, target: str) -> float | None:
    """When the last measurement of a target began, None before the first."""
    joined = sa.select(sa.func.max(attempts.c.started)).join(jobs, jobs.c.id == attempts.c.job_id)
    return conn.execute(joined.where(jobs.c.target == target)).scalar()


def is_measuring(conn: sa.Connection, target: str) -> bool:
    """Whether a job of a target is on a host just now."""
    started = (jobs.c.status.in_(("running", "storing")), jobs.c.target == target)
    return conn.execute(sa.select(jobs.c.id).where(*started).limit(1)).first() is not None


def last_unpaused(conn: sa.Connection, target: str) -> float | None:
    """When a pause of a target's queue ended last."""
    where = (history.c.entity == "queue", history.c.entity_id == target, history.c.change == {"paused": False})
    return conn.execute(sa.select(history.c.time).where(*where).order_by(history.c.id.desc()).limit(1)).scalar()


def newest_job(conn: sa.Connection, *, target: str, origin: str, reason: str, status: str | None = None) -> Job | None:
    """The newest job of a schedule for a target, with this status where one is given."""
    where = [jobs.c.target == target, jobs.c.origin == origin, jobs.c.reason == reason]
    if status is not None:
        where.append(jobs.c.status == status)
    row = conn.execute(sa.select(jobs).where(*where).order_by(jobs.c.id.desc()).limit(1)).mappings().first()
    return None if row is None else to_row(Job, row)


def newest_stored(conn: sa.Connection, *, target: str, branch: str, fork: str | None = None) -> float | None:
    """When the newest result of a branch on a target was made, of those that count; None before the first.

    What was measured long ago and imported since is none of now, nor is what was measured of another's branch.
    """
    where = (
        results.c.branch == branch,
        results.c.target == target,
        results.c.path.is_not(None),
        results.c.status == "stored",
        results.c.enabled == _YES,
        results.c.kind == BENCHMARKS,
    )
    newest = sa.select(results.c.created, results.c.interpreter).where(*where).order_by(results.c.created.desc())
    with conn.execute(newest.execution_options(yield_per=_PAGE)) as rows:
        return next((row.created for row in rows if fork_of(row.interpreter) == fork), None)
