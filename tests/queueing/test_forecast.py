"""When jobs may be expected to start."""

from typing import Any

import pytest
import sqlalchemy as sa

from benchyard.queueing.forecast import Running, Start, forecast, play
from benchyard.store import attempts, jobs, queues
from benchyard.store.rows import Job

NOW = 1000.0


@pytest.fixture
def job(conn: sa.Connection) -> Any:
    """`job(benchmarks, host=None)`: a queued job."""

    def make(benchmarks: tuple[str, ...] = ("nbody",), host: str | None = None) -> Job:
        spec = {"benchmarks": list(benchmarks), "mode": "fast"}
        return jobs.create_job(
            conn,
            now=NOW,
            who="ada",
            kind="benchmarks",
            target="linux",
            host=host,
            spec=spec,
            owner="ada",
            origin="rest",
            reason="",
            status="queued",
        )

    return make


def measured(conn: sa.Connection, job: Job, host: str, started: float, finished: float | None) -> None:
    """Let a job run on a host, and end well unless `finished` is None."""
    attempts.new_attempt(conn, job.id, now=started)
    attempts.place_attempt(conn, job.id, 1, host=host, now=started)
    jobs.set_status(conn, job.id, "running", now=started, who="lab")
    if finished is not None:
        attempts.end_attempt(conn, job.id, 1, status="success", cause=None, now=finished)
        jobs.set_status(conn, job.id, "success", now=finished, who="lab")


def test_learned_from_jobs_of_the_same_shape(conn: sa.Connection, job: Any) -> None:
    """The range is that of past runs of the same benchmarks and mode; what took another shape does not count."""
    for benchmarks, took in ((("nbody",), 60.0), (("nbody",), 90.0), (("go", "nbody"), 500.0)):
        measured(conn, job(benchmarks), "bench", 0.0, took)
    measured(conn, job(), "bench", NOW - 70, None)
    first, second, other = job(), job(), job(("go", "nbody"))
    assert forecast(conn, [first, second, other], ["bench"], now=NOW) == {
        first.id: Start(NOW, NOW + 20),
        second.id: Start(NOW + 60, NOW + 110),
        other.id: Start(NOW + 120, NOW + 200),
    }


def test_nothing_known(conn: sa.Connection, job: Any) -> None:
    """Behind a job of which nothing is known there is no latest time."""
    first, second = job(), job()
    assert forecast(conn, [first, second], ["bench"], now=NOW) == {
        first.id: Start(NOW, NOW),
        second.id: Start(NOW, None),
    }


def test_paused_queue_starts_nothing(conn: sa.Connection, job: Any) -> None:
    """Nobody knows when a pause ends; and without a host nothing starts."""
    waiting = [job()]
    assert forecast(conn, waiting, [], now=NOW) == {}
    queues.pause(conn, "linux", now=NOW, who="ada")
    assert forecast(conn, waiting, ["bench"], now=NOW) == {}


def test_hosts_share_the_queue(conn: sa.Connection, job: Any) -> None:
    """Each job goes to the host that is free first, a pinned one to its own; disabled jobs are passed over."""
    first, disabled, pinned, last = job(), job(), job(host="b"), job()
    disabled = jobs.enable_job(conn, disabled.id, False, now=NOW, who="ada")
    past = {first.shape or "": (100.0,)}
    running = [Running("a", first.shape, NOW - 40), Running("gone", first.shape, NOW)]
    assert play([first, disabled, pinned, last], running, ["a", "b"], past, now=NOW) == {
        first.id: Start(NOW, NOW),
        pinned.id: Start(NOW + 100, NOW + 100),
        last.id: Start(NOW + 60, NOW + 60),
    }


def test_run_that_takes_longer_than_ever(conn: sa.Connection, job: Any) -> None:
    """What should have ended by now may end at any moment."""
    waiting = job()
    past = {waiting.shape or "": (10.0,)}
    assert play([waiting], [Running("a", waiting.shape, 0.0)], ["a"], past, now=NOW) == {waiting.id: Start(NOW, NOW)}
