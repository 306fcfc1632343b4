"""The steps that publish a job's result: they file it in the outbox, and show what came of it if that is soon known."""

from typing import Any, ClassVar

from buildbot.process.results import SKIPPED, SUCCESS, WARNINGS

from benchyard.publish.outbox import Place
from benchyard.publish.service import find_publisher
from benchyard.publish.settings import Codespeed, Policy
from benchyard.steps.base import LabStep
from benchyard.store import results, uploads
from benchyard.store.rows import Job, Upload

#: Seconds for which the step waits to show the destination's answer; the outbox needs no step to send.
WAIT_S = 15.0


class Publish(LabStep):
    """Publishes the result of the job at a destination of the lab's settings.

    What it asks for is sent by the lab's publishing service, now or later; neither a destination that is away nor one
    that refuses is a fault of the job.
    """

    #: The type of the settings that the destination must have.
    settings_type: ClassVar[type[Policy]] = Policy

    renderables: ClassVar[list[str]] = ["destination"]

    def __init__(self, *, destination: str, wait_s: float = WAIT_S, **kwargs: Any) -> None:
        kwargs.setdefault("name", f"publish: {destination}"[:50])
        super().__init__(hideStepIf=_has_nothing_to_say, **kwargs)
        self.destination, self.wait_s = destination, wait_s

    async def after_error(self) -> int:
        return self._say("something went wrong in the lab; ask again with `benchyard result upload`", WARNINGS)

    async def do(self) -> int:
        service = find_publisher(self.master)
        place = service.places.get(self.destination) if service is not None else None
        if service is None or place is None:
            return self._say(f"the lab has no destination {self.destination!r} now", WARNINGS)
        if not isinstance(place.settings, self.settings_type):
            return self._say(f"{self.destination} is not of the kind that this step is for", WARNINGS)
        job = await self.service.job_of(self.build)
        result = await service.db(results.result_of_job, job.id)
        if result is None:
            return int(SKIPPED)
        upload = await service.db(uploads.find_upload, result.id, self.destination)
        if upload is None:
            why = self._why_not(place, job, place.refusal(result))
            if why is not None:
                return self._say(why, SKIPPED) if _wanted(job) else int(SKIPPED)
            filed = await service.file_new(result, wanted=_wanted(job))
            upload = next((one for one in filed if one.destination == self.destination), None)
        if upload is None:
            return int(SKIPPED)
        upload = await service.wait_for(upload.id, limit_s=self.wait_s, gone=self.interrupted)
        return self.released() if self.interrupted.called else await self._show(upload)

    def _why_not(self, place: Place, job: Job, refusal: str | None) -> str | None:
        if place.settings.automatic or _wanted(job):
            return refusal
        return "only what people ask for is published there"

    async def _show(self, upload: Upload) -> int:
        if upload.link:
            await self.addURL(self.destination, upload.link)
        if upload.state == "pending":
            trouble = f": {upload.words}" if upload.words else ""
            return self._say(f"not yet{trouble}; the outbox sends it", SUCCESS)
        if upload.state == "sent":
            return self._say(upload.words or "sent", SUCCESS)
        return self._say(f"{upload.state}: {upload.words}", WARNINGS)

    def _say(self, words: str, outcome: int) -> int:
        self.descriptionDone = words
        return int(outcome)


class UploadToCodespeed(Publish):
    """Uploads the result of the job to a codespeed of the lab's settings, by its outbox.

    The requests are made with txrequests, in the publishing service: serially, as codespeed needs it.
    """

    settings_type: ClassVar[type[Policy]] = Codespeed


def _wanted(job: Job) -> bool:
    return bool(job.spec.get("upload"))


def _has_nothing_to_say(outcome: int, step: Any) -> bool:
    """Whether a step was skipped without anybody having asked for what it does."""
    return outcome == SKIPPED and not step.descriptionDone
