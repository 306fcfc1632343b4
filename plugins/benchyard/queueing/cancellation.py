"""How a job is canceled: by REST, by Buildbot's Stop and Cancel buttons on any of its builds, in any state."""

import time
from typing import TYPE_CHECKING

from benchyard.queueing import engine, stages
from benchyard.queueing.runs import Run, run_of_key, stage_key
from benchyard.store import attempts, jobs
from benchyard.store.rows import Attempt

if TYPE_CHECKING:
    from benchyard.queueing.jobs import JobService

#: A measurement that somebody must still stop on its host goes before all others.
SWEEP_PRIORITY = 1000


async def build_stopped(service: "JobService", build_id: int) -> None:
    """Somebody stopped a build."""
    build = await service.master.db.builds.getBuild(build_id)
    if build is not None:
        await request_canceled(service, build.buildrequestid)


async def request_canceled(service: "JobService", request_id: int) -> None:
    """Somebody wants a request of a job gone, be it the job's own or a stage's: so the job is canceled."""
    job_id = await job_of_any_request(service, request_id)
    if job_id is None:
        return
    job = await service.db(jobs.get_job, job_id)
    if job.cancel_by is None and not job.is_final:
        await service.db(jobs.ask_cancel, job_id, now=time.time(), who="web")
        await enforce(service, job_id)


async def enforce(service: "JobService", job_id: int) -> None:
    """Bring all that stands for a canceled job to its end; safe to repeat."""
    job = await service.db(jobs.get_job, job_id)
    reason = f"job {job_id} canceled by {job.cancel_by}"
    for attempt in await service.db(attempts.list_attempts, job_id):
        await _end_stages(service, job.target, attempt, reason)
    if job.request_id is not None and not job.is_final:
        engine.cancel_request(service.master, job.request_id, reason)
    elif job.request_id is None:
        await service.set_status(job_id, "canceled", who=job.cancel_by or "lab")


async def _end_stages(service: "JobService", target: str, attempt: Attempt, reason: str) -> None:
    """A measurement that has started must be stopped on its host.

    Its request is left alone while it waits for the worker, or made again once it has ended, so that the Measure step
    can stop the run as soon as the worker is there.
    """
    for name, lane in service.stages(target).items():
        key = stage_key(name, Run(attempt.job_id, attempt.number))
        unconfirmed = lane.stage == stages.MEASURE and attempt.status == "running"
        found = await engine.requests_with_key(service.master, key)
        for request_id, complete in found:
            if not complete and not (unconfirmed and await _waits(service, request_id)):
                engine.cancel_request(service.master, request_id, reason)
        if unconfirmed and all(complete for _, complete in found):
            await _sweep(service, name, key, attempt)


async def _sweep(service: "JobService", builder: str, key: str, attempt: Attempt) -> None:
    """One more request for a canceled run whose end nobody has confirmed; its step stops what is left."""
    number = 1
    while made := await engine.requests_with_key(service.master, f"sweep-{number}:{key}"):
        if not all(complete for _, complete in made):
            return  # one is under way
        number += 1
    reason = f"stop what is left of job {attempt.job_id}"
    await service.request(builder, f"sweep-{number}:{key}", reason=reason, priority=SWEEP_PRIORITY)


async def _waits(service: "JobService", request_id: int) -> bool:
    request = await service.master.db.buildrequests.getBuildRequest(request_id)
    return not request.complete and not request.claimed


async def job_of_any_request(service: "JobService", request_id: int) -> int | None:
    """The job that a request stands for, be it the job's own or that of one of its stages.

    A job that looks after a host has no stages: its own request is one of a stage's builder.
    """
    request = await service.master.db.buildrequests.getBuildRequest(request_id)
    if request is None or request.buildername not in service.lanes:
        return None
    job = await service.db(jobs.job_of_request, request_id)
    if job is not None or service.lanes[request.buildername].stage is None:
        return job.id if job is not None else None
    buildset = await service.master.db.buildsets.getBuildset(request.buildsetid)
    run = run_of_key(buildset.external_idstring)
    return run.job if run is not None else None
