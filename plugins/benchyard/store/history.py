"""What was changed, when, and by whom: one row for each change of an entity."""

from typing import Any

import sqlalchemy as sa

from benchyard.store.rows import Change
from benchyard.store.sql import page_size, to_row
from benchyard.store.tables import history

LAB = "lab"
"""Who changed an attempt: they are started and ended by the lab itself, for no person."""


def record(
    conn: sa.Connection, entity: str, entity_id: int | str, *, now: float, who: str, change: dict[str, Any]
) -> None:
    """Keep one change; `change` holds the new values by column name, never a secret."""
    conn.execute(sa.insert(history).values(entity=entity, entity_id=str(entity_id), time=now, who=who, change=change))


def history_of(conn: sa.Connection, entity: str, entity_id: int | str) -> tuple[Change, ...]:
    """Return the changes of one entity (job, queue, attempt, result, user, token or host), oldest first.

    The id of an attempt is its run, "JOB.ATTEMPT"; of users and hosts, the name; of a queue, its target.
    """
    statement = (
        sa.select(history)
        .where(history.c.entity == entity, history.c.entity_id == str(entity_id))
        .order_by(history.c.id)
    )
    return tuple(to_row(Change, row) for row in conn.execute(statement).mappings())


def since(conn: sa.Connection, id: int, limit: int = 100) -> tuple[Change, ...]:
    """Return at most `limit` changes of all entities behind the one with this id, in order of id.

    Whoever goes on from the last id misses nothing: where an id is left out, its transaction may still be
    under way, and its end is awaited. So call this in a transaction that has changed nothing.
    """
    found = _since(conn, id, limit)
    if conn.dialect.name == "postgresql" and found and found[-1].id != id + len(found):
        _await_writers(conn)
        found = _since(conn, id, limit)
    return found


def last_id(conn: sa.Connection) -> int:
    """Return the id of the latest change, from which `since` tells what comes after; 0 before the first."""
    if conn.dialect.name == "postgresql":
        _await_writers(conn)
    return int(conn.execute(sa.select(sa.func.coalesce(sa.func.max(history.c.id), 0))).scalar_one())


def _since(conn: sa.Connection, id: int, limit: int) -> tuple[Change, ...]:
    statement = sa.select(history).where(history.c.id > id).order_by(history.c.id).limit(page_size(limit))
    return tuple(to_row(Change, row) for row in conn.execute(statement).mappings())


def _await_writers(conn: sa.Connection) -> None:
    """Wait until no transaction has a change that others do not see; those that begin now get higher ids."""
    conn.exec_driver_sql(f"LOCK TABLE {history.name} IN SHARE MODE")
