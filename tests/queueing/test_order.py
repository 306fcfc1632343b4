"""Which request is next: asked of Buildbot's real tables and ours, on SQLite."""

from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from benchyard.queueing.order import Lane, Pick, next_request
from benchyard.queueing.runs import Run, stage_key
from benchyard.store import attempts, hosts, jobs, queues
from benchyard.store.rows import Job

JOBS, MEASURE, PREPARE = 1, 2, 3
LANES = {
    JOBS: Lane("linux", None, ("c1", "c2", "c3"), ("bench",), per_host=2),
    MEASURE: Lane("linux", "measure", ("bench", "bench2"), ("bench", "bench2"), per_host=2),
    PREPARE: Lane("linux", "prepare", ("prep",), ("bench",), per_host=2),
}


class Queue:
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

    def request(
        self, builderid: int = JOBS, *, priority: int = 0, key: str | None = None, complete: bool = False
    ) -> int:
        buildset = self._insert(
            self.model.buildsets, external_idstring=key, submitted_at=1, complete=0, results=-1, reason=""
        )
        values = {"buildsetid": buildset, "builderid": builderid, "submitted_at": 1, "waited_for": 0}
        return self._insert(self.model.buildrequests, **values, priority=priority, complete=int(complete))

    def claim(self, request_id: int) -> None:
        self._insert(self.model.buildrequest_claims, brid=request_id, masterid=1, claimed_at=1)

    def job(
        self, status: str = "queued", *, request: int | None = None, target: str = "linux", host: str | None = None
    ) -> Job:
        return jobs.create_job(
            self.conn,
            now=1.0,
            who="ada",
            kind="benchmarks",
            target=target,
            host=host,
            spec={},
            owner="ada",
            origin="rest",
            reason="",
            status=status,
            request_id=request,
        )

    def waiting(self, status: str = "queued", *, priority: int = 0, host: str | None = None) -> int:
        """A job with a request that nobody has claimed; gives the request's id."""
        request = self.request(priority=priority)
        self.job(status, request=request, host=host)
        return request

    def job_of(self, request: int) -> Job:
        """The job that a request stands for."""
        job = jobs.job_of_request(self.conn, request)
        assert job is not None
        return job

    def begun(self, status: str = "running") -> int:
        """A job whose build goes on now."""
        request = self.waiting(status)
        self.claim(request)
        return request

    def stage(self, builderid: int, *, placed: str | None = None, pinned: str | None = None, priority: int = 0) -> int:
        """The request of a stage of a job that has begun."""
        job = self.job("ready", host=pinned)
        attempt = attempts.new_attempt(self.conn, job.id, now=1.0)
        if placed:
            attempts.place_attempt(self.conn, job.id, attempt.number, host=placed, now=1.0)
        key = stage_key(f"b{builderid}", Run(job.id, attempt.number))
        return self.request(builderid, key=key, priority=priority)

    def next(
        self,
        builderid: int = JOBS,
        free: Sequence[str] = ("c1",),
        *,
        lane: Lane | None = None,
        ending: Sequence[int] = (),
    ) -> Pick | None:
        return next_request(
            self.conn, self.model, lane or LANES[builderid], builderid, free, now=2.0, ending=ending
        )  # fmt: skip


@pytest.fixture
def queue(conn: sa.Connection) -> Queue:
    return Queue(conn)


def test_empty_queue(queue: Queue) -> None:
    """Nothing is chosen where nothing waits."""
    assert [queue.next(builderid) for builderid in LANES] == [None, None, None]


def test_first_come_first_served(queue: Queue) -> None:
    """The first job of the queue is chosen, and is `building` from then on."""
    first, second = queue.waiting(), queue.waiting()
    assert queue.next() == Pick(first, None)
    assert [queue.job_of(request).status for request in (first, second)] == ["building", "queued"]


def test_order_is_ours(queue: Queue, conn: sa.Connection) -> None:
    """A job that was moved to the front is chosen first; Buildbot's own priority orders nothing."""
    queue.waiting()
    queue.waiting(priority=5)
    moved = queue.waiting()
    queues.move(conn, queue.job_of(moved).id, "first", now=1.0, who="ada")
    assert queue.next() == Pick(moved, None)


def test_paused_queue_starts_nothing(queue: Queue, conn: sa.Connection) -> None:
    """While a queue is paused none of its jobs is begun nor measured; one that is on a host already goes on."""
    waiting = queue.waiting()
    prepared = queue.stage(MEASURE)
    queues.pause(conn, "linux", now=1.0, who="ada")
    assert queue.next() is None
    assert queue.next(MEASURE, ["bench"]) is None
    placed = queue.stage(MEASURE, placed="bench")
    assert queue.next(MEASURE, ["bench"]) == Pick(placed, "bench")
    queues.unpause(conn, "linux", now=1.0, who="ada")
    assert queue.next() == Pick(waiting, None)
    assert queue.next(MEASURE, ["bench2"]) == Pick(prepared, "bench2")


def test_request_without_job_is_never_chosen(queue: Queue) -> None:
    """A request that no job stands for waits until it has got one."""
    queue.request(priority=100)
    queue.request(key="linux:push:9:1")
    assert queue.next() is None


def test_claimed_and_complete_requests_are_not_chosen(queue: Queue) -> None:
    """What runs or has ended is not chosen again."""
    queue.claim(queue.waiting())
    queue.job(request=queue.request(complete=True))
    assert queue.next() is None


def test_created_job_is_not_chosen(queue: Queue) -> None:
    """A job that is off the queue does not start, even if a request of it is left."""
    queue.waiting("created")
    assert queue.next() is None


def test_disabled_job_waits(queue: Queue, conn: sa.Connection) -> None:
    """A queued job that is not enabled is passed over."""
    first, second = queue.waiting(), queue.waiting()
    jobs.enable_job(conn, queue.job_of(first).id, False, now=1.0, who="ada")
    assert queue.next() == Pick(second, None)
    queue.claim(second)
    assert queue.next() is None
    jobs.enable_job(conn, queue.job_of(first).id, True, now=1.0, who="ada")
    assert queue.next() == Pick(first, None)


@pytest.mark.parametrize("status", ["building", "ready", "running", "storing"])
def test_capacity(queue: Queue, status: str) -> None:
    """When as many jobs have begun as the hosts have room for, no queued one starts."""
    queue.begun(status)
    queued = queue.waiting()
    assert queue.next() == Pick(queued, None)
    queue.claim(queued)
    queue.waiting()
    assert queue.next() is None


def test_job_moved_to_the_front_is_prepared_at_once(queue: Queue, conn: sa.Connection) -> None:
    """Only the jobs ahead of it take room from a job, not those behind it that have begun."""
    queue.begun("running")
    queue.begun("ready")
    moved = queue.waiting()
    assert queue.next() is None
    queues.move(conn, queue.job_of(moved).id, "first", now=1.0, who="ada")
    assert queue.next() == Pick(moved, None)


def test_pinned_job_moved_to_the_front_is_prepared_at_once(queue: Queue, conn: sa.Connection) -> None:
    """Jobs behind it that are prepared for the same host take no room from a job for that host."""
    queue.claim(queue.waiting("running", host="bench"))
    queue.claim(queue.waiting("ready", host="bench"))
    moved = queue.waiting(host="bench")
    assert queue.next() is None
    queues.move(conn, queue.job_of(moved).id, "first", now=1.0, who="ada")
    assert queue.next() == Pick(moved, None)


def test_pinned_job_for_unknown_host_waits(queue: Queue) -> None:
    """A job for a host that the target does not have is never chosen, and holds nobody up."""
    queue.waiting(host="gone")
    able = queue.waiting()
    assert queue.next() == Pick(able, None)
    queue.claim(able)
    assert queue.next() is None


def test_capacity_is_of_the_target(queue: Queue) -> None:
    """Jobs that have begun for another target take nothing of this one's capacity."""
    for _ in range(2):
        queue.job("running", target="macos")
    queued = queue.waiting()
    assert queue.next() == Pick(queued, None)


def test_pinned_job_waits_for_room_on_its_host(queue: Queue) -> None:
    """A job for a full host does not hold up one that can start; it is the next one that its host gets."""
    lane = Lane("linux", None, ("c1",), ("bench", "bench2"), per_host=1)
    queue.claim(queue.waiting("running", host="bench"))
    pinned = queue.waiting(host="bench")
    free = queue.waiting()
    assert queue.next(lane=lane) == Pick(free, None)
    queue.claim(free)
    jobs.set_status(queue.conn, 1, "success", now=3.0, who="lab")
    queue.waiting(host="bench")
    assert queue.next(lane=lane) == Pick(pinned, None)


def test_disabled_host_gets_nothing(queue: Queue, conn: sa.Connection) -> None:
    """A disabled host gives no room and no run, until it is enabled again."""
    hosts.ensure_host(conn, "bench", now=1.0, who="ada")
    hosts.enable_host(conn, "bench", False, now=1.0, who="ada")
    waiting = queue.waiting()
    stage = queue.stage(MEASURE)
    assert queue.next() is None
    assert queue.next(MEASURE, ["bench"]) is None
    assert queue.next(MEASURE, ["bench", "bench2"]) == Pick(stage, "bench2")
    hosts.enable_host(conn, "bench", True, now=1.0, who="ada")
    assert queue.next() == Pick(waiting, None)


def test_jobs_of_a_disabled_host_take_no_room(queue: Queue, conn: sa.Connection) -> None:
    """What is prepared for a disabled host, or is measured there still, keeps no other host from its jobs."""
    hosts.ensure_host(conn, "bench2", now=1.0, who="ada")
    lane = LANES[JOBS]._replace(hosts=("bench", "bench2"), per_host=1)
    queue.job("ready", host="bench2")
    measured = queue.job("running")
    attempts.new_attempt(conn, measured.id, now=1.0)
    attempts.place_attempt(conn, measured.id, 1, host="bench2", now=1.0)
    request = queue.waiting()
    assert queue.next(lane=lane) is None
    hosts.enable_host(conn, "bench2", False, now=2.0, who="ada")
    assert queue.next(lane=lane) == Pick(request, None)


@pytest.mark.parametrize("status", ["building", "ready", "running", "storing"])
def test_begun_job_goes_first(queue: Queue, status: str) -> None:
    """A job whose build was interrupted goes on before queued ones, whatever their priority."""
    queue.waiting(priority=9)
    interrupted = queue.waiting(status)
    assert queue.next() == Pick(interrupted, None)


@pytest.mark.parametrize("status", ["failed", "canceled", "lost", "success"])
def test_final_job_ends_at_once(queue: Queue, status: str) -> None:
    """The request of a job with a known outcome is chosen at once, even when all room is used up."""
    queue.begun()
    queue.begun()
    queue.waiting()
    final = queue.waiting(status)
    assert queue.next() is None
    assert queue.next(ending=[final]) == Pick(final, None)


def test_first_stage_is_chosen(queue: Queue) -> None:
    """Of the stages that wait, that of the first job is chosen, on any free worker."""
    first = queue.stage(PREPARE)
    queue.stage(PREPARE)
    assert queue.next(PREPARE, ["prep"]) == Pick(first, None)
    measured = queue.stage(MEASURE)
    assert queue.next(MEASURE, ["bench"]) == Pick(measured, "bench")


def test_stage_request_of_a_stranger_is_not_chosen(queue: Queue) -> None:
    """A request of a stage's builder that names no run is not chosen."""
    queue.request(MEASURE)
    queue.request(MEASURE, key="whatever")
    assert queue.next(MEASURE, ["bench"]) is None


def test_placed_attempt_is_for_its_host_alone(queue: Queue) -> None:
    """A run that has started is offered to its own host only; others behind it do not wait for that."""
    placed = queue.stage(MEASURE, placed="bench2")
    assert queue.next(MEASURE, ["bench"]) is None
    other = queue.stage(MEASURE)
    assert queue.next(MEASURE, ["bench"]) == Pick(other, "bench")
    assert queue.next(MEASURE, ["bench", "bench2"]) == Pick(placed, "bench2")


def test_pinned_host(queue: Queue) -> None:
    """A job that names its host is measured there only."""
    pinned = queue.stage(MEASURE, pinned="bench2")
    assert queue.next(MEASURE, ["bench"]) is None
    assert queue.next(MEASURE, ["bench2"]) == Pick(pinned, "bench2")


def test_pinned_job_is_prepared_anywhere(queue: Queue) -> None:
    """The host of a job is where it is measured; any regular worker prepares it."""
    pinned = queue.stage(PREPARE, pinned="bench2")
    assert queue.next(PREPARE, ["prep"]) == Pick(pinned, None)


def test_sweep_goes_first(queue: Queue) -> None:
    """A run that must be stopped on its host goes before all that is to be measured there."""
    queue.stage(MEASURE)
    sweep = queue.stage(MEASURE, placed="bench", priority=1000)
    assert queue.next(MEASURE, ["bench"]) == Pick(sweep, "bench")


def test_stages_follow_the_queue(queue: Queue, conn: sa.Connection) -> None:
    """Of jobs that are prepared, the one further ahead in the queue is measured first; one taken off is not."""
    first, second = queue.stage(MEASURE), queue.stage(MEASURE)
    queues.move(conn, 2, "first", now=1.0, who="ada")
    assert queue.next(MEASURE, ["bench"]) == Pick(second, "bench")
    queues.take_off(conn, 2, now=1.0, who="ada")
    assert queue.next(MEASURE, ["bench"]) == Pick(first, "bench")


def test_preparations_follow_the_queue(queue: Queue, conn: sa.Connection) -> None:
    """The job further ahead in the queue is prepared first, also while it is paused; one taken off is not prepared."""
    first, second = queue.stage(PREPARE), queue.stage(PREPARE)
    queues.pause(conn, "linux", now=1.0, who="ada")
    queues.move(conn, 2, "first", now=1.0, who="ada")
    assert queue.next(PREPARE, ["prep"]) == Pick(second, None)
    queues.take_off(conn, 2, now=1.0, who="ada")
    assert queue.next(PREPARE, ["prep"]) == Pick(first, None)
    queues.take_off(conn, 1, now=1.0, who="ada")
    assert queue.next(PREPARE, ["prep"]) is None


def test_long_queue_is_not_read(queue: Queue, conn: sa.Connection) -> None:
    """The same questions are asked whatever the length of the queue, and few rows are read for the answers."""
    asked: list[tuple[str, ...]] = []
    for length in (1, 50):
        for _ in range(length):
            queue.waiting()
        statements: list[str] = []

        def note(_conn: Any, _cursor: Any, statement: str, *_rest: Any, seen: list[str] = statements) -> None:
            seen.append(statement)

        sa.event.listen(conn, "after_cursor_execute", note)
        picked = queue.next()
        sa.event.remove(conn, "after_cursor_execute", note)
        assert picked is not None
        queue.claim(picked.request_id)
        queue.job_of(picked.request_id)
        asked.append(tuple(statements))
        jobs.set_status(conn, queue.job_of(picked.request_id).id, "success", now=3.0, who="lab")
    assert asked[0] == asked[1]
    reads = [text for text in asked[0] if text.startswith("SELECT") and "benchyard_jobs.place" in text]
    # Of one job, of as many as are named, or of those that have begun.
    few = ("LIMIT", "benchyard_jobs.id = ", "benchyard_jobs.status IN")
    assert all(any(bound in text for bound in few) for text in reads), reads
