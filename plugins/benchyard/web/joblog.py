"""A job's log: what its stages' builds printed, in order, as plain text."""

from typing import Any

from twisted.internet import task

from benchyard.queueing import engine
from benchyard.queueing.runs import Run, stage_key
from benchyard.store import attempts, jobs
from benchyard.store.rows import MAINTENANCE
from benchyard.web.calls import Services

#: Seconds between two looks at a log that is followed, and lines taken at once.
POLL_S = 0.5
LINES = 2000


async def write_log(services: Services, job_id: int, request: Any, *, follow: bool) -> None:
    """Write the job's log to the request; with `follow` until the job has ended or the reader has gone."""
    gone: list[bool] = []
    request.notifyFinish().addBoth(lambda _: gone.append(True))
    request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
    request.setHeader(b"Cache-Control", b"no-store")
    request.setHeader(b"X-Accel-Buffering", b"no")
    written: dict[int, int] = {}
    while not gone:
        job = await services.jobs.db(jobs.get_job, job_id)
        if follow and not request.startedWriting:
            request.write(b"")  # the headers: a job that waits may print nothing for hours
        for log_id in await _logs(services, job_id):
            await _write_new(services, log_id, written, request, gone)
        if job.is_final or not follow:
            break
        await task.deferLater(services.master.reactor, POLL_S)


async def _write_new(
    services: Services, log_id: int, written: dict[int, int], request: Any, gone: list[bool]
) -> None:  # fmt: skip
    while not gone:
        done = written.get(log_id, 0)
        chunk = await services.master.data.get(("logs", log_id, "contents"), limit=LINES, offset=done)
        # Not splitlines(): to Buildbot a form feed or a line separator does not end a line.
        lines = [line for line in ((chunk or {}).get("content") or "").split("\n") if line]
        if not lines:
            return
        written[log_id] = done + len(lines)
        # The first character of a line is its channel; `h` is Buildbot's own word about the command.
        shown = [line[1:] for line in lines if line[0] in ("o", "e")]
        if shown:
            request.write(("\n".join(shown) + "\n").encode())


async def _logs(services: Services, job_id: int) -> list[int]:
    """Ids of the logs, oldest first: of each stage of each attempt, the steps of its latest build.

    Of a measurement those of all builds: each goes on in the run's log where the one before it was.
    """
    job = await services.jobs.db(jobs.get_job, job_id)
    if job.kind in MAINTENANCE:  # its own build is all there is
        builds = await _builds_of(services.master, job.request_id) if job.request_id is not None else []
        return [log for build_id in builds[-1:] for log in await _logs_of_build(services.master, build_id)]
    found: list[int] = []
    for attempt in await services.jobs.db(attempts.list_attempts, job_id):
        for builder, lane in services.jobs.stages(job.target).items():
            key = stage_key(builder, Run(job_id, attempt.number))
            for request_id, _complete in await engine.requests_with_key(services.master, key):
                builds = await _builds_of(services.master, request_id)
                for build_id in builds if lane.stage == "measure" else builds[-1:]:
                    found += await _logs_of_build(services.master, build_id)
    return found


async def _builds_of(master: Any, request_id: int) -> list[int]:
    builds = await master.data.get(("buildrequests", request_id, "builds"))
    return sorted(build["buildid"] for build in builds)


async def _logs_of_build(master: Any, build_id: int) -> list[int]:
    steps = await master.data.get(("builds", build_id, "steps"))
    found = []
    for step in sorted(steps, key=lambda step: step["number"]):
        for entry in await master.data.get(("steps", step["stepid"], "logs")):
            if entry["type"] == "s":
                found.append(entry["logid"])
    return found
