"""The job service inside a real master with the lab's own configuration; only the hosts' workers are missing."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from buildbot.process.results import CANCELLED, FAILURE

from benchyard.queueing import engine
from benchyard.queueing.requests import Invalid, JobRequest
from benchyard.queueing.runs import push_key
from benchyard.store import attempts, jobs
from benchyard.store.errors import Conflict, NotFound
from benchyard.store.history import history_of

Start = Callable[..., Any]
Spin = Callable[..., Any]
Settle = Callable[..., Any]
Leave = Callable[..., Any]
Config = Callable[[], dict[str, Any]]

PYTHON = str(Path(sys.executable).resolve())

#: A new job is queued, and building as soon as it is chosen, which may be at once.
WAITING = ("queued", "building")


def service(master: Any) -> Any:
    return master.service_manager.namedServices[engine.SERVICE]


async def submit(master: Any, **request: Any) -> Any:
    asked = JobRequest(**{"python": PYTHON, "benchmarks": ("nbody",), **request})
    return (await service(master).submit(asked, owner="ada", origin="rest")).job


async def force(master: Any, **properties: Any) -> int:
    """A request by the force form of the only target, as Buildbot's web makes it; gives its id."""
    asked = {"builderid": await master.data.updates.findBuilderId("linux"), "owner": "bob", "reason": "by form"}
    _bsid, made = await master.data.control("force", {**asked, **properties}, ("forceschedulers", "force-linux"))
    return int(next(iter(made.values())))


def job_of(master: Any, request_id: int) -> Callable[[], Any]:
    return lambda: service(master).db(jobs.job_of_request, request_id)


def request_ended(master: Any, request_id: int) -> Callable[[], Any]:
    async def condition() -> Any:
        request = await master.db.buildrequests.getBuildRequest(request_id)
        return request if request.complete else None

    return condition


def ended(master: Any, job_id: int) -> Callable[[], Any]:
    async def condition() -> Any:
        job = await service(master).db(jobs.get_job, job_id)
        return job if job.is_final else None

    return condition


async def put_job(master: Any, *, status: str, **given: Any) -> Any:
    """A job's row as a master that died may leave it."""
    spec = {"python": PYTHON, "benchmarks": ["nbody"], "selection": ["nbody"], "mode": "default", "affinity": None}
    values = {"kind": "benchmarks", "target": "linux", "host": None, "owner": "ada", "origin": "rest", "reason": ""}
    return await service(master).db(
        jobs.create_job, now=1.0, who="ada", spec=spec, status=status, **{**values, **given}
    )


async def builds_of(master: Any, request_id: int) -> list[Any]:
    return list(await master.data.get(("buildrequests", request_id, "builds")))


def test_submitted_job_is_queued(start_master: Start, spin: Spin, lab_config: Config) -> None:
    """A job comes back queued, every name resolved, with a request that bears its key."""
    master = start_master(lab_config())

    async def test() -> None:
        job = await submit(master, benchmarks=("nbody", "json_loads"), affinity="0", reason="why")
        assert job.status in WAITING
        assert (job.target, job.owner, job.origin, job.pushes) == ("linux", "ada", "rest", 1)
        assert job.spec["benchmarks"] == ["json_loads", "nbody"] or job.spec["benchmarks"] == ["nbody", "json_loads"]
        assert (job.spec["python"], job.spec["affinity"], job.reason) == (PYTHON, "0", "why")
        key = push_key("linux", job.id, 1)
        assert [found for found, _ in await engine.requests_with_key(master, key)] == [job.request_id]

    spin(test())


def test_bad_request_makes_no_job(start_master: Start, spin: Spin, lab_config: Config) -> None:
    """What the lab can know to be wrong is refused with the field's name, and nothing is left of it."""
    master = start_master(lab_config())

    async def test() -> None:
        with pytest.raises(Invalid, match="did you mean 'nbody'") as refused:
            await submit(master, benchmarks=("nbdoy",))
        assert refused.value.field == "benchmarks"
        assert await service(master).db(jobs.list_jobs) == ()

    spin(test())


def test_job_not_to_be_run_yet(start_master: Start, spin: Spin, lab_config: Config) -> None:
    """A job submitted with `run` false is created and has no request until it is run, which can be asked once."""
    master = start_master(lab_config())

    async def test() -> None:
        job = await submit(master, run=False)
        assert (job.status, job.request_id) == ("created", None)
        queued = await service(master).run_job(job.id, who="ada")
        assert queued.status in WAITING
        assert queued.request_id is not None
        with pytest.raises(Conflict, match=rf"^job {job.id} is (queued|building); only a created job"):
            await service(master).run_job(job.id, who="ada")
        with pytest.raises(NotFound, match="there is no job 77"):
            await service(master).run_job(77, who="ada")

    spin(test())


def test_job_is_run_once(start_master: Start, spin: Spin, lab_config: Config) -> None:
    """Of two who run a job in the same moment one is told that it is queued; it has one request."""
    master = start_master(lab_config())

    async def test() -> None:
        from twisted.internet import defer

        job = await submit(master, run=False)
        both = [service(master).run_job(job.id, who=who) for who in ("ada", "bob")]
        outcomes = await defer.DeferredList(both, consumeErrors=True)
        assert sorted(succeeded for succeeded, _value in outcomes) == [False, True]
        assert [value.type for succeeded, value in outcomes if not succeeded] == [Conflict]
        queued = await service(master).db(jobs.get_job, job.id)
        assert queued.pushes == 1
        assert len(await engine.requests_with_key(master, push_key("linux", job.id, 1))) == 1

    spin(test())


def test_forced_request_is_a_job(start_master: Start, spin: Spin, settle: Settle, lab_config: Config) -> None:
    """A request by Buildbot's own form becomes a queued job that does what the form said."""
    master = start_master(lab_config())

    async def test() -> None:
        request_id = await force(
            master, python=PYTHON, benchmarks="nbody, json_loads", mode="fast", host="bench", username="bob"
        )
        job = await settle(job_of(master, request_id), "the request has its job")
        assert job.status in WAITING
        assert (job.origin, job.target, job.host) == ("force", "linux", "bench")
        assert (sorted(job.spec["benchmarks"]), job.spec["mode"]) == (["json_loads", "nbody"], "fast")
        assert (job.owner, job.reason, job.error) == ("bob", "by form", None)

    spin(test())


def test_bad_forced_requests_fail(start_master: Start, spin: Spin, settle: Settle, lab_config: Config) -> None:
    """A form cannot refuse: what is wrong becomes a failed job that says why, and its request ends as failed."""
    master = start_master(lab_config())
    cases = {
        "python: interpreter '/no/such/python' does not exist": {"python": "/no/such/python"},
        "python: 'python3' is not the full path of an interpreter, such as /usr/bin/python3": {"python": "python3"},
        "python: ": {},
        "benchmarks: unknown benchmark 'nbdoy'; did you mean 'nbody'?": {"python": PYTHON, "benchmarks": "nbdoy"},
    }

    async def test(error: str, properties: dict[str, str]) -> None:
        request_id = await force(master, **properties)
        job = await settle(job_of(master, request_id), "the request has its job")
        assert job.status == "failed"
        assert job.error.startswith(error)
        assert "\n" not in job.error
        request = await settle(request_ended(master, request_id), "the request has ended")
        assert request.results == FAILURE
        (build,) = await builds_of(master, request_id)
        steps = await master.data.get(("builds", build["buildid"], "steps"))
        assert any(step["state_string"].startswith(job.error) for step in steps)
        assert (await service(master).db(jobs.get_job, job.id)).error == job.error

    for error, properties in cases.items():
        spin(test(error, properties))


def test_stage_is_made_for_a_job(start_master: Start, spin: Spin, settle: Settle, lab_config: Config) -> None:
    """A queued job's own build makes the request of its first stage, which waits for a worker."""
    master = start_master(lab_config())

    async def test() -> None:
        job = await submit(master)

        async def stage() -> Any:
            return await engine.requests_with_key(master, f"linux-prepare:{job.id}.1")

        ((request_id, complete),) = await settle(stage, "the stage has its request")
        assert not complete
        assert (await master.db.buildrequests.getBuildRequest(request_id)).buildername == "linux-prepare"
        (attempt,) = await service(master).db(attempts.list_attempts, job.id)
        assert (attempt.status, attempt.host) == ("pending", None)

    spin(test())


def test_queued_job_without_request_gets_one_at_start(
    start_master: Start, stop_master: Callable[[Any], None], spin: Spin, settle: Settle, lab_config: Config
) -> None:
    """A master that dies between a job's row and its request leaves it queued; the next start makes the request."""
    master = start_master(lab_config())

    async def leave() -> int:
        return int((await put_job(master, status="queued")).id)

    job_id = spin(leave())
    stop_master(master)
    master = start_master(lab_config())

    async def test() -> None:
        async def request() -> Any:
            return (await service(master).db(jobs.get_job, job_id)).request_id

        request_id = await settle(request, "the job has its request")
        key = push_key("linux", job_id, 1)
        assert [found for found, _ in await engine.requests_with_key(master, key)] == [request_id]

    spin(test())


def test_request_that_its_job_does_not_know_is_adopted_at_start(
    start_master: Start,
    stop_master: Callable[[Any], None],
    spin: Spin,
    settle: Settle,
    lab_config: Config,
    leave_request: Leave,
) -> None:
    """A master that dies between a job's request and the note of it finds it by its key; no second one is made."""
    master = start_master(lab_config())

    async def leave() -> tuple[int, int]:
        job = await put_job(master, status="queued")
        assert job.pushes == 1
        return job.id, await leave_request(master, "linux", push_key("linux", job.id, 1))

    job_id, request_id = spin(leave())
    stop_master(master)
    master = start_master(lab_config())

    async def test() -> None:
        job = await settle(job_of(master, request_id), "the request has its job again")
        assert job.id == job_id
        assert len(await engine.requests_with_key(master, push_key("linux", job_id, 1))) == 1
        assert len(await service(master).db(jobs.list_jobs)) == 1

    spin(test())


def test_request_without_job_gets_one_at_start(
    start_master: Start,
    stop_master: Callable[[Any], None],
    spin: Spin,
    settle: Settle,
    lab_config: Config,
    leave_request: Leave,
) -> None:
    """A request by a form that the dying master could not give a job gets it at the next start."""
    master = start_master(lab_config())

    async def leave() -> int:
        properties = {"python": PYTHON, "benchmarks": "nbody", "scheduler": "force-linux"}
        return int(await leave_request(master, "linux", **properties))

    request_id = spin(leave())
    stop_master(master)
    master = start_master(lab_config())

    async def test() -> None:
        job = await settle(job_of(master, request_id), "the request has its job")
        assert job.status in WAITING
        assert (job.origin, job.spec["benchmarks"]) == ("force", ["nbody"])

    spin(test())


def test_end_that_nobody_noted_is_noted_at_start(
    start_master: Start,
    stop_master: Callable[[Any], None],
    spin: Spin,
    settle: Settle,
    lab_config: Config,
    leave_request: Leave,
) -> None:
    """A job whose request ended while the master died ends with it at the next start."""
    master = start_master(lab_config())

    async def leave() -> int:
        request_id = await leave_request(master, "linux")
        job = await put_job(master, status="running", request_id=request_id)
        await master.db.buildrequests.claimBuildRequests([request_id])
        await master.db.buildrequests.completeBuildRequests([request_id], FAILURE)
        return int(job.id)

    job_id = spin(leave())
    stop_master(master)
    master = start_master(lab_config())
    job = spin(settle(ended(master, job_id), "the job has ended"))
    assert job.status == "failed"
    assert "see its log" in job.error


def test_cancel_that_was_only_noted_is_done_at_start(
    start_master: Start,
    stop_master: Callable[[Any], None],
    spin: Spin,
    settle: Settle,
    lab_config: Config,
    lab_folder: Path,
) -> None:
    """A wish to cancel that the dying master could only store is fulfilled by the next, though nothing can run."""
    master = start_master(lab_config())

    async def leave() -> int:
        lanes = service(master).lanes
        service(master).lanes = {name: lane._replace(per_host=0) for name, lane in lanes.items()}
        job = await submit(master)
        await service(master).db(jobs.ask_cancel, job.id, now=1.0, who="ada")
        return int(job.id)

    job_id = spin(leave())
    stop_master(master)
    (lab_folder / "hosts.d" / "bench.toml").unlink()
    master = start_master(lab_config())
    job = spin(settle(ended(master, job_id), "the job has ended"))
    assert (job.status, job.cancel_by) == ("canceled", "ada")


def test_cancel_of_created_job(start_master: Start, spin: Spin, lab_config: Config) -> None:
    """A job that was never queued is canceled on the spot, and stays so."""
    master = start_master(lab_config())

    async def test() -> None:
        job = await submit(master, run=False)
        canceled = await service(master).cancel(job.id, who="bob")
        assert (canceled.status, canceled.cancel_by, canceled.request_id) == ("canceled", "bob", None)
        changes = await service(master).db(history_of, "job", job.id)
        assert [(change.who, change.change) for change in changes[-2:]] == [
            ("bob", {"cancel_by": "bob"}),
            ("bob", {"status": "canceled"}),
        ]
        with pytest.raises(Conflict):
            await service(master).run_job(job.id, who="ada")

    spin(test())


def test_cancel_of_queued_job(start_master: Start, spin: Spin, settle: Settle, lab_config: Config) -> None:
    """A job in the middle of its first stage is canceled with all the requests that stand for it."""
    master = start_master(lab_config())

    async def test() -> None:
        job = await submit(master)

        async def stage() -> Any:
            return await engine.requests_with_key(master, f"linux-prepare:{job.id}.1")

        ((stage_id, _),) = await settle(stage, "the stage has its request")
        await service(master).cancel(job.id, who="ada")
        canceled = await settle(ended(master, job.id), "the job has ended")
        assert (canceled.status, canceled.cancel_by) == ("canceled", "ada")
        for request_id in (job.request_id, stage_id):
            assert (await settle(request_ended(master, request_id), "it has ended")).results == CANCELLED

    spin(test())


def test_cancel_twice(start_master: Start, spin: Spin, settle: Settle, lab_config: Config) -> None:
    """The second cancel of a job changes nothing, before and after its end; the first who asked stays known."""
    master = start_master(lab_config())

    async def test() -> None:
        job = await submit(master)
        await service(master).cancel(job.id, who="ada")
        await service(master).cancel(job.id, who="bob")
        canceled = await settle(ended(master, job.id), "the job has ended")
        assert await service(master).cancel(job.id, who="bob") == canceled
        assert canceled.cancel_by == "ada"

    spin(test())


def test_cancel_of_ended_job(start_master: Start, spin: Spin, lab_config: Config) -> None:
    """A job that ended by itself cannot be canceled any more; the answer says how it ended."""
    master = start_master(lab_config())

    async def test() -> None:
        job = await submit(master, run=False)
        await service(master).set_status(job.id, "success")
        with pytest.raises(Conflict, match=rf"^job {job.id} has ended already: success$"):
            await service(master).cancel(job.id, who="ada")

    spin(test())


def test_cancel_of_unknown_job(start_master: Start, spin: Spin, lab_config: Config) -> None:
    """There is nothing to cancel in a job that is not there, and no later request is harmed."""
    master = start_master(lab_config())

    async def test() -> None:
        with pytest.raises(NotFound, match=r"^there is no job 1$"):
            await service(master).cancel(1, who="ada")
        assert (await submit(master)).id == 1

    spin(test())


def test_cancel_in_buildbots_own_page(start_master: Start, spin: Spin, settle: Settle, lab_config: Config) -> None:
    """Stopping the job's build in Buildbot's web cancels the job."""
    master = start_master(lab_config())

    async def test() -> None:
        job = await submit(master)

        async def building() -> Any:
            return await builds_of(master, job.request_id)

        (build,) = await settle(building, "the job's build has begun")
        await master.data.control("stop", {"reason": "no"}, ("builds", str(build["buildid"])))
        canceled = await settle(ended(master, job.id), "the job has ended")
        assert (canceled.status, canceled.cancel_by) == ("canceled", "web")

    spin(test())


def test_restart_changes_no_status(
    start_master: Start, stop_master: Callable[[Any], None], spin: Spin, settle: Settle, lab_config: Config
) -> None:
    """A job that has begun is as it was after the master's restart, with the same request and the same stage."""
    master = start_master(lab_config())

    def stage(master: Any, job_id: int) -> Callable[[], Any]:
        return lambda: engine.requests_with_key(master, f"linux-prepare:{job_id}.1")

    async def begin() -> Any:
        job = await submit(master)
        return job, await settle(stage(master, job.id), "the stage has its request")

    job, stages = spin(begin())
    stop_master(master)
    master = start_master(lab_config())

    async def test() -> None:
        async def again() -> Any:
            return len(await builds_of(master, job.request_id)) == 2

        await settle(again, "the job's build goes on")
        after = await service(master).db(jobs.get_job, job.id)
        assert (after.status, after.request_id, after.pushes) == ("building", job.request_id, 1)
        assert await stage(master, job.id)() == stages

    spin(test())


def test_attempts(start_master: Start, spin: Spin, lab_config: Config) -> None:
    """A lost attempt is followed by another until two were lost; those the lab's shutdown stopped do not count."""
    master = start_master(lab_config())
    cases: list[tuple[list[str], int | None]] = [
        ([], 1),
        (["lost"], 2),
        (["lost", "lost"], None),
        (["interrupted"] * 3, 4),
        (["lost", "interrupted"], 3),
        (["failed"], 1),
    ]

    async def test(ends: list[str], works_on: int | None) -> None:
        job = await put_job(master, status="ready")
        for end in ends:
            attempt = await service(master).attempt_of(job.id)
            await service(master).db(attempts.place_attempt, job.id, attempt.number, host="bench", now=1.0)
            await service(master).db(attempts.end_attempt, job.id, attempt.number, status=end, cause="c", now=1.0)
        attempt = await service(master).attempt_of(job.id)
        assert (attempt and attempt.number) == works_on

    for ends, works_on in cases:
        spin(test(ends, works_on))
