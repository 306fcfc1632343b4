"""What people change of queues and of jobs that wait: order, pause, and what a job is to do."""

import time
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from benchyard.queueing import engine, maintaining, order, stages
from benchyard.queueing.doors import request_of_spec, spec_row
from benchyard.queueing.requests import Invalid, JobSpec
from benchyard.queueing.runs import Run, stage_key
from benchyard.store import attempts, jobs, maintenance, queues
from benchyard.store.errors import Conflict
from benchyard.store.places import lock_queue
from benchyard.store.rows import CHECK, MAINTENANCE, Job

if TYPE_CHECKING:
    from benchyard.queueing.jobs import JobService

#: What says what a job measures, and may change only before it has begun.
SPEC_FIELDS = ("python", "benchmarks", "mode", "affinity", "host")

Why = Callable[[Job, int], str]


async def move(service: "JobService", target: str, job_id: int, to: str, *, who: str, version: int | None) -> None:
    """Move a job within its target's queue."""
    await service.db(_move, target, job_id, to, now=time.time(), who=who, expected_version=version)
    _poke(service, target)


async def pop(service: "JobService", target: str, *, who: str) -> int:
    """Take the first job off a queue and give its number; Conflict if the queue is empty."""
    job = await service.db(_pop, target, now=time.time(), who=who)
    await _let_go(service, job, who)
    return job.id


async def take_off(service: "JobService", target: str, job_id: int, *, who: str) -> None:
    """Take a job off the queue of its target; what was prepared for it is kept."""
    await _let_go(service, await service.db(_take_off, target, job_id, now=time.time(), who=who), who)


async def pause(service: "JobService", target: str, *, who: str, reason: str) -> None:
    """Start no more jobs of a target; Conflict if it is paused already."""
    await service.db(queues.pause, target, now=time.time(), who=who, reason=reason)


async def unpause(service: "JobService", target: str, *, who: str) -> None:
    """Let the jobs of a target start again; Conflict if it is not paused."""
    await service.db(queues.unpause, target, now=time.time(), who=who)
    _poke(service, target)


async def enable(service: "JobService", job_id: int, enabled: bool, *, who: str) -> None:
    """Let a job start when its turn comes, or keep it from that."""
    job = await service.db(jobs.enable_job, job_id, enabled, now=time.time(), who=who)
    _poke(service, job.target)


async def modify(
    service: "JobService", job: Job, fields: Mapping[str, Any], *, who: str, expected_changed: float | None = None
) -> None:
    """Change a job's reason, or before it has begun what it measures; checked as a new request is.

    Stale where its `changed` is not the one that the caller expects.
    """
    given: dict[str, Any] = {"who": who, "reason": fields.get("reason"), "expected_changed": expected_changed}
    if not any(name in fields for name in SPEC_FIELDS):
        await service.db(jobs.modify_job, job.id, now=time.time(), **given)
        return
    if job.status not in ("created", "queued"):
        raise Conflict(f"job {job.id} is {job.status}; what it measures can be changed only before it has begun")
    spec = JobSpec.of(job.spec)
    if "python" in fields and spec.source is not None:
        raise Invalid("python", f"job {job.id} builds its interpreter; submit another job for an installed one")
    asked = {"benchmarks": fields.get("benchmarks", spec.selection)}
    asked |= {name: fields[name] for name in SPEC_FIELDS if name in fields}
    checked = await service.checked(request_of_spec(job, spec, **asked), spec.source)
    await service.db(
        _modify_waiting,
        job.id,
        now=time.time(),
        host=checked.host,
        spec=spec_row(checked.spec),
        identity=checked.spec.identity(job.target, job.kind),
        **given,
    )


async def reasons(service: "JobService", target: str, hosts: Mapping[str, bool]) -> Why:
    """A function that tells why a job at a position of the queue is not running.

    `hosts` are the target's isolated hosts, and whether each is connected.
    """
    machines = next((lane.machines for lane in service.lanes.values() if lane.target == target), {})
    paused, closed, running, kept, measured = await service.db(_circumstances, target, machines, service.away)

    def why(job: Job, position: int) -> str:
        able = [host for host in hosts if host not in closed and host == (job.host or host)]
        if not job.enabled:
            return "it is disabled"
        if job.kind in MAINTENANCE:
            return _why_not_looked_after(service, job, machines, kept, measured)
        if paused:
            return "the queue is paused"
        if not hosts:
            return "the target has no isolated host yet"
        if not able:
            return _why_closed(job, [host for host in hosts if host == (job.host or host)], closed)
        if not any(hosts[host] for host in able):
            return "its host is offline" if len(able) == 1 else "all its hosts are offline"
        if job.status == "building":
            return "it is being prepared"
        if all(host in kept for host in able):
            after = kept[able[0]]
            return f"waits for job {after.id}, {after.kind} of host {after.host}"
        if running:
            return f"waits for job {running[0]}"
        return "it is about to start" if position == 1 else f"{position - 1} ahead of it"

    return why


def _why_closed(job: Job, wanted: list[str], closed: Mapping[str, str]) -> str:
    if not wanted or all(closed[host] == order.DISABLED for host in wanted):
        return f"host {job.host} is disabled or gone" if job.host else "all hosts are disabled"
    return "; ".join(f"host {host} {closed[host]}" for host in wanted)


def _why_not_looked_after(
    service: "JobService", job: Job, machines: Mapping[str, str], kept: Mapping[str, Job], measured: Mapping[str, int]
) -> str:
    """Why a job that looks after a host has not begun."""
    host = job.host or ""
    here = machines.get(host)
    if job.status != "queued":
        return "it is about to start"
    running = next((number for at, number in measured.items() if here and machines.get(at) == here), None)
    if running is not None:
        return f"waits for job {running}, which is on host {host}"
    before = kept.get(host)
    if before is not None and before.id < job.id:
        return f"waits for job {before.id}, {before.kind} of host {before.host}"
    if job.kind == CHECK and host in service.away:
        return f"host {host} is offline"
    return "it is about to start"


def _circumstances(
    conn: Any, target: str, machines: Mapping[str, str], away: Collection[str]
) -> tuple[bool, dict[str, str], list[int], dict[str, Job], dict[str, int]]:
    return (
        order.is_paused(conn, target),
        order.closed_hosts(conn, time.time()),
        order.started_jobs(conn, target),
        maintaining.kept_free(conn, machines, away),
        maintenance.measured_hosts(conn),
    )


def _of_target(conn: Any, target: str, job_id: int) -> Job:
    job = jobs.get_job(conn, job_id)
    if job.target != target:
        raise Conflict(f"job {job_id} is not in the queue of {target}: it is for {job.target}")
    return job


def _move(conn: Any, target: str, job_id: int, to: str, **how: Any) -> None:
    job = _of_target(conn, target, job_id)
    if job.kind in MAINTENANCE:
        raise Conflict(f"job {job_id} looks after host {job.host}, which goes before measurements; it cannot be moved")
    queues.move(conn, job_id, to, **how)


def _pop(conn: Any, target: str, *, now: float, who: str) -> Job:
    """The first job, as it was before it was taken off; locked first, so that two who pop get two jobs."""
    lock_queue(conn, target)
    job = queues.first(conn, target)
    if job is None:
        raise Conflict(f"the queue of {target} is empty")
    queues.take_off(conn, job.id, now=now, who=who)
    return job


def _take_off(conn: Any, target: str, job_id: int, *, now: float, who: str) -> Job:
    """A job as it was before it was taken off."""
    lock_queue(conn, _of_target(conn, target, job_id).target)
    job = jobs.get_job(conn, job_id)
    queues.take_off(conn, job_id, now=now, who=who)
    return job


def _modify_waiting(conn: Any, job_id: int, **changes: Any) -> None:
    job = jobs.get_job(conn, job_id)
    if job.status not in ("created", "queued"):
        raise Conflict(f"job {job_id} has begun meanwhile: it is {job.status}")
    jobs.modify_job(conn, job_id, **changes)


async def _let_go(service: "JobService", job: Job, who: str) -> None:
    """End the request of a job that is off the queue; the row knows it no more, so the job is not canceled by that.

    What prepares it just now stops, and waits until the job is on the queue again.
    """
    reason = f"job {job.id} taken off the queue by {who}"
    if job.request_id is not None:
        engine.cancel_request(service.master, job.request_id, reason)
    attempt = await service.db(attempts.current_attempt, job.id)
    if attempt is not None and attempt.host is None:
        for name, lane in service.stages(job.target).items():
            if lane.stage == stages.PREPARE:
                found = await engine.requests_with_key(service.master, stage_key(name, Run(job.id, attempt.number)))
                engine.put_back(service.master, name, [request_id for request_id, _ in found], reason)
    _poke(service, job.target)


def _poke(service: "JobService", target: str) -> None:
    service.poke(*(name for name, lane in service.lanes.items() if lane.target == target))
