"""What is known of how long jobs take."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from benchyard.store import attempts, jobs, tables
from benchyard.store.durations import LOOK_BACK, benchmark_durations, past_durations, shape_of
from benchyard.store.rows import Job


def run(conn: sa.Connection, job: Job, seconds: float, status: str = "success") -> None:
    """Let a job run for a while."""
    attempts.new_attempt(conn, job.id, now=1.0)
    attempts.place_attempt(conn, job.id, 1, host="bench", now=1.0)
    jobs.set_status(conn, job.id, "running", now=1.0, who="lab")
    attempts.end_attempt(conn, job.id, 1, status=status, cause=None, now=1.0 + seconds)
    jobs.set_status(conn, job.id, "success" if status == "success" else "failed", now=1.0 + seconds, who="lab")


def test_newest_first(conn: sa.Connection, make_job: Callable[..., Job]) -> None:
    """Only good runs count, the newest of them; of a shape never seen nothing is known."""
    for number in range(LOOK_BACK + 2):
        run(conn, make_job(conn), float(number))
    failed = make_job(conn)
    run(conn, failed, 999.0, "failed")
    assert failed.shape is not None
    known = past_durations(conn, [failed.shape, "unknown"])
    assert known == {failed.shape: tuple(float(n) for n in range(LOOK_BACK + 1, 1, -1)), "unknown": ()}


def test_benchmarks_of_a_host(conn: sa.Connection, make_job: Callable[..., Job]) -> None:
    """How long each benchmark takes is known by host and mode, from good runs: of one that was
    measured twice the seconds of one time are told. Runs in other modes push none out.
    """
    report = {"benchmarks": [{"name": "a", "status": "success", "seconds": 8.0, "tries": 2}]}
    failed = {"benchmarks": [{"name": "a", "status": "failed", "seconds": 99.0}]}
    for said in (report, failed, {"benchmarks": [{"name": "a", "status": "success", "seconds": 5.0}]}):
        job = make_job(conn, spec={"mode": "fast"})
        run(conn, job, 1.0)
        conn.execute(sa.update(tables.attempts).where(tables.attempts.c.job_id == job.id).values(report=said))
    for _ in range(LOOK_BACK):
        job = make_job(conn, spec={"mode": "rigorous"})
        run(conn, job, 1.0)
        conn.execute(sa.update(tables.attempts).where(tables.attempts.c.job_id == job.id).values(report=report))
    assert benchmark_durations(conn, "bench", "fast", "benchmarks") == {"a": (5.0, 8.0)}
    assert benchmark_durations(conn, "bench", "rigorous", "benchmarks") == {"a": (8.0,) * LOOK_BACK}
    assert benchmark_durations(conn, "bench", "default", "benchmarks") == {}
    assert benchmark_durations(conn, "other", "fast", "benchmarks") == {}
    assert benchmark_durations(conn, "bench", "fast", "profile") == {}


def test_shape_follows_the_spec(conn: sa.Connection, make_job: Callable[..., Job]) -> None:
    """The order of benchmarks and the interpreter make no difference; benchmarks, mode and target do."""
    spec = {"benchmarks": ["a", "b"], "mode": "fast", "python": "/p"}
    shape = shape_of("benchmarks", "t", spec)
    assert shape == shape_of("benchmarks", "t", {**spec, "benchmarks": ["b", "a"], "python": "/q"})
    others = [
        shape_of("benchmarks", "t", {**spec, "benchmarks": ["a"]}),
        shape_of("benchmarks", "t", {**spec, "mode": "default"}),
        shape_of("benchmarks", "u", spec),
    ]
    assert len({shape, *others}) == 4
    job = make_job(conn, target="t")
    assert jobs.modify_job(conn, job.id, now=2.0, who="ada", spec=spec).shape == shape


@pytest.mark.parametrize("shape", [None, "unknown"])
def test_job_without_history(conn: sa.Connection, shape: str | None) -> None:
    """Nothing is known of what was never run, nor of jobs from before shapes were kept."""
    assert past_durations(conn, [] if shape is None else [shape]) == ({} if shape is None else {shape: ()})
