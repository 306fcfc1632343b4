"""Conditions that lists of several entities share."""

import re
from typing import Any

import sqlalchemy as sa

#: Digits that a commit has at least, and that tell it from all others of a repository for a person.
SHORT = 7

_HEX = re.compile(r"[0-9a-f]+")


def between(column: sa.Column[Any], since: float | None, until: float | None) -> tuple[sa.ColumnElement[bool], ...]:
    """The conditions that a time is at or after `since` and before `until`, where these are given."""
    conditions: list[sa.ColumnElement[bool]] = []
    if since is not None:
        conditions.append(column >= since)
    if until is not None:
        conditions.append(column < until)
    return tuple(conditions)


def with_commit(column: sa.Column[Any], prefix: str) -> sa.ColumnElement[bool]:
    """The condition that a commit begins with `prefix`, in a form that an index answers.

    What another tool has measured may have its commit cut short: of a longer prefix, that is its beginning.

    Commits are lower-case hex, so every one with the prefix sorts before the prefix and a `g`, in any collation;
    LIKE would need an index of its own on PostgreSQL. What is not hex is no commit, but may be a name.
    """
    if _HEX.fullmatch(prefix) is None:
        return column == prefix
    begun = sa.func.substr(column, 1, len(prefix)) == prefix
    cut = sa.func.substr(sa.literal(prefix), 1, sa.func.length(column)) == column
    first = prefix[:SHORT]
    return sa.and_(column >= first, column < first + "g", sa.or_(begun, cut))
