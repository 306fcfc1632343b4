"""What steps share: the way to the lab's job service, to the host's own commands, and what an interruption means."""

from collections.abc import Sequence
from typing import Any, Protocol

from buildbot.process import buildstep
from buildbot.process.results import CANCELLED, FAILURE, RETRY, SKIPPED, SUCCESS
from buildbot.util.twisted import async_to_deferred
from twisted.internet import defer, task
from twisted.python import failure, log

from benchyard.steps.progress import WaitObserver
from benchyard.store.rows import Job

#: Set by the worker's buildbot.tac: which Python has benchyard there, and where the host keeps its state.
PYTHON_VARIABLE = "BENCHYARD_PYTHON"
STATE_VARIABLE = "BENCHYARD_STATE"

RESULT_OF_STATUS = {"success": SUCCESS, "failed": FAILURE, "lost": FAILURE, "canceled": CANCELLED}

#: Seconds before a build that ended with RETRY is tried again: doubled at each try, up to the last.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 60.0


class Service(Protocol):
    """The part of the job service that steps use; it lives in the master and is found there by name."""

    stopped_by_person: set[int]

    db: Any
    job_of: Any
    run_of: Any
    attempt_of: Any
    stage_request: Any
    building_of: Any
    remotes: Any
    set_status: Any
    advance: Any


def task_command(environ: dict[str, str], *arguments: str) -> list[str]:
    """The command line of `benchyard task ...` on a worker whose environment is `environ`."""
    return [environ.get(PYTHON_VARIABLE, "python3"), "-m", "benchyard.cli", "task", *arguments]


def state_option(environ: dict[str, str]) -> Sequence[str]:
    """`--state DIR` of a worker whose environment is `environ`."""
    return ("--state", environ[STATE_VARIABLE]) if STATE_VARIABLE in environ else ()


class LabStep(buildstep.BuildStep):
    """A step of the lab: it knows the job service, and who interrupts it.

    An error that nobody thought of must not cost a job: it is logged, and the build is done again after a pause. A step
    after the job has its result has nothing to save by that, and ends otherwise.
    """

    #: The job service may let this step's build go at a clean shutdown; it is done again after the start.
    survives = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(haltOnFailure=True, flunkOnFailure=True, **kwargs)
        self.interrupted: defer.Deferred[None] = defer.Deferred()
        self.canceled = False
        self.addLogObserver("stdio", WaitObserver(self._show_waiting))

    @property
    def service(self) -> Service:
        """The lab's job service."""
        return self.master.service_manager.namedServices["benchyard-jobs"]

    @async_to_deferred
    async def run(self) -> int:
        try:
            return int(await self.do())
        except buildstep.BuildStepCancelled:
            return self.released()
        except Exception:
            log.err(None, f"benchyard: in step {self.name} of build {self.build.buildid}")
            await self.addLogWithFailure(failure.Failure())
            return await self.after_error()
        finally:
            self.descriptionSuffix: list[str] = []  # it told what the step was waiting for

    async def do(self) -> int:
        """Do the step's work and give Buildbot's result code."""
        raise NotImplementedError

    async def after_error(self) -> int:
        """Buildbot's result code after an error that nobody thought of, which has been logged."""
        return await self.later("something went wrong in the lab; trying again")

    def getCurrentSummary(self) -> dict[str, str]:
        """What the step is at; stock leaves the suffix out where there is no description."""
        if self.description is None and self.descriptionSuffix:
            return {"step": " ".join(self.descriptionSuffix)}
        found: dict[str, str] = super().getCurrentSummary()
        return found

    def _show_waiting(self, waits: bool) -> None:
        self.descriptionSuffix = ["waits while this host measures"] if waits else []
        self.updateSummary()

    def released(self) -> int:
        """The result of a step that was interrupted: only a person's stop is an end."""
        return int(CANCELLED if self.canceled else RETRY)

    async def tries(self) -> int:
        """How often this build was begun, this time included."""
        return len(await self.master.db.builds.getBuilds(buildrequestid=self.build.requests[0].id))

    async def later(self, why: str) -> int:
        """Do this build again after a pause, the longer the more often it was tried."""
        self.descriptionDone = why
        pause = min(FIRST_PAUSE_S * 2 ** min(await self.tries(), 10), LONGEST_PAUSE_S)
        timer = task.deferLater(self.master.reactor, pause)
        await defer.DeferredList([timer, self.interrupted], fireOnOneCallback=True)
        if not timer.called:
            timer.addErrback(lambda _cancelled: None)
            timer.cancel()
        return self.released()

    def interrupt(self, reason: Any) -> Any:
        """Note who it was: a lost worker comes as a Failure, a stopping master sends no control message."""
        by_person = self.build.buildid in self.service.stopped_by_person
        self.canceled = self.canceled or (by_person and not isinstance(reason, failure.Failure))
        if not self.interrupted.called:
            self.interrupted.callback(None)
        return super().interrupt(reason)


class JobStep(LabStep):
    """A step of a job's own build; ends at once when the job's outcome is known already.

    That is so for a job refused at its door, and after a crash between the outcome and the end of its build.
    """

    async def do(self) -> int:
        job = await self.service.job_of(self.build)
        self.setProperty("job", job.id, "benchyard")
        if job.is_final:
            if job.error:
                self.descriptionDone = job.error
                await self.addCompleteLog("why", job.error + "\n")
            return RESULT_OF_STATUS[job.status]
        return await self.do_for(job)

    async def do_for(self, job: Job) -> int:
        """Do this step's part for the job and give Buildbot's result code."""
        raise NotImplementedError


#: Seconds without a word after which a command is taken for hung; linking with LTO is silent for long.
SILENCE_S = 4 * 3600.0


class TaskStep(buildstep.ShellMixin, LabStep):
    """A step that runs commands on its worker, most of them `benchyard task ...`; it may fail the job, in one line."""

    def __init__(self, **kwargs: Any) -> None:
        options = {"timeout": SILENCE_S, "logEnviron": False, "hideStepIf": was_skipped, **kwargs}
        super().__init__(**self.setupShellMixin(options, prohibitArgs=["command"]))

    @property
    def environ(self) -> dict[str, str]:
        """The variables of the worker."""
        found: dict[str, str] = self.worker.worker_environ
        return found

    @property
    def cut_off(self) -> bool:
        """Whether nothing that commands say can be believed any more: interrupted, or the connection is gone."""
        return bool(self.stopped or self.build.conn is None)

    @property
    def variables(self) -> dict[str, str]:
        """What the step's commands find in their environment besides the worker's own variables."""
        return {}

    async def task(self, *arguments: str, stdin: str | None = None) -> int | None:
        """Run `benchyard task ...` on the worker; its exit status, None once the step is cut off."""
        argv = task_command(self.environ, *arguments)
        command = await self.makeRemoteShellCommand(command=argv, env=self.variables, initialStdin=stdin)
        await self.runCommand(command)
        return None if self.cut_off else int(command.rc)

    async def fail(self, job: Job, why: str) -> int:
        """End the job: what it asks for cannot be had."""
        await self.service.set_status(job.id, "failed", error=why)
        self.descriptionDone = why
        return int(FAILURE)


def was_skipped(results: int, _step: Any) -> bool:
    """Whether a step had nothing to do, and so is not shown."""
    return results == SKIPPED
