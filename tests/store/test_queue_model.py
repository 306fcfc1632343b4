"""Queues against the plainest thing that could be right: a list of ids for each target."""

from typing import Any

import hypothesis.strategies as st
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from benchyard.store import jobs, queues
from benchyard.store.errors import BadPosition, Conflict, NotFound, Stale
from benchyard.store.rows import FINAL_JOB_STATUSES, JOB_STATUSES, QUEUED_JOB_STATUSES
from benchyard.store.tables import jobs as table

_TARGETS = ("a", "b")
_COUNT = st.integers(min_value=0, max_value=7)
_TO = st.one_of(
    st.sampled_from(["first", "last"]),
    _COUNT.map(str),
    _COUNT.map(lambda number: f"+{number}"),
    _COUNT.map(lambda number: f"-{number}"),
)


class QueueMachine(RuleBasedStateMachine):
    """Does the same to the store and to the lists; each run is a transaction that is rolled back."""

    made = Bundle("made")

    def __init__(self, engine: sa.Engine) -> None:
        super().__init__()
        self.conn = engine.connect()
        self.order: dict[str, list[int]] = {target: [] for target in _TARGETS}
        self.version = dict.fromkeys(_TARGETS, 0)
        self.paused = dict.fromkeys(_TARGETS, False)
        self.target: dict[int, str] = {}
        self.status: dict[int, str] = {}
        self.pushes: dict[int, int] = {}

    def teardown(self) -> None:
        self.conn.rollback()
        self.conn.close()

    def expect(self, wrong: bool, kind: type[Exception], function: Any, *args: Any, **how: Any) -> Any:
        """Call a function of the store, which must refuse exactly if the model says that it is wrong."""
        if not wrong:
            return function(self.conn, *args, now=2.0, who="ada", **how)
        with pytest.raises(kind):
            function(self.conn, *args, now=2.0, who="ada", **how)
        return None

    def reorder(self, job: int, index: int | None) -> None:
        """Put a job at an index of its list, or off it; another order is another version."""
        ids = self.order[self.target[job]]
        new = [other for other in ids if other != job]
        if index is not None:
            new.insert(index, job)
        if new != ids:
            self.order[self.target[job]] = new
            self.version[self.target[job]] += 1

    def queue_of(self, job: int) -> list[int]:
        return self.order[self.target[job]]

    @rule(target=made, of=st.sampled_from(_TARGETS), status=st.sampled_from(["created", "created", "queued"]))
    def create(self, of: str, status: str) -> int:
        job = jobs.create_job(
            self.conn,
            now=1.0,
            who="ada",
            kind="benchmarks",
            target=of,
            host=None,
            spec={},
            owner="ada",
            origin="rest",
            reason="",
            status=status,
        ).id
        self.target[job], self.status[job], self.pushes[job] = of, status, int(status in QUEUED_JOB_STATUSES)
        if status == "queued":
            self.reorder(job, len(self.order[of]))
        return job

    @rule(job=made)
    def push(self, job: int) -> None:
        wrong = self.status[job] != "created"
        kind = NotFound if self.status[job] == "removed" else Conflict
        self.expect(wrong, kind, queues.push, job)
        if not wrong:
            self.status[job] = "queued"
            self.pushes[job] += 1
            self.reorder(job, len(self.queue_of(job)))

    @rule(job=made)
    def take_off(self, job: int) -> None:
        wrong = job not in self.queue_of(job)
        kind = NotFound if self.status[job] == "removed" else Conflict
        self.expect(wrong, kind, queues.take_off, job)
        if not wrong:
            self.status[job] = "created"
            self.reorder(job, None)

    @rule(of=st.sampled_from(_TARGETS))
    def pop(self, of: str) -> None:
        head = queues.first(self.conn, of)
        assert (head.id if head else None) == next(iter(self.order[of]), None)
        if head is not None:
            self.take_off(head.id)

    @rule(job=made, to=_TO, late=st.sampled_from([None, 0, 0, 1]))
    def move(self, job: int, to: str, late: int | None) -> None:
        ids = self.queue_of(job)
        expected = None if late is None else self.version[self.target[job]] - late
        if self.status[job] == "removed":
            self.expect(True, NotFound, queues.move, job, to)
            return
        if late:
            self.expect(True, Stale, queues.move, job, to, expected_version=expected)
            return
        if job not in ids:
            self.expect(True, Conflict, queues.move, job, to, expected_version=expected)
            return
        old = ids.index(job) + 1
        new = {"first": 1, "last": len(ids)}.get(to) or int(to) + (old if to[0] in "+-" else 0)
        wrong = not 1 <= new <= len(ids)
        moved = self.expect(wrong, BadPosition, queues.move, job, to, expected_version=expected)
        if not wrong:
            assert moved == new
            self.reorder(job, new - 1)

    @rule(job=made, status=st.sampled_from(JOB_STATUSES))
    def set_status(self, job: int, status: str) -> None:
        old = self.status[job]
        self.expect(old == "removed", NotFound, jobs.set_status, job, status)
        if old == "removed" or old in FINAL_JOB_STATUSES:
            return
        self.status[job] = status
        if status not in QUEUED_JOB_STATUSES:
            self.reorder(job, None)
        elif old not in QUEUED_JOB_STATUSES:
            self.reorder(job, 0 if old in ("running", "storing") else len(self.queue_of(job)))

    @rule(job=made, enabled=st.booleans())
    def enable(self, job: int, enabled: bool) -> None:
        self.expect(self.status[job] == "removed", NotFound, jobs.enable_job, job, enabled)

    @rule(job=made)
    def remove(self, job: int) -> None:
        status = self.status[job]
        wrong = status != "created" and status not in FINAL_JOB_STATUSES
        self.expect(wrong, NotFound if status == "removed" else Conflict, jobs.remove_job, job)
        if not wrong:
            self.status[job] = "removed"

    @rule(of=st.sampled_from(_TARGETS), paused=st.booleans())
    def pause(self, of: str, paused: bool) -> None:
        wrong = self.paused[of] == paused
        self.expect(wrong, Conflict, queues.pause if paused else queues.unpause, of)
        if not wrong:
            self.paused[of] = paused
            self.version[of] += 1

    @rule(of=st.sampled_from(_TARGETS), apart=st.integers(min_value=1, max_value=3))
    def crowd(self, of: str, apart: int) -> None:
        """Leave next to no room between the places, as very many moves would: the next one must renumber."""
        for number, job in enumerate(self.order[of]):
            self.conn.execute(sa.update(table).where(table.c.id == job).values(place=number * apart))

    @invariant()
    def same_order(self) -> None:
        for target in _TARGETS:
            shown = queues.list_queue(self.conn, target)
            assert [job.id for job in shown] == self.order[target]
            assert [job.status for job in shown] == [self.status[job.id] for job in shown]
            assert queues.length(self.conn, target) == len(shown)
            assert [queues.position_of(self.conn, job.id) for job in shown] == list(range(1, len(shown) + 1))

    @invariant()
    def same_state(self) -> None:
        for target in _TARGETS:
            queue = queues.get_queue(self.conn, target)
            assert (queue.version, queue.paused) == (self.version[target], self.paused[target])
        for job in jobs.list_jobs(self.conn, limit=1000):
            assert (job.status, job.pushes) == (self.status[job.id], self.pushes[job.id])


def test_queue_is_a_list(store: sa.Engine) -> None:
    """Whatever is done in whatever order, the queues are what lists would be."""
    make: Any = lambda: QueueMachine(store)  # noqa: E731 - typed as a class, any callable does
    run_state_machine_as_test(
        make,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
