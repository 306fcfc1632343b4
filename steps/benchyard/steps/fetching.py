"""Bringing what a measurement needs to its host before it starts there: nothing is fetched while it runs."""

import posixpath
import time
from typing import Any, NamedTuple

from buildbot.process.results import FAILURE, SKIPPED, SUCCESS
from twisted.internet import threads

from benchyard.steps.archives import Archives, give_archive
from benchyard.steps.base import STATE_VARIABLE, TaskStep, state_option
from benchyard.steps.progress import TailObserver
from benchyard.store import attempts, jobs
from benchyard.store.rows import Attempt, Job
from benchyard.tasks.suitemaking import pack_suite
from benchyard.tasks.trees import TreeStore

#: How often a job is prepared again because something that was made for it is gone.
AGAIN = 3


class Need(NamedTuple):
    """Something that a host must have: `interpreters`, `suites` or `wheels`, and its id."""

    kind: str
    id: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.id}"


def needs_of(job: Job) -> tuple[Need, ...]:
    """What a host must have to measure a job."""
    prepared = job.prepared or {}
    found = {
        "interpreters": prepared.get("interpreter"),
        "suites": job.spec.get("suite_id"),
        "wheels": prepared.get("wheels"),
    }
    return tuple(Need(kind, id) for kind, id in found.items() if id)


class Fetch(TaskStep):
    """Unpacks on the worker what a job needs and it has not; what was used least recently makes room."""

    name = "fetch"

    def __init__(self, *, archives: Archives, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.archives = archives

    async def do(self) -> int:
        job, attempt = await self.service.run_of(self.build)
        # A run that has started has what it needs; one that is to be canceled needs nothing.
        if job.is_final or job.cancel_by is not None or attempt.host is not None:
            return int(SKIPPED)
        return await self.bring(job, needs_of(job))

    async def gone(self, job: Job, why: str) -> int:
        """What the job needs is not in the lab any more: it is prepared again, and measured by another attempt."""
        _job, attempt = await self.service.run_of(self.build)
        if not await self.service.db(prepare_again, job, attempt, why, time.time()):
            return await self.fail(job, f"{why}, {AGAIN} times; see the disk that `archives` of the lab is on")
        self.descriptionDone = f"{why}; it is made again"
        return int(FAILURE)

    async def bring(self, job: Job, needs: tuple[Need, ...]) -> int:
        """Bring what is missing of `needs`, and give Buildbot's result code."""
        if not needs:
            return int(SKIPPED)
        observer = TailObserver()
        self.addLogObserver("stdio", observer)
        rc = await self.task("missing", *map(str, needs), *state_option(self.environ))
        if rc is None:
            return self.released()
        if rc != 0:
            return await self.later("the host could not be asked what it has; trying again")
        missing = [need for need in needs if str(need) in observer.lines]
        for need in missing:
            results = await self._bring(job, need, observer)
            if results != SUCCESS:
                return results
        self.descriptionDone = "fetched " + ", ".join(need.kind for need in missing) if missing else "all is there"
        return int(SUCCESS)

    async def _bring(self, job: Job, need: Need, observer: TailObserver) -> int:
        sha256 = await self._sum(need)
        if sha256 is None:
            return await self._gone(job, need, "is not in the lab any more")
        source = self.archives.path(need.kind, need.id)
        state = self.environ[STATE_VARIABLE]
        target = posixpath.join(state, f"incoming-{need.id}.tar.gz")
        if not await give_archive(self, source, target):
            return self.released() if self.cut_off else await self.later("the transfer broke off; trying again")
        limit = str(self.archives.limit)
        options = ("--archive", target, "--sha256", sha256, "--limit", limit, *state_option(self.environ))
        rc = await self.task("keep", str(need), *options)
        if rc is None:
            return self.released()
        if rc == 0:
            return int(SUCCESS)
        if not await threads.deferToThread(self.archives.is_whole, need.kind, need.id, sha256):
            await self.service.db(self.archives.forget, need.kind, need.id)
            return await self._gone(job, need, "is damaged in the lab")
        return await self.fail(job, observer.last_error or f"{need} cannot be unpacked")

    async def _sum(self, need: Need) -> str | None:
        found: str | None = await self.service.db(self.archives.sum_of, need.kind, need.id)
        store = TreeStore(self.archives.suites)
        if found is not None or need.kind != "suites" or not store.has(need.id):
            return found
        await threads.deferToThread(pack_suite, store, need.id, self.archives.path(need.kind, need.id))
        await self.service.db(self.archives.drop_old)
        return await self._sum(need)

    async def _gone(self, job: Job, need: Need, what: str) -> int:
        why = f"{need.kind} {need.id[:12]} {what}"
        if need.kind == "suites" and not TreeStore(self.archives.suites).has(need.id):
            return await self.fail(job, f"{why}; submit the job again")
        return await self.gone(job, why)


def prepare_again(conn: Any, job: Job, attempt: Attempt, why: str, now: float) -> bool:
    """Forget what was made for a job, which the next attempt makes again; False where that was done too often.

    In one transaction: a build that is interrupted after it finds the job as one that is being prepared.
    """
    again = (job.prepared or {}).get("again", 0) + 1
    if again > AGAIN:
        return False
    attempts.end_attempt(conn, job.id, attempt.number, status="interrupted", cause=why, now=now)
    jobs.set_prepared(conn, job.id, {"again": again, "attempt": attempt.number + 1})
    if jobs.get_job(conn, job.id).status == "ready":
        jobs.set_status(conn, job.id, "building", now=now, who="lab")
    return True
