"""How requests become jobs: those that come by Buildbot's own doors, and those that a dead master left half made."""

import time
from typing import TYPE_CHECKING, Any

from twisted.python import log

from benchyard.queueing import cancellation, creation, doors, endings, engine, leases
from benchyard.queueing.order import Lane
from benchyard.queueing.requests import DEFAULT_KIND, Invalid, JobSpec
from benchyard.store import attempts, jobs
from benchyard.store.rows import Job

if TYPE_CHECKING:
    from benchyard.queueing.jobs import JobService


async def arrived(service: "JobService", buildset_id: int) -> None:
    """Adopt the requests of a buildset that came by one of Buildbot's own doors."""
    for request in await service.master.db.buildrequests.getBuildRequests(bsid=buildset_id):
        await adopt(service, request.buildrequestid)


async def adopt(service: "JobService", request_id: int) -> None:
    """Give a new request its job, if it is one for a job and has none; the chooser takes no other."""
    request = await service.master.db.buildrequests.getBuildRequest(request_id)
    lane = service.lanes.get(request.buildername)
    if lane is None or lane.stage is not None:
        return
    if await service.db(jobs.job_of_request, request_id) is None:
        buildset = await service.master.db.buildsets.getBuildset(request.buildsetid)
        pushed = doors.push_of(buildset)
        if pushed is not None:
            if (await tie(service, *pushed, request_id)).request_id != request_id:
                return
        else:
            await _admit(service, request_id, buildset, lane)
        request = await service.master.db.buildrequests.getBuildRequest(request_id)
        if request.complete:  # canceled while its job was checked
            job = await service.db(jobs.job_of_request, request_id)
            await endings.finish(service, job, request.results)
    service.poke(request.buildername)


async def tie(service: "JobService", job_id: int, push: int, request_id: int) -> Job:
    """Tie a job to the request that its push on the queue made, and return it.

    A job that was taken off or has ended since the push does not want it any more: the request is canceled.
    """
    job = await service.db(jobs.tie_request, job_id, request_id, push=push)
    if job.request_id != request_id:
        engine.cancel_request(service.master, request_id, f"job {job_id} is not on the queue any more")
    return job


async def _admit(service: "JobService", request_id: int, buildset: Any, lane: Lane) -> None:
    """A door that cannot refuse: what is wrong becomes a `failed` job that says why."""
    properties = await service.master.db.buildsets.getBuildsetProperties(buildset.bsid)
    plain = {name: value for name, (value, _source) in properties.items()}
    origin, owner = doors.origin_of(buildset, plain)
    how: dict[str, Any] = {"now": time.time(), "who": owner, "owner": owner, "origin": origin, "request_id": request_id}
    original = None
    try:
        original = await _rebuilt_job(service, buildset)
        if original is not None:
            request = doors.request_of_job(original)
            checked = await service.checked(request, JobSpec.of(original.spec).source)
        else:
            stamp = await service.master.db.sourcestamps.getSourceStamp(buildset.sourcestamps[0])
            request = doors.request_of_properties(plain, target=lane.target, stamp=stamp, remotes=service.remotes)
            checked = await service.checked(request)
    except Exception as exc:
        refused = {"spec": doors.refused_spec(plain), "reason": str(plain.get("reason", "")), "host": None}
        why = _why_refused(exc, request_id)
        kind = original.kind if original is not None else str(plain.get("kind") or DEFAULT_KIND)[:100]
        await service.db(jobs.create_job, kind=kind, target=lane.target, status="failed", error=why, **refused, **how)
        service.ending.add(request_id)
    else:
        await service.db(creation.create_checked, checked, status="queued", reason=request.reason, **how)


def _why_refused(error: Exception, request_id: int) -> str:
    """In one line; what nobody thought of must not leave a request without a job."""
    if isinstance(error, Invalid):
        return f"{error.field}: {error}"
    log.err(None, f"benchyard: while request {request_id} was checked")
    return "something went wrong in the lab while this was checked; the master's twistd.log says what"


async def _rebuilt_job(service: "JobService", buildset: Any) -> Job | None:
    """The job whose build somebody asked to rebuild: the new job does the same."""
    if buildset.rebuilt_buildid is None:
        return None
    build = await service.master.db.builds.getBuild(buildset.rebuilt_buildid)
    return await service.db(jobs.job_of_request, build.buildrequestid) if build is not None else None


async def mend(service: "JobService") -> None:
    """At the start of a master: what one that died left half done is completed, each thing by itself."""
    coordinators = [name for name, lane in service.lanes.items() if lane.stage is None]
    for request_id in await service.db(doors.requests_without_job, service.master.db.model, coordinators):
        await _try(adopt(service, request_id), f"request {request_id}")
    for job in await service.db(jobs.unfinished_jobs):
        await _try(_mend_job(service, job), f"job {job.id}")
    for attempt in await service.db(attempts.running_attempts):
        await _try(_mend_attempt(service, attempt.job_id), f"run {attempt.run}")
    service.ending.update(await service.db(doors.requests_of_ended_jobs, service.master.db.model, coordinators))
    await _try(leases.watch(service), "the leases of hosts")
    service.poke(*service.lanes)


async def _mend_job(service: "JobService", job: Job) -> None:
    request = None
    if job.request_id is not None:
        request = await service.master.db.buildrequests.getBuildRequest(job.request_id)
    if request is not None and request.complete:
        await endings.finish(service, job, request.results)
    elif job.cancel_by is not None:
        await cancellation.enforce(service, job.id)
    elif job.status == "queued" and job.request_id is None:
        await service.ensure_queued(job)


async def _mend_attempt(service: "JobService", job_id: int) -> None:
    if (await service.db(jobs.get_job, job_id)).cancel_by is not None:
        await cancellation.enforce(service, job_id)


async def _try(work: Any, what: str) -> None:
    """One thing that cannot be mended must not keep others from it."""
    try:
        await work
    except Exception:
        log.err(None, f"benchyard: while mending {what} at start")
