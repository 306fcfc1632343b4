"""What steps share: the way to the lab's job service and to the host's own commands."""

from collections.abc import Sequence
from typing import Any, Protocol

from buildbot.process import buildstep
from buildbot.process.results import CANCELLED, FAILURE, SUCCESS
from buildbot.util.twisted import async_to_deferred
from twisted.python import failure

from benchyard.store.rows import Job

#: Set by the worker's buildbot.tac: which Python has benchyard there, and where the host keeps its state.
PYTHON_VARIABLE = "BENCHYARD_PYTHON"
STATE_VARIABLE = "BENCHYARD_STATE"

RESULT_OF_STATUS = {"success": SUCCESS, "failed": FAILURE, "lost": FAILURE, "canceled": CANCELLED}


class Service(Protocol):
    """The part of the job service that steps use; it lives in the master and is found there by name."""

    stopped_by_person: set[int]

    db: Any
    job_of: Any
    run_of: Any
    attempt_of: Any
    stage_request: Any
    set_status: Any


def service(step: buildstep.BuildStep) -> Service:
    """The lab's job service."""
    return step.master.service_manager.namedServices["benchyard-jobs"]


def stopped_by_person(step: buildstep.BuildStep, reason: object) -> bool:
    """Whether an interruption comes from a person; a lost worker and a stopping master are no reason to end a run."""
    return not isinstance(reason, failure.Failure) and step.build.buildid in service(step).stopped_by_person


def task_command(environ: dict[str, str], *arguments: str) -> list[str]:
    """The command line of `benchyard task ...` on a worker whose environment is `environ`."""
    return [environ.get(PYTHON_VARIABLE, "python3"), "-m", "benchyard.cli", "task", *arguments]


def state_option(environ: dict[str, str]) -> Sequence[str]:
    """`--state DIR` of a worker whose environment is `environ`."""
    return ("--state", environ[STATE_VARIABLE]) if STATE_VARIABLE in environ else ()


class JobStep(buildstep.BuildStep):
    """A step of a job's own build; ends at once when the job's outcome is known already.

    That is so for a job refused at its door, and after a crash between the outcome and the end of its build.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(haltOnFailure=True, flunkOnFailure=True, **kwargs)

    @async_to_deferred
    async def run(self) -> int:
        job = await service(self).job_of(self.build)
        if job.is_final:
            if job.error:
                self.descriptionDone = job.error
                await self.addCompleteLog("why", job.error + "\n")
            return RESULT_OF_STATUS[job.status]
        return await self.run_for(job)

    async def run_for(self, job: Job) -> int:
        """Do this step's part for the job and give Buildbot's result code."""
        raise NotImplementedError
