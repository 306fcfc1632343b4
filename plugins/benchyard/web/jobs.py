"""Jobs over REST."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from benchyard.access.roles import Role
from benchyard.queueing import changes
from benchyard.queueing.backfill import Backfilled, BackfillRequest, backfill
from benchyard.queueing.order import BEGUN
from benchyard.queueing.requests import JobRequest, Line, Mode, Path, Words
from benchyard.store import attempts, jobs, results
from benchyard.store.rows import JOB_STATUSES, Job
from benchyard.web.calls import Call, Nothing, Paged, Reply, Route, entity_tag
from benchyard.web.filters import Moment, Wanted, moment, split_words
from benchyard.web.joblog import write_log
from benchyard.web.problems import Problem
from benchyard.web.views import JobView, Page, job_view


class JobFilter(Paged, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which jobs: `status` may name several, separated by commas."""

    status: Wanted = ""
    kind: Wanted | None = None
    target: Wanted | None = None
    host: Wanted | None = None
    user: Wanted | None = None
    commit: Wanted | None = None
    branch: Wanted | None = None
    since: Moment | None = None
    until: Moment | None = None


class JobChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is to be otherwise; all but the reason only before the job has begun."""

    reason: Line | msgspec.UnsetType = msgspec.UNSET
    python: Path | msgspec.UnsetType = msgspec.UNSET
    benchmarks: Words | msgspec.UnsetType = msgspec.UNSET
    mode: Mode | msgspec.UnsetType = msgspec.UNSET
    affinity: Annotated[str, msgspec.Meta(max_length=200)] | None | msgspec.UnsetType = msgspec.UNSET
    host: Annotated[str, msgspec.Meta(max_length=100)] | None | msgspec.UnsetType = msgspec.UNSET


class LogQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether to go on until the job has ended."""

    follow: bool = False


async def list_jobs(call: Call) -> Page[JobView]:
    """A page of jobs, newest first."""
    query: JobFilter = call.query
    views = await call.jobs.db(
        _views,
        call.services.url,
        status=split_words(query.status, JOB_STATUSES, "status"),
        kind=query.kind,
        target=query.target,
        host=query.host,
        owner=query.user,
        commit=query.commit,
        branch=query.branch,
        since=moment(query.since, "since"),
        until=moment(query.until, "until"),
        before=query.cursor,
        limit=query.limit + 1,
    )
    return page_of(views, query.limit)


async def current_jobs(call: Call) -> Page[JobView]:
    """The jobs that have begun and not ended."""
    return Page(tuple(await call.jobs.db(_views, call.services.url, status=BEGUN, limit=500)))


async def get_job(call: Call, job_id: int) -> Reply:
    """One job."""
    return await _reply(call, job_id)


async def add_job(call: Call) -> Reply:
    """Submit a job; on its target's queue at once, unless `run` is false.

    Where just the same was measured already, that job is answered with status 200, unless `again` is true.
    """
    if call.body.configure_args and call.caller.role < Role.ADMIN:
        raise Problem(403, "only admins may give configure_args; others have flags")
    submitted = await call.jobs.submit(call.body, owner=call.caller.name, origin="rest")
    reply = await _reply(call, submitted.job.id)
    return reply if submitted.new else reply._replace(status=200)


async def add_backfill(call: Call) -> Backfilled:
    """Submit the commits of a range that were not measured yet, each as a job that lets all others go first."""
    if call.body.job.configure_args and call.caller.role < Role.ADMIN:
        raise Problem(403, "only admins may give configure_args; others have flags")
    return await backfill(call.jobs, call.body, owner=call.caller.name)


async def modify_job(call: Call, job_id: int) -> Reply:
    """Change a job; what it measures only before it has begun."""
    job = await own_job(call, job_id)
    fields = {name: value for name, value in msgspec.structs.asdict(call.body).items() if value is not msgspec.UNSET}
    seen = call.must_match("job", job.changed)
    await changes.modify(call.jobs, job, fields, who=call.caller.name, expected_changed=seen)
    return await _reply(call, job_id)


async def remove_job(call: Call, job_id: int) -> Reply:
    """Take a job that has not begun, or has ended, out of sight; its results stay."""
    job = await own_job(call, job_id)
    call.must_match("job", job.changed)
    view = await _reply(call, job_id)
    await call.jobs.db(jobs.remove_job, job_id, now=call.now(), who=call.caller.name)
    return view


async def enable_job(call: Call, job_id: int) -> Reply:
    """Let a disabled job start when its turn comes."""
    return await _enable(call, job_id, True)


async def disable_job(call: Call, job_id: int) -> Reply:
    """Keep a job from starting; it keeps its place in the queue."""
    return await _enable(call, job_id, False)


async def _enable(call: Call, job_id: int, enabled: bool) -> Reply:
    await own_job(call, job_id)
    await changes.enable(call.jobs, job_id, enabled, who=call.caller.name)
    return await _reply(call, job_id)


async def run_job(call: Call, job_id: int) -> Reply:
    """Put a created job on its target's queue."""
    await own_job(call, job_id)
    await call.jobs.run_job(job_id, who=call.caller.name)
    return await _reply(call, job_id)


async def cancel_job(call: Call, job_id: int) -> Reply:
    """End a job, wherever it is."""
    await own_job(call, job_id)
    await call.jobs.cancel(job_id, who=call.caller.name)
    return await _reply(call, job_id)


async def job_log(call: Call, job_id: int) -> None:
    """What the job has printed so far, and with `follow` what it prints until it ends."""
    await call.jobs.db(jobs.get_job, job_id)
    await write_log(call.services, job_id, call.request, follow=call.query.follow)


async def own_job(call: Call, job_id: int) -> Job:
    """The job, if the caller may handle it."""
    job: Job = await call.jobs.db(jobs.get_job, job_id)
    call.must_own(job.owner, f"job {job_id}")
    return job


async def _reply(call: Call, job_id: int) -> Reply:
    url = call.services.url

    def read(conn: Any) -> tuple[JobView, float]:
        job = jobs.get_job(conn, job_id)
        return _views_of(conn, [job], url)[0], job.changed

    view, changed = await call.jobs.db(read)
    return Reply(view, tag=entity_tag("job", changed))


def page_of(views: Sequence[Any], limit: int) -> Page[Any]:
    """A page of at most `limit` of these views and the cursor of the next; one view more than fits tells of it."""
    shown = tuple(views[:limit])
    return Page(shown, str(shown[-1].id) if len(views) > limit else None)


def _views(conn: Any, url: str, **filters: Any) -> list[JobView]:
    return _views_of(conn, jobs.list_jobs(conn, **filters), url)


def _views_of(conn: Any, found: Sequence[Job], url: str) -> list[JobView]:
    """The views of jobs, by as many questions to the datastore as for one."""
    ids = [job.id for job in found]
    tried, measured = attempts.attempts_of(conn, ids), results.ids_of_jobs(conn, ids)
    return [job_view(job, tried.get(job.id, ()), measured.get(job.id, ()), url) for job in found]


ROUTES = (
    Route("GET", "/jobs", Role.VIEWER, list_jobs, Page[JobView], query=JobFilter),
    Route("POST", "/jobs", Role.MEMBER, add_job, JobView, body=JobRequest, status=201),
    Route("POST", "/backfills", Role.MEMBER, add_backfill, Backfilled, body=BackfillRequest, status=201),
    Route("GET", "/jobs/current", Role.VIEWER, current_jobs, Page[JobView]),
    Route("GET", "/jobs/<int:job_id>", Role.VIEWER, get_job, JobView),
    Route("PATCH", "/jobs/<int:job_id>", Role.MEMBER, modify_job, JobView, body=JobChange),
    Route("DELETE", "/jobs/<int:job_id>", Role.MEMBER, remove_job, JobView),
    Route("POST", "/jobs/<int:job_id>/enable", Role.MEMBER, enable_job, JobView, body=Nothing),
    Route("POST", "/jobs/<int:job_id>/disable", Role.MEMBER, disable_job, JobView, body=Nothing),
    Route("POST", "/jobs/<int:job_id>/run", Role.MEMBER, run_job, JobView, body=Nothing),
    Route("POST", "/jobs/<int:job_id>/cancel", Role.MEMBER, cancel_job, JobView, body=Nothing),
    Route("GET", "/jobs/<int:job_id>/log", Role.VIEWER, job_log, str, query=LogQuery, content_type="text/plain"),
)
