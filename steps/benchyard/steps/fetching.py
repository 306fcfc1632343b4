"""Bringing what a measurement needs to its host before it starts there: nothing is fetched while it runs."""

import posixpath
from typing import Any, NamedTuple

from buildbot.process.results import SKIPPED, SUCCESS
from twisted.internet import threads

from benchyard.steps.archives import Archives, give_archive
from benchyard.steps.base import STATE_VARIABLE, TaskStep, state_option
from benchyard.steps.progress import TailObserver
from benchyard.store import interpreters
from benchyard.store.rows import Job
from benchyard.tasks.archive import digest


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
        source, sha256 = await self._archive(need)
        if sha256 is None:
            return await self.fail(job, f"{need.kind} {need.id[:12]} is not in the lab any more; submit the job again")
        state = self.environ[STATE_VARIABLE]
        target = posixpath.join(state, f"incoming-{need.id}.tar.gz")
        if not await give_archive(self, source, target):
            return self.released() if self.cut_off else await self.later("the transfer broke off; trying again")
        limit = str(self.archives.limit)
        options = ("--archive", target, "--sha256", sha256, "--limit", limit, *state_option(self.environ))
        rc = await self.task("keep", str(need), *options)
        if rc is None:
            return self.released()
        return int(SUCCESS) if rc == 0 else await self.fail(job, observer.last_error or f"{need} cannot be unpacked")

    async def _archive(self, need: Need) -> tuple[Any, str | None]:
        if need.kind != "interpreters":
            path = self.archives.wheels(need.id) if need.kind == "wheels" else self.archives.suite(need.id)
            found = (await threads.deferToThread(digest, path)).sha256 if path.is_file() else None
            return path, found
        built = await self.service.db(interpreters.find_interpreter, need.id)
        return self.archives.interpreter(need.id), built.sha256 if self.archives.has(built) else None
