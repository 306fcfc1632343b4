"""What people change of a queue, in a real master: order, pause, what waits, and what that does to its builds."""

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from buildbot.process.results import CANCELLED, RETRY, SUCCESS
from twisted.internet import defer

from benchyard.queueing import admission, changes, engine
from benchyard.queueing.jobs import JobService
from benchyard.queueing.order import Lane
from benchyard.queueing.requests import CheckedJob, Invalid, JobRequest, JobSpec, Source
from benchyard.queueing.runs import push_key
from benchyard.steps.base import LabStep
from benchyard.steps.stage import MeasureStage, Stage
from benchyard.store import attempts, jobs, queues
from benchyard.store.errors import BadPosition, Conflict, NotFound, Stale
from benchyard.store.history import history_of

Start = Callable[..., Any]
Spin = Callable[..., Any]
Settle = Callable[..., Any]
Leave = Callable[..., Any]

PYTHON = str(Path(sys.executable).resolve())


class Prepare(LabStep):
    """Stands for a preparation that lasts until the test ends it; notes each time that it has begun."""

    begun: list[int] = []  # noqa: RUF012 (one for all steps: the test looks there)
    done: list["defer.Deferred[None]"] = []  # noqa: RUF012

    async def do(self) -> int:
        job, _attempt = await self.service.run_of(self.build)
        done: defer.Deferred[None] = defer.Deferred()
        self.begun.append(job.id)
        self.done.append(done)
        await defer.DeferredList([done, self.interrupted], fireOnOneCallback=True)
        if self.interrupted.called:
            return self.released()
        await self.service.advance(job.id, "ready", after=("building",))
        return int(SUCCESS)


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    Prepare.begun.clear()
    Prepare.done.clear()


def check(request: JobRequest, _source: Source | None, _reference: str | None) -> CheckedJob:
    """Find every job good but those that want the benchmark `bad`."""
    if "bad" in request.benchmarks:
        raise Invalid("benchmarks", "unknown benchmark 'bad'")
    spec = JobSpec(python=request.python or "", benchmarks=request.benchmarks, selection=request.benchmarks)
    return CheckedJob(target=request.target or "linux", host=request.host, spec=spec)


@pytest.fixture
def config() -> Callable[..., dict[str, Any]]:
    """`config(per_host=1)`: a lab of one host, whose prepare stage lasts, and whose isolated host is not there."""

    def make(*, per_host: int = 1) -> dict[str, Any]:
        from buildbot.plugins import schedulers, util, worker

        engine.install()

        def builder(name: str, workers: list[str], steps: Iterable[Any]) -> Any:
            factory = util.BuildFactory(list(steps))
            factory.buildClass = engine.LabBuild
            return util.BuilderConfig(name=name, workernames=workers, factory=factory, collapseRequests=False)

        coordinators = [f"c{number}" for number in range(1, 5)]
        lanes = {
            "linux": Lane("linux", None, tuple(coordinators), ("bench",), per_host),
            "linux-prepare": Lane("linux", "prepare", ("prep",), ("bench",), per_host),
            "linux-measure": Lane("linux", "measure", ("bench",), ("bench",), per_host),
        }
        steps = [Stage("linux-prepare", name="prepare"), MeasureStage("linux-measure", name="measure")]
        return {
            "workers": [worker.LocalWorker(name, max_builds=1) for name in (*coordinators, "prep", "away")],
            "protocols": {"null": {}},
            "builders": [
                builder("linux", coordinators, steps),
                builder("linux-prepare", ["prep"], [Prepare()]),
                builder("linux-measure", ["away"], []),
            ],
            "schedulers": [schedulers.Triggerable(name="none", builderNames=list(lanes))],
            "prioritizeBuilders": engine.by_name,
            "services": [JobService(lanes=lanes, check=check, max_attempts=2, remotes={}, expand=lambda _: ())],
        }

    return make


@pytest.fixture
def master(start_master: Start, config: Callable[..., dict[str, Any]]) -> Any:
    """A running master of a lab that begins one job at a time."""
    return start_master(config())


def service(master: Any) -> Any:
    return master.service_manager.namedServices[engine.SERVICE]


async def submit(master: Any, count: int = 1, **request: Any) -> list[int]:
    """The ids of new jobs."""
    asked = JobRequest(**{"python": PYTHON, "target": "linux", "benchmarks": ("nbody",), **request})
    return [(await service(master).submit(asked, owner="ada", origin="rest")).job.id for _ in range(count)]


async def get(master: Any, job_id: int) -> Any:
    return await service(master).db(jobs.get_job, job_id)


async def line(master: Any) -> list[int]:
    """The ids of the jobs of the queue, in order."""
    return [job.id for job in await service(master).db(queues.list_queue, "linux")]


async def everything(master: Any) -> Any:
    """All that a change of the queue may touch."""

    def read(conn: Any) -> Any:
        return queues.get_queue(conn, "linux"), queues.list_queue(conn, "linux"), jobs.list_jobs(conn)

    return await service(master).db(read)


async def request_of(master: Any, request_id: int) -> Any:
    return await master.db.buildrequests.getBuildRequest(request_id)


def has_status(master: Any, job_id: int, status: str) -> Callable[[], Any]:
    async def condition() -> bool:
        return bool((await get(master, job_id)).status == status)

    return condition


def ended(master: Any, request_id: int) -> Callable[[], Any]:
    async def condition() -> Any:
        request = await request_of(master, request_id)
        return request if request.complete else None

    return condition


def begun(*job_ids: int) -> Callable[[], bool]:
    return lambda: Prepare.begun == list(job_ids)


async def refused(master: Any, work: Any, error: type[Exception], message: str) -> None:
    """See that a change is refused with this error, and that it has changed nothing."""
    before = await everything(master)
    with pytest.raises(error, match=message):
        await work
    assert await everything(master) == before


def test_move(master: Any, spin: Spin, settle: Settle) -> None:
    """A job goes where it was told, others keep their order, and the queue knows who did it."""

    async def test() -> None:
        await changes.pause(service(master), "linux", who="ada", reason="")
        one, two, three = await submit(master, 3)
        for job, to, order in (
            (three, "first", [three, one, two]),
            (three, "+1", [one, three, two]),
            (two, "-1", [one, two, three]),
            (one, "last", [two, three, one]),
            (one, "2", [two, one, three]),
        ):
            await changes.move(service(master), "linux", job, to, who="bob", version=None)
            assert await line(master) == order
        version = (await service(master).db(queues.get_queue, "linux")).version
        await changes.move(service(master), "linux", three, "1", who="bob", version=version)
        assert await line(master) == [three, two, one]
        last = (await service(master).db(history_of, "queue", "linux"))[-1]
        assert (last.who, last.change) == ("bob", {"job": three, "position": 1})
        await changes.unpause(service(master), "linux", who="ada")
        await settle(begun(three), "the job that was moved to the front begins")

    spin(test())


def test_wrong_moves(master: Any, spin: Spin) -> None:
    """A move that makes no sense, or is of a queue that has changed since it was read, changes nothing."""

    async def test() -> None:
        lab = service(master)
        await changes.pause(lab, "linux", who="ada", reason="")
        first, second = await submit(master, 2)
        (created,) = await submit(master, run=False)
        (running,) = await submit(master)
        await lab.set_status(running, "running")
        version = (await lab.db(queues.get_queue, "linux")).version

        def move(job: int, to: str, target: str = "linux", version: int | None = None) -> Any:
            return changes.move(lab, target, job, to, who="bob", version=version)

        for to in ("0", "3", "+2", "-1"):
            await refused(master, move(first, to), BadPosition, "there is no position .* its positions are 1 to 2$")
        await refused(master, move(first, "up"), BadPosition, "'up' is no position")
        await refused(master, move(created, "1"), Conflict, f"^job {created} is not in the queue .*: it is created$")
        await refused(master, move(running, "1"), Conflict, f"^job {running} is not in the queue .*: it is running$")
        await refused(master, move(99, "1"), NotFound, "^there is no job 99$")
        await refused(master, move(first, "2", "macos"), Conflict, "is not in the queue of macos: it is for linux$")
        await refused(master, move(second, "1", version=version - 1), Stale, "read it again$")
        assert issubclass(Stale, Conflict)

    spin(test())


def test_concurrent_moves(master: Any, spin: Spin) -> None:
    """Of moves made in the same moment none is lost; of those that expect one version, one is made."""

    async def test() -> None:
        lab = service(master)
        await changes.pause(lab, "linux", who="ada", reason="")
        made = await submit(master, 6)
        before = (await lab.db(queues.get_queue, "linux")).version
        moves = [changes.move(lab, "linux", job, "first", who="bob", version=None) for job in made[1:]]
        outcomes = await defer.DeferredList([defer.ensureDeferred(move) for move in moves], consumeErrors=True)
        assert all(succeeded for succeeded, _ in outcomes), outcomes
        queue = await lab.db(queues.get_queue, "linux")
        told = [change.change for change in (await lab.db(history_of, "queue", "linux"))[-5:]]
        assert queue.version == before + 5
        # In whatever order they came, the last is in front, and the one that was not moved is behind all.
        assert await line(master) == [*(change["job"] for change in reversed(told)), made[0]]

        moves = [changes.move(lab, "linux", job, "first", who="bob", version=queue.version) for job in made[:2]]
        outcomes = await defer.DeferredList([defer.ensureDeferred(move) for move in moves], consumeErrors=True)
        assert sorted(succeeded for succeeded, _ in outcomes) == [False, True]
        assert [value.type for succeeded, value in outcomes if not succeeded] == [Stale]
        assert (await lab.db(queues.get_queue, "linux")).version == queue.version + 1

    spin(test())


def test_concurrent_pops(master: Any, spin: Spin, settle: Settle) -> None:
    """Two who pop in the same moment get two jobs, and all who come too late are told that the queue is empty."""

    async def test() -> None:
        await changes.pause(service(master), "linux", who="ada", reason="")
        made = await submit(master, 3)
        requests = [(await get(master, job)).request_id for job in made]
        pops = [defer.ensureDeferred(changes.pop(service(master), "linux", who="bob")) for _ in range(4)]
        outcomes = await defer.DeferredList(pops, consumeErrors=True)
        assert sorted(value for succeeded, value in outcomes if succeeded) == made
        assert [value.type for succeeded, value in outcomes if not succeeded] == [Conflict]
        for request_id in requests:
            await settle(ended(master, request_id), "its request has ended")
        assert [(await get(master, job)).status for job in made] == ["created"] * 3

    spin(test())


def test_taken_off_is_created_again(master: Any, spin: Spin, settle: Settle) -> None:
    """A waiting job that is popped or removed has no request any more; pushed again, it is the last of the queue."""

    async def test() -> None:
        lab = service(master)
        await changes.pause(lab, "linux", who="ada", reason="")
        one, two, three = await submit(master, 3)
        requests = [(await get(master, job)).request_id for job in (one, two, three)]
        assert await changes.pop(lab, "linux", who="bob") == one
        await changes.take_off(lab, "linux", three, who="bob")
        assert await line(master) == [two]
        for job, request_id in ((one, requests[0]), (three, requests[2])):
            assert (await settle(ended(master, request_id), "its request has ended")).results == CANCELLED
            off = await get(master, job)
            assert (off.status, off.request_id, off.cancel_by, off.changed_by) == ("created", None, None, "bob")
        again = await lab.run_job(one, who="ada")
        assert (again.status, again.pushes) == ("queued", 2)
        assert again.request_id not in (*requests, None)
        assert await line(master) == [two, one]

    spin(test())


def test_wrong_pops_and_removals(master: Any, spin: Spin) -> None:
    """What is not in the queue cannot be taken off it, and nothing changes."""

    async def test() -> None:
        lab = service(master)
        await refused(master, changes.pop(lab, "linux", who="bob"), Conflict, "^the queue of linux is empty$")
        await changes.pause(lab, "linux", who="ada", reason="")
        (created,) = await submit(master, run=False)
        waiting, running = await submit(master, 2)
        await lab.set_status(running, "running")
        for job, target, error, message in (
            (created, "linux", Conflict, f"^job {created} is not in the queue of linux: it is created$"),
            (running, "linux", Conflict, f"^job {running} is not in the queue of linux: it is running$"),
            (waiting, "macos", Conflict, f"^job {waiting} is not in the queue of macos: it is for linux$"),
            (99, "linux", NotFound, "^there is no job 99$"),
        ):
            await refused(master, changes.take_off(lab, target, job, who="bob"), error, message)

    spin(test())


def test_pop_of_building_job(master: Any, spin: Spin, settle: Settle) -> None:
    """Its build ends and what prepares it stops; the next job begins, and once pushed again it is prepared anew."""

    async def test() -> None:
        lab = service(master)
        first, second = await submit(master, 2)
        await settle(begun(first), "the first is being prepared")
        job = await get(master, first)
        assert job.status == "building"
        assert await changes.pop(lab, "linux", who="bob") == first
        assert (await settle(ended(master, job.request_id), "its build has ended")).results == CANCELLED
        await settle(begun(first, second), "the second is being prepared")
        off = await get(master, first)
        assert (off.status, off.request_id, off.error) == ("created", None, None)
        ((stage, complete),) = await engine.requests_with_key(master, f"linux-prepare:{first}.1")
        assert not complete

        async def released() -> Any:
            (build,) = await master.data.get(("buildrequests", stage, "builds"))
            return build["results"] == RETRY and not (await request_of(master, stage)).claimed

        await settle(released, "what prepared it has stopped, and waits")

        await lab.run_job(first, who="ada")
        await changes.take_off(lab, "linux", second, who="bob")
        await settle(begun(first, second, first), "the first is being prepared again")
        Prepare.done[-1].callback(None)
        await settle(has_status(master, first, "ready"), "it is ready")
        assert (await settle(ended(master, stage), "the stage has ended")).results == SUCCESS
        assert [attempt.number for attempt in await lab.db(attempts.list_attempts, first)] == [1]

    spin(test())


def test_removal_of_ready_job(master: Any, spin: Spin, settle: Settle) -> None:
    """What was prepared is kept: pushed again, the job is not prepared a second time, and has the same attempt."""

    async def test() -> None:
        lab = service(master)
        (job_id,) = await submit(master)
        await settle(begun(job_id), "it is being prepared")
        Prepare.done[0].callback(None)

        async def measure() -> Any:
            return await engine.requests_with_key(master, f"linux-measure:{job_id}.1")

        stages = await settle(measure, "its measurement waits")
        ready = await get(master, job_id)
        assert ready.status == "ready"
        await changes.take_off(lab, "linux", job_id, who="bob")
        await settle(ended(master, ready.request_id), "its build has ended")
        assert (await get(master, job_id)).status == "created"
        ((prepared, complete),) = await engine.requests_with_key(master, f"linux-prepare:{job_id}.1")
        assert complete

        again = await lab.run_job(job_id, who="ada")

        assert again.status in ("queued", "building")
        await settle(has_status(master, job_id, "ready"), "its new build has found it prepared")
        assert Prepare.begun == [job_id]
        assert (await request_of(master, prepared)).results == SUCCESS
        assert await measure() == stages

    spin(test())


def test_pause_and_unpause(master: Any, spin: Spin, settle: Settle) -> None:
    """A paused queue begins no job; the end of the pause begins one at once. Neither can be asked twice."""

    async def test() -> None:
        lab = service(master)
        await changes.pause(lab, "linux", who="ada", reason="new fan")
        queue = await lab.db(queues.get_queue, "linux")
        assert (queue.paused, queue.paused_by, queue.reason) == (True, "ada", "new fan")
        pausing = changes.pause(lab, "linux", who="bob", reason="")
        await refused(master, pausing, Conflict, "^the queue of linux is paused already, by ada$")
        (job_id,) = await submit(master)
        lab.poke("linux")
        await master.botmaster.brd._waitForFinish()
        assert ((await get(master, job_id)).status, Prepare.begun) == ("queued", [])
        await changes.unpause(lab, "linux", who="bob")
        await settle(begun(job_id), "it begins", limit_s=10.0)
        unpausing = changes.unpause(lab, "linux", who="bob")
        await refused(master, unpausing, Conflict, "^the queue of linux is not paused$")

    spin(test())


def test_enable(master: Any, spin: Spin, settle: Settle) -> None:
    """A disabled job keeps its place and is passed over; enabled again it begins at once."""

    async def test() -> None:
        lab = service(master)
        await changes.pause(lab, "linux", who="ada", reason="")
        first, second = await submit(master, 2)
        await changes.enable(lab, first, False, who="bob")
        await changes.unpause(lab, "linux", who="ada")
        await settle(begun(second), "the second begins")
        assert await line(master) == [first, second]
        assert (await get(master, first)).status == "queued"
        await changes.enable(lab, first, True, who="bob")
        await settle(has_status(master, first, "building"), "the first, which is in front, begins")
        await refused(master, changes.enable(lab, 99, True, who="bob"), NotFound, "^there is no job 99$")

    spin(test())


def test_modify(master: Any, spin: Spin, settle: Settle) -> None:
    """What a waiting job measures may change, and is checked; of one that has begun only the reason may."""

    async def test() -> None:
        lab = service(master)
        await changes.pause(lab, "linux", who="ada", reason="")
        (job_id,) = await submit(master)
        before = await get(master, job_id)
        await changes.modify(lab, before, {"benchmarks": ("json_loads",), "host": "bench"}, who="bob")
        after = await get(master, job_id)
        assert (after.spec["benchmarks"], after.spec["python"], after.host) == (["json_loads"], PYTHON, "bench")
        assert (after.status, after.place, after.reason, after.changed_by) == ("queued", before.place, "", "bob")
        wrong = changes.modify(lab, after, {"benchmarks": ("bad",), "reason": "why"}, who="bob")
        await refused(master, wrong, Invalid, "unknown benchmark 'bad'")
        await changes.modify(lab, after, {"host": None}, who="bob")
        assert (await get(master, job_id)).host is None

        waiting = await get(master, job_id)
        await changes.unpause(lab, "linux", who="ada")
        await settle(begun(job_id), "it has begun")
        late = changes.modify(lab, waiting, {"mode": "fast"}, who="bob")
        await refused(master, late, Conflict, f"^job {job_id} has begun meanwhile: it is building$")
        too_late = changes.modify(lab, await get(master, job_id), {"mode": "fast", "reason": "why"}, who="bob")
        await refused(master, too_late, Conflict, f"^job {job_id} is building; what it measures can be changed only")
        await changes.modify(lab, await get(master, job_id), {"reason": "why"}, who="bob")
        assert (await get(master, job_id)).reason == "why"

    spin(test())


def test_job_taken_off_while_its_request_is_made(master: Any, spin: Spin, settle: Settle, leave_request: Leave) -> None:
    """A request that comes too late, for a push that was taken back or repeated, is ended and stands for no job."""

    async def test() -> None:
        lab = service(master)
        await changes.pause(lab, "linux", who="ada", reason="")
        (off,) = await submit(master, run=False)
        (again,) = await submit(master)
        for job_id, push in ((off, 1), (again, 0)):
            before = await get(master, job_id)
            late = await leave_request(master, "linux", push_key("linux", job_id, push))
            await admission.adopt(lab, late)
            assert (await settle(ended(master, late), "the request has ended")).results == CANCELLED
            assert await get(master, job_id) == before

    spin(test())
