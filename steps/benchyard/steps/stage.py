"""A stage of a job: the step that makes or adopts the stage's own build, and waits for it."""

from typing import Any

from buildbot.process.results import CANCELLED, FAILURE, RETRY
from twisted.internet import defer

from benchyard.steps.base import JobStep, service, stopped_by_person
from benchyard.steps.outcomes import lost_for_good
from benchyard.store import attempts
from benchyard.store.rows import Attempt, Job


class Stage(JobStep):
    """Makes or adopts the request of `builder` for this job's attempt and waits for its end.

    Never cancels it: a lost master, worker or connection is no reason to. `steps.Trigger` does, so it is not used.
    """

    #: The job service may let this step's build go at a clean shutdown; it adopts the request after the start.
    survives = True

    def __init__(self, builder: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.builder = builder
        self._interrupted: defer.Deferred[None] = defer.Deferred()
        self._canceled = False

    async def run_for(self, job: Job) -> int:
        while True:
            if job.cancel_by is not None:
                return int(CANCELLED)
            attempt = await service(self).attempt_of(job.id)
            if attempt is None:
                return await self._give_up(job)
            results = await self._wait_for(attempt)
            if results == RETRY or self._canceled:
                return results
            after = await service(self).db(attempts.current_attempt, job.id)
            if after.status not in ("lost", "interrupted"):
                return results
            await service(self).set_status(job.id, "ready")

    async def _wait_for(self, attempt: Attempt) -> int:
        """The result of the stage's build; RETRY when this build itself must be done again."""
        request_id, new = await service(self).stage_request(self.builder, attempt, self.build.buildid)
        label = f"{self.builder} {attempt.run}" + ("" if new else " (adopted)")
        await self.addURL(label, f"{self.master.config.buildbotURL}#/buildrequests/{request_id}")

        async def is_complete() -> bool:
            return bool((await self._request(request_id)).complete)

        done = self.master.mq.waitUntilEvent(
            ("buildrequests", str(request_id), "complete"), lambda: defer.ensureDeferred(is_complete())
        )
        await defer.DeferredList([done, self._interrupted], fireOnOneCallback=True, consumeErrors=True)
        if self._interrupted.called:
            return int(CANCELLED if self._canceled else RETRY)
        return int((await self._request(request_id)).results)

    async def _request(self, request_id: int) -> Any:
        return await self.master.db.buildrequests.getBuildRequest(request_id)

    async def _give_up(self, job: Job) -> int:
        tried = await service(self).db(attempts.list_attempts, job.id)
        error = lost_for_good(tried)
        await service(self).set_status(job.id, "lost", error=error)
        self.descriptionDone = error
        return int(FAILURE)

    def interrupt(self, reason: Any) -> Any:
        self._canceled = self._canceled or stopped_by_person(self, reason)
        if not self._interrupted.called:
            self._interrupted.callback(None)
        return super().interrupt(reason)
