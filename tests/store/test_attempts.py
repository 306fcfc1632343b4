"""Attempts: one at a time, one host each, one end."""

import threading
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from benchyard.store import attempts
from benchyard.store.errors import Conflict, NotFound, StoreError
from benchyard.store.history import history_of
from benchyard.store.rows import Attempt, Job

MakeJob = Callable[..., Job]


def test_life_of_an_attempt(conn: sa.Connection, make_job: MakeJob) -> None:
    """An attempt is made pending, placed on a host, and ended with its report."""
    job = make_job(conn)
    assert attempts.current_attempt(conn, job.id) is None
    attempt = attempts.new_attempt(conn, job.id, now=1.0)
    assert attempt == Attempt(job.id, 1, None, "pending", None, None, None, None)
    assert attempt.run == f"{job.id}.1"
    placed = attempts.place_attempt(conn, job.id, 1, host="sulaco", now=2.0)
    assert (placed.status, placed.host, placed.started) == ("running", "sulaco", 2.0)
    assert attempts.running_attempts(conn) == (placed,)
    ended = attempts.end_attempt(conn, job.id, 1, status="success", cause=None, now=3.0, report={"benchmarks": []})
    assert (ended.status, ended.report, ended.finished) == ("success", {"benchmarks": []}, 3.0)
    assert attempts.running_attempts(conn) == ()
    assert attempts.current_attempt(conn, job.id) == ended
    assert [change.change["status"] for change in history_of(conn, "attempt", attempt.run)] == [
        "pending",
        "running",
        "success",
    ]


def test_one_at_a_time(conn: sa.Connection, make_job: MakeJob) -> None:
    """A pending attempt is used, a running one is in the way, an ended one is followed by the next."""
    job = make_job(conn)
    first = attempts.new_attempt(conn, job.id, now=1.0)
    assert attempts.new_attempt(conn, job.id, now=2.0) == first
    attempts.place_attempt(conn, job.id, 1, host="sulaco", now=2.0)
    with pytest.raises(Conflict, match=rf"attempt {job.id}\.1 is running on host sulaco"):
        attempts.new_attempt(conn, job.id, now=3.0)
    attempts.end_attempt(conn, job.id, 1, status="lost", cause="rebooted", now=4.0)
    assert attempts.new_attempt(conn, job.id, now=5.0).number == 2
    assert [(attempt.number, attempt.status) for attempt in attempts.list_attempts(conn, job.id)] == [
        (1, "lost"),
        (2, "pending"),
    ]


def test_host_is_for_good(conn: sa.Connection, make_job: MakeJob) -> None:
    """A retried build finds its attempt on the same host, before and after the end; no other host gets it."""
    job = make_job(conn)
    attempts.new_attempt(conn, job.id, now=1.0)
    placed = attempts.place_attempt(conn, job.id, 1, host="sulaco", now=2.0)
    assert attempts.place_attempt(conn, job.id, 1, host="sulaco", now=3.0) == placed
    with pytest.raises(Conflict, match=rf"^attempt {job.id}\.1 is on host sulaco, it cannot go to nostromo$"):
        attempts.place_attempt(conn, job.id, 1, host="nostromo", now=3.0)
    ended = attempts.end_attempt(conn, job.id, 1, status="success", cause=None, now=4.0)
    assert attempts.place_attempt(conn, job.id, 1, host="sulaco", now=5.0) == ended


def test_ended_before_placed(conn: sa.Connection, make_job: MakeJob) -> None:
    """An attempt canceled while it waited gets no host any more."""
    job = make_job(conn)
    attempts.new_attempt(conn, job.id, now=1.0)
    attempts.end_attempt(conn, job.id, 1, status="canceled", cause="ada", now=2.0)
    with pytest.raises(Conflict, match=r"has ended \(canceled\)"):
        attempts.place_attempt(conn, job.id, 1, host="sulaco", now=3.0)


def test_first_end_wins(conn: sa.Connection, make_job: MakeJob) -> None:
    """The sweep and the step may both end an attempt: the first says how."""
    job = make_job(conn)
    attempts.new_attempt(conn, job.id, now=1.0)
    attempts.place_attempt(conn, job.id, 1, host="sulaco", now=2.0)
    ended = attempts.end_attempt(conn, job.id, 1, status="timeout", cause="after 60 s", now=3.0)
    assert attempts.end_attempt(conn, job.id, 1, status="success", cause=None, now=4.0, report={"a": 1}) == ended


def test_refusals(conn: sa.Connection, make_job: MakeJob) -> None:
    """Unknown jobs and attempts are named, and so are the statuses that end an attempt."""
    job = make_job(conn)
    with pytest.raises(NotFound, match=r"^there is no job 77$"):
        attempts.new_attempt(conn, 77, now=1.0)
    with pytest.raises(NotFound, match=rf"^there is no attempt {job.id}\.3$"):
        attempts.place_attempt(conn, job.id, 3, host="sulaco", now=1.0)
    with pytest.raises(NotFound, match=rf"^there is no attempt {job.id}\.3$"):
        attempts.end_attempt(conn, job.id, 3, status="lost", cause=None, now=1.0)
    attempts.new_attempt(conn, job.id, now=1.0)
    with pytest.raises(StoreError, match="'running' does not end an attempt; these do: canceled, failed"):
        attempts.end_attempt(conn, job.id, 1, status="running", cause=None, now=1.0)


def test_two_masters_make_one_attempt(store: sa.Engine, make_job: MakeJob) -> None:
    """Masters that ask for a job's next attempt at the same time get the same one."""
    with store.begin() as conn:
        job = make_job(conn)
    start = threading.Barrier(4)
    made: list[Attempt] = []

    def make() -> None:
        start.wait(10)
        with store.begin() as conn:
            made.append(attempts.new_attempt(conn, job.id, now=1.0))

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [attempt.number for attempt in made] == [1, 1, 1, 1]
    with store.begin() as conn:
        assert len(attempts.list_attempts(conn, job.id)) == 1


def test_attempts_of_several_jobs(conn: sa.Connection, make_job: MakeJob) -> None:
    """The attempts of many jobs are read at once: the same as one by one."""
    tried = [make_job(conn) for _ in range(3)]
    for job in tried[:2]:
        attempts.new_attempt(conn, job.id, now=1.0)
    attempts.end_attempt(conn, tried[0].id, 1, status="lost", cause="c", now=2.0)
    attempts.new_attempt(conn, tried[0].id, now=3.0)
    found = attempts.attempts_of(conn, [job.id for job in tried])
    assert found == {job.id: attempts.list_attempts(conn, job.id) for job in tried[:2]}
