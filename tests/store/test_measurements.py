"""Measurements: kept with their result, read back by it, and looked for where they are missing."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from benchyard.store import measurements, results, trashed
from benchyard.store.rows import Job, Measurement

ROW: dict[str, Any] = {
    "benchmark": "nbody",
    "unit": "second",
    "n": 3,
    "mean": 0.25,
    "stdev": None,
    "median": 0.25,
    "mad": 0.0,
    "minimum": 0.2,
    "maximum": 0.3,
    "memory": None,
    "version": "1.0",
}


def _result(conn: sa.Connection, make_job: Callable[..., Job], **given: Any) -> int:
    job = make_job(conn)
    values: dict[str, Any] = {"target": job.target, "interpreter": {"id": "ab"}, "commit": None, "branch": None}
    values |= {"version": "3.14.0", "flags": (), "suite": "pyperformance", "suite_version": "1.14.0", "host": "sulaco"}
    values |= {"mode": "fast", "path": f"p/{job.id}.json", "sha256": f"{job.id:064}", "size": 1, "benchmarks": 1}
    return results.add_result(conn, now=5.0, who="lab", job_id=job.id, attempt=1, **values | given).id


def test_measurements_are_read_back(conn: sa.Connection, make_job: Callable[..., Job]) -> None:
    """By name, as they were given, with the samples as bytes; those of another result stay apart."""
    first, second = _result(conn, make_job), _result(conn, make_job)
    measurements.add_measurements(conn, first, [ROW, {**ROW, "benchmark": "deltablue", "stdev": 0.5}], b"\x00\xff1")
    measurements.add_measurements(conn, second, [ROW], b"2")
    found = measurements.measurements_of(conn, first)
    assert [row.benchmark for row in found] == ["deltablue", "nbody"]
    assert found[1] == Measurement(result_id=first, **ROW)
    assert found[0].stdev == 0.5
    assert measurements.samples_of(conn, [first, second, 99]) == {first: b"\x00\xff1", second: b"2"}


def test_measurements_again(conn: sa.Connection, make_job: Callable[..., Job]) -> None:
    """What is given again takes the place of what was there."""
    result = _result(conn, make_job)
    measurements.add_measurements(conn, result, [ROW, {**ROW, "benchmark": "deltablue"}], b"1")
    measurements.add_measurements(conn, result, [ROW], b"2")
    assert [row.benchmark for row in measurements.measurements_of(conn, result)] == ["nbody"]
    assert measurements.samples_of(conn, [result]) == {result: b"2"}


def test_unmeasured(conn: sa.Connection, make_job: Callable[..., Job]) -> None:
    """Results with values and a file that nothing is known of are found, page by page; profiles are none of them."""
    known, missing, later = (_result(conn, make_job) for _ in range(3))
    profile, removed = _result(conn, make_job, kind="profile", path="a.profile"), _result(conn, make_job)
    trashed.trash_result(conn, removed, now=6.0, who="ada")
    measurements.add_measurements(conn, known, [ROW], b"1")
    assert [row.id for row in measurements.unmeasured(conn)] == [missing, later]
    assert [row.id for row in measurements.unmeasured(conn, limit=1)] == [missing]
    assert [row.id for row in measurements.unmeasured(conn, after=missing)] == [later]
    measurements.add_measurements(conn, missing, [], b"")
    assert [row.id for row in measurements.unmeasured(conn)] == [later]
    assert profile not in {row.id for row in measurements.unmeasured(conn)}
