"""What was changed, when, and by whom: one row for each change of an entity."""

from typing import Any

import sqlalchemy as sa

from benchyard.store.rows import Change
from benchyard.store.sql import to_row
from benchyard.store.tables import history

LAB = "lab"
"""Who changed an attempt: they are started and ended by the lab itself, for no person."""


def record(
    conn: sa.Connection, entity: str, entity_id: int | str, *, now: float, who: str, change: dict[str, Any]
) -> None:
    """Keep one change; `change` holds the new values by column name, never a secret."""
    conn.execute(sa.insert(history).values(entity=entity, entity_id=str(entity_id), time=now, who=who, change=change))


def history_of(conn: sa.Connection, entity: str, entity_id: int | str) -> tuple[Change, ...]:
    """Return the changes of one entity (`job`, `attempt`, `result`, `user`, `token` or `host`), oldest first.

    The id of an attempt is its run, "JOB.ATTEMPT"; of users and hosts, the name.
    """
    statement = (
        sa.select(history)
        .where(history.c.entity == entity, history.c.entity_id == str(entity_id))
        .order_by(history.c.id)
    )
    return tuple(to_row(Change, row) for row in conn.execute(statement).mappings())
