"""Jobs over REST."""

from typing import Any

import msgspec

from benchyard.access.roles import Role
from benchyard.queueing.order import BEGUN
from benchyard.queueing.requests import parse_request
from benchyard.store import attempts, jobs, results
from benchyard.store.rows import JOB_STATUSES, Job
from benchyard.web.calls import NOT_JSON, Call, Reply, Route
from benchyard.web.joblog import write_log
from benchyard.web.problems import Problem
from benchyard.web.shapes import job_shape, page_shape


async def list_jobs(call: Call) -> dict[str, Any]:
    """A page of jobs, newest first."""
    limit, before = call.page()
    statuses = [word for word in call.query.get("status", "").split(",") if word]
    for status in statuses:
        if status not in JOB_STATUSES:
            raise Problem(400, f"{status[:40]!r} is not one of {', '.join(JOB_STATUSES)}", "status")
    shapes = await call.services.jobs.db(
        _list,
        call.services.master.config.buildbotURL,
        status=statuses,
        target=call.query.get("target"),
        owner=call.query.get("owner"),
        before=before,
        limit=limit + 1,
    )
    return page_shape(shapes, limit)


async def current_jobs(call: Call) -> dict[str, Any]:
    """The jobs that have begun and not ended."""
    url = call.services.master.config.buildbotURL
    return {"items": await call.services.jobs.db(_list, url, status=BEGUN, limit=500), "next": None}


async def get_job(call: Call, job_id: int) -> dict[str, Any]:
    """One job."""
    return await _shape_of(call, job_id)


async def add_job(call: Call) -> Reply:
    """Submit a job."""
    try:
        data = msgspec.json.decode(call.body)
    except NOT_JSON as exc:
        raise Problem(400, "the body is not JSON") from exc
    job = await call.services.jobs.submit(parse_request(data), owner=call.caller.name, origin="rest")
    return Reply(await _shape_of(call, job.id), status=201)


async def run_job(call: Call, job_id: int) -> dict[str, Any]:
    """Put a created job on its queue."""
    await _own_job(call, job_id)
    await call.services.jobs.run_job(job_id, who=call.caller.name)
    return await _shape_of(call, job_id)


async def cancel_job(call: Call, job_id: int) -> dict[str, Any]:
    """End a job, wherever it is."""
    await _own_job(call, job_id)
    await call.services.jobs.cancel(job_id, who=call.caller.name)
    return await _shape_of(call, job_id)


async def job_log(call: Call, job_id: int) -> None:
    """What the job has printed so far, and with `follow=1` what it prints from now on."""
    await call.services.jobs.db(jobs.get_job, job_id)
    await write_log(call.services, job_id, call.request, follow=call.query.get("follow") in ("1", "true"))


async def _own_job(call: Call, job_id: int) -> Job:
    """The job, if the caller may handle it: members their own, admins all."""
    job: Job = await call.services.jobs.db(jobs.get_job, job_id)
    if call.caller.role < Role.ADMIN and job.owner != call.caller.name:
        raise Problem(403, f"job {job_id} belongs to {job.owner}; only they and admins may do this")
    return job


async def _shape_of(call: Call, job_id: int) -> dict[str, Any]:
    url = call.services.master.config.buildbotURL
    return await call.services.jobs.db(lambda conn: _shape(conn, jobs.get_job(conn, job_id), url))


def _list(conn: Any, url: str, **filters: Any) -> list[dict[str, Any]]:
    return [_shape(conn, job, url) for job in jobs.list_jobs(conn, **filters)]


def _shape(conn: Any, job: Job, url: str) -> dict[str, Any]:
    return job_shape(
        job,
        attempts=attempts.list_attempts(conn, job.id),
        results=results.list_results(conn, job=job.id),
        lab_url=url,
    )


ROUTES = (
    Route("GET", "/jobs", Role.VIEWER, list_jobs),
    Route("POST", "/jobs", Role.MEMBER, add_job),
    Route("GET", "/jobs/current", Role.VIEWER, current_jobs),
    Route("GET", "/jobs/<int:job_id>", Role.VIEWER, get_job),
    Route("POST", "/jobs/<int:job_id>/run", Role.MEMBER, run_job),
    Route("POST", "/jobs/<int:job_id>/cancel", Role.MEMBER, cancel_job),
    Route("GET", "/jobs/<int:job_id>/log", Role.VIEWER, job_log),
)
