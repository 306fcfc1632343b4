"""Which request of a builder is next: a few questions to the datastore, the same whatever the length of the queue."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from benchyard.queueing import maintaining, stages
from benchyard.queueing.runs import run_of_key
from benchyard.store import jobs as job_store
from benchyard.store.columns import Flag
from benchyard.store.places import lock_queue
from benchyard.store.rows import MAINTENANCE
from benchyard.store.tables import attempts, hosts, jobs, queues

#: Why a host that somebody has disabled gets no jobs.
DISABLED = "is disabled"

#: A job between its first step and its last.
BEGUN = ("building", "ready", "running", "storing")

#: Of these, those that no longer stand in their queue.
STARTED = ("running", "storing")

_YES = sa.literal(True, Flag)
_NO = sa.literal(False, Flag)


class Lane(NamedTuple):
    """What a builder is for: the jobs of a target themselves (`stage` None), or one stage of them.

    `workers` are those that may be used, `hosts` the isolated hosts of the target; `per_host` is how many jobs may
    have begun for each of these: the one that is measured, and those that are prepared ahead. `machines` are those
    of all hosts of the lab, by host: two hosts may be one machine.
    """

    target: str
    stage: str | None
    workers: tuple[str, ...]
    hosts: tuple[str, ...] = ()
    per_host: int = 2
    machines: Mapping[str, str] = {}


class Pick(NamedTuple):
    """The chosen request, and the worker it must have (None: any)."""

    request_id: int
    worker: str | None


def next_request(
    conn: sa.Connection,
    model: Any,
    lane: Lane,
    builderid: int,
    free_workers: Sequence[str],
    *,
    now: float,
    ending: Collection[int] = (),
    away: Collection[str] = (),
) -> Pick | None:
    """The next request of a builder, if one may start now; its job is `building` from then on.

    `model` is Buildbot's table model, `ending` are requests whose jobs have ended: their builds just say so, at once.
    `away` are the hosts whose workers are not connected.
    """
    if lane.stage is None:
        return _next_job(conn, model, lane, builderid, ending, now)
    if lane.stage in stages.OF_HOSTS:
        check = lane.stage == stages.CHECK
        how: dict[str, Any] = {"check": check, "machines": lane.machines, "away": away, "now": now}
        waiting = _waiting(model, builderid)
        chosen = maintaining.next_maintenance(conn, waiting, model.buildrequests, free_workers, **how)
        return Pick(*chosen) if chosen is not None else None
    return _next_stage(conn, model, lane, builderid, free_workers, now, away)


def _waiting(model: Any, builderid: int) -> sa.ColumnElement[bool]:
    requests, claims = model.buildrequests, model.buildrequest_claims
    return sa.and_(
        requests.c.builderid == builderid,
        requests.c.complete == 0,
        ~sa.exists().where(claims.c.brid == requests.c.id),
    )


def _next_job(
    conn: sa.Connection, model: Any, lane: Lane, builderid: int, ending: Collection[int], now: float
) -> Pick | None:
    requests = model.buildrequests
    waiting = _waiting(model, builderid)
    if ending:
        ended = conn.execute(sa.select(requests.c.id).where(requests.c.id.in_(ending), waiting).limit(1)).scalar()
        if ended is not None:
            return Pick(ended, None)
    joined = sa.select(requests.c.id, jobs.c.id.label("job"), jobs.c.place).join(
        jobs, jobs.c.request_id == requests.c.id
    )
    here = sa.and_(jobs.c.target == lane.target, waiting)
    # Those that have begun go on first: their build was interrupted. Of these, the ones on a host are in no queue.
    in_order = (jobs.c.place.is_not(None), jobs.c.place, jobs.c.id)
    begun = conn.execute(joined.where(here, jobs.c.status.in_(BEGUN)).order_by(*in_order).limit(1)).first()
    if begun is not None:
        return Pick(begun.id, None)
    queued = joined.where(here, jobs.c.place.is_not(None), jobs.c.status == "queued", jobs.c.enabled == _YES)
    if conn.execute(queued.limit(1)).first() is None:
        return None
    # Under the lock nobody moves a job or takes it off the queue between this choice and its note.
    if lock_queue(conn, lane.target).paused:
        return None
    first = _first_with_room(conn, lane, queued, now)
    if first is None:
        return None
    # Noted here, not by its first step, so that it counts before the next is chosen.
    job_store.set_status(conn, first.job, "building", now=now, who="lab")
    return Pick(first.id, None)


def _first_with_room(conn: sa.Connection, lane: Lane, queued: sa.Select[Any], now: float) -> Any:
    """The first of the `queued` jobs that may start now.

    Only jobs ahead of it take room from a job: so one that was moved to the front is prepared at once.
    """
    closed = closed_hosts(conn, now)
    able = [host for host in lane.hosts if host not in closed]
    begun = _begun(conn, lane.target)
    fits: list[sa.ColumnElement[bool]] = [jobs.c.host.is_(None)]
    for host in able:
        fits.append(sa.and_(jobs.c.host == host, _has_room([b.place for b in begun if b.host == host], lane.per_host)))
    # A job that only a closed host may go on with takes no room on the others.
    here = [b.place for b in begun if b.host is None or b.host in able]
    everywhere = _has_room(here, len(able) * lane.per_host)
    return conn.execute(queued.where(everywhere, sa.or_(*fits)).order_by(jobs.c.place, jobs.c.id).limit(1)).first()


def _begun(conn: sa.Connection, target: str) -> Sequence[Any]:
    """(host, place) of the jobs that have begun: the host that measures, else the one asked for, else None."""
    on_host = sa.and_(attempts.c.job_id == jobs.c.id, attempts.c.status == "running")
    statement = (
        sa.select(sa.func.coalesce(attempts.c.host, jobs.c.host).label("host"), jobs.c.place)
        .outerjoin(attempts, on_host)
        .where(jobs.c.target == target, jobs.c.status.in_(BEGUN), jobs.c.kind.not_in(MAINTENANCE))
    )
    return conn.execute(statement).all()


def _has_room(begun: Sequence[int | None], room: int) -> sa.ColumnElement[bool]:
    """The condition that fewer than `room` of the jobs that have begun, at these places, are ahead of a job.

    A job that is on a host has no place any more; it is ahead of all.
    """
    standing = sorted(place for place in begun if place is not None)
    left = room - (len(begun) - len(standing))
    if left <= 0:
        return sa.false()
    return jobs.c.place <= standing[left - 1] if left <= len(standing) else sa.true()


def _next_stage(
    conn: sa.Connection,
    model: Any,
    lane: Lane,
    builderid: int,
    free_workers: Sequence[str],
    now: float,
    away: Collection[str],
) -> Pick | None:
    """The first stage by the order of the queue; there are only as many as jobs have begun.

    A run that has started is for its own host alone, and goes before all others: it is attached to again, or swept up.
    A job that was taken off the queue is neither prepared nor measured, one whose queue is paused not measured. Where a
    machine is looked after nothing is prepared, and nothing is measured from the moment that this is wanted.
    """
    requests, buildsets = model.buildrequests, model.buildsets
    rows = conn.execute(
        sa.select(requests.c.id, buildsets.c.external_idstring)
        .join(buildsets, buildsets.c.id == requests.c.buildsetid)
        .where(_waiting(model, builderid))
        .order_by(requests.c.priority.desc(), requests.c.id)
    ).all()
    found = [(row.id, run) for row in rows if (run := run_of_key(row.external_idstring)) is not None]
    states = [(request_id, _state(conn, run.job, run.attempt)) for request_id, run in found]
    known = [(request_id, state) for request_id, state in states if state is not None]
    known.sort(key=lambda pair: (pair[1].placed is None, pair[1].place or 0, pair[0]))
    if not known:
        return None
    if lane.stage != stages.MEASURE:
        on_queue = [request_id for request_id, state in known if state.status != "created"]
        at_work = maintaining.machines_at_work(conn, lane.machines, away)
        able = [worker for worker in free_workers if lane.machines.get(worker) not in at_work]
        anywhere = len(able) == len(free_workers)
        return Pick(on_queue[0], None if anywhere else able[0]) if on_queue and able else None
    paused = is_paused(conn, lane.target)
    closed = {*closed_hosts(conn, now), *maintaining.kept_free(conn, lane.machines, away)}
    for request_id, state in known:
        if state.placed is not None or state.cancel_by is not None:
            free = [host for host in free_workers if host == (state.placed or host)]
        elif paused or state.status not in BEGUN:
            continue
        else:
            free = [host for host in free_workers if host == (state.host or host) and host not in closed]
        if free:
            return Pick(request_id, free[0])
    return None


def _state(conn: sa.Connection, job_id: int, attempt: int) -> Any:
    statement = (
        sa.select(jobs.c.status, jobs.c.place, jobs.c.host, jobs.c.cancel_by, attempts.c.host.label("placed"))
        .join(attempts, attempts.c.job_id == jobs.c.id)
        .where(jobs.c.id == job_id, attempts.c.number == attempt)
    )
    return conn.execute(statement).first()


def is_paused(conn: sa.Connection, target: str) -> bool:
    """Whether the queue of a target is paused."""
    found = conn.execute(sa.select(queues.c.target).where(queues.c.target == target, queues.c.paused == _YES))
    return found.first() is not None


def started_jobs(conn: sa.Connection, target: str) -> list[int]:
    """The jobs of a target that are on a host, or whose results are being stored; newest first."""
    # Sorted here: to have them in order, SQLite would go through all jobs of the target.
    found = conn.execute(sa.select(jobs.c.id).where(jobs.c.target == target, jobs.c.status.in_(STARTED)))
    return sorted(found.scalars(), reverse=True)


def closed_hosts(conn: sa.Connection, now: float) -> dict[str, str]:
    """The hosts that get no jobs, and why not."""
    # Not the whole rows: what their last checks have found is long, and this is asked at each choice.
    rows = conn.execute(
        sa.select(hosts.c.name, hosts.c.enabled, hosts.c.maintained, hosts.c.leased_by).where(
            sa.or_(hosts.c.enabled == _NO, hosts.c.maintained.is_not(None), hosts.c.leased_until > now)
        )
    )
    return {row.name: _why_closed(row) for row in rows}


def _why_closed(row: Any) -> str:
    if row.maintained is not None:
        return f"is being changed by job {row.maintained}"
    return f"is leased to {row.leased_by}" if row.enabled else DISABLED
