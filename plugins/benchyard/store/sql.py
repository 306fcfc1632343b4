"""The few statements that SQLite and PostgreSQL spell differently, and the step from a row to its struct."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from benchyard.store.errors import NotFound, StoreError

Row = TypeVar("Row")

_INSERT: dict[str, Callable[[sa.Table], Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}

MAX_LIMIT = 1001
"""Rows that a list function returns at most: a page of 1000, and one more to tell whether a page follows."""


def check_dialect(conn: sa.Connection) -> None:
    """Raise StoreError for a database that we do not know; Buildbot takes MySQL, we do not."""
    if conn.dialect.name not in _INSERT:
        raise StoreError(f"benchyard needs SQLite or PostgreSQL as Buildbot's database, not {conn.dialect.name}")


def to_row(kind: type[Row], row: Mapping[Any, Any]) -> Row:
    """Make the struct `kind` of a row; columns that the struct does not have (secrets) stay behind."""
    fields: Sequence[str] = kind.__struct_fields__  # type: ignore[attr-defined]
    return kind(**{field: row[field] for field in fields})


def insert_once(conn: sa.Connection, table: sa.Table, values: Mapping[str, Any], *, unique: Sequence[str]) -> bool:
    """Insert a row unless one with the same `unique` columns is there; tell whether it was inserted.

    Not a plain insert with the error caught: on PostgreSQL that would end the caller's transaction, and a
    savepoint on SQLite may commit it.
    """
    insert = _INSERT[conn.dialect.name](table).values(**values)
    first = next(iter(table.primary_key.columns))
    statement = insert.on_conflict_do_nothing(index_elements=list(unique)).returning(first)
    return conn.execute(statement).first() is not None


def insert_row(conn: sa.Connection, table: sa.Table, values: Mapping[str, Any]) -> sa.RowMapping:
    """Insert a row and return it as it is kept, with its new id."""
    return conn.execute(sa.insert(table).values(**values).returning(table)).mappings().one()


def locked_row(conn: sa.Connection, table: sa.Table, where: sa.ColumnElement[bool]) -> sa.RowMapping | None:
    """Read one row so that no other transaction changes it before this one ends; None where there is none.

    Python's sqlite3 starts a transaction at the first write, not at a read, so there a write that changes
    nothing comes first.
    """
    if conn.dialect.name == "sqlite":
        column = next(column for column in table.columns if not column.primary_key)
        same = sa.update(table).where(where).values({column: column})
        return conn.execute(same.returning(table)).mappings().first()
    return conn.execute(sa.select(table).where(where).with_for_update()).mappings().first()


def lock_content(conn: sa.Connection, sha256: str) -> None:
    """Let no other transaction file the same content before this one ends."""
    if conn.dialect.name == "sqlite":
        # A write, if of nothing, before the read that follows: from there on this one alone writes.
        conn.exec_driver_sql("UPDATE benchyard_results SET note = note WHERE id < 0")
    else:
        number = int(sha256[:15], 16)
        conn.execute(sa.select(sa.func.pg_advisory_xact_lock(number)))


def page_size(limit: int) -> int:
    """Keep a caller's `limit` between 1 and MAX_LIMIT rows."""
    return max(1, min(limit, MAX_LIMIT))


def require(found: Row | None, what: str) -> Row:
    """Return what was found; NotFound, naming `what`, where nothing was."""
    if found is None:
        raise NotFound(f"there is no {what}")
    return found
