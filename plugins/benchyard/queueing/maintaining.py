"""Jobs that look after hosts: when each may begin, how they are asked for, and how they end.

Such a job is one build, on a builder of its target's: `check` on the host itself, `maintain` in the master. What was
measured before it began comes to its end first; from the moment it is wanted, nothing new is measured on its host. One
that changes a host goes between two checks of it: they tell what it has changed.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa
from buildbot.process.results import CANCELLED, SUCCESS

from benchyard.queueing import stages
from benchyard.store import jobs as job_store
from benchyard.store import maintenance
from benchyard.store.errors import NotFound
from benchyard.store.rows import CHECK, FINAL_JOB_STATUSES, Job
from benchyard.store.tables import jobs

if TYPE_CHECKING:
    from benchyard.queueing.jobs import JobService


class Chosen(NamedTuple):
    """The chosen request, and the worker it must have (None: any)."""

    request_id: int
    worker: str | None


def next_maintenance(
    conn: sa.Connection,
    waiting: sa.ColumnElement[bool],
    requests: Any,
    free_workers: Sequence[str],
    *,
    check: bool,
    machines: Mapping[str, str],
    away: Collection[str],
    now: float,
) -> Chosen | None:
    """The next request of a lane for maintenance whose job may begin; its job is `building` from then on.

    One at a time on a machine, and none beside a measurement. One that changes its host waits for the check before it,
    unless the host is `away`: its worker has to make that. A job whose host is gone begins, to say so.
    """
    found = conn.execute(
        sa.select(requests.c.id, jobs.c.id.label("job"), jobs.c.host, jobs.c.status, jobs.c.enabled, jobs.c.spec)
        .join(jobs, jobs.c.request_id == requests.c.id)
        .where(waiting)
        .order_by(jobs.c.id)
    ).all()
    if not found:
        return None
    measured = {machines.get(host) for host in maintenance.measured_hosts(conn)}
    wanted = maintenance.wanted(conn)
    under_way = {
        job.id: machines.get(job.host or "")
        for job in wanted
        if job.status != "queued" and not _lacks_worker(job, away)
    }
    checks = {job.id for job in wanted if job.kind == CHECK and job.enabled and not _lacks_worker(job, away)}
    for row in found:
        if row.status in FINAL_JOB_STATUSES or row.host not in machines:
            return Chosen(row.id, None)
        machine = machines[row.host]
        others = {at for job, at in under_way.items() if job != row.job}
        able = [worker for worker in free_workers if worker == row.host] if check else free_workers
        if not row.enabled or machine in measured or machine in others or row.spec.get("before") in checks or not able:
            continue
        if row.status == "queued":
            job_store.set_status(conn, row.job, "building", now=now, who="lab")
        return Chosen(row.id, able[0])
    return None


def _lacks_worker(job: Job, away: Collection[str]) -> bool:
    """Whether it is a check that nobody makes, begun or not, until the worker of its host comes back."""
    return job.kind == CHECK and job.host in away


def kept_free(conn: sa.Connection, machines: Mapping[str, str], away: Collection[str]) -> dict[str, Job]:
    """The hosts on which nothing new is measured, and the job that looks after each; hosts by `machines`.

    A check that waits, perhaps for a worker that is `away`, holds up its own host alone.
    """
    found: dict[str, Job] = {}
    for job in maintenance.wanted(conn):
        if not job.enabled:
            continue
        alone = (job.kind == CHECK and job.status == "queued") or _lacks_worker(job, away)
        machine = machines.get(job.host or "")
        for host, at in machines.items():
            if host == job.host or (not alone and at == machine):
                found.setdefault(host, job)
    return found


def machines_at_work(conn: sa.Connection, machines: Mapping[str, str], away: Collection[str]) -> Collection[str]:
    """The machines that are being looked after now."""
    wanted = (job for job in maintenance.wanted(conn) if not _lacks_worker(job, away))
    under_way = (job.host or "" for job in wanted if job.status in maintenance.UNDER_WAY)
    return {machines[host] for host in under_way if host in machines}


async def submit(
    service: "JobService", kind: str, *, host: str, target: str, owner: str, reason: str = "", **spec: bool
) -> Job:
    """A new job that looks after a host; nothing new is measured there until it has ended.

    One that changes the host is put behind a check of how that is, unless nobody can make one.
    """
    how: dict[str, Any] = {"host": host, "target": target, "owner": owner, "reason": reason, **spec}
    how["checked"] = kind != CHECK and not spec.get("check") and host not in service.away
    made = await service.db(maintenance.create_checked, kind, now=time.time(), **how)
    return [await service.ensure_queued(job) for job in made][-1]


def builder_of(service: "JobService", job: Job) -> str:
    """The builder whose builds do such a job."""
    stage = stages.CHECK if job.kind == CHECK else stages.MAINTAIN
    for name, lane in service.lanes.items():
        if lane.target == job.target and lane.stage == stage:
            return name
    raise NotFound(f"there is no target {job.target!r} any more")


async def finish(service: "JobService", job: Job, results: int) -> None:
    """The build of such a job has ended; where that is well, the check that follows is put on the queue."""
    status = {SUCCESS: "success", CANCELLED: "canceled"}.get(results, "failed")
    await end(service, job, status, error=None if status != "failed" else job.error or "it failed; see its log")


async def end(service: "JobService", job: Job, status: str, *, error: str | None = None) -> None:
    """End such a job; safe to repeat, since its first end counts."""
    who = (job.cancel_by or "web") if status == "canceled" else "lab"
    checked = (lane for lane in service.lanes.values() if lane.stage == stages.CHECK and job.host in lane.workers)
    target = next((lane.target for lane in checked), None)
    how: dict[str, Any] = {"who": who, "error": error, "target": target}
    check = await service.db(maintenance.end, job.id, status, now=time.time(), **how)
    if check is not None:
        await service.ensure_queued(check)
    service.poke(*service.lanes)


async def forget(service: "JobService", host: str, *, who: str) -> None:
    """Cancel what waits to look after a host that leaves the lab."""
    for job in await service.db(maintenance.wanted, host):
        await service.cancel(job.id, who=who)
