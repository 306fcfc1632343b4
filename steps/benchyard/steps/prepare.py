"""The prepare stage: what can be made and checked before a host's time is spent."""

from typing import Any

from buildbot.process.results import CANCELLED, SKIPPED, SUCCESS

from benchyard.steps.base import TaskStep, state_option
from benchyard.steps.progress import TailObserver
from benchyard.store.rows import Job
from benchyard.tasks.processes import BUILD_MARK

#: Seconds that a command which is cancelled has to end all that it has started.
END_S = 10


def build_variables(step: Any) -> dict[str, str]:
    """What marks the commands of a step as parts of a build, see `benchyard.tasks.preparing`."""
    return {BUILD_MARK: step.getProperty("builddir")}


class PrepareStep(TaskStep):
    """A step of the stage, for one job; nothing that its commands start outlives them."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(sigtermTime=END_S, **kwargs)

    @property
    def variables(self) -> dict[str, str]:
        return build_variables(self)

    async def do(self) -> int:
        job, _attempt = await self.service.run_of(self.build)
        if job.is_final or job.cancel_by is not None:
            return int(CANCELLED)
        return await self.do_for(job)

    async def do_for(self, job: Job) -> int:
        """Do this step's part for the job and give Buildbot's result code."""
        raise NotImplementedError


class CheckInterpreter(PrepareStep):
    """Starts an installed interpreter once on the regular worker, where that is the measuring host's machine too.

    `shares_machine` are the regular workers for which that is so; elsewhere the run itself makes this check. It waits
    for as long as a measurement has that machine: by the lock file there, since a lock in the master, held meanwhile,
    would keep the measurement's own build from attaching to it again.
    """

    name = "check interpreter"

    def __init__(self, *, shares_machine: tuple[str, ...], **kwargs: Any) -> None:
        super().__init__(timeout=None, **kwargs)
        self.shares_machine = shares_machine

    async def do_for(self, job: Job) -> int:
        if not job.spec.get("python"):
            return int(SKIPPED)
        if self.worker.workername not in self.shares_machine:
            self.descriptionDone = "the measuring host checks the interpreter itself"
            return int(SUCCESS)
        observer = TailObserver()
        self.addLogObserver("stdio", observer)
        rc = await self.task("check-interpreter", job.spec["python"], *state_option(self.environ))
        if rc is None:
            return self.released()
        if rc == 0:
            return int(SUCCESS)
        why = observer.last_error or f"the check ended with exit status {rc}"
        if rc != 1:  # the command's word on the interpreter; anything else is the host's own trouble
            return await self.later(f"{why}; trying again")
        return await self.fail(job, why)


class Ready(PrepareStep):
    """Says that the job may be measured, unless it was taken off the queue meanwhile."""

    name = "ready"

    async def do_for(self, job: Job) -> int:
        await self.service.advance(job.id, "ready", after=("building",))
        return int(SUCCESS)
