"""Answers to requests with an idempotency key: the same request again gets the first answer, for a day."""

from typing import Any

import sqlalchemy as sa

from benchyard.store.rows import Answer
from benchyard.store.sql import insert_once, require, to_row
from benchyard.store.tables import answers

KEPT_S = 24 * 3600.0
"""How long an answer is given again."""

UNFINISHED = 0
"""The status of a request that was begun and has no answer yet, or was cut off and never gets one."""


def remember(
    conn: sa.Connection, *, user: str, key: str, fingerprint: str, status: int, body: str, now: float
) -> Answer:
    """Keep the answer to a request and return the one that counts: the first stays, unless it is unfinished.

    `fingerprint` tells requests with the same key apart. An answer that shows a secret must not come here.
    """
    values: dict[str, Any] = {"fingerprint": fingerprint, "status": status, "body": body, "created": now}
    open_to_change = sa.or_(
        answers.c.created <= now - KEPT_S,
        sa.and_(answers.c.status == UNFINISHED, answers.c.fingerprint == fingerprint),
    )
    if not insert_once(conn, answers, {"user": user, "key": key, **values}, unique=["user", "key"]):
        conn.execute(sa.update(answers).where(_is(user, key), open_to_change).values(**values))
    return require(_get(conn, user, key), f"answer for key {key!r}")


def recall(conn: sa.Connection, user: str, key: str, now: float) -> Answer | None:
    """Return the answer that a user's request with this key got in the last day, or None."""
    answer = _get(conn, user, key)
    return None if answer is None or answer.created <= now - KEPT_S else answer


def forget(conn: sa.Connection, user: str, key: str) -> None:
    """Drop the unfinished answer for a key: the request failed and changed nothing, so it may come again."""
    conn.execute(sa.delete(answers).where(_is(user, key), answers.c.status == UNFINISHED))


def forget_old(conn: sa.Connection, now: float) -> int:
    """Drop the answers that are given no more, and return how many they were."""
    return conn.execute(sa.delete(answers).where(answers.c.created <= now - KEPT_S)).rowcount


def _get(conn: sa.Connection, user: str, key: str) -> Answer | None:
    row = conn.execute(sa.select(answers).where(_is(user, key))).mappings().first()
    return None if row is None else to_row(Answer, row)


def _is(user: str, key: str) -> sa.ColumnElement[bool]:
    return sa.and_(answers.c.user == user, answers.c.key == key)
