"""Results that the lab compares by itself: a job's with that of the job it is based on, or with the one before it."""

from typing import NamedTuple

import sqlalchemy as sa

from benchyard.store import jobs, results
from benchyard.store.rows import Job, Result
from benchyard.store.sql import to_row
from benchyard.store.tables import jobs as job_table
from benchyard.store.tables import results as table

#: Doors whose jobs nobody asks for one by one.
SERIES_ORIGINS = ("nightly", "poll")

#: Results looked at for the one before; those of another interpreter or conditions are passed over.
LOOK_BACK = 50


class Pair(NamedTuple):
    """A base result and a head result."""

    base: Result
    head: Result


def pairs_of(conn: sa.Connection, job: Job) -> list[Pair]:
    """The comparisons that are due now that a job has its result."""
    own = results.result_of_job(conn, job.id)
    if own is None:
        return []
    pairs = []
    if job.base_job is not None and (base := results.result_of_job(conn, job.base_job)) is not None:
        pairs.append(Pair(base, own))
    heads = [results.result_of_job(conn, head.id) for head in jobs.jobs_based_on(conn, job.id)]
    return pairs + [Pair(own, head) for head in heads if head is not None]


def pair_in_series(conn: sa.Connection, job: Job) -> Pair | None:
    """A result of a schedule or poller with the one before it; None where it is no such, or there is none to compare.

    They are of one schedule or poller, and measured alike: on one host in one epoch, of one branch with the same
    flags, by the same suite in the same mode. Of one interpreter, the second says nothing of what has changed.
    """
    if job.origin not in SERIES_ORIGINS or job.base_job is not None:
        return None
    head = results.result_of_job(conn, job.id)
    if head is None or head.epoch is None:
        return None
    alike = [
        column.is_(value) if value is None else column == value
        for column, value in {
            table.c.target: head.target,
            table.c.host: head.host,
            table.c.branch: head.branch,
            table.c.suite: head.suite,
            table.c.suite_version: head.suite_version,
            table.c.mode: head.mode,
            table.c.kind: head.kind,
            table.c.epoch: head.epoch,
            table.c.flags: head.flags,
            job_table.c.origin: job.origin,
            job_table.c.reason: job.reason,
        }.items()
    ]
    statement = (
        sa.select(table)
        .join(job_table, job_table.c.id == table.c.job_id)
        .where(*alike, table.c.id < head.id, table.c.status == "stored", table.c.path.is_not(None))
        .order_by(table.c.id.desc())
        .limit(LOOK_BACK)
    )
    for base in (to_row(Result, row) for row in conn.execute(statement).mappings()):
        if base.enabled:
            return None if _interpreter(base) == _interpreter(head) else Pair(base, head)
    return None


def _interpreter(result: Result) -> str | None:
    return (result.interpreter or {}).get("id")
