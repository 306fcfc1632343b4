"""Senders: which master sends to a destination now, and what it sends next.

A master holds a destination's lease while it has something to send there, so that two masters send everything once.
Whoever looks for the next upload and finds none gives the lease back in the same transaction: an upload that was filed
before is seen, and who files one later finds the lease free. Masters' clocks must not differ by more than a lease.
"""

from typing import Any

import sqlalchemy as sa

from benchyard.store.rows import Sender, Upload
from benchyard.store.sql import insert_once, locked_row, require, to_row
from benchyard.store.tables import senders, uploads

#: As the indexes have it, which are taken for this very text only.
_PENDING = sa.text("benchyard_uploads.state = 'pending'")


def take_lease(conn: sa.Connection, destination: str, holder: str, *, now: float, until: float) -> float | None:
    """Take a destination's lease, or renew it; None if it is ours, else the time up to which another has it."""
    values: dict[str, Any] = {"destination": destination, "holder": holder, "until": until, "words": ""}
    if insert_once(conn, senders, values, unique=["destination"]):
        return None
    sender = _lock(conn, destination)
    if sender.holder not in ("", holder) and sender.until > now:
        return sender.until
    conn.execute(sa.update(senders).where(senders.c.destination == destination).values(holder=holder, until=until))
    return None


def release_lease(conn: sa.Connection, destination: str, holder: str) -> None:
    """Give a destination's lease back; somebody else's stays."""
    ours = sa.and_(senders.c.destination == destination, senders.c.holder == holder)
    conn.execute(sa.update(senders).where(ours).values(holder="", until=0.0))


def note_words(conn: sa.Connection, destination: str, *, words: str, now: float) -> None:
    """Keep what a destination said last."""
    conn.execute(sa.update(senders).where(senders.c.destination == destination).values(words=words, answered=now))


def list_senders(conn: sa.Connection) -> tuple[Sender, ...]:
    """Return all senders by destination."""
    rows = conn.execute(sa.select(senders).order_by(senders.c.destination)).mappings()
    return tuple(to_row(Sender, row) for row in rows)


def next_due(conn: sa.Connection, destination: str, *, now: float) -> Upload | None:
    """Return the upload to send next to a destination, None if none is due.

    That is the one which was asked for first or, of those that were tried before, whose time has come first; but none
    overtakes an older one of its slot, so that an older result never takes the place of a newer one. Those of other
    slots pass, so that one which is refused time and again holds nobody up.
    """
    older = uploads.alias("older")
    blocked = sa.exists().where(
        older.c.destination == uploads.c.destination,
        older.c.slot == uploads.c.slot,
        sa.text("older.state = 'pending'"),
        sa.tuple_(older.c.asked, older.c.id) < sa.tuple_(uploads.c.asked, uploads.c.id),
    )
    where = (uploads.c.destination == destination, _PENDING, uploads.c.next_try <= now, ~blocked)
    order = (uploads.c.next_try, uploads.c.asked, uploads.c.id)
    row = conn.execute(sa.select(uploads).where(*where).order_by(*order).limit(1)).mappings().first()
    return None if row is None else to_row(Upload, row)


def next_time(conn: sa.Connection, destination: str, *, now: float) -> float | None:
    """Return when the next upload of a destination that is not due yet will be; None if there is none."""
    statement = sa.select(sa.func.min(uploads.c.next_try))
    found = conn.execute(statement.where(uploads.c.destination == destination, _PENDING, uploads.c.next_try > now))
    time: float | None = found.scalar_one()
    return time


def begin(conn: sa.Connection, upload: Upload, *, now: float) -> Upload:
    """Count a try before it begins: from now on, something of the result may be there."""
    values = {"attempts": uploads.c.attempts + 1, "changed": now}
    if upload.begun is None:
        values["begun"] = now
    where = uploads.c.id == upload.id
    row = conn.execute(sa.update(uploads).where(where).values(**values).returning(uploads)).mappings().first()
    return to_row(Upload, require(row, f"upload {upload.id}"))


def _lock(conn: sa.Connection, destination: str) -> Sender:
    row = locked_row(conn, senders, senders.c.destination == destination)
    return to_row(Sender, require(row, f"sender {destination!r}"))
