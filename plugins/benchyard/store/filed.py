"""Result files as the index knows them: by content, by path, and whether they are still there."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from benchyard.store.epochs import NOT_OF_HOSTS, place_result
from benchyard.store.errors import Conflict
from benchyard.store.history import LAB, record
from benchyard.store.measurements import add_measurements
from benchyard.store.results import change_row, get_result, locked_result, result_of_attempt
from benchyard.store.rows import BENCHMARKS, Result
from benchyard.store.sql import insert_row, lock_content, to_row
from benchyard.store.tables import attempts, jobs, results


class Filed(msgspec.Struct, frozen=True):
    """What is known of a result's file."""

    id: int
    path: str
    status: str
    enabled: bool
    missing: float | None
    trashed: float | None
    sha256: str | None


def result_of_content(conn: sa.Connection, sha256: str) -> Result | None:
    """Return the result whose file has this content; the newest of several. What is in the trash may come back."""
    where = (results.c.sha256 == sha256, results.c.status == "stored")
    row = conn.execute(sa.select(results).where(*where).order_by(results.c.id.desc()).limit(1)).mappings().first()
    return None if row is None else to_row(Result, row)


def check_content(conn: sa.Connection, id: int, sha256: str) -> None:
    """Let a result have a file of this content; a Conflict where another has it, as two cannot have one file."""
    lock_content(conn, sha256)
    known = result_of_content(conn, sha256)
    if known is not None and known.id != id:
        raise Conflict(f"result {known.id} has this very file already: use that one")


def attach_file(
    conn: sa.Connection,
    id: int,
    *,
    now: float,
    who: str,
    path: str,
    sha256: str,
    size: int,
    version: str | None,
    interpreter: dict[str, Any] | None,
    flags: Sequence[str],
    suite: str | None,
    suite_version: str | None,
    mode: str | None,
    benchmarks: int,
    grade: str | None = None,
    grade_reasons: Sequence[str] = (),
    fingerprint: dict[str, Any] | None = None,
    fingerprint_id: str | None = None,
    measurements: Sequence[Mapping[str, Any]] = (),
    samples: bytes | None = None,
) -> Result:
    """Give a result its file, once: the same bytes again change nothing, others are a Conflict.

    So is a file that another result has.
    """
    result = locked_result(conn, id)
    if result.sha256 == sha256:
        return result
    if result.sha256 is not None:
        raise Conflict(f"result {id} has a file already, with other bytes: {result.path}")
    check_content(conn, id, sha256)
    values = {
        "path": path,
        "sha256": sha256,
        "size": size,
        "version": version,
        "interpreter": interpreter,
        "flags": tuple(flags),
        "suite": suite,
        "suite_version": suite_version,
        "mode": mode,
        "benchmarks": benchmarks,
        "grade": grade,
        "grade_reasons": tuple(grade_reasons),
        "fingerprint": fingerprint,
        "fingerprint_id": fingerprint_id,
    }
    if samples is not None:
        add_measurements(conn, id, measurements, samples)
    return change_row(conn, id, values, now=now, who=who, change={"path": path, "sha256": sha256})


def take_result(
    conn: sa.Connection,
    *,
    now: float,
    who: str,
    owner: str,
    measurements: Sequence[Mapping[str, Any]] = (),
    samples: bytes | None = None,
    **columns: Any,
) -> tuple[Result, bool]:
    """Add a result of a file that no job has left, unless its content is known; tell whether it was added.

    `columns` are those of the row that file and name tell; `created` among them is when it was measured. Without
    `samples` it has no values.
    """
    lock_content(conn, columns["sha256"])
    known = result_of_content(conn, columns["sha256"])
    if known is not None:
        return known, False
    values = {
        "status": "stored",
        "enabled": True,
        "failed": (),
        "grade_reasons": (),
        "kind": BENCHMARKS,
        "note": "",
        "changed": now,
        **columns,
        "owner": owner,
        "changed_by": who,
    }
    result = to_row(Result, insert_row(conn, results, values))
    change = {"status": "stored", "host": result.host, "path": result.path, "sha256": result.sha256, "owner": owner}
    record(conn, "result", result.id, now=now, who=who, change=change)
    if samples is not None:
        add_measurements(conn, result.id, measurements, samples, new=True)
    return result, True


def take_run(
    conn: sa.Connection,
    *,
    now: float,
    who: str,
    job_id: int,
    attempt: int,
    started: float,
    host_print: str | None,
    created: float,
    **columns: Any,
) -> tuple[Result, bool]:
    """Add a result of a file that says of which run it is: as that run's, where this lab has measured it.

    Where the run is another lab's, or has a result already, it is added as one that no job has left.
    """
    owner = owner_of_run(conn, job_id, attempt, started)
    if owner is None or result_of_attempt(conn, job_id, attempt) is not None:
        return take_result(conn, now=now, who=who, owner=LAB, created=created, **columns)
    of_run: dict[str, Any] = {"job_id": job_id, "attempt": attempt, "created": created, "changed": created}
    result, new = take_result(conn, now=now, who=who, owner=owner, **of_run, **columns)
    fingerprint = result.fingerprint
    if new and fingerprint is not None and host_print is not None:
        conditions = {**fingerprint.get("host", {}), **NOT_OF_HOSTS}
        place_result(
            conn, result.id, fingerprint=conditions, host_fingerprint=host_print, measured=started, now=now
        )  # fmt: skip
    return get_result(conn, result.id), new


def owner_of_run(conn: sa.Connection, job_id: int, attempt: int, started: float) -> str | None:
    """Return whose job a run was of; None where this lab has measured no such run that began just then."""
    where = (attempts.c.job_id == job_id, attempts.c.number == attempt)
    found = conn.execute(
        sa.select(jobs.c.owner, attempts.c.report)
        .join_from(attempts, jobs, jobs.c.id == attempts.c.job_id)
        .where(*where)
    ).first()
    return found.owner if found is not None and (found.report or {}).get("started") == started else None


def list_filed(conn: sa.Connection) -> tuple[Filed, ...]:
    """Return what has a file, in the trash or not, by id."""
    columns = (results.c[name] for name in Filed.__struct_fields__)
    rows = conn.execute(sa.select(*columns).where(results.c.path.is_not(None)).order_by(results.c.id)).mappings()
    return tuple(to_row(Filed, row) for row in rows)


def is_free(conn: sa.Connection, path: str) -> bool:
    """Whether no result outside the trash has its file at this path."""
    where = (results.c.path == path, results.c.status == "stored")
    return conn.execute(sa.select(results.c.id).where(*where).limit(1)).first() is None


def note_missing(conn: sa.Connection, id: int, *, now: float, who: str) -> Result:
    """Keep that the file of a result is gone: it counts no more; one that does not count anyway stays as it is."""
    result = get_result(conn, id)
    if result.status == "trashed" or not result.enabled or result.missing is not None:
        return result
    values = {"enabled": False, "missing": now}
    return change_row(conn, id, values, now=now, who=who, change=values)


def note_found(conn: sa.Connection, id: int, *, path: str, now: float, who: str) -> Result:
    """Keep that the file of a result is there again, at this path: it counts again."""
    result = get_result(conn, id)
    if result.status == "trashed" or result.missing is None:
        return result
    values = {"enabled": True, "missing": None, "path": path}
    return change_row(conn, id, values, now=now, who=who, change=values)


def note_restored(conn: sa.Connection, id: int, *, path: str, now: float, who: str) -> Result:
    """Keep that somebody has brought the file of a result again, known to be missing or not: it is at this path."""
    result = note_missing(conn, id, now=now, who=who)
    if result.missing is None and result.path != path:  # it does not count, and is not to
        return change_row(conn, id, {"path": path}, now=now, who=who, change={"path": path})
    return note_found(conn, id, path=path, now=now, who=who)
