"""A stage of a job: the step that makes or adopts the stage's own build, and waits for it."""

from typing import Any

from buildbot.process.results import CANCELLED, FAILURE, RETRY
from twisted.internet import defer

from benchyard.steps.base import JobStep
from benchyard.steps.outcomes import lost_for_good
from benchyard.store import attempts, jobs
from benchyard.store.rows import Attempt, Job


class Stage(JobStep):
    """Makes or adopts the request of `builder` for this job and waits for its end: once, however often it is measured.

    It is made for the first attempt, or for the first since what was prepared before is gone.
    Never cancels it: a lost master, worker or connection is no reason to. `steps.Trigger` does, so it is not used.
    """

    def __init__(self, builder: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.builder = builder

    async def do_for(self, job: Job) -> int:
        if job.cancel_by is not None:
            return int(CANCELLED)
        await self.service.attempt_of(job.id)
        prepared_for = (job.prepared or {}).get("attempt", 1)
        tried = await self.service.db(attempts.list_attempts, job.id)
        return await self.wait_for(next(attempt for attempt in tried if attempt.number == prepared_for))

    async def wait_for(self, attempt: Attempt) -> int:
        """The result of the stage's build for an attempt; RETRY when this build itself must be done again."""
        request_id, new = await self.service.stage_request(self.builder, attempt, self.build.buildid)
        label = f"{self.builder} {attempt.run}" + ("" if new else " (adopted)")
        await self.addURL(label, f"{self.master.config.buildbotURL}#/buildrequests/{request_id}")

        async def is_complete() -> bool:
            return bool((await self._request(request_id)).complete)

        done = self.master.mq.waitUntilEvent(
            ("buildrequests", str(request_id), "complete"), lambda: defer.ensureDeferred(is_complete())
        )
        await defer.DeferredList(
            [done, self.interrupted], fireOnOneCallback=True, fireOnOneErrback=True, consumeErrors=True
        )
        if self.interrupted.called:
            return self.released()
        after = await self.service.db(jobs.get_job, attempt.job_id)
        if after.error:
            self.descriptionDone = after.error
        return int((await self._request(request_id)).results)

    async def _request(self, request_id: int) -> Any:
        return await self.master.db.buildrequests.getBuildRequest(request_id)


class MeasureStage(Stage):
    """The same for the measurement, again for each new attempt while the last was lost and more are allowed."""

    async def do_for(self, job: Job) -> int:
        if job.cancel_by is not None:
            return int(CANCELLED)
        # Prepared it is, be it for an earlier stay on the queue: that stage was adopted, and said nothing again.
        await self.service.advance(job.id, "ready", after=("building",))
        while (attempt := await self.service.attempt_of(job.id)) is not None:
            results = await self.wait_for(attempt)
            if results == RETRY or self.canceled:
                return results
            if (await self.service.db(jobs.get_job, job.id)).status == "building":
                return await self.later("what was prepared is gone; it is prepared again")
            after = await self.service.db(attempts.current_attempt, job.id)
            if after.status not in ("lost", "interrupted"):
                return results
            await self.service.advance(job.id, "ready", after=("running",))
        error = lost_for_good(await self.service.db(attempts.list_attempts, job.id))
        await self.service.set_status(job.id, "lost", error=error)
        self.descriptionDone = error
        return int(FAILURE)
