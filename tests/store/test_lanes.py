"""When something of a branch was measured last: what counts, whatever came into the index after it."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from benchyard.store import lanes, results, trashed
from benchyard.store.rows import Job

Add = Callable[..., int]


@pytest.fixture
def add(conn: sa.Connection, make_job: Callable[..., Job]) -> Add:
    """`add(now)`: the id of a result of a job of its own, measured then."""

    def add(now: float, **given: Any) -> int:
        job = make_job(conn)
        values: dict[str, Any] = {"target": "linux", "interpreter": {"id": "ab"}, "host": "sulaco", "mode": "fast"}
        values |= {"commit": None, "branch": "main", "version": "3.15.0a1+", "flags": (), "suite": "pyperformance"}
        values |= {"suite_version": "1.14.0", "path": f"p/{job.id}", "size": 1, "sha256": f"{job.id:064}"}
        return results.add_result(conn, now=now, who="lab", job_id=job.id, attempt=1, benchmarks=9, **values | given).id

    return add


def newest(conn: sa.Connection) -> float | None:
    return lanes.newest_stored(conn, target="linux", branch="main")


def test_newest_is_by_time(conn: sa.Connection, add: Add) -> None:
    """What is imported after it, and was measured long before, does not make the newest older."""
    assert newest(conn) is None
    add(100.0)
    add(5.0)
    assert newest(conn) == 100.0


def test_branches_of_forks(conn: sa.Connection, add: Add) -> None:
    """What was measured of somebody's main is nothing new of upstream's, nor the other way round."""
    add(100.0, interpreter={"id": "ab", "remote": "upstream"})
    for now in range(200, 300):
        add(float(now), interpreter={"id": "cd", "remote": "ada"})
    assert newest(conn) == 100.0
    assert lanes.newest_stored(conn, target="linux", branch="main", fork="ada") == 299.0
    assert lanes.newest_stored(conn, target="linux", branch="main", fork="bob") is None


def test_what_does_not_count(conn: sa.Connection, add: Add) -> None:
    """What is in the trash, disabled, no benchmarks, or of another branch or target is not the newest."""
    add(100.0)
    trashed.trash_result(conn, add(200.0), now=201.0, who="ada")
    results.enable_result(conn, add(300.0), False, now=301.0, who="ada")
    for given in ({"kind": "calibrate"}, {"kind": "profile"}, {"branch": "3.14"}, {"target": "macos"}):
        add(400.0, **given)
    assert newest(conn) == 100.0
