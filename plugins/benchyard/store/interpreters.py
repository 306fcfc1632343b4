"""Interpreters that the lab has built, by id, and the patches that some were built with.

The archives are files beside the database; an interpreter without one (`sha256` empty) is built again when needed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from benchyard.store.rows import QUEUED_JOB_STATUSES, BuiltInterpreter
from benchyard.store.sql import insert_once, locked_row, require, to_row
from benchyard.store.tables import interpreters, jobs, patches

# A job needs its interpreter from being prepared to the end of its measurement.
_NEEDING = tuple(sorted({*QUEUED_JOB_STATUSES, "running"}))


def add_interpreter(
    conn: sa.Connection,
    id: str,
    *,
    target: str,
    recipe: str,
    toolchain: str,
    record: Mapping[str, Any],
    sha256: str,
    size: int,
    job_id: int,
    now: float,
) -> BuiltInterpreter:
    """Keep what was built; an archive that was made again takes the place of the one before.

    `recipe` and `toolchain` are the hashes of what it was built from and with.
    """
    values = {
        "id": id,
        "target": target,
        "recipe": recipe,
        "toolchain": toolchain,
        "record": dict(record),
        "sha256": sha256,
        "size": size,
        "smoke": {},
        "job_id": job_id,
        "made": now,
        "used": now,
    }
    if not insert_once(conn, interpreters, values, unique=["id"]):
        again = {name: values[name] for name in ("record", "sha256", "size", "smoke", "job_id", "made", "used")}
        conn.execute(sa.update(interpreters).where(interpreters.c.id == id).values(**again))
    return require(find_interpreter(conn, id), f"interpreter {id[:12]}")


def find_interpreter(conn: sa.Connection, id: str) -> BuiltInterpreter | None:
    """Return an interpreter, None where the lab has not built it, or has dropped it."""
    row = conn.execute(sa.select(interpreters).where(interpreters.c.id == id)).mappings().first()
    return None if row is None else to_row(BuiltInterpreter, row)


def lock_interpreter(conn: sa.Connection, id: str) -> BuiltInterpreter | None:
    """Return an interpreter that nobody drops before this transaction ends."""
    row = locked_row(conn, interpreters, interpreters.c.id == id)
    return None if row is None else to_row(BuiltInterpreter, row)


def use_interpreter(conn: sa.Connection, id: str, *, now: float) -> None:
    """Note that an interpreter is used, so that others are dropped before it."""
    conn.execute(sa.update(interpreters).where(interpreters.c.id == id).values(used=now))


def note_smoke(conn: sa.Connection, id: str, suite: str, wheels: str, found: Mapping[str, Any]) -> None:
    """Keep what the smoke of a suite's benchmarks has shown, beside what is known, and the wheels it was done with.

    `found` has None for a benchmark that ran, else the keys of a failed one: for those who look, as the next job tries
    it again. What kept it from running may have been the host's or the network's trouble.
    """
    known = find_interpreter(conn, id)
    if known is not None:
        before = known.smoke.get(suite, {}).get("benchmarks", {})
        merged = {**known.smoke, suite: {"wheels": wheels, "benchmarks": {**before, **found}}}
        conn.execute(sa.update(interpreters).where(interpreters.c.id == id).values(smoke=merged))


def newest_toolchain(conn: sa.Connection, target: str) -> str | None:
    """Return the hash of what the target's last interpreter was built with, None where none was."""
    statement = sa.select(interpreters.c.toolchain).where(interpreters.c.target == target)
    return conn.execute(statement.order_by(interpreters.c.made.desc()).limit(1)).scalar_one_or_none()


def needed_ids(conn: sa.Connection) -> frozenset[str]:
    """Return the ids of the interpreters and wheels that jobs wait for to be measured with.

    A job that was taken off the queue needs nothing: what is gone when it is pushed again is made again.
    """
    rows = conn.execute(sa.select(jobs.c.prepared).where(jobs.c.status.in_(_NEEDING), jobs.c.prepared.is_not(None)))
    return frozenset(id for made in rows.scalars() for id in (made.get("interpreter"), made.get("wheels")) if id)


def is_suite_needed(conn: sa.Connection, id: str) -> bool:
    """Whether a job waits to be measured with the benchmarks of this suite."""
    # By the text of the spec, which both databases have: no other value looks like this one.
    named = sa.type_coerce(jobs.c.spec, sa.Text).contains(f'"suite_id":"{id}"', autoescape=True)
    statement = sa.select(jobs.c.id).where(jobs.c.status.in_(_NEEDING), named).limit(1)
    return conn.execute(statement).first() is not None


def kept_interpreters(conn: sa.Connection) -> Sequence[BuiltInterpreter]:
    """Return the interpreters that have an archive."""
    rows = conn.execute(sa.select(interpreters).where(interpreters.c.sha256 != "")).mappings()
    return [to_row(BuiltInterpreter, row) for row in rows]


def forget_archive(conn: sa.Connection, id: str) -> None:
    """Note that the archive of an interpreter is gone; what the interpreter was stays known."""
    conn.execute(sa.update(interpreters).where(interpreters.c.id == id).values(sha256="", size=0))


def keep_patch(conn: sa.Connection, id: str, text: str) -> None:
    """Keep the text of a patch under its SHA-256."""
    insert_once(conn, patches, {"id": id, "text": text}, unique=["id"])


def get_patch(conn: sa.Connection, id: str) -> str:
    """Return the text of a patch."""
    text: str | None = conn.execute(sa.select(patches.c.text).where(patches.c.id == id)).scalar_one_or_none()
    return require(text, f"patch {id[:12]}")
