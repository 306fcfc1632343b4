"""The measure stage: starts or attaches to the run on the isolated host and brings home what it left."""

import posixpath
import time
from pathlib import Path
from typing import Any

import msgspec
from buildbot.process import buildstep, remotecommand
from buildbot.process.results import CANCELLED, FAILURE, RETRY
from buildbot.steps.worker import CompositeStepMixin
from buildbot.util.twisted import async_to_deferred
from twisted.internet import threads
from twisted.python import log

from benchyard.steps.base import STATE_VARIABLE, service, state_option, stopped_by_person, task_command
from benchyard.steps.commands import measuring_arguments
from benchyard.steps.filing import deliver
from benchyard.steps.outcomes import Ending, ending_of, ending_of_attempt, failure_text
from benchyard.steps.progress import ProgressObserver
from benchyard.store import attempts, jobs
from benchyard.store.rows import Attempt, Job


class Measure(buildstep.ShellMixin, CompositeStepMixin, buildstep.BuildStep):
    """Attaches to the durable run of this job's attempt, which starts it if nobody has.

    Losing the master, the worker daemon or the connection ends this step only: the run goes on, and the retried build
    attaches to it. `cpus` are the measuring CPUs by host name; `incoming` is where the results are delivered.
    """

    name = "measure"
    survives = True

    def __init__(self, *, incoming: Path, cpus: dict[str, str], limit_s: float, **kwargs: Any) -> None:
        shell = self.setupShellMixin({"timeout": None, "logEnviron": False, **kwargs}, prohibitArgs=["command"])
        super().__init__(haltOnFailure=True, flunkOnFailure=True, **shell)
        self.incoming, self.cpus, self.limit_s = incoming, cpus, limit_s
        self._canceled = False

    @async_to_deferred
    async def run(self) -> int:
        job, attempt = await service(self).run_of(self.build)
        if attempt.is_final:
            return ending_of_attempt(attempt).results
        if job.cancel_by is not None:
            return await self._stop(attempt)
        host = self.worker.workername
        await service(self).db(attempts.place_attempt, job.id, attempt.number, host=host, now=time.time())
        await service(self).set_status(job.id, "running")
        exit_code = await self._attach(job, attempt, host)
        if self._canceled:
            return await self._stop(attempt)
        ending = ending_of(exit_code, self._observer.last_error)
        if self.stopped or self.build.conn is None or ending is None:
            return int(RETRY)  # the run lives on, and is attached to again
        return await self._end(job, attempt, ending)

    async def _attach(self, job: Job, attempt: Attempt, host: str) -> int | None:
        environ = self.worker.worker_environ
        self._observer = ProgressObserver(lambda progress: self._show(job.id, progress))
        self.addLogObserver("stdio", self._observer)
        arguments = measuring_arguments(
            job,
            attempt,
            state=environ[STATE_VARIABLE],
            host_cpus=self.cpus.get(host, ""),
            limit_s=self.limit_s,
        )
        command = await self.makeRemoteShellCommand(
            command=[
                *task_command(environ, "attach", attempt.run, *arguments.options),
                "--",
                *task_command(environ, "run-benchmarks", *arguments.run),
            ]
        )
        await self.runCommand(command)
        return command.rc

    async def _end(self, job: Job, attempt: Attempt, ending: Ending) -> int:
        folder = posixpath.join(self.worker.worker_environ[STATE_VARIABLE], "runs", attempt.run)
        report = None
        if ending.status in ("success", "failed"):
            report = await self._fetch_report(posixpath.join(folder, "report.json"))
        if ending.status == "success" and not await self._fetch_result(folder, attempt):
            ending = Ending("failed", FAILURE, "the run left no result file")
        cause = None if ending.status == "success" else failure_text(ending, report, self._observer.last_line)
        await service(self).db(
            attempts.end_attempt,
            job.id,
            attempt.number,
            status=ending.status,
            cause=cause,
            now=time.time(),
            report=report,
        )
        if ending.status in ("failed", "timeout"):
            await service(self).set_status(job.id, "failed", error=cause)
        if cause is not None:
            self.descriptionDone = cause
        return ending.results

    async def _fetch_report(self, path: str) -> dict[str, Any] | None:
        text = await self.getFileContentFromWorker(path)
        return msgspec.json.decode(text.encode(), type=dict[str, Any]) if text else None

    async def _fetch_result(self, folder: str, attempt: Attempt) -> bool:
        """Bring the result file to the lab, complete or not at all."""
        text = await self.getFileContentFromWorker(posixpath.join(folder, "result.json"))
        if not text:
            return False
        await threads.deferToThread(deliver, self.incoming, attempt, text.encode())
        return True

    async def _stop(self, attempt: Attempt) -> int:
        """End the run on the host for good and note that nothing of it is left; used for a canceled job."""
        environ = self.worker.worker_environ
        command = remotecommand.RemoteShellCommand(
            "build", task_command(environ, "stop", attempt.run, *state_option(environ)), timeout=120
        )
        command.worker = self.worker
        command.useLog(await self.addLog("stop"), True)
        try:
            # runCommand() refuses once the step was interrupted, and that is just when this is needed.
            await command.run(self, self.remote, self.build.builder.name)
        except Exception:
            log.err(None, f"benchyard: run {attempt.run} could not be stopped; it is tried again")
            return int(RETRY)
        if command.rc != 0:
            return int(RETRY)
        await service(self).db(
            attempts.end_attempt,
            attempt.job_id,
            attempt.number,
            status="canceled",
            cause="canceled",
            now=time.time(),
        )
        return int(CANCELLED)

    def _show(self, job_id: int, progress: Any) -> None:
        self.descriptionSuffix = [f"{progress.benchmark} ({progress.index}/{progress.total})"]
        self.updateSummary()
        row = {
            "index": progress.index,
            "total": progress.total,
            "benchmark": progress.benchmark,
            "since": time.time(),
        }
        service(self).db(jobs.set_progress, job_id, row).addErrback(log.err, "benchyard: while noting progress")

    def interrupt(self, reason: Any) -> Any:
        self._canceled = self._canceled or stopped_by_person(self, reason)
        return super().interrupt(reason)
