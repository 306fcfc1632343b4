"""The measure stage: starts or attaches to the run on the isolated host and brings home what it left."""

import posixpath
import time
from pathlib import Path
from typing import Any

import msgspec
from buildbot.process import buildstep, remotecommand
from buildbot.process.results import CANCELLED, FAILURE, RETRY
from twisted.internet import threads
from twisted.python import log

from benchyard.results.errors import ResultError
from benchyard.steps.base import STATE_VARIABLE, LabStep, state_option, task_command
from benchyard.steps.commands import HostCare, measuring_arguments
from benchyard.steps.earlier import said_before, shown_before
from benchyard.steps.fetch import fetch_file
from benchyard.steps.filing import attachments_of, deliver, deliver_attachment
from benchyard.steps.kinds import Kind, UnknownKind, find_kind
from benchyard.steps.outcomes import LOST, Ending, ending_of, ending_of_attempt, failure_text
from benchyard.steps.progress import ProgressObserver
from benchyard.store import attempts, durations, hosts, jobs
from benchyard.store.rows import Attempt, Job
from benchyard.tasks.progress import Progress

#: Builds of one run that may fail to attach to it before the run is stopped and counts as lost.
TRIES = 3

#: A run may take so many times as long as the longest of its shape before it, and never less than this many seconds:
#: the first run of an interpreter has its environment to make.
PATIENCE, LEAST_LIMIT_S = 5, 1800.0

#: No benchmark is taken for hung before so many seconds.
LEAST_BENCHMARK_S = 300.0


class Measure(buildstep.ShellMixin, LabStep):
    """Attaches to the durable run of this job's attempt, which starts it if nobody has.

    Losing the master, the worker daemon or the connection ends this step only: the run goes on, and the retried build
    attaches to it, and shows of its log what none has shown before. `hosts` says by name how each is looked after;
    `incoming` is where the results are delivered.
    """

    name = "measure"

    def __init__(self, *, incoming: Path, hosts: dict[str, HostCare], limit_s: float, **kwargs: Any) -> None:
        shell = self.setupShellMixin({"timeout": None, "logEnviron": False, **kwargs}, prohibitArgs=["command"])
        super().__init__(**shell)
        self.incoming, self.hosts, self.limit_s = incoming, hosts, limit_s

    async def do(self) -> int:
        job, attempt = await self.service.run_of(self.build)
        if attempt.is_final:
            return ending_of_attempt(attempt).results
        if job.cancel_by is not None:
            return await self._cancel(attempt)
        try:
            kind = find_kind(job.kind)
        except UnknownKind as exc:  # there was one of this name when the job was submitted
            return await self._end_without_run(attempt, str(exc))
        host = self.worker.workername
        if not await self.service.db(_begin, attempt, host, time.time()):
            return await self.later("the job was taken off the queue, or the host is kept free")
        exit_code = await self._attach(job, attempt, kind, host)
        if self._is_cut_off():
            return await self._let_go(attempt)
        ending = ending_of(exit_code)
        if ending is None:
            return await self._not_attached(attempt, kind, exit_code)
        return await self._end(attempt, kind, ending)

    def _is_cut_off(self) -> bool:
        """Whether nothing that commands say can be believed any more: interrupted, or the connection is gone."""
        return self.stopped or self.build.conn is None

    async def _let_go(self, attempt: Attempt) -> int:
        """Leave the run alone, to be attached to again, unless a person wants its end."""
        return await self._cancel(attempt) if self.canceled else int(RETRY)

    async def _attach(self, job: Job, attempt: Attempt, kind: Kind, host: str) -> int | None:
        environ = self.worker.worker_environ
        self._observer = ProgressObserver(lambda progress: self._show(job.id, progress))
        seen = await self._take_up()
        self.addLogObserver("stdio", self._observer)
        care = self.hosts.get(host, HostCare())
        arguments = measuring_arguments(
            job,
            attempt,
            kind,
            state=environ[STATE_VARIABLE],
            care=care,
            limit_s=await self.service.db(time_limit, job, self.limit_s) + care.guard_wait_s,
            limits=await self.service.db(benchmark_limits, job, host),
            seen=seen,
        )
        command = await self.makeRemoteShellCommand(
            command=[
                *task_command(environ, "attach", attempt.run, *arguments.options),
                "--",
                *task_command(environ, kind.command, *arguments.run),
            ]
        )
        await self.runCommand(command)
        return command.rc

    async def _take_up(self) -> int:
        """Go on where an earlier build was with the run's log, and say so; gives the number of lines seen."""
        earlier = await shown_before(self)
        stdio = await self.addLog("stdio")
        if earlier.lines:
            line = f"the run goes on; for the {earlier.lines} lines of its log before this see {earlier.url}"
            await stdio.addStderr(f"benchyard: {line}\n")
        self._observer.take_up(earlier.last)
        if earlier.progress is not None:
            self._describe(earlier.progress)
        return earlier.lines

    async def _not_attached(self, attempt: Attempt, kind: Kind, exit_code: int | None) -> int:
        """The attached command broke by itself; the run may be well, and is lost only once the host has stopped it."""
        failed = f"attaching to run {attempt.run} failed"
        why = f"{failed} with exit status {exit_code}: {self._observer.last_error or 'no word why'}"
        # Builds that were cut off say nothing of the run.
        before = sum(failed in said for said in await said_before(self))
        if before >= TRIES - 1 and await self._stop_on_host(attempt):
            return await self._end(attempt, kind, LOST._replace(cause=why))
        return await self.later(f"{why}; trying again")

    async def _end(self, attempt: Attempt, kind: Kind, ending: Ending) -> int:
        """Note how the run ended, once all that it left has been brought home."""
        folder = posixpath.join(self.worker.worker_environ[STATE_VARIABLE], "runs", attempt.run)
        report = None
        if ending.has_report:
            text = await fetch_file(self, folder, "report.json")
            report = msgspec.json.decode(text, type=dict[str, Any]) if text else None
        if ending.status == "success":
            result = await fetch_file(self, folder, kind.result)
            wrong = await self._bring_attachments(attempt, posixpath.join(folder, kind.result), report)
            if result and wrong is None:
                await threads.deferToThread(deliver, self.incoming, attempt, result)
            else:
                ending = Ending("failed", FAILURE, wrong or "the run left no result file")
        if self._is_cut_off():
            return await self._let_go(attempt)
        cause = None if ending.status == "success" else failure_text(ending, report, self._observer.last_line)
        await self.service.db(_note_end, attempt, ending.status, cause, report, time.time())
        if cause is not None:
            self.descriptionDone = cause
        return ending.results

    async def _bring_attachments(self, attempt: Attempt, result: str, report: dict[str, Any] | None) -> str | None:
        """Bring home what a report names besides the result, from the folder of that; says what is wrong with it."""
        try:
            attachments = attachments_of(report)
        except ResultError as exc:
            return f"the run's report is not usable: {exc}"
        for attachment in attachments:
            data = await fetch_file(self, posixpath.dirname(result), attachment.name)
            if data is None:
                return f"the run left no file {attachment.name}, which its report names"
            await threads.deferToThread(deliver_attachment, self.incoming, attempt, attachment.name, data)
        return None

    async def _end_without_run(self, attempt: Attempt, why: str) -> int:
        await self.service.db(_note_end, attempt, "failed", why, None, time.time())
        self.descriptionDone = why
        return int(FAILURE)

    async def _cancel(self, attempt: Attempt) -> int:
        """End the run of a canceled job on the host, and note that nothing of it is left."""
        if not await self._stop_on_host(attempt):
            self.canceled = False  # the build is done again until the host has confirmed it
            return await self.later("the run could not be stopped; trying again")
        await self.service.db(_note_end, attempt, "canceled", "canceled", None, time.time())
        return int(CANCELLED)

    async def _stop_on_host(self, attempt: Attempt) -> bool:
        """Whether the host confirms that nothing of the run is left and that it can never start."""
        environ = self.worker.worker_environ
        if self.build.conn is None:
            return False
        stop = remotecommand.RemoteShellCommand(
            "build",
            task_command(environ, "stop", attempt.run, *state_option(environ)),
            timeout=180,
            logEnviron=False,
            stdioLogName="stop",
        )
        stop.worker = self.worker
        stop.useLog(await self.addLog("stop"), True)
        # runCommand() refuses once the step was interrupted, and that is just when this is needed. With `cmd` set, a
        # lost worker ends the command.
        self.cmd = stop
        try:
            await stop.run(self, self.remote, self.build.builder.name)
        except Exception:
            log.err(None, f"benchyard: run {attempt.run} could not be stopped; it is tried again")
            return False
        finally:
            self.cmd = None
        return bool(stop.rc == 0)

    def _describe(self, progress: Progress) -> None:
        self.descriptionSuffix = [f"{progress.benchmark} ({progress.index}/{progress.total})"]
        self.updateSummary()

    def _show(self, job_id: int, progress: Progress) -> None:
        self._describe(progress)
        row = {
            "index": progress.index,
            "total": progress.total,
            "benchmark": progress.benchmark,
            "since": time.time(),
        }
        self.service.db(jobs.set_progress, job_id, row).addErrback(log.err, "benchyard: while noting progress")


def time_limit(conn: Any, job: Job, most_s: float) -> float:
    """Seconds after which the run of a job is taken for hung: what the settings allow, or less where more is known."""
    known = durations.past_durations(conn, [job.shape])[job.shape] if job.shape is not None else ()
    return min(most_s, max(LEAST_LIMIT_S, PATIENCE * max(known))) if known else most_s


def benchmark_limits(conn: Any, job: Job, host: str) -> dict[str, float]:
    """The same in seconds for each benchmark that has run on this host before."""
    known = durations.benchmark_durations(conn, host, job.spec["mode"], job.kind)
    return {name: max(LEAST_BENCHMARK_S, PATIENCE * max(seconds)) for name, seconds in known.items()}


def _begin(conn: Any, attempt: Attempt, host: str, now: float) -> bool:
    """Note that the run is on `host` from now on, before it is started there.

    Not if its job is not to run by now, nor on a host that was disabled, leased or changed halfway meanwhile.
    """
    if jobs.get_job(conn, attempt.job_id).status not in ("building", "ready", "running"):
        return False
    hosts.ensure_host(conn, host, now=now, who="lab")
    if attempt.host is None and not hosts.lock_host(conn, host).may_measure(now):
        return False
    attempts.place_attempt(conn, attempt.job_id, attempt.number, host=host, now=now)
    jobs.set_status(conn, attempt.job_id, "running", now=now, who="lab")
    return True


def _note_end(
    conn: Any, attempt: Attempt, status: str, cause: str | None, report: dict[str, Any] | None, now: float
) -> None:
    """The attempt's end, and the job's where it decides that, in one transaction."""
    attempts.end_attempt(
        conn, attempt.job_id, attempt.number, status=status, cause=cause, now=now, report=report
    )  # fmt: skip
    if status in ("failed", "timeout"):
        jobs.set_status(conn, attempt.job_id, "failed", now=now, who="lab", error=cause)
