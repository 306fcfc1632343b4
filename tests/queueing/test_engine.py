"""The contract with Buildbot 4.3: what of its inside we lean on, and what change of it would break us.

Each test runs a real master. `QueueChooser` is in place in all of them, so a distributor that no longer asks
`BuildChooser.popNextBuild` for a (worker, request) pair fails them all.
"""

from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from buildbot.process import buildstep
from buildbot.process.results import CANCELLED, RETRY, SUCCESS
from buildbot.worker.protocols import pb as worker_protocol
from twisted.internet import defer
from twisted.internet import task as clocks
from twisted.spread import pb

from benchyard.queueing import doors, engine
from benchyard.queueing.jobs import JobService
from benchyard.queueing.order import Lane
from benchyard.queueing.requests import CheckedJob, JobRequest, JobSpec, Source
from benchyard.queueing.runs import Run, push_key, stage_key
from benchyard.store import attempts, jobs

Start = Callable[..., Any]
Spin = Callable[..., Any]
Settle = Callable[..., Any]
Leave = Callable[..., Any]


class Hold(buildstep.BuildStep):  # type: ignore[misc]
    """A step that notes which builds are in it, as (request, worker), and ends when the test lets it."""

    survives = True
    inside: list[tuple[int, str]] = []  # noqa: RUF012 (one for all steps: the test looks there)
    gates: list["defer.Deferred[int]"] = []  # noqa: RUF012
    gate: "defer.Deferred[int] | None" = None

    def run(self) -> Any:
        self.gate = defer.Deferred()
        self.inside.append((self.build.requests[0].id, self.worker.workername))
        self.gates.append(self.gate)
        return self.gate

    def interrupt(self, reason: Any) -> Any:
        if self.gate is not None and not self.gate.called:
            self.gate.callback(CANCELLED)
        return super().interrupt(reason)


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    Hold.inside.clear()
    Hold.gates.clear()


def release() -> None:
    """Let all builds go on that are in `Hold`."""
    for gate in Hold.gates:
        if not gate.called:
            gate.callback(SUCCESS)


def check(request: JobRequest, _source: Source | None, _reference: str | None) -> CheckedJob:
    """Find every job good, as it is."""
    spec = JobSpec(python=request.python or "", benchmarks=request.benchmarks)
    return CheckedJob(target=request.target or "t", host=request.host, spec=spec)


@pytest.fixture
def config() -> Callable[..., dict[str, Any]]:
    """`config(steps)`: a master with builder `t`, a job's lane, and `t-measure`, a stage's; both run these steps."""

    def make(steps: Iterable[Any] = (), *, capacity: int = 3, collapse: bool | None = False) -> dict[str, Any]:
        from buildbot.plugins import schedulers, util, worker

        factory = util.BuildFactory(list(steps))
        factory.buildClass = engine.LabBuild
        engine.install()
        names = {"t": ["c1", "c2", "c3", "stranger"], "t-measure": ["h1", "h2", "h3"]}
        return {
            "workers": [worker.LocalWorker(name, max_builds=1) for group in names.values() for name in group],
            "protocols": {"null": {}},
            "builders": [
                util.BuilderConfig(name=name, workernames=group, factory=factory, collapseRequests=collapse)
                for name, group in names.items()
            ],
            "schedulers": [schedulers.Triggerable(name="none", builderNames=list(names))],
            "prioritizeBuilders": engine.by_name,
            "services": [
                JobService(
                    lanes={
                        "t": Lane("t", None, ("c1", "c2", "c3"), ("h1",), capacity),
                        "t-measure": Lane("t", "measure", ("h1", "h2")),
                    },
                    check=check,
                    max_attempts=2,
                    remotes={},
                    expand=lambda _: (),
                )
            ],
        }

    return make


def service(master: Any) -> Any:
    return master.service_manager.namedServices[engine.SERVICE]


async def submit(master: Any, **request: Any) -> Any:
    asked = JobRequest(python="/p", target="t", **request)
    return (await service(master).submit(asked, owner="ada", origin="rest")).job


def completed(master: Any, request_id: int) -> Callable[[], Any]:
    async def condition() -> Any:
        request = await master.db.buildrequests.getBuildRequest(request_id)
        return request if request.complete else None

    return condition


def final(master: Any, job_id: int) -> Callable[[], Any]:
    async def condition() -> Any:
        job = await service(master).db(jobs.get_job, job_id)
        return job if job.is_final else None

    return condition


def in_hold(count: int) -> Callable[[], bool]:
    return lambda: len(Hold.inside) >= count


async def results_of_builds(master: Any, request_id: int) -> list[Any]:
    builds = await master.data.get(("buildrequests", request_id, "builds"))
    return [build["results"] for build in sorted(builds, key=lambda build: build["buildid"])]


def test_worker_lost_while_build_is_prepared(
    start_master: Start, spin: Spin, settle: Settle, config: Callable[..., Any]
) -> None:
    """A build whose worker detaches before it is prepared goes back to the queue and runs on another one.

    Breaks if `Build.buildPreparationFailure`, `_preparation_step` or `workerforbuilder.worker` change; stock wedges.
    """
    master = start_master(config())
    lost: list[str] = []
    original = master.data.updates.setBuildStateString

    async def lose_worker(build_id: int, text: str) -> Any:
        done = await original(build_id, text)
        if text == "preparing worker" and not lost:
            lost.append(next(b.workername for b in master.botmaster.builders["t"].building))
            master.workers.workers[lost[0]].conn.loseConnection()
            await settle(lambda: master.workers.workers[lost[0]].conn is None, "the worker is detached")
        return done

    master.data.updates.setBuildStateString = lambda *given: defer.ensureDeferred(lose_worker(*given))

    async def test() -> list[Any]:
        job = await submit(master)
        request = await settle(completed(master, job.request_id), "the job's request has ended")
        assert request.results == SUCCESS
        return await results_of_builds(master, job.request_id)

    assert spin(test()) == [RETRY, SUCCESS]
    assert lost


def test_cancel_between_claim_and_start(
    start_master: Start, spin: Spin, settle: Settle, config: Callable[..., Any]
) -> None:
    """A request that is canceled in the instant between its claim and its build ends, and its worker is free again.

    Breaks if `Build.startBuild` no longer returns after `stopBuild` there, or sets `_preparation_step` earlier.
    """
    master = start_master(config())

    async def test() -> None:
        def cancel(_key: Any, msg: Any) -> None:
            engine.cancel_request(master, msg["buildrequestid"], "a person says so")

        consumer = await master.mq.startConsuming(cancel, ("buildrequests", None, "claimed"))
        job = await submit(master)
        request = await settle(completed(master, job.request_id), "the canceled request has ended")
        consumer.stopConsuming()
        assert request.results == CANCELLED
        assert await results_of_builds(master, job.request_id) == [CANCELLED]
        await settle(lambda: not master.botmaster.builders["t"].building, "no build is left")
        ended = await settle(final(master, job.id), "the job has ended")
        assert (ended.status, ended.cancel_by) == ("canceled", "web")
        after = await submit(master)
        assert (await settle(completed(master, after.request_id), "the next job runs")).results == SUCCESS

    spin(test())


def test_build_that_cannot_start_goes_back(
    start_master: Start, spin: Spin, settle: Settle, config: Callable[..., Any], logged_errors: list[str]
) -> None:
    """An error inside Buildbot while a build starts requeues its request instead of holding it for ever.

    Breaks if `Build.startBuild` begins to swallow what goes wrong in it, or `buildid` is set later.
    """
    master = start_master(config())
    failures = iter([RuntimeError("once")])
    original = master.data.updates.generateNewBuildEvent

    def fail_once(build_id: int) -> Any:
        error = next(failures, None)
        return original(build_id) if error is None else defer.fail(error)

    master.data.updates.generateNewBuildEvent = fail_once

    async def test() -> list[Any]:
        job = await submit(master)
        await settle(completed(master, job.request_id), "the job's request has ended")
        return await results_of_builds(master, job.request_id)

    assert spin(test()) == [RETRY, SUCCESS]
    assert any("a build could not be started" in text and "once" in text for text in logged_errors)
    logged_errors.clear()


def test_stopped_for_shutdown_while_waiting_for_a_lock(
    start_master: Start, spin: Spin, settle: Settle, config: Callable[..., Any]
) -> None:
    """A build that is stopped with RETRY while its step waits for a lock ends RETRY, not CANCELLED.

    Breaks if `stopBuild(reason, results)` or `buildFinished(text, results)` change, or no longer set the outcome.
    """
    from buildbot.plugins import util

    lock = util.MasterLock("one at a time")
    master = start_master(config([Hold(locks=[lock.access("exclusive")])]))

    async def test() -> None:
        first, second = await submit(master), await submit(master)
        await settle(in_hold(1), "the first job has the lock")
        building = master.botmaster.builders["t"].building
        waits = await settle(
            lambda: [b for b in building if getattr(b.currentStep, "_waitingForLocks", False)], "the second waits"
        )
        waits[0].stopBuild("the master stops", RETRY)
        stopped = waits[0].requests[0].id
        assert stopped in (first.request_id, second.request_id)

        async def first_result() -> Any:
            return (await results_of_builds(master, stopped))[0]

        assert await settle(first_result, "the build has ended") == RETRY
        request = await master.db.buildrequests.getBuildRequest(stopped)
        assert not request.complete
        release()
        await settle(in_hold(2), "the other one has the lock")
        release()
        assert (await settle(completed(master, stopped), "it ran after all")).results == SUCCESS

    spin(test())


def test_clean_shutdown_lets_builds_go(
    start_master: Start, spin: Spin, settle: Settle, config: Callable[..., Any]
) -> None:
    """A clean shutdown (SIGUSR1, or by the web) ends although builds run; their requests wait for the next start.

    Breaks if `botmaster.shuttingDown`, `builder.building` or `build.currentStep` are gone, or `_waitingForLocks` is.
    """
    from buildbot.plugins import util

    lock = util.MasterLock("one at a time")
    master = start_master(config([Hold(locks=[lock.access("exclusive")])]))

    async def test() -> None:
        made = [await submit(master) for _ in range(2)]
        building = master.botmaster.builders["t"].building
        await settle(lambda: len(building) == 2 and len(Hold.inside) == 1, "one runs and one waits for it")
        await settle(lambda: any(b.currentStep and b.currentStep._waitingForLocks for b in building), "it waits")
        await master.botmaster.cleanShutdown(stopReactor=False)
        for job in made:
            request = await master.db.buildrequests.getBuildRequest(job.request_id)
            assert (request.complete, request.claimed) == (False, False)
            assert await results_of_builds(master, job.request_id) == [RETRY]

    spin(test())


def test_only_requests_of_jobs_are_chosen(
    start_master: Start, spin: Spin, settle: Settle, config: Callable[..., Any], leave_request: Leave
) -> None:
    """The distributor asks our chooser, which picks only requests with a job's row, whoever made the others.

    Breaks if `BuildRequestDistributor` no longer makes its choosers from the class attribute `BuildChooser`.
    """
    master = start_master(config([Hold()]))

    async def test() -> None:
        stranger = await leave_request(master, "t")
        job = await submit(master)
        await settle(in_hold(1), "the job runs")
        assert [request_id for request_id, _worker in Hold.inside] == [job.request_id]
        assert not (await master.db.buildrequests.getBuildRequest(stranger)).claimed
        chooser = master.botmaster.brd.createBuildChooser(master.botmaster.builders["t"], master)
        assert isinstance(chooser, engine.QueueChooser)

    spin(test())


def test_only_workers_of_the_lane_are_used(
    start_master: Start, spin: Spin, settle: Settle, config: Callable[..., Any]
) -> None:
    """A builder's worker that is not in its lane gets nothing, even when it alone is free.

    Breaks if the chooser's `workerpool` no longer holds WorkerForBuilder objects that name their worker.
    """
    master = start_master(config([Hold()], capacity=9))

    async def test() -> None:
        for _ in range(4):
            await submit(master)
        await settle(in_hold(3), "three jobs run")
        fourth = await submit(master)
        assert {worker for _request, worker in Hold.inside} == {"c1", "c2", "c3"}
        release()
        await settle(in_hold(5), "the others run when workers are free")
        release()
        await settle(completed(master, fourth.request_id), "all have run")
        assert "stranger" not in {worker for _request, worker in Hold.inside}

    spin(test())


def test_capacity_holds_and_refused_jobs_pass(
    start_master: Start, spin: Spin, settle: Settle, config: Callable[..., Any], leave_request: Leave
) -> None:
    """No more jobs begin than the capacity allows; a job refused at its door ends at once nevertheless.

    Breaks if requests are claimed elsewhere than in `buildrequest_claims`, or builds start without the chooser.
    """
    master = start_master(config([Hold()], capacity=1))

    async def refuse(request_id: int) -> None:
        await service(master).db(
            jobs.create_job,
            now=1.0,
            who="ada",
            kind="benchmarks",
            target="t",
            host=None,
            spec={},
            owner="ada",
            origin="force",
            reason="",
            status="failed",
            error="python: no",
            request_id=request_id,
        )
        service(master).ending.add(request_id)

    async def test() -> None:
        first, second = await submit(master), await submit(master)
        await settle(in_hold(1), "the first runs")
        refused = await leave_request(master, "t")
        await refuse(refused)
        service(master).poke("t")
        await settle(in_hold(2), "the refused one has its build")
        assert [request_id for request_id, _worker in Hold.inside] == [first.request_id, refused]
        release()
        await settle(in_hold(3), "the second follows the first")
        assert Hold.inside[2][0] == second.request_id

    spin(test())


def test_begun_job_goes_first(
    start_master: Start, spin: Spin, settle: Settle, config: Callable[..., Any], stop_master: Callable[[Any], None]
) -> None:
    """After a restart of the master the job that had begun goes on before those that have waited longer.

    Breaks if a stopping master no longer unclaims the requests of its builds, with their ids and priority.
    """
    master = start_master(config([Hold()], capacity=1))

    async def begin() -> tuple[int, int]:
        first, second = await submit(master), await submit(master)
        await settle(in_hold(1), "the first runs")
        assert Hold.inside[0][0] == first.request_id
        await service(master).set_status(second.id, "running")  # as if the younger one had begun
        return first.request_id, second.request_id

    first, second = spin(begin())
    stop_master(master)
    Hold.inside.clear()
    master = start_master(config([Hold()], capacity=2))

    async def resume() -> list[int]:
        await settle(in_hold(2), "both run again")
        return [request_id for request_id, _worker in Hold.inside]

    assert spin(resume()) == [second, first]


def test_ended_job_whose_build_is_put_back(
    start_master: Start, spin: Spin, settle: Settle, config: Callable[..., Any]
) -> None:
    """A build that is to be done again after its job has its outcome is done again, and the request ends with it.

    Breaks if a request that is given back is no longer told as `unclaimed`.
    """
    master = start_master(config([Hold()]))

    async def test() -> None:
        job = await submit(master)
        await settle(in_hold(1), "its build has begun")
        await service(master).set_status(job.id, "success")
        Hold.gates[0].callback(RETRY)
        await settle(in_hold(2), "it is done again")
        assert service(master).ending == {job.request_id}
        release()
        await settle(completed(master, job.request_id), "the request has ended")
        assert await results_of_builds(master, job.request_id) == [RETRY, SUCCESS]
        await settle(lambda: not service(master).ending, "nothing is left to end")

    spin(test())


def test_run_goes_back_to_its_host(start_master: Start, spin: Spin, settle: Settle, config: Callable[..., Any]) -> None:
    """The stage of an attempt that is placed on a host is built by that host's worker, though another comes first.

    Breaks if the chooser's answer may name another worker than the first of the pool no longer.
    """
    master = start_master(config([Hold()]))

    async def test() -> None:
        job = await submit(master, run=False)
        attempt = await service(master).db(attempts.new_attempt, job.id, now=1.0)
        await service(master).db(attempts.place_attempt, job.id, attempt.number, host="h2", now=1.0)
        request_id, _new = await service(master).stage_request("t-measure", attempt, None)
        await settle(in_hold(1), "the stage runs")
        assert Hold.inside == [(request_id, "h2")]

    spin(test())


def test_adopted_stage_is_looked_at_again(
    start_master: Start, spin: Spin, settle: Settle, config: Callable[..., Any]
) -> None:
    """A stage that waited while its job was off the queue starts once the job is back and its build adopts it."""
    master = start_master(config([Hold()]))

    async def test() -> None:
        job, other = [await submit(master, run=False) for _ in range(2)]
        attempt, later = [await service(master).db(attempts.new_attempt, id, now=1.0) for id in (job.id, other.id)]
        request_id, _new = await service(master).stage_request("t-measure", attempt, None)
        await service(master).set_status(other.id, "ready")
        await service(master).stage_request("t-measure", later, None)
        await settle(in_hold(1), "the stage of the other runs")
        await service(master).set_status(job.id, "ready")
        assert await service(master).stage_request("t-measure", attempt, None) == (request_id, False)
        await settle(in_hold(2), "both run")

    spin(test())


def test_pinned_job_waits_for_its_host(
    start_master: Start, spin: Spin, settle: Settle, config: Callable[..., Any]
) -> None:
    """The stage of a job that names a host waits while that host is busy, and another job takes the free one.

    Breaks as above, and if a worker with `max_builds=1` is offered while it builds.
    """
    master = start_master(config([Hold()]))

    async def test() -> None:
        stages = []
        for host in ("h1", "h1", None):
            job = await submit(master, run=False, host=host)
            await service(master).set_status(job.id, "ready")
            attempt = await service(master).db(attempts.new_attempt, job.id, now=1.0)
            stages.append((await service(master).stage_request("t-measure", attempt, None))[0])
        await settle(in_hold(2), "two stages run")
        assert sorted(Hold.inside) == [(stages[0], "h1"), (stages[2], "h2")]
        release()
        await settle(in_hold(3), "the second of the host runs")
        assert Hold.inside[2] == (stages[1], "h1")

    spin(test())


def test_requests_of_one_commit_are_kept(
    start_master: Start, spin: Spin, settle: Settle, config: Callable[..., Any]
) -> None:
    """Jobs that differ by more than their commit are all kept, even where collapsing is on.

    Breaks if `data.buildsets` no longer looks up `BuildRequestCollapser` in its own module at each new buildset.
    """
    master = start_master(config([Hold()], capacity=0))
    master.botmaster.builders["t"].config.collapseRequests = True

    async def test() -> list[Any]:
        made = [await submit(master, reason=f"r{n}") for n in range(3)]
        return [(await master.db.buildrequests.getBuildRequest(job.request_id)).complete for job in made]

    assert spin(test()) == [False, False, False]


def test_a_builder_that_collapses_is_refused(config: Callable[..., Any]) -> None:
    """A master with a builder of the lab's that merges requests is told which, and what to change."""
    from buildbot.config import ConfigErrors
    from buildbot.config.master import MasterConfig

    for collapse, merges in ((False, False), (True, True), (None, True)):
        master = SimpleNamespace(config=MasterConfig.loadFromDict(config(collapse=collapse), "<test>"))
        if not merges:
            engine.refuse_collapsing(master, ["t"])
            continue
        with pytest.raises(ConfigErrors, match="builder 't' merges requests .* set its collapseRequests=False"):
            engine.refuse_collapsing(master, ["t"])


def test_builders_are_asked_by_name(start_master: Start, spin: Spin, config: Callable[..., Any]) -> None:
    """The order of builders needs no question to the database.

    Breaks if `prioritizeBuilders` is called otherwise than with the master and its builders.
    """
    master = start_master(config())

    async def test() -> Any:
        return await master.botmaster.brd._sortBuilders(["t-measure", "t"])

    assert spin(test()) == ["t", "t-measure"]


def test_request_is_made_once(start_master: Start, spin: Spin, config: Callable[..., Any]) -> None:
    """Whoever asks again with a key gets the request that bears it, also when it has ended.

    Breaks if `addBuildset` stops writing `external_idstring` in the buildset's own transaction, or renames it.
    """
    master = start_master(config(capacity=0))
    key = stage_key("t-measure", Run(7, 1))

    async def test() -> None:
        first, new = await engine.ensure_request(master, "t-measure", key, reason="r", job=7)
        again, new_again = await engine.ensure_request(master, "t-measure", key, reason="r", job=7)
        assert (first, new, again, new_again) == (first, True, first, False)
        other, _new = await engine.ensure_request(master, "t-measure", stage_key("t-measure", Run(7, 2)), reason="r")
        assert other != first
        request = await master.db.buildrequests.getBuildRequest(first)
        assert (request.waited_for, request.buildername) == (False, "t-measure")
        properties = await master.db.buildsets.getBuildsetProperties(request.buildsetid)
        assert properties["job"] == (7, "benchyard")
        assert await engine.requests_with_key(master, "nothing") == []

    spin(test())


def test_adopted_request_may_have_ended(
    start_master: Start, spin: Spin, settle: Settle, config: Callable[..., Any]
) -> None:
    """A request that ended while nobody looked is adopted with its end; it is not made again.

    Breaks if completed requests or their buildsets are removed from the database.
    """
    master = start_master(config())

    async def test() -> None:
        job = await submit(master)
        await settle(completed(master, job.request_id), "the job has run")
        key = push_key("t", job.id, 1)
        assert await engine.ensure_request(master, "t", key, reason="r") == (job.request_id, False)
        assert await engine.requests_with_key(master, key) == [(job.request_id, True)]

    spin(test())


def test_rebuild_is_a_job_of_its_own(
    start_master: Start, spin: Spin, settle: Settle, config: Callable[..., Any]
) -> None:
    """A rebuild copies the key of the build's buildset; it counts neither as that push nor as that stage.

    Breaks if Buildbot no longer sets `rebuilt_buildid` on the buildset of a rebuild.
    """
    master = start_master(config())

    async def test() -> None:
        job = await submit(master, reason="first")
        await settle(completed(master, job.request_id), "the job has run")
        (build,) = await master.data.get(("buildrequests", job.request_id, "builds"))
        _bsid, made = await master.data.control("rebuild", {}, ("builds", str(build["buildid"])))
        rebuilt = next(iter(made.values()))
        buildset = await master.db.buildsets.getBuildset(
            (await master.db.buildrequests.getBuildRequest(rebuilt)).buildsetid
        )
        key = push_key("t", job.id, 1)
        assert buildset.external_idstring == key
        assert doors.push_of(buildset) is None
        assert await engine.requests_with_key(master, key) == [(job.request_id, True)]

        async def adopted() -> Any:
            return await service(master).db(jobs.job_of_request, rebuilt)

        again = await settle(adopted, "the rebuild has its job")
        assert (again.id != job.id, again.origin, again.reason) == (True, "rebuild", f"job {job.id} again")
        assert (again.spec, again.target) == (job.spec, job.target)

    spin(test())


def test_cancel_of_a_waiting_request(
    start_master: Start, spin: Spin, settle: Settle, config: Callable[..., Any]
) -> None:
    """A request that waits is canceled by a message, and its job ends with it.

    Breaks if the message `control/buildrequests/ID/cancel` is no longer what cancels.
    """
    master = start_master(config(capacity=0))

    async def test() -> None:
        job = await submit(master)
        engine.cancel_request(master, job.request_id, "a person says so")
        assert (await settle(completed(master, job.request_id), "it has ended")).results == CANCELLED
        assert (await settle(final(master, job.id), "the job has ended")).status == "canceled"

    spin(test())


class Peer(pb.Root):  # type: ignore[misc]
    """A worker's end of a connection, with an answer or without one to give."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked = 0

    def remote_getVersion(self) -> Any:
        self.asked += 1
        return self.answer


@pytest.mark.parametrize("silent", [False, True])
def test_a_connection_is_cut_when_nobody_answers(
    spin: Spin, settle: Settle, logged_errors: list[str], silent: bool
) -> None:
    """A connection that swallows everything is cut after the time to answer is over; a living one is kept.

    Breaks if `Connection` takes its interval or its question from elsewhere, or a worker has no `getVersion` any more.
    """
    from twisted.internet import reactor

    engine.install()
    clock, peer = clocks.Clock(), Peer(defer.Deferred() if silent else "4.3.0")

    async def main() -> bool:
        port = reactor.listenTCP(0, pb.PBServerFactory(peer), interface="127.0.0.1")
        factory = pb.PBClientFactory()
        reactor.connectTCP("127.0.0.1", port.getHost().port, factory)
        mind = await factory.getRootObject()
        connection = worker_protocol.Connection(SimpleNamespace(reactor=clock), SimpleNamespace(workername="w"), mind)
        connection.startKeepaliveTimer()
        try:
            for asked in (1,) if silent else (1, 2):
                clock.advance(engine.PING_INTERVAL_S)
                await settle(lambda asked=asked: peer.asked == asked, "the worker is asked")
                clock.advance(engine.PING_TIMEOUT_S - 1)
                assert not mind.broker.disconnected
            clock.advance(1)
            if silent:
                await settle(lambda: mind.broker.disconnected, "the connection is cut")
            return bool(mind.broker.disconnected)
        finally:
            connection.stopKeepaliveTimer()
            factory.disconnect()
            await port.stopListening()

    assert spin(main()) == silent
    assert logged_errors == []
