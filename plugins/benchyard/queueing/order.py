"""Which request of a builder is next: one question to the datastore, whatever the length of the queue."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from benchyard.queueing.runs import run_of_key
from benchyard.store.columns import Flag
from benchyard.store.tables import attempts, jobs

#: A job between its first step and its last; a target works on so many at once, and no more.
BEGUN = ("building", "ready", "running", "storing")


class Lane(NamedTuple):
    """What a builder is for: the jobs of a target themselves, or one stage of them.

    `workers` are those that may be used; `capacity` is how many jobs of the target may have begun: (isolated hosts) x
    (1 + prefetch).
    """

    target: str
    stage: str | None
    workers: tuple[str, ...]
    capacity: int = 0


class Pick(NamedTuple):
    """The chosen request, and the worker it must have (None: any)."""

    request_id: int
    worker: str | None


def next_request(
    conn: sa.Connection, model: Any, lane: Lane, builderid: int, free_workers: Sequence[str]
) -> Pick | None:
    """The next request of a builder, if one may start now; `model` is Buildbot's table model."""
    if lane.stage is None:
        return _next_job(conn, model, lane, builderid)
    return _next_stage(conn, model, lane, builderid, free_workers)


def _waiting(model: Any, builderid: int) -> tuple[sa.ColumnElement[bool], ...]:
    requests, claims = model.buildrequests, model.buildrequest_claims
    return (
        requests.c.builderid == builderid,
        requests.c.complete == 0,
        ~sa.exists().where(claims.c.brid == requests.c.id),
    )


def _next_job(conn: sa.Connection, model: Any, lane: Lane, builderid: int) -> Pick | None:
    """Jobs that have begun go on first (their build was interrupted), refused ones end at once, then the queue."""
    requests = model.buildrequests
    queued = (jobs.c.status == "queued") & (jobs.c.enabled == sa.literal(True, Flag))
    may_start: sa.ColumnElement[bool] = jobs.c.status.not_in(("queued", "created"))
    if _count_begun(conn, model, lane, builderid) < lane.capacity:
        may_start = may_start | queued
    request_id = conn.execute(
        sa.select(requests.c.id)
        .join(jobs, jobs.c.request_id == requests.c.id)
        .where(*_waiting(model, builderid), may_start)
        .order_by(sa.case((queued, 1), else_=0), requests.c.priority.desc(), requests.c.id)
        .limit(1)
    ).scalar()
    return None if request_id is None else Pick(request_id, None)


def _count_begun(conn: sa.Connection, model: Any, lane: Lane, builderid: int) -> int:
    """How many jobs have begun, those included that are `queued` still while their first stage waits for its host."""
    requests, claims = model.buildrequests, model.buildrequest_claims
    by_status = conn.execute(
        sa.select(sa.func.count()).where(jobs.c.target == lane.target, jobs.c.status.in_(BEGUN))
    ).scalar_one()
    just_claimed = conn.execute(
        sa.select(sa.func.count())
        .select_from(requests)
        .join(claims, claims.c.brid == requests.c.id)
        .join(jobs, jobs.c.request_id == requests.c.id)
        .where(requests.c.builderid == builderid, requests.c.complete == 0, jobs.c.status == "queued")
    ).scalar_one()
    return int(by_status + just_claimed)


def _next_stage(
    conn: sa.Connection, model: Any, lane: Lane, builderid: int, free_workers: Sequence[str]
) -> Pick | None:
    """The oldest stage; there are only as many as jobs have begun. A run that has started is for its own host alone."""
    requests, buildsets = model.buildrequests, model.buildsets
    rows = conn.execute(
        sa.select(requests.c.id, buildsets.c.external_idstring)
        .join(buildsets, buildsets.c.id == requests.c.buildsetid)
        .where(*_waiting(model, builderid))
        .order_by(requests.c.priority.desc(), requests.c.id)
    ).all()
    for row in rows:
        run = run_of_key(row.external_idstring)
        if run is None:
            continue
        if lane.stage != "measure":
            return Pick(row.id, None)
        host = conn.execute(
            sa.select(sa.func.coalesce(attempts.c.host, jobs.c.host))
            .join(jobs, jobs.c.id == attempts.c.job_id)
            .where(attempts.c.job_id == run.job, attempts.c.number == run.attempt)
        ).scalar()
        if host is None or host in free_workers:
            return Pick(row.id, host)
    return None


def queue_of(conn: sa.Connection, model: Any, target: str) -> list[int]:
    """Ids of a target's jobs that wait, in the order in which they will start."""
    requests = model.buildrequests
    rows = conn.execute(
        sa.select(jobs.c.id)
        .join(requests, requests.c.id == jobs.c.request_id)
        .where(jobs.c.target == target, jobs.c.status == "queued")
        .order_by(requests.c.priority.desc(), requests.c.id)
    )
    return [row.id for row in rows]
