"""Queues over REST."""

import time
from typing import Annotated, Any

import msgspec

from benchyard.access.roles import Role
from benchyard.queueing import changes
from benchyard.queueing.forecast import Start, forecast
from benchyard.queueing.order import closed_hosts
from benchyard.queueing.requests import Line
from benchyard.results.patterns import END
from benchyard.store import queues as store
from benchyard.store.rows import Job
from benchyard.web.calls import MAX_ID, Call, Nothing, Paged, Reply, Route
from benchyard.web.jobs import get_job, own_job
from benchyard.web.problems import Problem
from benchyard.web.views import JobView, Page, QueuedJob, QueueView, StartView, known_time, time_text

JobId = Annotated[int, msgspec.Meta(ge=1, le=MAX_ID)]


class WhichJob(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A job by its number."""

    job: JobId


class Move(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A job and where it is to stand: a position from 1 on, +N later, -N earlier, first or last."""

    job: JobId
    to: Annotated[str, msgspec.Meta(pattern=r"^(first|last|[+-]?[0-9]{1,9})" + END)]


class Pause(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a queue is paused; `now` is there to be refused with the way to what it asks for."""

    reason: Line = ""
    now: bool = False


async def list_queues(call: Call) -> Page[QueueView]:
    """All queues, each with its first jobs."""
    return Page(tuple([await _view(call, target, call.query) for target in call.services.lab.targets]))


async def get_queue(call: Call, target: str) -> Reply:
    """A target's queue in the order in which its jobs will start."""
    return await _reply(call, target, call.query)


async def push(call: Call, target: str) -> Reply:
    """Put a created job at the end of the queue."""
    job = await own_job(call, call.body.job)
    if job.target != _known(call, target):
        raise Problem(409, f"job {job.id} is for {job.target}", "job")
    await call.jobs.run_job(job.id, who=call.caller.name)
    return await _reply(call, target)


async def pop(call: Call, target: str) -> Reply:
    """Take the first job off the queue; it is `created` again."""
    job_id = await changes.pop(call.jobs, _known(call, target), who=call.caller.name)
    return await get_job(call, job_id)


async def remove(call: Call, target: str) -> Reply:
    """Take a job off the queue; it is `created` again."""
    await own_job(call, call.body.job)
    await changes.take_off(call.jobs, _known(call, target), call.body.job, who=call.caller.name)
    return await _reply(call, target)


async def move(call: Call, target: str) -> Reply:
    """Move a job within the queue."""
    await own_job(call, call.body.job)
    version = _version(call.request.getHeader(b"if-match"))
    await changes.move(
        call.jobs, _known(call, target), call.body.job, call.body.to, who=call.caller.name, version=version
    )
    return await _reply(call, target)


async def pause(call: Call, target: str) -> Reply:
    """Start no more jobs of this queue; the one that is measuring goes on to its end."""
    _known(call, target)
    if call.body.now:
        raise Problem(
            422, "a pause lets the measurement that runs come to its end; to end it at once, cancel its job", "now"
        )
    await changes.pause(call.jobs, target, who=call.caller.name, reason=call.body.reason)
    return await _reply(call, target)


async def unpause(call: Call, target: str) -> Reply:
    """Let the queue go on."""
    await changes.unpause(call.jobs, _known(call, target), who=call.caller.name)
    return await _reply(call, target)


def _known(call: Call, target: str) -> str:
    if target not in call.services.lab.targets:
        raise Problem(404, f"there is no target {target[:60]!r}; there are {', '.join(call.services.lab.targets)}")
    return target


def _version(header: bytes | None) -> int | None:
    """The queue's version that an If-Match names."""
    if header is None or header == b"*":
        return None
    text = header.decode("latin-1").strip().strip('"')
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise Problem(412, "the queue has changed since you read it; read it again, then decide")
    return int(text)


async def _reply(call: Call, target: str, page: Paged | None = None) -> Reply:
    view = await _view(call, _known(call, target), page or Paged())
    return Reply(view, tag=f'"{view.version}"')


async def _view(call: Call, target: str, page: Paged) -> QueueView:
    """The part of a queue after position `cursor`."""
    first = page.cursor or 0
    lab = call.services.lab
    hosts = {host.name: lab.status_of(host.name) != "offline" for host in lab.measuring(target)}
    why = await changes.reasons(call.jobs, target, hosts)

    def read(conn: Any) -> QueueView:
        queue = store.get_queue(conn, target)
        found = store.list_queue(conn, target, limit=page.limit + 1, offset=first)
        # Further down nobody could tell, and the whole queue would be read for it.
        closed = closed_hosts(conn, time.time())
        able = [host for host, online in hosts.items() if online and host not in closed]
        starts = forecast(conn, found, able, now=time.time()) if first == 0 else {}
        jobs = tuple(
            _queued(first + n, job, why(job, first + n), starts.get(job.id))
            for n, job in enumerate(found[: page.limit], start=1)
        )
        return QueueView(
            target=target,
            paused=queue.paused,
            paused_by=queue.paused_by,
            paused_at=time_text(queue.paused_at),
            reason=queue.reason,
            version=queue.version,
            length=store.length(conn, target),
            jobs=jobs,
            next=str(first + page.limit) if len(found) > page.limit else None,
        )

    view: QueueView = await call.jobs.db(read)
    return view


def _queued(position: int, job: Job, why: str, start: Start | None) -> QueuedJob:
    expected = StartView(known_time(start.earliest), time_text(start.latest)) if start is not None else None
    return QueuedJob(position, job.id, job.status, job.owner, job.reason, why, expected)


ROUTES = (
    Route("GET", "/queues", Role.VIEWER, list_queues, Page[QueueView], query=Paged),
    Route("GET", "/queues/<target>", Role.VIEWER, get_queue, QueueView, query=Paged),
    Route("POST", "/queues/<target>/push", Role.MEMBER, push, QueueView, body=WhichJob),
    Route("POST", "/queues/<target>/pop", Role.ADMIN, pop, JobView, body=Nothing),
    Route("POST", "/queues/<target>/move", Role.MEMBER, move, QueueView, body=Move),
    Route("POST", "/queues/<target>/remove", Role.MEMBER, remove, QueueView, body=WhichJob),
    Route("POST", "/queues/<target>/pause", Role.ADMIN, pause, QueueView, body=Pause),
    Route("POST", "/queues/<target>/unpause", Role.ADMIN, unpause, QueueView, body=Nothing),
)
