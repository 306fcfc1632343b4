"""Which request is next: asked of Buildbot's real tables and ours, on SQLite."""

from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from benchyard.queueing.order import Lane, Pick, next_request, queue_of
from benchyard.queueing.runs import Run, stage_key
from benchyard.store import attempts, jobs
from benchyard.store.rows import Job

JOBS, MEASURE, PREPARE = 1, 2, 3
LANES = {
    JOBS: Lane("linux", None, ("c1", "c2", "c3"), capacity=2),
    MEASURE: Lane("linux", "measure", ("bench", "bench2")),
    PREPARE: Lane("linux", "prepare", ("prep",)),
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

    def waiting(self, status: str = "queued", *, priority: int = 0) -> int:
        """A job with a request that nobody has claimed; gives the request's id."""
        request = self.request(priority=priority)
        self.job(status, request=request)
        return request

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

    def next(self, builderid: int = JOBS, free: Sequence[str] = ("c1",)) -> Pick | None:
        return next_request(self.conn, self.model, LANES[builderid], builderid, free)


@pytest.fixture
def queue(conn: sa.Connection) -> Queue:
    return Queue(conn)


def test_empty_queue(queue: Queue) -> None:
    """Nothing is chosen where nothing waits."""
    assert [queue.next(builderid) for builderid in LANES] == [None, None, None]


def test_first_come_first_served(queue: Queue) -> None:
    """Of jobs of one priority the oldest request is chosen."""
    first = queue.waiting()
    queue.waiting()
    assert queue.next() == Pick(first, None)


def test_priority_goes_first(queue: Queue) -> None:
    """A higher priority of Buildbot's own goes before an older request."""
    queue.waiting()
    urgent = queue.waiting(priority=5)
    assert queue.next() == Pick(urgent, None)


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
    from benchyard.store.tables import jobs as table

    queue.waiting()
    conn.execute(sa.update(table).values(enabled=False))
    second = queue.waiting()
    assert queue.next() == Pick(second, None)


@pytest.mark.parametrize("status", ["building", "ready", "running", "storing"])
def test_capacity(queue: Queue, status: str) -> None:
    """When as many jobs have begun as the target's capacity is, no queued one starts."""
    queue.begun(status)
    queued = queue.waiting()
    assert queue.next() == Pick(queued, None)
    queue.begun(status)
    assert queue.next() is None


def test_started_job_counts_before_its_first_stage_does(queue: Queue) -> None:
    """A job whose build has been started has begun, also while its prepare stage still waits for a worker."""
    queue.begun("queued")
    queue.begun("queued")
    queue.waiting()
    assert queue.next() is None


def test_capacity_is_of_the_target(queue: Queue) -> None:
    """Jobs that have begun for another target take nothing of this one's capacity."""
    for _ in range(2):
        queue.job("running", target="macos")
    queued = queue.waiting()
    assert queue.next() == Pick(queued, None)


@pytest.mark.parametrize("status", ["building", "ready", "running", "storing"])
def test_begun_job_goes_first(queue: Queue, status: str) -> None:
    """A job whose build was interrupted goes on before queued ones, whatever their priority."""
    queue.waiting(priority=9)
    interrupted = queue.waiting(status)
    assert queue.next() == Pick(interrupted, None)


@pytest.mark.parametrize("status", ["failed", "canceled", "lost", "success"])
def test_final_job_ends_at_once(queue: Queue, status: str) -> None:
    """The request of a job with a known outcome is chosen at once, even when the capacity is used up."""
    queue.begun()
    queue.begun()
    queue.waiting()
    final = queue.waiting(status)
    assert queue.next() == Pick(final, None)


def test_oldest_stage_is_chosen(queue: Queue) -> None:
    """Of the stages that wait, the oldest is chosen, on any free worker."""
    first = queue.stage(PREPARE)
    queue.stage(PREPARE)
    assert queue.next(PREPARE, ["prep"]) == Pick(first, None)
    measured = queue.stage(MEASURE)
    assert queue.next(MEASURE, ["bench"]) == Pick(measured, None)


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
    assert queue.next(MEASURE, ["bench"]) == Pick(other, None)
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


def test_queue_of_target(queue: Queue, conn: sa.Connection) -> None:
    """The queue lists the queued jobs in the order in which they start: priority, then age."""
    requests = [queue.waiting(priority=priority) for priority in (0, 7, 0)]
    queue.waiting("failed")
    queue.job("queued", request=queue.request(), target="macos")
    ids = [jobs.job_of_request(conn, request) for request in requests]
    first, urgent, last = (job.id for job in ids if job is not None)
    assert queue_of(conn, queue.model, "linux") == [urgent, first, last]


def test_long_queue_is_not_read(queue: Queue, conn: sa.Connection) -> None:
    """Numbers and one row are asked for, whatever the length of the queue."""
    for _ in range(50):
        queue.waiting()
    statements: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    sa.event.listen(conn, "after_cursor_execute", note)
    assert queue.next() is not None
    assert 0 < len(statements) < 5
    assert all("count(" in text or "LIMIT" in text for text in statements)
