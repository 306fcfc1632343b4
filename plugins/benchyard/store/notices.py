"""Notices: each fact that people are told, once, and what became of it at each notifier."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from benchyard.store.errors import StoreError
from benchyard.store.filters import between
from benchyard.store.rows import NOTICE_KINDS, TELLING_OUTCOMES, Notice, Notifier, Telling, Watch
from benchyard.store.sql import insert_once, page_size, require, to_row
from benchyard.store.tables import notices, notifiers, tellings, watches


def add_notice(
    conn: sa.Connection,
    *,
    key: str,
    kind: str,
    time: float,
    subject: str,
    body: str,
    target: str | None = None,
    users: Sequence[str] = (),
    data: dict[str, Any] | None = None,
) -> Notice | None:
    """Keep a notice; None where the fact of this key has one already."""
    if kind not in NOTICE_KINDS:
        raise StoreError(f"unknown kind of notice {kind!r}; known are {', '.join(NOTICE_KINDS)}")
    values: dict[str, Any] = {"key": key, "kind": kind, "time": time, "target": target, "subject": subject}
    values |= {"body": body, "users": tuple(users), "data": data or {}}
    if not insert_once(conn, notices, values, unique=["key"]):
        return None
    return notice_of_key(conn, key)


def get_notice(conn: sa.Connection, id: int) -> Notice:
    """Return a notice; NotFound where there is none."""
    row = conn.execute(sa.select(notices).where(notices.c.id == id)).mappings().first()
    return to_row(Notice, require(row, f"notice {id}"))


def notice_of_key(conn: sa.Connection, key: str) -> Notice | None:
    """Return the notice of a fact, or None."""
    row = conn.execute(sa.select(notices).where(notices.c.key == key)).mappings().first()
    return None if row is None else to_row(Notice, row)


def with_key_prefix(conn: sa.Connection, prefix: str) -> tuple[Notice, ...]:
    """Return the notices whose keys begin so."""
    where = (
        notices.c.key >= prefix,
        notices.c.key < prefix + "\x7f",
        notices.c.key.startswith(prefix, autoescape=True),
    )
    return tuple(to_row(Notice, row) for row in conn.execute(sa.select(notices).where(*where)).mappings())


def list_notices(
    conn: sa.Connection,
    *,
    kind: Sequence[str] = (),
    user: str | None = None,
    target: str | None = None,
    since: float | None = None,
    until: float | None = None,
    before: int | None = None,
    limit: int = 50,
) -> tuple[Notice, ...]:
    """Return notices of one of the kinds (any where empty) with an id below `before`, newest first.

    Those for a `user` name them. Notices of `since` are listed, those of `until` are not.
    """
    conditions = list(between(notices.c.time, since, until))
    if kind:
        conditions.append(notices.c.kind.in_(kind))
    if user is not None:  # names have nothing in them that JSON would write otherwise
        conditions.append(sa.type_coerce(notices.c.users, sa.Text).contains(f'"{user}"', autoescape=True))
    if target is not None:
        conditions.append(notices.c.target == target)
    if before is not None:
        conditions.append(notices.c.id < before)
    statement = sa.select(notices).where(*conditions).order_by(notices.c.id.desc()).limit(page_size(limit))
    return tuple(to_row(Notice, row) for row in conn.execute(statement).mappings())


def forget_old(conn: sa.Connection, before: float) -> int:
    """Drop the notices of a time before this one, and return how many they were."""
    old = sa.select(notices.c.id).where(notices.c.time < before)
    conn.execute(sa.delete(tellings).where(tellings.c.notice_id.in_(old)))
    return conn.execute(sa.delete(notices).where(notices.c.time < before)).rowcount


def untold(conn: sa.Connection, notifier: str, *, after: int, since: float, limit: int = 50) -> tuple[Notice, ...]:
    """Return notices with an id above `after`, of `since` or later, of which nothing has become yet, in order."""
    known = sa.exists().where(tellings.c.notice_id == notices.c.id, tellings.c.notifier == notifier)
    statement = sa.select(notices).where(notices.c.id > after, notices.c.time >= since, ~known)
    rows = conn.execute(statement.order_by(notices.c.id).limit(page_size(limit))).mappings()
    return tuple(to_row(Notice, row) for row in rows)


def note_telling(
    conn: sa.Connection, notice_id: int, notifier: str, *, outcome: str, words: str = "", now: float
) -> None:
    """Keep what became of a notice at a notifier; what is known first stays."""
    if outcome not in TELLING_OUTCOMES:
        raise StoreError(f"unknown outcome {outcome!r}; known are {', '.join(TELLING_OUTCOMES)}")
    values = {"notice_id": notice_id, "notifier": notifier, "time": now, "outcome": outcome, "words": words}
    insert_once(conn, tellings, values, unique=["notice_id", "notifier"])


def tellings_of(conn: sa.Connection, notice_ids: Sequence[int]) -> dict[int, tuple[Telling, ...]]:
    """Return what became of several notices, by notice; one of which nothing has is left out."""
    statement = sa.select(tellings).where(tellings.c.notice_id.in_(notice_ids))
    rows = conn.execute(statement.order_by(tellings.c.notice_id, tellings.c.time, tellings.c.notifier)).mappings()
    found = [to_row(Telling, row) for row in rows]
    return {id: tuple(group) for id, group in groupby(found, key=lambda telling: telling.notice_id)}


def find_notifier(conn: sa.Connection, name: str) -> Notifier | None:
    """Return what is known of a notifier, None before somebody has held it."""
    row = conn.execute(sa.select(notifiers).where(notifiers.c.name == name)).mappings().first()
    return None if row is None else to_row(Notifier, row)


def make_notifier(conn: sa.Connection, name: str, *, now: float) -> Notifier:
    """Return a notifier, which the lab has since now where it is new."""
    insert_once(conn, notifiers, {"name": name, "since": now, "holder": "", "until": 0.0}, unique=["name"])
    return require(find_notifier(conn, name), f"notifier {name!r}")


def hold(conn: sa.Connection, name: str, holder: str, *, now: float, for_s: float) -> bool:
    """Let `holder` be the one who tells by a notifier for so long; tell whether it is, and not another."""
    free = sa.or_(notifiers.c.holder == holder, notifiers.c.until <= now)
    statement = sa.update(notifiers).where(notifiers.c.name == name, free).values(holder=holder, until=now + for_s)
    return conn.execute(statement).rowcount == 1


def let_go(conn: sa.Connection, holder: str) -> None:
    """Let others tell by what `holder` holds."""
    conn.execute(sa.update(notifiers).where(notifiers.c.holder == holder).values(holder="", until=0.0))


def watch(conn: sa.Connection, name: str, *, now: float, position: int = 0) -> Watch:
    """Return what is watched, made with this `position` where it is new."""
    insert_once(conn, watches, {"name": name, "since": now, "position": position}, unique=["name"])
    return to_row(Watch, conn.execute(sa.select(watches).where(watches.c.name == name)).mappings().one())


def find_watch(conn: sa.Connection, name: str) -> Watch | None:
    """Return what is watched, None where it is not yet."""
    row = conn.execute(sa.select(watches).where(watches.c.name == name)).mappings().first()
    return None if row is None else to_row(Watch, row)


def advance(conn: sa.Connection, name: str, *, seen: int, position: int) -> bool:
    """Note up to where something was looked at; not where another has gone on from `seen` meanwhile."""
    where = (watches.c.name == name, watches.c.position == seen)
    return conn.execute(sa.update(watches).where(*where).values(position=position)).rowcount == 1
