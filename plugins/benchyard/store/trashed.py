"""Results in the trash: their rows stay, and their files until somebody empties it."""

import sqlalchemy as sa

from benchyard.store.errors import Conflict
from benchyard.store.results import change_row, get_result, locked_result
from benchyard.store.rows import Result
from benchyard.store.sql import page_size, to_row
from benchyard.store.tables import results


def trash_result(conn: sa.Connection, id: int, *, now: float, who: str) -> Result:
    """Call a result trashed; one in the trash already stays as it is."""
    result = get_result(conn, id)
    if result.status == "trashed":
        return result
    result = locked_result(conn, id)
    change = {"status": "trashed"}
    return change_row(conn, id, {**change, "trashed": now}, now=now, who=who, change=change)


def expired_trash(conn: sa.Connection, before: float, *, limit: int = 100) -> tuple[Result, ...]:
    """Return the results whose files were put in the trash before a time and are there still, oldest first."""
    where = sa.and_(results.c.trashed < before, results.c.path.is_not(None))
    statement = sa.select(results).where(where).order_by(results.c.trashed, results.c.id).limit(page_size(limit))
    return tuple(to_row(Result, row) for row in conn.execute(statement).mappings())


def forget_file(conn: sa.Connection, id: int, *, now: float, who: str) -> Result:
    """Keep that the file of a trashed result was deleted; its row stays, with the file's digest."""
    result = get_result(conn, id)
    if result.status != "trashed":
        raise Conflict(f"result {id} is not in the trash, its file is kept")
    if result.path is None:
        return result
    return change_row(conn, id, {"path": None}, now=now, who=who, change={"path": None})
