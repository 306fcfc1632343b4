"""The index of results: one row for each run."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from benchyard.store import attempts, results
from benchyard.store.errors import Conflict, NotFound
from benchyard.store.history import history_of
from benchyard.store.rows import Job, Result

MakeJob = Callable[..., Job]


def _add(conn: sa.Connection, job: Job, attempt: int = 1, **given: Any) -> Result:
    values: dict[str, Any] = {
        "now": 5.0,
        "who": "lab",
        "host": "sulaco",
        "target": "linux-x86_64",
        "interpreter": {"id": "abc", "flags": ["jit"]},
        "commit": None,
        "branch": None,
        "version": "3.15.0a1+",
        "flags": ("jit", "lto"),
        "suite": "pyperformance",
        "suite_version": "1.14.0",
        "mode": "default",
        "path": "bm-1/bm-2.json",
        "sha256": "00" * 32,
        "size": 5_000_000_000,
        "benchmarks": 97,
        "failed": [{"name": "dask", "error": "killed by signal 11"}],
    }
    return results.add_result(conn, job_id=job.id, attempt=attempt, **values | given)


def test_added_result_is_read_back(conn: sa.Connection, make_job: MakeJob) -> None:
    """A result comes back as it was added, by its id and by its run."""
    job = make_job(conn)
    result = _add(conn, job)
    assert results.get_result(conn, result.id) == result
    assert results.result_of_attempt(conn, job.id, 1) == result
    assert results.result_of_attempt(conn, job.id, 2) is None
    assert result.flags == ("jit", "lto")
    assert result.failed == ({"name": "dask", "error": "killed by signal 11"},)
    assert (result.size, result.status, result.enabled) == (5_000_000_000, "stored", True)


def test_added_twice(conn: sa.Connection, make_job: MakeJob) -> None:
    """The same upload again is the same row; another file for the same run is refused and changes nothing."""
    job = make_job(conn)
    result = _add(conn, job)
    assert _add(conn, job, now=9.0, path="elsewhere.json") == result
    assert len(history_of(conn, "result", result.id)) == 1
    with pytest.raises(Conflict, match=rf"^run {job.id}\.1 has result {result.id} already"):
        _add(conn, job, sha256="11" * 32)
    assert results.list_results(conn) == (result,)


def test_unknown_result(conn: sa.Connection) -> None:
    """A result that is not there is named."""
    with pytest.raises(NotFound, match=r"^there is no result 5$"):
        results.get_result(conn, 5)


def test_lists(conn: sa.Connection, make_job: MakeJob) -> None:
    """Lists are newest first, filtered by job, host and target, and paged by id."""
    job, other = make_job(conn), make_job(conn)
    attempts.new_attempt(conn, job.id, now=1.0)
    ids = [
        _add(conn, job, 1).id,
        _add(conn, job, 2, host="nostromo").id,
        _add(conn, other, 1, target="linux-aarch64").id,
    ]

    def listed(**filters: Any) -> list[int]:
        return [result.id for result in results.list_results(conn, **filters)]

    assert listed() == ids[::-1]
    assert listed(job=job.id) == [ids[1], ids[0]]
    assert listed(host="sulaco") == [ids[2], ids[0]]
    assert listed(target="linux-x86_64", before=ids[1]) == [ids[0]]
    assert listed(limit=1) == [ids[2]]
