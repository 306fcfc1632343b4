"""The job service: the one place in a master that changes what is known of jobs."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar
from weakref import WeakValueDictionary

from buildbot.process.results import RETRY
from buildbot.util.service import BuildbotService
from buildbot.util.twisted import async_to_deferred
from twisted.internet import defer, task, threads
from twisted.python import log

from benchyard.queueing import admission, cancellation, creation, endings, engine, maintaining
from benchyard.queueing.backfill import BackfillRequest
from benchyard.queueing.order import Lane
from benchyard.queueing.requests import CheckedJob, Invalid, JobRequest, Source
from benchyard.queueing.runs import Run, push_key, push_of_key, run_of_key, stage_key
from benchyard.store import attempts, jobs, queues, results
from benchyard.store.errors import Conflict, NotFound
from benchyard.store.migrate import migrate
from benchyard.store.rows import MAINTENANCE, Attempt, Job
from benchyard.store.transactions import in_transaction

T = TypeVar("T")
Expand = Callable[[BackfillRequest], tuple[Source, ...]]
Check = Callable[[JobRequest, Source | None, str | None], CheckedJob]

#: Requests that are checked at once: each may start an interpreter and wait for it.
CHECKS_AT_ONCE = 2


class Submitted(NamedTuple):
    """A job, and whether it was made just now; else it has measured before what was asked for."""

    job: Job
    new: bool


class JobService(BuildbotService):
    """Knows all jobs of the lab.

    `lanes` says what each builder is for, `check` refuses bad requests (it may block and runs in a thread), `remotes`
    are the names of repositories by their addresses, `expand` gives the commits of a backfill (it may block, too). What
    happens to jobs by Buildbot's own doors is in `admission`, how they are canceled in `cancellation`, how they end in
    `endings`; each is a few functions on this service.
    """

    name = engine.SERVICE

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        #: Builds that a person asked to stop; lost workers and shutdowns never send control messages.
        self.stopped_by_person: set[int] = set()
        #: Requests of jobs that have ended without their build: refused at the door, or by what came in between.
        self.ending: set[int] = set()
        #: Held while a request is made, so that one key never gets two.
        self.making_request = defer.DeferredLock()
        #: Held while a request of another door is adopted: the commits of a branch stay in their order.
        self._arrivals = defer.DeferredLock()
        self._building: WeakValueDictionary[str, defer.DeferredLock] = WeakValueDictionary()
        self._checks = defer.DeferredSemaphore(CHECKS_AT_ONCE)
        self._consumers: list[Any] = []
        self._watch = task.LoopingCall(self._release_builds_at_shutdown)
        #: The timer of the lease that ends next.
        self.lease_timer: Any = None

    def checkConfig(
        self, *, lanes: Mapping[str, Lane], check: Check, max_attempts: int, remotes: Mapping[str, str], expand: Expand
    ) -> None:
        super().checkConfig()

    @async_to_deferred
    async def reconfigService(
        self, *, lanes: Mapping[str, Lane], check: Check, max_attempts: int, remotes: Mapping[str, str], expand: Expand
    ) -> None:
        await super().reconfigService()
        engine.refuse_collapsing(self.master, lanes)
        self.lanes, self.check, self.expand = dict(lanes), check, expand
        self.max_attempts, self.remotes = max_attempts, dict(remotes)

    @async_to_deferred
    async def startService(self) -> None:
        """Before the web port opens and before any worker attaches: migrate, listen, then mend what a crash left."""
        await self.master.db.pool.do_with_engine(migrate)
        await super().startService()
        listen = self.master.mq.startConsuming
        self._consumers = [
            await listen(self._on_stop, ("control", "builds", None, "stop")),
            await listen(self._on_cancel, ("control", "buildrequests", None, "cancel")),
            await listen(self._on_new_buildset, ("buildsets", None, "new")),
            await listen(self._on_complete, ("buildrequests", None, "complete")),
            await listen(self._on_put_back, ("buildrequests", None, "unclaimed")),
            await listen(self._on_left, ("workers", None, "disconnected")),
        ]
        self._watch.start(1.0, now=False)
        self.master.reactor.callLater(0, self.in_background, admission.mend, self)

    @async_to_deferred
    async def stopService(self) -> None:
        if self._watch.running:
            self._watch.stop()
        if self.lease_timer is not None and self.lease_timer.active():
            self.lease_timer.cancel()
        for consumer in self._consumers:
            consumer.stopConsuming()  # gives no Deferred; an exception here would hang the master's shutdown
        await super().stopService()

    # What doors, REST and steps ask for.

    @async_to_deferred
    async def db(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run a function of the store in a transaction, in the database's thread."""
        value, error = await self.master.db.pool.do(in_transaction, function, args, kwargs)
        if error is not None:
            raise error
        return value

    @async_to_deferred
    async def checked(self, request: JobRequest, source: Source | None = None) -> CheckedJob:
        """The request with every name resolved; Invalid if it cannot work. What is built may be known already."""
        reference = await self.db(_file_of, request.same_loops) if request.same_loops is not None else None
        return await self._checks.run(threads.deferToThread, self.check, request, source, reference)

    @async_to_deferred
    async def submit(self, request: JobRequest, *, owner: str, origin: str) -> Submitted:
        """A new job, on its target's queue unless `run` is false, or the one that has measured just this.

        Invalid changes nothing.
        """
        checked = await self.checked(request)
        base = None
        if checked.base is not None:
            base = (await self.submit(checked.base, owner=owner, origin=origin)).job.id
        if not request.again:
            known = await self.db(creation.known_job, checked)
            if known is not None:
                return Submitted(known, new=False)
        how = {"now": time.time(), "owner": owner, "origin": origin, "base_job": base}
        job = await self.db(creation.create, request, checked, **how)
        return Submitted(await self.ensure_queued(job) if request.run else job, new=True)

    @async_to_deferred
    async def run_job(self, job_id: int, *, who: str) -> Job:
        """Put a `created` job on its target's queue; Conflict for any other."""
        return await self.ensure_queued(await self.db(queues.push, job_id, now=time.time(), who=who))

    @async_to_deferred
    async def cancel(self, job_id: int, *, who: str) -> Job:
        """End a job wherever it is; the intent is stored first, so that a crash cannot forget it."""
        job = await self.db(jobs.get_job, job_id)
        if job.is_final and job.cancel_by is None:
            raise Conflict(f"job {job_id} has ended already: {job.status}")
        await self.db(jobs.ask_cancel, job_id, now=time.time(), who=who)
        await cancellation.enforce(self, job_id)
        return await self.db(jobs.get_job, job_id)

    @async_to_deferred
    async def set_status(self, job_id: int, status: str, *, error: str | None = None, who: str = "lab") -> Job:
        """Move a job to a status; one that has ended stays as it is."""
        return await self.db(jobs.set_status, job_id, status, now=time.time(), who=who, error=error)

    @async_to_deferred
    async def advance(self, job_id: int, status: str, *, after: Sequence[str]) -> Job:
        """Move a job on to `status` if it is at one of `after`; it may have been taken off the queue meanwhile."""
        return await self.db(_advance, job_id, status, after, now=time.time())

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
        key = stage_key(builder, Run(attempt.job_id, attempt.number))
        reason = f"job {attempt.job_id}, attempt {attempt.number}"
        source = await self.db(creation.source_stamp, await self.db(jobs.get_job, attempt.job_id))
        request_id, new = await self.request(builder, key, reason=reason, source=source, parent=parent)
        if not new:
            self.poke(builder)  # it may have been left waiting while its job was off the queue
        return request_id, new

    @async_to_deferred
    async def request(self, builder: str, key: str, **how: Any) -> tuple[int, bool]:
        """The one request that bears `key`, made or adopted."""
        return await self.making_request.run(engine.ensure_request, self.master, builder, key, **how)

    @async_to_deferred
    async def ensure_queued(self, job: Job) -> Job:
        """Make or adopt the request of a queued job; the row says `queued` already, so a crash here is mended."""
        key = push_key(job.target, job.id, job.pushes)
        looks_after = job.kind in MAINTENANCE
        builder = maintaining.builder_of(self, job) if looks_after else job.target
        request_id, _new = await self.request(
            builder,
            key,
            reason=job.reason or f"job {job.id}",
            source=await self.db(creation.source_stamp, job),
            job=job.id,
            owner=job.owner,
            **({"host": job.host} if looks_after else {}),
        )
        job = await admission.tie(self, job.id, job.pushes, request_id)
        self.poke(builder)
        return job

    def building_of(self, interpreter: str) -> defer.DeferredLock:
        """What whoever builds an interpreter holds, so that it is built once."""
        return self._building.setdefault(interpreter, defer.DeferredLock())

    def stages(self, target: str) -> dict[str, Lane]:
        """The builders of a target's stages."""
        return {n: lane for n, lane in self.lanes.items() if lane.target == target and lane.stage is not None}

    @property
    def away(self) -> frozenset[str]:
        """The hosts whose workers are not connected."""
        known = {host for lane in self.lanes.values() for host in lane.machines}
        return frozenset(host for host in known if not engine.is_connected(self.master, host))

    def poke(self, *builders: str) -> None:
        """Let the distributor look at these builders again."""
        for name in builders:
            if name in self.master.botmaster.builders:
                self.master.botmaster.maybeStartBuildsForBuilder(name)

    # What happens.

    def _on_stop(self, key: tuple[str, ...], _msg: Any) -> None:
        """Synchronous, and registered before any build's own consumer: the step finds its build in the set."""
        self.stopped_by_person.add(int(key[2]))
        self.in_background(cancellation.build_stopped, self, int(key[2]))

    def _on_cancel(self, key: tuple[str, ...], _msg: Any) -> None:
        self.in_background(cancellation.request_canceled, self, int(key[2]))

    def _on_new_buildset(self, _key: Any, msg: Mapping[str, Any]) -> None:
        """Who pushes a job ties it to its request; what came by another door is adopted."""
        if push_of_key(msg["external_idstring"]) is None or msg["rebuilt_buildid"] is not None:
            self.in_background(self._arrivals.run, admission.arrived, self, msg["bsid"])

    def _on_complete(self, _key: Any, msg: Mapping[str, Any]) -> None:
        self.in_background(endings.request_completed, self, msg["buildrequestid"], msg["results"])

    def _on_put_back(self, _key: Any, msg: Mapping[str, Any]) -> None:
        self.in_background(endings.request_put_back, self, msg["buildrequestid"])

    def _on_left(self, _key: Any, _msg: Any) -> None:
        """What waited for a check that this worker was to make may go on."""
        self.poke(*self.lanes)

    def in_background(self, work: Callable[..., Any], *args: Any) -> None:
        """Do something that nobody waits for; what goes wrong is in the log."""
        defer.ensureDeferred(work(*args)).addErrback(log.err, "benchyard: in the job service")

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


def _file_of(conn: Any, result_id: int) -> str:
    try:
        path = results.get_result(conn, result_id).path
    except NotFound:
        path = None
    if path is None:
        raise Invalid("same_loops", f"there is no result {result_id} with a file")
    return path


def _advance(conn: Any, job_id: int, status: str, after: Sequence[str], *, now: float) -> Job:
    job = jobs.get_job(conn, job_id)
    return jobs.set_status(conn, job_id, status, now=now, who="lab") if job.status in after else job


def _attempt_to_work_on(conn: Any, job_id: int, max_attempts: int, *, now: float) -> Attempt | None:
    tried = attempts.list_attempts(conn, job_id)
    if tried and tried[-1].status not in ("lost", "interrupted"):
        return tried[-1]
    if sum(attempt.status == "lost" for attempt in tried) >= max_attempts:
        return None
    return attempts.new_attempt(conn, job_id, now=now)
