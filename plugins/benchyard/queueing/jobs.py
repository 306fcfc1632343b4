"""The job service: every job's life, from the door it came through to its end."""

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from buildbot.process.results import CANCELLED, RETRY, SUCCESS
from buildbot.util.service import BuildbotService
from buildbot.util.twisted import async_to_deferred
from twisted.internet import task, threads
from twisted.python import log

from benchyard.queueing import doors, engine
from benchyard.queueing.order import Lane
from benchyard.queueing.requests import CheckedJob, Invalid, JobRequest
from benchyard.queueing.runs import Run, push_key, run_of_key, stage_key
from benchyard.store import attempts, jobs
from benchyard.store.errors import Conflict, NotFound, StoreError
from benchyard.store.migrate import migrate
from benchyard.store.rows import Attempt, Job

T = TypeVar("T")
Check = Callable[[JobRequest], CheckedJob]

#: A measurement that somebody must still stop on its host goes before all others.
SWEEP_PRIORITY = 1000


class JobService(BuildbotService):
    """Knows all jobs of the lab; the one place that changes their status.

    `lanes` says what each builder is for, `check` refuses bad requests (it may block and runs in a thread).
    """

    name = engine.SERVICE

    def checkConfig(self, *, lanes: Mapping[str, Lane], check: Check, max_attempts: int) -> None:
        super().checkConfig()

    @async_to_deferred
    async def reconfigService(self, *, lanes: Mapping[str, Lane], check: Check, max_attempts: int) -> None:
        await super().reconfigService()
        self.lanes, self.check, self.max_attempts = dict(lanes), check, max_attempts

    @async_to_deferred
    async def startService(self) -> None:
        """Before the web port opens and before any worker attaches: migrate, listen, then mend what a crash left."""
        await self.master.db.pool.do_with_engine(migrate)
        #: Builds that a person asked to stop; lost workers and shutdowns never send control messages.
        self.stopped_by_person: set[int] = set()
        await super().startService()
        listen = self.master.mq.startConsuming
        self._consumers = [
            await listen(self._on_stop, ("control", "builds", None, "stop")),
            await listen(self._on_cancel, ("control", "buildrequests", None, "cancel")),
            await listen(self._on_new_request, ("buildrequests", None, "new")),
            await listen(self._on_complete, ("buildrequests", None, "complete")),
        ]
        self._watch = task.LoopingCall(self._release_builds_at_shutdown)
        self._watch.start(1.0, now=False)
        self.master.reactor.callLater(0, self._reconcile)

    @async_to_deferred
    async def stopService(self) -> None:
        if self._watch.running:
            self._watch.stop()
        for consumer in self._consumers:
            consumer.stopConsuming()  # gives no Deferred; an exception here would hang the master's shutdown
        await super().stopService()

    # --- what doors, REST and steps ask for

    @async_to_deferred
    async def db(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run a function of the store in a transaction, in the database's thread."""
        value, error = await self.master.db.pool.do(_in_transaction, function, args, kwargs)
        if error is not None:
            raise error
        return value

    @async_to_deferred
    async def submit(self, request: JobRequest, *, owner: str, origin: str) -> Job:
        """A new job; on its target's queue unless `run` is false. Invalid changes nothing."""
        checked = await threads.deferToThread(self.check, request)
        job = await self.db(
            jobs.create_job,
            now=time.time(),
            who=owner,
            kind="benchmarks",
            target=checked.target,
            host=checked.host,
            spec=doors.spec_row(checked.spec),
            owner=owner,
            origin=origin,
            reason=request.reason,
        )
        return await self.run_job(job.id, who=owner) if request.run else job

    @async_to_deferred
    async def run_job(self, job_id: int, *, who: str) -> Job:
        """Put a `created` job on its target's queue."""
        job = await self.db(jobs.get_job, job_id)
        if job.status != "created":
            raise Conflict(f"job {job_id} is {job.status}; only a created job can be put on the queue")
        await self.db(_push, job_id, now=time.time(), who=who)
        return await self._ensure_queued(job_id)

    @async_to_deferred
    async def cancel(self, job_id: int, *, who: str) -> Job:
        """End a job wherever it is; the intent is stored first, so that a crash cannot forget it."""
        job = await self.db(jobs.get_job, job_id)
        if job.is_final and job.cancel_by is None:
            raise Conflict(f"job {job_id} has ended already: {job.status}")
        await self.db(jobs.ask_cancel, job_id, now=time.time(), who=who)
        await self._enforce_cancel(job_id)
        return await self.db(jobs.get_job, job_id)

    @async_to_deferred
    async def set_status(self, job_id: int, status: str, *, error: str | None = None, who: str = "lab") -> Job:
        return await self.db(jobs.set_status, job_id, status, now=time.time(), who=who, error=error)

    @async_to_deferred
    async def job_of(self, build: Any) -> Job:
        """The job that a coordinating build is for."""
        request_id = build.requests[0].id
        job = await self.db(jobs.job_of_request, request_id)
        if job is None:
            raise NotFound(f"build request {request_id} belongs to no job")
        return job

    @async_to_deferred
    async def run_of(self, build: Any) -> tuple[Job, Attempt]:
        """The job and attempt that a stage's build is for, by its request's key, which nobody outside can set."""
        buildset = await self.master.db.buildsets.getBuildset(build.requests[0].bsid)
        run = run_of_key(buildset.external_idstring)
        if run is None:
            raise NotFound(f"build request {build.requests[0].id} belongs to no run")
        job = await self.db(jobs.get_job, run.job)
        tried = await self.db(attempts.list_attempts, run.job)
        return job, next(attempt for attempt in tried if attempt.number == run.attempt)

    @async_to_deferred
    async def attempt_of(self, job_id: int) -> Attempt | None:
        """The attempt to work on: the current one, or a new one if that was lost and more are allowed.

        None when the job has used up its attempts. One stopped by the lab's own shutdown does not count.
        """
        return await self.db(_attempt_to_work_on, job_id, self.max_attempts, now=time.time())

    @async_to_deferred
    async def stage_request(self, builder: str, attempt: Attempt, parent: int) -> tuple[int, bool]:
        """The one request of `builder` for an attempt, made or adopted, and whether it is new."""
        run = Run(attempt.job_id, attempt.number)
        reason = f"job {run.job}, attempt {run.attempt}"
        return await engine.ensure_request(self.master, builder, stage_key(builder, run), reason=reason, parent=parent)

    # --- what happens

    def _on_stop(self, key: tuple[str, ...], _msg: Any) -> None:
        """Synchronous, and registered before any build's own consumer: the step finds its build in the set."""
        build_id = int(key[2])
        self.stopped_by_person.add(build_id)
        self._in_background(self._build_stopped(build_id))

    def _on_cancel(self, key: tuple[str, ...], _msg: Any) -> None:
        self._in_background(self._request_canceled(int(key[2])))

    def _on_new_request(self, _key: Any, msg: Mapping[str, Any]) -> None:
        self._in_background(self._adopt(msg["buildrequestid"]))

    def _on_complete(self, _key: Any, msg: Mapping[str, Any]) -> None:
        self._in_background(self._request_completed(msg["buildrequestid"], msg["results"]))

    def _in_background(self, work: Any) -> None:
        work.addErrback(log.err, "benchyard: in the job service")

    @async_to_deferred
    async def _build_stopped(self, build_id: int) -> None:
        build = await self.master.db.builds.getBuild(build_id)
        if build is not None:
            await self._request_canceled(build.buildrequestid)

    @async_to_deferred
    async def _request_canceled(self, request_id: int) -> None:
        """Somebody wants a request of a job gone, be it the job's own or a stage's: so the job is canceled."""
        job_id = await self._job_id_of_request(request_id)
        if job_id is None:
            return
        job = await self.db(jobs.get_job, job_id)
        if job.cancel_by is None and not job.is_final:
            await self.db(jobs.ask_cancel, job_id, now=time.time(), who="web")
            await self._enforce_cancel(job_id)

    @async_to_deferred
    async def _enforce_cancel(self, job_id: int) -> None:
        """Bring all that stands for a canceled job to its end; safe to repeat.

        A measurement that has started must be stopped on its host: its request is left, or made again, so that the
        Measure step can do it as soon as the worker is there.
        """
        job = await self.db(jobs.get_job, job_id)
        reason = f"job {job_id} canceled by {job.cancel_by}"
        attempt = await self.db(attempts.current_attempt, job_id)
        if attempt is not None:
            run = Run(job_id, attempt.number)
            for name, lane in self._stages(job.target).items():
                for request_id, complete in await engine.requests_with_key(self.master, stage_key(name, run)):
                    unconfirmed = lane.stage == "measure" and attempt.status == "running"
                    if unconfirmed and complete:
                        await self._sweep(name, run)
                    elif not complete and not (unconfirmed and await self._is_unclaimed(request_id)):
                        engine.cancel_request(self.master, request_id, reason)
        if job.request_id is not None and not job.is_final:
            engine.cancel_request(self.master, job.request_id, reason)
        elif job.request_id is None:
            await self.set_status(job_id, "canceled", who=job.cancel_by or "lab")

    @async_to_deferred
    async def _sweep(self, builder: str, run: Run) -> None:
        """One more request for a canceled run whose end nobody has confirmed; its step stops what is left."""
        await engine.ensure_request(
            self.master,
            builder,
            f"sweep:{stage_key(builder, run)}",
            reason=f"stop what is left of job {run.job}",
            priority=SWEEP_PRIORITY,
        )

    @async_to_deferred
    async def _is_unclaimed(self, request_id: int) -> bool:
        request = await self.master.db.buildrequests.getBuildRequest(request_id)
        return not request.complete and not request.claimed

    @async_to_deferred
    async def _adopt(self, request_id: int) -> None:
        """Give a request that came by a door of Buildbot's (force, nightly, rebuild) its job."""
        request = await self.master.db.buildrequests.getBuildRequest(request_id)
        lane = self.lanes.get(request.buildername)
        if lane is None or lane.stage is not None:
            return
        if await self.db(jobs.job_of_request, request_id) is None:
            buildset = await self.master.db.buildsets.getBuildset(request.buildsetid)
            pushed = doors.pushed_job(buildset)
            if pushed is not None:
                await self.db(jobs.set_request, pushed, request_id)
            else:
                await self._admit(request_id, buildset, lane)
        self.poke(request.buildername)

    @async_to_deferred
    async def _admit(self, request_id: int, buildset: Any, lane: Lane) -> None:
        """A door that cannot refuse: what is wrong becomes a `failed` job that says why."""
        properties = await self.master.db.buildsets.getBuildsetProperties(buildset.bsid)
        plain = {name: value for name, (value, _source) in properties.items()}
        origin, owner = doors.origin_of(buildset, plain)
        original = await self._rebuilt_job(buildset)
        status, error, host = "queued", None, None
        try:
            if original is not None:
                request = doors.request_of_job(original)
            else:
                request = doors.request_of_properties(plain, target=lane.target)
            checked = await threads.deferToThread(self.check, request)
            spec, host, reason = doors.spec_row(checked.spec), checked.host, request.reason
        except Invalid as exc:
            status, error = "failed", f"{exc.field}: {exc}"
            spec, reason = doors.refused_spec(plain), str(plain.get("reason", ""))
        await self.db(
            jobs.create_job,
            now=time.time(),
            who=owner,
            kind="benchmarks",
            target=lane.target,
            host=host,
            spec=spec,
            owner=owner,
            origin=origin,
            reason=reason,
            status=status,
            error=error,
            request_id=request_id,
        )

    @async_to_deferred
    async def _rebuilt_job(self, buildset: Any) -> Job | None:
        """The job whose build somebody asked to rebuild: the new job does the same."""
        if buildset.rebuilt_buildid is None:
            return None
        build = await self.master.db.builds.getBuild(buildset.rebuilt_buildid)
        return await self.db(jobs.job_of_request, build.buildrequestid) if build is not None else None

    @async_to_deferred
    async def _request_completed(self, request_id: int, results: int) -> None:
        job = await self.db(jobs.job_of_request, request_id)
        if job is not None:
            await self._finish(job, results)
            return
        job_id = await self._job_id_of_request(request_id)
        if job_id is not None and (await self.db(jobs.get_job, job_id)).cancel_by is not None:
            await self._enforce_cancel(job_id)

    @async_to_deferred
    async def _finish(self, job: Job, results: int) -> None:
        """The job's own build has ended; its steps have set a more exact status before where there is one."""
        if results == SUCCESS:
            await self.set_status(job.id, "success")
        elif results == CANCELLED:
            await self.set_status(job.id, "canceled", who=job.cancel_by or "web")
        else:
            await self.set_status(job.id, "failed", error=job.error or "the job's build failed; see its log")
        self.poke(*(name for name, lane in self.lanes.items() if lane.target == job.target))

    @async_to_deferred
    async def _ensure_queued(self, job_id: int) -> Job:
        """Make or adopt the request of a queued job; the row says `queued` already, so a crash here is mended."""
        job = await self.db(jobs.get_job, job_id)
        request_id, _new = await engine.ensure_request(
            self.master,
            job.target,
            push_key(job.target, job.id, job.pushes),
            reason=job.reason or f"job {job.id}",
            job=job.id,
            owner=job.owner,
        )
        await self.db(jobs.set_request, job_id, request_id)
        self.poke(job.target)
        return await self.db(jobs.get_job, job_id)

    @async_to_deferred
    async def _reconcile(self) -> None:
        """At start: what a master that died left half done is completed."""
        try:
            for row in await self.db(doors.requests_without_job, self.master.db.model, self._coordinators()):
                await self._adopt(row)
            for job in await self.db(jobs.unfinished_jobs):
                request = None
                if job.request_id is not None:
                    request = await self.master.db.buildrequests.getBuildRequest(job.request_id)
                if request is not None and request.complete:
                    await self._finish(job, request.results)
                elif job.cancel_by is not None:
                    await self._enforce_cancel(job.id)
                elif job.status == "queued" and job.request_id is None:
                    await self._ensure_queued(job.id)
            for attempt in await self.db(attempts.running_attempts):
                if (await self.db(jobs.get_job, attempt.job_id)).cancel_by is not None:
                    await self._enforce_cancel(attempt.job_id)
        except Exception:
            log.err(None, "benchyard: while mending jobs at start")
        self.poke(*self.lanes)

    def poke(self, *builders: str) -> None:
        """Let the distributor look at these builders again."""
        for name in builders:
            if name in self.master.botmaster.builders:
                self.master.botmaster.maybeStartBuildsForBuilder(name)

    def _coordinators(self) -> list[str]:
        return [name for name, lane in self.lanes.items() if lane.stage is None]

    def _stages(self, target: str) -> dict[str, Lane]:
        return {n: lane for n, lane in self.lanes.items() if lane.target == target and lane.stage is not None}

    @async_to_deferred
    async def _job_id_of_request(self, request_id: int) -> int | None:
        request = await self.master.db.buildrequests.getBuildRequest(request_id)
        if request is None or request.buildername not in self.lanes:
            return None
        if self.lanes[request.buildername].stage is None:
            job = await self.db(jobs.job_of_request, request_id)
            return job.id if job is not None else None
        buildset = await self.master.db.buildsets.getBuildset(request.buildsetid)
        run = run_of_key(buildset.external_idstring)
        return run.job if run is not None else None

    def _release_builds_at_shutdown(self) -> None:
        """A clean shutdown waits for builds; let ours go, the runs on the hosts live on and are attached to later."""
        if not self.master.botmaster.shuttingDown:
            return
        for name in self.lanes:
            builder = self.master.botmaster.builders.get(name)
            for build in list(builder.building) if builder is not None else ():
                step = build.currentStep
                if not build.stopped and (hasattr(step, "survives") or getattr(step, "_waitingForLocks", False)):
                    build.stopBuild("the master stops; this build goes on after its start", RETRY)


def _in_transaction(
    conn: Any, function: Callable[..., T], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[Any, StoreError | None]:
    """(value, error): Buildbot's pool logs what is raised in it as fatal, and that there is no such job is no fault."""
    try:
        with conn.begin():
            return function(conn, *args, **kwargs), None
    except StoreError as exc:
        return None, exc


def _push(conn: Any, job_id: int, *, now: float, who: str) -> None:
    jobs.count_push(conn, job_id)
    jobs.set_status(conn, job_id, "queued", now=now, who=who)


def _attempt_to_work_on(conn: Any, job_id: int, max_attempts: int, *, now: float) -> Attempt | None:
    tried = attempts.list_attempts(conn, job_id)
    if tried and tried[-1].status not in ("lost", "interrupted"):
        return tried[-1]
    if sum(attempt.status == "lost" for attempt in tried) >= max_attempts:
        return None
    return attempts.new_attempt(conn, job_id, now=now)
