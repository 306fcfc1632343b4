"""Results: the index of result files; one row for each run, added once, and rows that people add.

A result's file is written once and never changed; what people may change is what the row says of it.
"""

from collections.abc import Mapping, Sequence
from types import EllipsisType
from typing import Any

import sqlalchemy as sa

from benchyard.store.errors import Conflict, Stale, StoreError
from benchyard.store.filters import between, with_commit
from benchyard.store.history import LAB, record
from benchyard.store.measurements import add_measurements
from benchyard.store.rows import BENCHMARKS, RESULT_STATUSES, Result
from benchyard.store.sql import insert_once, insert_row, locked_row, page_size, require, to_row
from benchyard.store.tables import jobs, results


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
    owner: str | None = None,
    kind: str = BENCHMARKS,
    grade: str | None = None,
    grade_reasons: Sequence[str] = (),
    fingerprint: dict[str, Any] | None = None,
    fingerprint_id: str | None = None,
    measurements: Sequence[Mapping[str, Any]] = (),
    samples: bytes | None = None,
    created: float | None = None,
) -> Result:
    """Add the result of a run (JOB.ATTEMPT); the same file again changes nothing, another is a Conflict.

    The result belongs to the job's owner unless another is given.

    `path` is relative to the results directory, `sha256` in hex, `size` in bytes, `benchmarks` the number of
    benchmarks with values, `failed` one object for each that failed. Its epoch is found by `epochs.place_result`.
    `created` is when the run ended, where that is not now.
    `measurements` and `samples` are as `add_measurements` takes them, where it has values.
    """
    if owner is None:
        owner = conn.execute(sa.select(jobs.c.owner).where(jobs.c.id == job_id)).scalar_one_or_none()
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
        "created": now if created is None else created,
        "changed": now if created is None else created,
        "changed_by": who,
        "owner": require(owner, f"job {job_id}"),
        "note": "",
        "kind": kind,
        "grade": grade,
        "grade_reasons": tuple(grade_reasons),
        "fingerprint": fingerprint,
        "fingerprint_id": fingerprint_id,
    }
    inserted = _adopt_found(conn, values) or insert_once(conn, results, values, unique=["job_id", "attempt"])
    result = require(result_of_attempt(conn, job_id, attempt), f"result of run {job_id}.{attempt}")
    if result.sha256 != sha256:
        raise Conflict(f"run {job_id}.{attempt} has result {result.id} already, made of another file: {result.path}")
    if inserted:
        change = {"status": status, "path": path, "sha256": sha256}
        record(conn, "result", result.id, now=now, who=who, change=change)
        if samples is not None:
            add_measurements(conn, result.id, measurements, samples)
    return result


def _adopt_found(conn: sa.Connection, values: Mapping[str, Any]) -> bool:
    """Let the run have the row that the lab itself has given to its file, when it found that without one."""
    if result_of_attempt(conn, values["job_id"], values["attempt"]) is not None:
        return False
    found = (
        results.c.sha256 == values["sha256"],
        results.c.path == values["path"],
        results.c.job_id.is_(None),
        results.c.owner == LAB,
        results.c.status == "stored",
    )
    given = {name: value for name, value in values.items() if name not in ("enabled", "note", "status")}
    return conn.execute(sa.update(results).where(*found).values(**given).returning(results.c.id)).first() is not None


def get_result(conn: sa.Connection, id: int) -> Result:
    """Return a result; NotFound where there is none."""
    row = conn.execute(sa.select(results).where(results.c.id == id)).mappings().first()
    return to_row(Result, require(row, f"result {id}"))


def result_of_attempt(conn: sa.Connection, job_id: int, number: int) -> Result | None:
    """Return the result that a run left, or None."""
    where = sa.and_(results.c.job_id == job_id, results.c.attempt == number)
    row = conn.execute(sa.select(results).where(where)).mappings().first()
    return None if row is None else to_row(Result, row)


def new_result(
    conn: sa.Connection,
    *,
    now: float,
    who: str,
    owner: str,
    host: str,
    target: str | None,
    commit: str | None,
    branch: str | None,
) -> Result:
    """Add a result that no job of the lab has measured; its file is attached later."""
    values: dict[str, Any] = {
        "status": "stored",
        "enabled": True,
        "host": host,
        "target": target,
        "commit": commit,
        "branch": branch,
        "flags": (),
        "benchmarks": 0,
        "failed": (),
        "created": now,
        "changed": now,
        "changed_by": who,
        "owner": owner,
        "note": "",
        "kind": BENCHMARKS,
        "grade_reasons": (),
    }
    result = to_row(Result, insert_row(conn, results, values))
    change = {"status": "stored", "host": host, "target": target, "owner": owner}
    record(conn, "result", result.id, now=now, who=who, change=change)
    return result


def modify_result(
    conn: sa.Connection,
    id: int,
    *,
    now: float,
    who: str,
    commit: str | EllipsisType | None = ...,
    branch: str | EllipsisType | None = ...,
    note: str | None = None,
    expected_changed: float | None = None,
) -> Result:
    """Change what a result is said to be of; what is not given stays, commit and branch may be None.

    Stale where the result's `changed` is not the one that the caller expects.
    """
    result = locked_result(conn, id)
    if expected_changed is not None and result.changed != expected_changed:
        raise Stale(f"result {id} was changed by {result.changed_by}: read it again")
    given: dict[str, Any] = {"commit": commit, "branch": branch, "note": ... if note is None else note}
    values = {key: value for key, value in given.items() if value is not ... and value != getattr(result, key)}
    return change_row(conn, id, values, now=now, who=who, change=values) if values else result


def enable_result(conn: sa.Connection, id: int, enabled: bool, *, now: float, who: str) -> Result:
    """Let a result count in comparisons, series and uploads, or leave it out of them."""
    result = locked_result(conn, id)
    if result.enabled == enabled:
        return result
    values = {"enabled": enabled, **({"missing": None} if enabled else {})}
    return change_row(conn, id, values, now=now, who=who, change=values)


def list_results(
    conn: sa.Connection,
    *,
    job: int | None = None,
    host: str | None = None,
    target: str | None = None,
    before: int | None = None,
    limit: int = 50,
    owner: str | None = None,
    commit: str | None = None,
    branch: str | None = None,
    version: str | None = None,
    status: Sequence[str] = (),
    since: float | None = None,
    until: float | None = None,
) -> tuple[Result, ...]:
    """Return results with an id below `before`, newest first.

    Those in the trash are listed for the status `trashed` only. Of a commit, its beginning is enough; a result may have
    it cut short, too. Results made at `since` are listed, those made at `until` are not.
    """
    for name in status:
        if name not in RESULT_STATUSES:
            raise StoreError(f"unknown result status {name!r}; known are {', '.join(RESULT_STATUSES)}")
    equal = {
        results.c.job_id: job,
        results.c.host: host,
        results.c.target: target,
        results.c.owner: owner,
        results.c.branch: branch,
        results.c.version: version,
    }
    conditions = [column == value for column, value in equal.items() if value is not None]
    if commit is not None:
        conditions.append(with_commit(results.c.commit, commit))
    conditions.append(results.c.status.in_(status or ("stored",)))
    if before is not None:
        conditions.append(results.c.id < before)
    conditions.extend(between(results.c.created, since, until))
    statement = sa.select(results).where(*conditions).order_by(results.c.id.desc()).limit(page_size(limit))
    return tuple(to_row(Result, row) for row in conn.execute(statement).mappings())


def ids_of_jobs(conn: sa.Connection, job_ids: Sequence[int]) -> dict[int, tuple[int, ...]]:
    """Return the ids of the results of several jobs that are not in the trash, newest first, by job."""
    columns = sa.select(results.c.job_id, results.c.id)
    rows = conn.execute(
        columns.where(results.c.job_id.in_(job_ids), results.c.status == "stored").order_by(results.c.id.desc())
    )
    found: dict[int, list[int]] = {}
    for row in rows:
        found.setdefault(row.job_id, []).append(row.id)
    return {job_id: tuple(ids) for job_id, ids in found.items()}


def result_of_job(conn: sa.Connection, job_id: int) -> Result | None:
    """Return the newest result of a job that counts: with a file, enabled, and not in the trash; None without one."""
    found = [get_result(conn, id) for id in ids_of_jobs(conn, [job_id]).get(job_id, ())]
    return next((row for row in found if row.enabled and row.path), None)


def locked_result(conn: sa.Connection, id: int) -> Result:
    """Return a result that is to be changed, and by no other transaction meanwhile; Conflict for one in the trash."""
    row = locked_row(conn, results, results.c.id == id)
    result = to_row(Result, require(row, f"result {id}"))
    if result.status == "trashed":
        raise Conflict(f"result {id} is in the trash and cannot be changed any more")
    return result


def change_row(
    conn: sa.Connection, id: int, values: dict[str, Any], *, now: float, who: str, change: dict[str, Any]
) -> Result:
    """Give a result these columns, and keep in its history that somebody changed it so."""
    conn.execute(sa.update(results).where(results.c.id == id).values(**values, changed=now, changed_by=who))
    record(conn, "result", id, now=now, who=who, change=change)
    return get_result(conn, id)
