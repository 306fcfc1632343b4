"""Results: the index of result files; one row for each run, added once."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from benchyard.store.errors import Conflict
from benchyard.store.history import record
from benchyard.store.rows import Result
from benchyard.store.sql import insert_once, page_size, require, to_row
from benchyard.store.tables import results


def add_result(
    conn: sa.Connection,
    *,
    now: float,
    who: str,
    job_id: int,
    attempt: int,
    host: str,
    target: str,
    interpreter: dict[str, Any],
    commit: str | None,
    branch: str | None,
    version: str,
    flags: Sequence[str],
    suite: str,
    suite_version: str,
    mode: str,
    path: str,
    sha256: str,
    size: int,
    benchmarks: int,
    failed: Sequence[dict[str, Any]] = (),
    status: str = "stored",
) -> Result:
    """Add the result of a run (JOB.ATTEMPT); the same file again changes nothing, another is a Conflict.

    `path` is relative to the results directory, `sha256` in hex, `size` in bytes, `benchmarks` the number of
    benchmarks with values, `failed` one object for each that failed.
    """
    values: dict[str, Any] = {
        "job_id": job_id,
        "attempt": attempt,
        "status": status,
        "enabled": True,
        "host": host,
        "target": target,
        "interpreter": interpreter,
        "commit": commit,
        "branch": branch,
        "version": version,
        "flags": tuple(flags),
        "suite": suite,
        "suite_version": suite_version,
        "mode": mode,
        "path": path,
        "sha256": sha256,
        "size": size,
        "benchmarks": benchmarks,
        "failed": tuple(failed),
        "created": now,
        "changed": now,
        "changed_by": who,
    }
    inserted = insert_once(conn, results, values, unique=["job_id", "attempt"])
    result = require(result_of_attempt(conn, job_id, attempt), f"result of run {job_id}.{attempt}")
    if result.sha256 != sha256:
        raise Conflict(f"run {job_id}.{attempt} has result {result.id} already, made of another file: {result.path}")
    if inserted:
        change = {"status": status, "path": path, "sha256": sha256}
        record(conn, "result", result.id, now=now, who=who, change=change)
    return result


def get_result(conn: sa.Connection, id: int) -> Result:
    """Return a result; NotFound where there is none."""
    row = conn.execute(sa.select(results).where(results.c.id == id)).mappings().first()
    return to_row(Result, require(row, f"result {id}"))


def result_of_attempt(conn: sa.Connection, job_id: int, number: int) -> Result | None:
    """Return the result that a run left, or None."""
    where = sa.and_(results.c.job_id == job_id, results.c.attempt == number)
    row = conn.execute(sa.select(results).where(where)).mappings().first()
    return None if row is None else to_row(Result, row)


def list_results(
    conn: sa.Connection,
    *,
    job: int | None = None,
    host: str | None = None,
    target: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> tuple[Result, ...]:
    """Return results, newest first, with an id below `before`."""
    statement = sa.select(results).order_by(results.c.id.desc()).limit(page_size(limit))
    if job is not None:
        statement = statement.where(results.c.job_id == job)
    if host is not None:
        statement = statement.where(results.c.host == host)
    if target is not None:
        statement = statement.where(results.c.target == target)
    if before is not None:
        statement = statement.where(results.c.id < before)
    return tuple(to_row(Result, row) for row in conn.execute(statement).mappings())
