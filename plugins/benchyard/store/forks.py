"""Whose repository the commit of a result is in: the branches of forks have the names of upstream's."""

import re
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from benchyard.store.tables import results

#: Names of the remote that all others are forks of; whatever its name, python's at GitHub is none of them.
UPSTREAM = ("", "upstream", "origin", "python")

_PYTHONS = re.compile(r"github\.com[/:]python/", re.ASCII)


def fork_of(interpreter: Mapping[str, Any] | None) -> str | None:
    """Return the remote of an interpreter that was made from a fork, None for upstream's and where nobody knows."""
    known = interpreter or {}
    remote = str(known.get("remote") or "")
    return None if remote in UPSTREAM or _PYTHONS.search(str(known.get("url") or "")) else remote


def fork_in(conn: sa.Connection) -> sa.ColumnElement[Any]:
    """The same as the datastore finds it in a result's row."""
    remote, url = in_interpreter(conn, "remote"), in_interpreter(conn, "url")
    pythons = sa.func.coalesce(url, "").like("%github.com_python/%")
    # In this order, as each look into the JSON takes as long as a row does otherwise, and most are upstream's.
    return sa.case((sa.func.coalesce(remote, "").in_(UPSTREAM), None), (pythons, None), else_=remote)


def is_branch(conn: sa.Connection, name: str) -> sa.ColumnElement[bool]:
    """The condition that a result is of this branch, anybody's; FORK/BRANCH is that of one fork."""
    plain = results.c.branch == name
    return sa.or_(plain, fork_in(conn) + "/" + results.c.branch == name) if "/" in name else plain


def in_interpreter(conn: sa.Connection, name: str) -> sa.ColumnElement[Any]:
    """What the JSON of a result's interpreter says: taking it apart in the database spares reading all of it here."""
    column = sa.type_coerce(results.c.interpreter, sa.Text)
    said: sa.ColumnElement[Any] = (
        sa.func.json_extract(column, f"$.{name}")
        if conn.dialect.name == "sqlite"
        else sa.cast(column, sa.JSON)[name].as_string()
    )
    return said
