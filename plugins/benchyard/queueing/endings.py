"""How jobs end: when their build does, with the status that its steps have found."""

from typing import TYPE_CHECKING

from buildbot.process.results import CANCELLED, SUCCESS

from benchyard.queueing import cancellation, maintaining, stages
from benchyard.store import attempts, jobs
from benchyard.store.rows import MAINTENANCE, Job

if TYPE_CHECKING:
    from benchyard.queueing.jobs import JobService


async def request_completed(service: "JobService", request_id: int, results: int) -> None:
    """A request has come to its end: the job's with it, or one of its stages'."""
    service.ending.discard(request_id)
    job = await service.db(jobs.job_of_request, request_id)
    if job is not None:
        await finish(service, job, results)
        return
    job_id = await cancellation.job_of_any_request(service, request_id)
    # What was measured on a host may be what a job waited for that looks after it.
    service.poke(*(name for name, lane in service.lanes.items() if lane.stage in stages.OF_HOSTS))
    if job_id is not None and (await service.db(jobs.get_job, job_id)).cancel_by is not None:
        await cancellation.enforce(service, job_id)


async def request_put_back(service: "JobService", request_id: int) -> None:
    """The build of a request is to be done again; nothing else asks for it where its job has its outcome already."""
    job = await service.db(jobs.job_of_request, request_id)
    if job is not None and job.is_final:
        service.ending.add(request_id)
        service.poke(*service.lanes)


async def finish(service: "JobService", job: Job, results: int) -> None:
    """The job's own build has ended; its steps have set a more exact status before where there is one."""
    if job.kind in MAINTENANCE:
        await maintaining.finish(service, job, results)
        return
    if results == SUCCESS:
        await service.set_status(job.id, "success")
    elif results == CANCELLED:
        await service.set_status(job.id, "canceled", who=job.cancel_by or "web")
    else:
        attempt = await service.db(attempts.current_attempt, job.id)
        cause = attempt.cause if attempt is not None else None
        await service.set_status(job.id, "failed", error=job.error or cause or "the job's build failed; see its log")
    # What was left of it on a host counts no more for the jobs that wait to look after that.
    concerned = (n for n, lane in service.lanes.items() if lane.target == job.target or lane.stage in stages.OF_HOSTS)
    service.poke(*concerned)
