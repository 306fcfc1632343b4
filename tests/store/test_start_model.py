"""Which job starts next, against the plainest thing that could be right: a list, gone through from its front."""

from typing import Any

import hypothesis.strategies as st
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from benchyard.queueing.order import Lane, Pick, next_request
from benchyard.queueing.runs import Run, stage_key
from benchyard.store import attempts, hosts, jobs, queues

_HOSTS = ("h1", "h2")
_JOBS, _MEASURE = 1, 2
_BEGUN = ("building", "ready", "running", "storing")
_NEXT = {"building": "ready", "running": "storing"}
_WHO: dict[str, Any] = {"now": 2.0, "who": "ada"}


class StartMachine(RuleBasedStateMachine):
    """Does to Buildbot's tables and ours what a master does, and to lists the same; in the end all is rolled back."""

    made = Bundle("made")

    def __init__(self, engine: sa.Engine, per_host: int) -> None:
        from buildbot.db.model import Model

        super().__init__()
        self.tables = Model
        self.conn = engine.connect()
        self.per_host = per_host
        self.order: list[int] = []
        self.paused = False
        self.shut: set[str] = set()
        self.status: dict[int, str] = {}
        self.host: dict[int, str | None] = {}
        self.disabled: set[int] = set()
        self.request: dict[int, int] = {}
        self.interrupted: set[int] = set()
        self.stage: dict[int, int] = {}
        self.placed: dict[int, str] = {}
        self._insert(Model.masters, id=1, name="m", name_hash="m", active=1, last_active=1)
        for builderid in (_JOBS, _MEASURE):
            self._insert(Model.builders, id=builderid, name=f"b{builderid}", name_hash=f"{builderid}")
        for host in _HOSTS:
            hosts.ensure_host(self.conn, host, **_WHO)

    def teardown(self) -> None:
        self.conn.rollback()
        self.conn.close()

    def _insert(self, table: sa.Table, **values: Any) -> int:
        key = self.conn.execute(sa.insert(table).values(**values)).inserted_primary_key
        return int(key[0]) if key else 0

    def _request(self, builderid: int, key: str | None = None) -> int:
        values: dict[str, Any] = {"submitted_at": 1, "complete": 0, "results": -1}
        buildset = self._insert(self.tables.buildsets, external_idstring=key, reason="", **values)
        return self._insert(
            self.tables.buildrequests, buildsetid=buildset, builderid=builderid, priority=0, waited_for=0, **values
        )

    def _claim(self, request: int) -> None:
        self._insert(self.tables.buildrequest_claims, brid=request, masterid=1, claimed_at=1)

    def _unclaim(self, request: int) -> None:
        claims = self.tables.buildrequest_claims
        self.conn.execute(sa.delete(claims).where(claims.c.brid == request))

    def _complete(self, request: int) -> None:
        requests = self.tables.buildrequests
        self.conn.execute(sa.update(requests).where(requests.c.id == request).values(complete=1))

    def _next(self, builderid: int, free: tuple[str, ...]) -> Pick | None:
        lane = Lane("linux", None if builderid == _JOBS else "measure", free, _HOSTS, self.per_host)
        return next_request(self.conn, self.tables, lane, builderid, free, now=2.0)

    def _new_stage(self, job: int) -> None:
        attempt = attempts.new_attempt(self.conn, job, now=2.0)
        self.stage[job] = self._request(_MEASURE, stage_key("b2", Run(job, attempt.number)))

    def _set(self, job: int, status: str) -> None:
        jobs.set_status(self.conn, job, status, **_WHO)
        self.status[job] = status

    # What people do.

    @rule(target=made, host=st.sampled_from([None, None, *_HOSTS]), run=st.sampled_from([True, True, False]))
    def submit(self, host: str | None, run: bool) -> int:
        job = jobs.create_job(
            self.conn,
            kind="benchmarks",
            target="linux",
            host=host,
            spec={},
            owner="ada",
            origin="rest",
            reason="",
            **_WHO,
        ).id
        self.status[job], self.host[job] = "created", host
        if run:
            self.push(job)
        return job

    @rule(job=made)
    def push(self, job: int) -> None:
        if self.status[job] == "created":
            push = queues.push(self.conn, job, **_WHO).pushes
            self.request[job] = self._request(_JOBS)
            jobs.tie_request(self.conn, job, self.request[job], push=push)
            self.order.append(job)
            self.status[job] = "queued"

    @rule(job=made)
    def take_off(self, job: int) -> None:
        if job in self.order:
            queues.take_off(self.conn, job, **_WHO)
            self._complete(self.request.pop(job))
            self.order.remove(job)
            self.interrupted.discard(job)
            self.status[job] = "created"

    @rule()
    def pop(self) -> None:
        head = queues.first(self.conn, "linux")
        assert (head.id if head else None) == next(iter(self.order), None)
        if head is not None:
            self.take_off(head.id)

    @rule(job=made, where=st.integers(min_value=0, max_value=9))
    def move(self, job: int, where: int) -> None:
        if job in self.order:
            index = where % len(self.order)
            queues.move(self.conn, job, str(index + 1), **_WHO)
            self.order.remove(job)
            self.order.insert(index, job)

    @rule(paused=st.booleans())
    def pause(self, paused: bool) -> None:
        if paused != self.paused:
            (queues.pause if paused else queues.unpause)(self.conn, "linux", **_WHO)
            self.paused = paused

    @rule(job=made, enabled=st.booleans())
    def enable(self, job: int, enabled: bool) -> None:
        jobs.enable_job(self.conn, job, enabled, **_WHO)
        (self.disabled.discard if enabled else self.disabled.add)(job)

    @rule(host=st.sampled_from(_HOSTS), enabled=st.sampled_from([True, True, False]))
    def enable_host(self, host: str, enabled: bool) -> None:
        hosts.enable_host(self.conn, host, enabled, **_WHO)
        (self.shut.discard if enabled else self.shut.add)(host)

    # What the lab does.

    def to_start(self) -> int | None:
        """The job that the lists say is next."""
        on_host = sorted(job for job in self.interrupted if job not in self.order)
        for job in (*on_host, *self.order):
            if job in self.interrupted:
                return job
        able = [host for host in _HOSTS if host not in self.shut]
        where = {job: self.placed.get(job) or host for job, host in self.host.items()}
        ahead = [where[job] for job, status in self.status.items() if status in ("running", "storing")]
        for job in () if self.paused else self.order:
            host = self.host[job]
            fits = sum(other is None or other in able for other in ahead) < len(able) * self.per_host
            if host is not None:
                fits = fits and host in able and ahead.count(host) < self.per_host
            if self.status[job] == "queued" and job not in self.disabled and fits:
                return job
            if self.status[job] in _BEGUN:
                ahead.append(where[job])
        return None

    @rule()
    def start(self) -> None:
        job = self.to_start()
        assert self._next(_JOBS, ("c1",)) == (None if job is None else Pick(self.request[job], None))
        if job is not None:
            self._claim(self.request[job])
            if self.status[job] == "queued":
                self.status[job] = "building"
            self.interrupted.discard(job)

    @rule(job=made)
    def interrupt(self, job: int) -> None:
        """The master stops, and the job's build is to go on."""
        if self.status[job] in _BEGUN:
            self._unclaim(self.request[job])
            self.interrupted.add(job)

    @rule(job=made)
    def advance(self, job: int) -> None:
        if self.status[job] in _NEXT:
            self._set(job, _NEXT[self.status[job]])
            if self.status[job] == "ready" and job not in self.stage:
                self._new_stage(job)

    def to_measure(self, free: tuple[str, ...]) -> Pick | None:
        """The stage that the lists say is next, and its host."""
        for job in () if self.paused else self.order:
            if job in self.stage and self.status[job] in _BEGUN:
                for host in free:
                    if host not in self.shut and self.host[job] in (None, host):
                        return Pick(self.stage[job], host)
        return None

    @rule(free=st.sampled_from([("h1",), ("h2",), ("h1", "h2"), ("h2", "h1")]))
    def measure(self, free: tuple[str, ...]) -> None:
        picked = self.to_measure(free)
        assert self._next(_MEASURE, free) == picked
        if picked is not None and picked.worker is not None:
            job = next(job for job, stage in self.stage.items() if stage == picked.request_id)
            self._claim(picked.request_id)
            number = attempts.list_attempts(self.conn, job)[-1].number
            attempts.place_attempt(self.conn, job, number, host=picked.worker, now=2.0)
            self.placed[job] = picked.worker
            self._set(job, "running")
            self.order.remove(job)

    @rule(job=made)
    def lose(self, job: int) -> None:
        """The run is lost: another attempt is made, before all who have had none."""
        if self.status[job] == "running":
            number = attempts.list_attempts(self.conn, job)[-1].number
            attempts.end_attempt(self.conn, job, number, status="lost", cause="c", now=2.0)
            self.placed.pop(job)
            self._complete(self.stage[job])
            self._new_stage(job)
            self._set(job, "ready")
            self.order.insert(0, job)

    @rule(job=made, status=st.sampled_from(["success", "failed", "canceled", "lost"]))
    def end(self, job: int, status: str) -> None:
        if self.status[job] in ("queued", *_BEGUN):
            self._set(job, status)
            self._complete(self.request.pop(job))
            if job in self.stage:
                self._complete(self.stage[job])
            if job in self.order:
                self.order.remove(job)
            self.interrupted.discard(job)

    @invariant()
    def same_queue(self) -> None:
        shown = [(job.id, job.status) for job in queues.list_queue(self.conn, "linux")]
        assert shown == [(job, self.status[job]) for job in self.order]


@pytest.mark.parametrize("per_host", [1, 2])
def test_starts_are_those_of_a_list(store: sa.Engine, per_host: int) -> None:
    """Whatever is done in whatever order, the job that starts next is the one that a look along a list finds."""
    from buildbot.db.model import Model

    Model.metadata.create_all(store)
    make: Any = lambda: StartMachine(store, per_host)  # noqa: E731 - typed as a class, any callable does
    run_state_machine_as_test(
        make,
        settings=settings(
            max_examples=40,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
