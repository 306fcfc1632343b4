"""When waiting jobs may be expected to start: the queue played through with how long such jobs have taken."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from benchyard.queueing import order
from benchyard.store.durations import past_durations
from benchyard.store.rows import Job
from benchyard.store.tables import attempts, jobs

#: Seconds that the jobs of one shape have taken, newest first.
Past = Mapping[str, Sequence[float]]


class Start(NamedTuple):
    """The range within which a job may start, in seconds since 1970; `latest` is None where nobody can know."""

    earliest: float
    latest: float | None


class Running(NamedTuple):
    """A job that is being measured now."""

    host: str
    shape: str | None
    started: float


def forecast(conn: sa.Connection, waiting: Sequence[Job], hosts: Collection[str], *, now: float) -> dict[int, Start]:
    """When the first jobs of a queue, all of them in order from the top, may start on these hosts of their target.

    Jobs that cannot start as things are (the queue is paused, they are disabled, no such host) have no entry.
    """
    if not waiting or not hosts or order.is_paused(conn, waiting[0].target):
        return {}
    rows = conn.execute(
        sa.select(attempts.c.host, jobs.c.shape, attempts.c.started)
        .join(jobs, jobs.c.id == attempts.c.job_id)
        .where(jobs.c.target == waiting[0].target, jobs.c.status == "running", attempts.c.status == "running")
    )
    running = [Running(row.host, row.shape, row.started) for row in rows]
    shapes = {
        shape for shape in (*(job.shape for job in waiting), *(run.shape for run in running)) if shape is not None
    }
    return play(waiting, running, hosts, past_durations(conn, shapes), now=now)


def play(
    waiting: Iterable[Job], running: Iterable[Running], hosts: Collection[str], past: Past, *, now: float
) -> dict[int, Start]:
    """The same from what is known: each job goes to the host that is free first, once at best and once at worst."""
    soonest = dict.fromkeys(hosts, now)
    latest: dict[str, float | None] = dict.fromkeys(hosts, now)
    for run in running:
        if run.host in soonest:
            shortest, longest = _range(past, run.shape)
            soonest[run.host] = max(now, run.started + shortest)
            latest[run.host] = None if longest is None else max(now, run.started + longest)
    starts = {}
    for job in waiting:
        able = [host for host in hosts if host == (job.host or host)]
        if not job.enabled or not able:
            continue
        shortest, longest = _range(past, job.shape)
        best = min(able, key=lambda host: soonest[host])
        worst = min(able, key=lambda host: _or_never(latest[host]))
        start = Start(soonest[best], latest[worst])
        starts[job.id] = start
        soonest[best] += shortest
        latest[worst] = None if start.latest is None or longest is None else start.latest + longest
    return starts


def _range(past: Past, shape: str | None) -> tuple[float, float | None]:
    """The shortest and the longest time; at best none at all and at worst unknown, where there was no such job yet."""
    known = past.get(shape or "", ())
    return (min(known), max(known)) if known else (0.0, None)


def _or_never(time: float | None) -> float:
    return float("inf") if time is None else time
