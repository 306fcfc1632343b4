"""When jobs that look after hosts may begin, and what they keep from beginning: asked of the real tables, on SQLite."""

from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from benchyard.queueing.order import Lane, Pick, closed_hosts, next_request
from benchyard.queueing.runs import Run, stage_key
from benchyard.store import attempts, hosts, jobs, maintenance
from benchyard.store.rows import Job

JOBS, MEASURE, PREPARE, MAINTAIN, CHECK = 1, 2, 3, 4, 5

#: Who runs playbooks, in the master.
KEEPER = "linux-maintainer"

#: `bench` and `prep` are one machine, `far` another.
MACHINES = {"bench": "here", "prep": "here", "far": "there"}
SHARED: dict[str, Any] = {"hosts": ("bench", "far"), "per_host": 2, "machines": MACHINES}
LANES = {
    JOBS: Lane("linux", None, ("c1", "c2"), **SHARED),
    MEASURE: Lane("linux", "measure", ("bench", "far"), **SHARED),
    PREPARE: Lane("linux", "prepare", ("prep", "far"), **SHARED),
    MAINTAIN: Lane("linux", "maintain", (KEEPER,), **SHARED),
    CHECK: Lane("linux", "check", ("bench", "far", "prep"), **SHARED),
}


class Lab:
    """Buildbot's requests and our jobs, as the two would make them."""

    def __init__(self, conn: sa.Connection) -> None:
        from buildbot.db.model import Model

        self.conn, self.model = conn, Model
        for builderid in LANES:
            self._insert(Model.builders, id=builderid, name=f"b{builderid}", name_hash=f"{builderid}")
        self._insert(Model.masters, id=1, name="m", name_hash="m", active=1, last_active=1)

    def _insert(self, table: sa.Table, **values: Any) -> int:
        key = self.conn.execute(sa.insert(table).values(**values)).inserted_primary_key
        return int(key[0]) if key else 0

    def request(self, builderid: int, key: str | None = None) -> int:
        buildset = self._insert(
            self.model.buildsets, external_idstring=key, submitted_at=1, complete=0, results=-1, reason=""
        )
        values = {"buildsetid": buildset, "builderid": builderid, "submitted_at": 1, "waited_for": 0}
        return self._insert(self.model.buildrequests, **values, priority=0, complete=0)

    def claim(self, request: int | None) -> None:
        """As when its build has begun."""
        claims = self.model.buildrequest_claims
        self.conn.execute(sa.insert(claims).values(brid=request, masterid=1, claimed_at=1))

    def look_after(self, host: str, kind: str = "configure", **more: Any) -> Job:
        """A job that looks after a host, with its request."""
        how: dict[str, Any] = {"host": host, "target": "linux", "owner": "ada", "now": 1.0, **more}
        job = maintenance.create(self.conn, kind, **how)
        request = self.request(CHECK if kind == "check" else MAINTAIN)
        return jobs.tie_request(self.conn, job.id, request, push=job.pushes)

    def change(self, host: str) -> list[Job]:
        """A check and the change of a host that waits for it, with their requests."""
        how: dict[str, Any] = {"host": host, "target": "linux", "owner": "ada", "now": 1.0, "checked": True}
        made = zip(maintenance.create_checked(self.conn, "configure", **how), (CHECK, MAINTAIN), strict=True)
        return [jobs.tie_request(self.conn, job.id, self.request(stage), push=job.pushes) for job, stage in made]

    def measurement(self, *, placed: str | None = None, stage: int = MEASURE) -> tuple[Job, int]:
        """A job that is ready, and the request of its stage; on a host where `placed`."""
        how: dict[str, Any] = {"owner": "bob", "origin": "rest", "reason": "", "status": "ready"}
        job = jobs.create_job(
            self.conn, now=1.0, who="bob", kind="benchmarks", target="linux", host=None, spec={}, **how
        )
        attempt = attempts.new_attempt(self.conn, job.id, now=1.0)
        if placed:
            attempts.place_attempt(self.conn, job.id, attempt.number, host=placed, now=1.0)
        return job, self.request(stage, stage_key(f"b{stage}", Run(job.id, attempt.number)))

    def next(self, builderid: int, free: Sequence[str] | None = None, now: float = 2.0, **how: Any) -> Pick | None:
        lane = LANES[builderid]
        return next_request(self.conn, self.model, lane, builderid, free or lane.workers, now=now, **how)


@pytest.fixture
def lab(conn: sa.Connection) -> Lab:
    made = Lab(conn)
    for name in MACHINES:
        hosts.ensure_host(conn, name, now=1.0, who="ada")
    return made


def test_it_begins_in_the_master(lab: Lab) -> None:
    """A free host is looked after at once, and the job has begun by that."""
    job = lab.look_after("far")
    assert lab.next(MAINTAIN) == Pick(job.request_id or 0, KEEPER)
    assert jobs.get_job(lab.conn, job.id).status == "building"


def test_it_waits_for_a_measurement(lab: Lab) -> None:
    """What is measured on the machine comes to its end first, also under another name of it; elsewhere it may be."""
    running, _request = lab.measurement(placed="bench")
    job, twin, far = lab.look_after("bench"), lab.look_after("prep"), lab.look_after("far")
    assert lab.next(MAINTAIN) == Pick(far.request_id or 0, KEEPER)
    attempts.end_attempt(lab.conn, running.id, 1, status="success", cause=None, now=2.0)
    assert lab.next(MAINTAIN) == Pick(job.request_id or 0, KEEPER)
    assert jobs.get_job(lab.conn, twin.id).status == "queued"


def test_it_waits_for_no_run_of_a_canceled_job(lab: Lab) -> None:
    """The host may be one whose worker died in the middle, and can tell of the run's end only once it is repaired."""
    running, _request = lab.measurement(placed="bench")
    job = lab.look_after("bench")
    assert lab.next(MAINTAIN, away=["bench"]) is None
    jobs.set_status(lab.conn, running.id, "canceled", now=2.0, who="bob")
    assert lab.next(MAINTAIN, away=["bench"]) == Pick(job.request_id or 0, KEEPER)


def test_nothing_new_is_measured_meanwhile(lab: Lab) -> None:
    """From the moment it is wanted, no measurement begins on the machine; one that has begun is attached to again."""
    _job, new = lab.measurement()
    _running, again = lab.measurement(placed="bench")
    lab.look_after("bench")
    assert lab.next(MEASURE, ["bench"]) == Pick(again, "bench")
    lab.conn.execute(sa.update(lab.model.buildrequests).where(lab.model.buildrequests.c.id == again).values(complete=1))
    assert lab.next(MEASURE, ["bench"]) is None
    assert lab.next(MEASURE, ["bench", "far"]) == Pick(new, "far")


def test_a_check_that_waits_holds_up_its_own_host_alone(lab: Lab) -> None:
    """The worker it waits for may be away for long: the machine's other hosts go on."""
    _job, request = lab.measurement()
    check = lab.look_after("prep", "check")
    assert lab.next(CHECK, ["bench"]) is None
    assert lab.next(MEASURE, ["bench"]) == Pick(request, "bench")
    assert lab.next(CHECK, ["bench", "prep"]) == Pick(check.request_id or 0, "prep")
    assert lab.next(MEASURE, ["bench"]) is None


def test_a_check_that_lost_its_worker_holds_up_its_own_host_alone(lab: Lab) -> None:
    """Begun as it has, it goes on when the worker is back; until then the machine's other hosts measure and prepare."""
    _job, request = lab.measurement()
    _other, preparation = lab.measurement(stage=PREPARE)
    check = lab.look_after("bench", "check")
    assert lab.next(CHECK) == Pick(check.request_id or 0, "bench")
    assert lab.next(PREPARE, ["prep"]) is None
    assert lab.next(MEASURE, ["prep"]) is None
    assert lab.next(PREPARE, ["prep"], away=["bench"]) == Pick(preparation, None)
    assert lab.next(MEASURE, ["bench"], away=["bench"]) is None
    assert lab.next(MEASURE, ["prep"], away=["bench"]) == Pick(request, "prep")
    job = lab.look_after("bench")
    jobs.set_status(lab.conn, job.id, "running", now=2.0, who="lab")
    assert lab.next(PREPARE, ["prep"], away=["bench"]) is None


def test_a_change_waits_for_the_check_before_it(lab: Lab) -> None:
    """It begins once that has ended, however; other hosts do not wait, and nothing is measured in between."""
    check, job = lab.change("bench")
    far = lab.look_after("far")
    _job, request = lab.measurement()
    assert lab.next(MAINTAIN) == Pick(far.request_id or 0, KEEPER)
    lab.claim(far.request_id)
    assert lab.next(MAINTAIN) is None
    assert lab.next(CHECK) == Pick(check.request_id or 0, "bench")
    assert lab.next(MAINTAIN) is None
    for job_id in (far.id, check.id):
        maintenance.end(lab.conn, job_id, "failed", error="boom", now=3.0)
    assert lab.next(MEASURE, ["bench"]) is None
    assert lab.next(MAINTAIN) == Pick(job.request_id or 0, KEEPER)
    assert lab.next(MEASURE, ["far"]) == Pick(request, "far")


@pytest.mark.parametrize("begun", [False, True])
def test_a_change_waits_for_no_check_that_nobody_makes(lab: Lab, begun: bool) -> None:
    """Where the host's worker has gone, be it in the middle, it begins, and the check is not made late."""
    check, job = lab.change("bench")
    if begun:
        assert lab.next(CHECK) == Pick(check.request_id or 0, "bench")
    assert lab.next(MAINTAIN, away=["far"]) is None
    assert lab.next(MAINTAIN, away=["bench"]) == Pick(job.request_id or 0, KEEPER)
    maintenance.end_check(lab.conn, job, now=2.0)
    ended = jobs.get_job(lab.conn, check.id)
    assert (ended.status, ended.error) == ("canceled", f"host bench has gone, and job {job.id} begins without it")
    maintenance.end_check(lab.conn, job, now=3.0)


def test_a_change_waits_for_no_disabled_check(lab: Lab) -> None:
    """Nor for one that is held back by somebody."""
    check, job = lab.change("bench")
    jobs.enable_job(lab.conn, check.id, False, now=2.0, who="ada")
    assert lab.next(MAINTAIN) == Pick(job.request_id or 0, KEEPER)


def test_one_at_a_time_on_a_machine(lab: Lab) -> None:
    """Two of one machine follow one another; that of another machine goes beside them."""
    first, second, far = lab.look_after("bench"), lab.look_after("bench", "update"), lab.look_after("far")
    picked = []
    for _ in range(2):
        found = lab.next(MAINTAIN)
        assert found is not None
        picked.append(found.request_id)
        lab.claim(found.request_id)
    assert picked == [first.request_id, far.request_id]
    assert lab.next(MAINTAIN) is None
    maintenance.end(lab.conn, first.id, "success", now=3.0)
    assert lab.next(MAINTAIN) == Pick(second.request_id or 0, KEEPER)


def test_nothing_is_prepared_where_it_is_at_work(lab: Lab) -> None:
    """A machine that is being changed prepares nothing; another does."""
    _job, request = lab.measurement(stage=PREPARE)
    job = lab.look_after("bench")
    assert lab.next(PREPARE, ["prep"]) == Pick(request, None)
    jobs.set_status(lab.conn, job.id, "running", now=2.0, who="lab")
    assert lab.next(PREPARE, ["prep"]) is None
    assert lab.next(PREPARE, ["prep", "far"]) == Pick(request, "far")


def test_it_takes_no_room_of_measurements(lab: Lab) -> None:
    """As many jobs may begin as without it."""
    for _ in range(5):
        lab.look_after("far")
    how: dict[str, Any] = {"owner": "bob", "origin": "rest", "reason": "", "status": "queued", "host": None}
    request = lab.request(JOBS)
    job = jobs.create_job(
        lab.conn, now=1.0, who="bob", kind="benchmarks", target="linux", spec={}, request_id=request, **how
    )
    for found in maintenance.wanted(lab.conn):
        jobs.set_status(lab.conn, found.id, "running", now=2.0, who="lab")
    assert lab.next(JOBS) == Pick(request, None)
    assert jobs.get_job(lab.conn, job.id).status == "building"


def test_one_that_is_disabled_waits(lab: Lab) -> None:
    """It neither begins nor keeps anything else from it."""
    _job, request = lab.measurement()
    job = lab.look_after("bench")
    jobs.enable_job(lab.conn, job.id, False, now=2.0, who="ada")
    assert lab.next(MAINTAIN) is None
    assert lab.next(MEASURE, ["bench"]) == Pick(request, "bench")


def test_one_whose_host_is_gone_begins(lab: Lab) -> None:
    """Its build says that there is no such host; so does that of one that has ended already."""
    gone, ended = lab.look_after("gone"), lab.look_after("bench")
    assert lab.next(MAINTAIN) == Pick(gone.request_id or 0, None)
    jobs.set_status(lab.conn, gone.id, "failed", now=2.0, who="lab", error="gone")
    jobs.set_status(lab.conn, ended.id, "canceled", now=2.0, who="ada")
    lab.measurement(placed="bench")
    assert lab.next(MAINTAIN) == Pick(gone.request_id or 0, None)


def test_closed_hosts(lab: Lab) -> None:
    """Who gets no jobs, and why: disabled, leased until then, or changed just now."""
    hosts.enable_host(lab.conn, "prep", False, now=2.0, who="ada")
    hosts.lease_host(lab.conn, "far", until=10.0, now=2.0, who="ada")
    job = lab.look_after("bench")
    maintenance.begin_changes(lab.conn, job, now=2.0)
    said = {"bench": f"is being changed by job {job.id}", "far": "is leased to ada", "prep": "is disabled"}
    assert closed_hosts(lab.conn, 9.0) == said
    assert "far" not in closed_hosts(lab.conn, 10.0)


def test_a_leased_host_measures_nothing(lab: Lab) -> None:
    """The queue keeps off it until the lease is over, and it can be looked after meanwhile."""
    _job, request = lab.measurement()
    hosts.lease_host(lab.conn, "bench", until=10.0, now=2.0, who="ada")
    assert lab.next(MEASURE, ["bench"], now=9.0) is None
    assert lab.next(MEASURE, ["bench"], now=10.0) == Pick(request, "bench")
    check = lab.look_after("bench", "check")
    assert lab.next(CHECK, ["bench"], now=9.0) == Pick(check.request_id or 0, "bench")
