"""The prepare stage: what can be checked before a host's time is spent."""

from typing import Any

from buildbot.process import buildstep
from buildbot.process.results import CANCELLED, FAILURE, RETRY, SUCCESS
from buildbot.util.twisted import async_to_deferred

from benchyard.steps.base import service, state_option, task_command
from benchyard.steps.progress import TailObserver


class CheckInterpreter(buildstep.ShellMixin, buildstep.BuildStep):
    """Starts the job's interpreter once on the regular worker, where that is the measuring host's machine too.

    `shares_machine` are the regular workers for which that is so; elsewhere the run itself makes this check.
    """

    name = "check interpreter"

    def __init__(self, *, shares_machine: tuple[str, ...], **kwargs: Any) -> None:
        shell = self.setupShellMixin({"timeout": 120, "logEnviron": False, **kwargs}, prohibitArgs=["command"])
        super().__init__(haltOnFailure=True, flunkOnFailure=True, **shell)
        self.shares_machine = shares_machine

    @async_to_deferred
    async def run(self) -> int:
        jobs = service(self)
        job, _attempt = await jobs.run_of(self.build)
        if job.is_final or job.cancel_by is not None:
            return int(CANCELLED)
        if job.status == "queued":
            await jobs.set_status(job.id, "building")
        if self.worker.workername in self.shares_machine:
            results = await self._check(job.spec["python"])
            if results != SUCCESS:
                if results == FAILURE:
                    await jobs.set_status(
                        job.id, "failed", error=self._observer.last_error or "the interpreter could not be checked"
                    )
                return results
        else:
            self.descriptionDone = "the measuring host checks the interpreter itself"
        await jobs.set_status(job.id, "ready")
        return int(SUCCESS)

    async def _check(self, python: str) -> int:
        self._observer = TailObserver()
        self.addLogObserver("stdio", self._observer)
        environ = self.worker.worker_environ
        command = await self.makeRemoteShellCommand(
            command=task_command(environ, "check-interpreter", python, *state_option(environ))
        )
        await self.runCommand(command)
        if self.build.conn is None:
            return int(RETRY)
        return int(command.results())
