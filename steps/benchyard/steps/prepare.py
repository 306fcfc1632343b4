"""The prepare stage: what can be checked before a host's time is spent."""

from typing import Any

from buildbot.process import buildstep
from buildbot.process.results import CANCELLED, FAILURE, SUCCESS

from benchyard.steps.base import LabStep, state_option, task_command
from benchyard.steps.progress import TailObserver
from benchyard.store.rows import Job


class CheckInterpreter(buildstep.ShellMixin, LabStep):
    """Starts the job's interpreter once on the regular worker, where that is the measuring host's machine too.

    `shares_machine` are the regular workers for which that is so; elsewhere the run itself makes this check. It waits
    for as long as a measurement has that machine: by the lock file there, since a lock in the master, held meanwhile,
    would keep the measurement's own build from attaching to it again.
    """

    name = "check interpreter"

    def __init__(self, *, shares_machine: tuple[str, ...], **kwargs: Any) -> None:
        shell = self.setupShellMixin({"timeout": None, "logEnviron": False, **kwargs}, prohibitArgs=["command"])
        super().__init__(**shell)
        self.shares_machine = shares_machine

    async def do(self) -> int:
        job, _attempt = await self.service.run_of(self.build)
        if job.is_final or job.cancel_by is not None:
            return int(CANCELLED)
        if self.worker.workername in self.shares_machine:
            results = await self._check(job)
            if results != SUCCESS:
                return results
        else:
            self.descriptionDone = "the measuring host checks the interpreter itself"
        await self.service.advance(job.id, "ready", after=("building",))
        return int(SUCCESS)

    async def _check(self, job: Job) -> int:
        observer = TailObserver()
        self.addLogObserver("stdio", observer)
        environ = self.worker.worker_environ
        command = await self.makeRemoteShellCommand(
            command=task_command(environ, "check-interpreter", job.spec["python"], *state_option(environ))
        )
        await self.runCommand(command)
        if self.stopped or self.build.conn is None:
            return self.released()
        if command.rc == 0:
            return int(SUCCESS)
        why = observer.last_error or f"the check ended with exit status {command.rc}"
        if command.rc != 1:  # the command's word on the interpreter; anything else is the host's own trouble
            return await self.later(f"{why}; trying again")
        await self.service.set_status(job.id, "failed", error=why)
        self.descriptionDone = why
        return int(FAILURE)
