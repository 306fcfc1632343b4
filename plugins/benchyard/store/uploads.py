"""Uploads: what is to be published where; one row for each result and destination, kept for good.

Whoever is told that a result is published can rely on its row: it stays `pending` until the destination has answered,
whatever happens to masters meanwhile. What was asked for again while an earlier ask is being sent is told apart by
`asks`, so that the answer to the one never counts for the other.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from benchyard.store.errors import StoreError
from benchyard.store.history import LAB, record
from benchyard.store.rows import PUBLISH, UPLOAD_STATES, WITHDRAW, Upload
from benchyard.store.sql import insert_once, locked_row, page_size, require, to_row
from benchyard.store.tables import uploads

#: States of which nobody need be reminded are not among these.
OUTSTANDING = tuple(state for state in UPLOAD_STATES if state != "sent")

#: As the index has it, which is taken for this very text only.
_OUTSTANDING = sa.text("benchyard_uploads.state <> 'sent'")


def file_upload(
    conn: sa.Connection,
    result_id: int,
    destination: str,
    *,
    slot: str,
    give_up_s: float,
    now: float,
    who: str,
    again: bool = False,
) -> Upload:
    """Ask for a result to be published at a destination; what is pending or sent already stays as it is.

    `again` sends once more what was sent, and lets what is pending be tried at once. Trouble is given up after
    `give_up_s` seconds.
    """
    values: dict[str, Any] = {
        "result_id": result_id,
        "destination": destination,
        "slot": slot,
        "asks": 1,
        **_asked(PUBLISH, now=now, who=who, give_up_s=give_up_s),
    }
    if insert_once(conn, uploads, values, unique=["result_id", "destination"]):
        upload = require(find_upload(conn, result_id, destination), f"upload of result {result_id}")
        change = {"action": PUBLISH, "state": "pending", "result": result_id, "destination": destination}
        record(conn, "upload", upload.id, now=now, who=who, change=change)
        return upload
    upload = _lock(conn, sa.and_(uploads.c.result_id == result_id, uploads.c.destination == destination))
    if upload.action == PUBLISH and upload.state == "pending":
        return _hurry(conn, upload, give_up_s=give_up_s, now=now) if again else upload
    if upload.action == PUBLISH and upload.state == "sent" and not again:
        return upload
    return _ask(conn, upload, PUBLISH, slot=slot, give_up_s=give_up_s, now=now, who=who)


def withdraw_uploads(
    conn: sa.Connection, result_id: int, *, able: Mapping[str, float], why: str, now: float, who: str
) -> tuple[Upload, ...]:
    """Ask for a result to be taken back from wherever it is; what was not begun yet is sent no more.

    `able` are the destinations that can take something back, with the seconds after which trouble is given up. At
    others stays what is there. Returns the uploads that were changed.
    """
    changed = []
    for upload in uploads_of_result(conn, result_id):
        upload = _lock(conn, uploads.c.id == upload.id)
        if upload.action != PUBLISH:
            continue
        if upload.begun is None:
            done = {"action": WITHDRAW, "state": "sent", "words": f"{why} before anything of it was there"}
            changed.append(_change(conn, upload, {**done, "asks": upload.asks + 1}, now=now, who=who))
        elif upload.destination in able:
            give_up_s = able[upload.destination]
            changed.append(_ask(conn, upload, WITHDRAW, give_up_s=give_up_s, now=now, who=who))
        elif upload.state == "pending":
            left = {"state": "failed", "words": f"{why} while it was sent: something of it may be there"}
            changed.append(_change(conn, upload, {**left, "asks": upload.asks + 1}, now=now, who=who))
    return tuple(changed)


def ask_again(conn: sa.Connection, id: int, *, give_up_s: float, now: float, who: str) -> Upload:
    """Ask for the same again that was refused or has failed; any other upload stays as it is."""
    upload = _lock(conn, uploads.c.id == id)
    if upload.state not in ("refused", "failed"):
        return upload
    return _ask(conn, upload, upload.action, give_up_s=give_up_s, now=now, who=who)


def get_upload(conn: sa.Connection, id: int) -> Upload:
    """Return an upload; NotFound where there is none."""
    row = conn.execute(sa.select(uploads).where(uploads.c.id == id)).mappings().first()
    return to_row(Upload, require(row, f"upload {id}"))


def find_upload(conn: sa.Connection, result_id: int, destination: str) -> Upload | None:
    """Return the upload of a result to a destination, or None."""
    where = sa.and_(uploads.c.result_id == result_id, uploads.c.destination == destination)
    row = conn.execute(sa.select(uploads).where(where)).mappings().first()
    return None if row is None else to_row(Upload, row)


def uploads_of_result(conn: sa.Connection, result_id: int) -> tuple[Upload, ...]:
    """Return the uploads of a result, by destination."""
    statement = sa.select(uploads).where(uploads.c.result_id == result_id).order_by(uploads.c.destination)
    return tuple(to_row(Upload, row) for row in conn.execute(statement).mappings())


def list_uploads(
    conn: sa.Connection,
    *,
    state: Sequence[str] = (),
    destination: str | None = None,
    result: int | None = None,
    before: int | None = None,
    limit: int = 50,
) -> tuple[Upload, ...]:
    """Return uploads with one of the states (any where empty) and an id below `before`, newest first."""
    for name in state:
        if name not in UPLOAD_STATES:
            raise StoreError(f"unknown state of an upload {name!r}; known are {', '.join(UPLOAD_STATES)}")
    conditions: list[Any] = []
    if set(state) == set(OUTSTANDING):
        conditions.append(_OUTSTANDING)
    elif state:
        conditions.append(uploads.c.state.in_(state) if len(state) > 1 else uploads.c.state == state[0])
    if destination is not None:
        conditions.append(uploads.c.destination == destination)
    if result is not None:
        conditions.append(uploads.c.result_id == result)
    if before is not None:
        conditions.append(uploads.c.id < before)
    statement = sa.select(uploads).where(*conditions).order_by(uploads.c.id.desc()).limit(page_size(limit))
    return tuple(to_row(Upload, row) for row in conn.execute(statement).mappings())


def count_outstanding(conn: sa.Connection) -> dict[str, dict[str, int]]:
    """Return how many uploads of each destination are pending, refused and failed; without those that have none."""
    columns = (uploads.c.destination, uploads.c.state, sa.func.count())
    statement = sa.select(*columns).where(_OUTSTANDING).group_by(uploads.c.destination, uploads.c.state)
    counts: dict[str, dict[str, int]] = {}
    for destination, state, count in conn.execute(statement):
        counts.setdefault(destination, dict.fromkeys(OUTSTANDING, 0))[state] = count
    return counts


# What came of a try. `upload` is as it was when the try began.


def note_sent(conn: sa.Connection, upload: Upload, *, words: str, link: str | None, now: float) -> Upload:
    """Keep that the destination has done what was asked."""
    current = _lock(conn, uploads.c.id == upload.id)
    there = upload.action == PUBLISH
    facts: dict[str, Any] = {"sent": now if there else None, "link": link if there else None}
    if current.asks != upload.asks:
        # Something else was asked for meanwhile, and follows; all that counts is that it is there, or no more.
        return _change(conn, current, {**facts, **({"begun": current.begun or now} if there else {})}, now=now, who=LAB)
    done = {"state": "sent", "words": words, **facts}
    return _change(conn, current, done if there else {**done, "begun": None}, now=now, who=LAB)


def note_refused(conn: sa.Connection, upload: Upload, *, words: str, now: float) -> Upload:
    """Keep that the destination will not do it, and why; of what was never sent, nothing is there then."""
    current = _lock(conn, uploads.c.id == upload.id)
    if current.asks != upload.asks or current.state != "pending":
        return current
    values: dict[str, Any] = {"state": "refused", "words": words}
    if current.sent is None and current.action == PUBLISH:
        values["begun"] = None
    return _change(conn, current, values, now=now, who=LAB)


def note_trouble(conn: sa.Connection, upload: Upload, *, words: str, delay_s: float, now: float) -> Upload:
    """Keep that it could not be done, and try again after a time, for the last time at the deadline."""
    current = _lock(conn, uploads.c.id == upload.id)
    if current.asks != upload.asks or current.state != "pending":
        return current
    if now >= current.deadline:
        return _change(conn, current, {"state": "failed", "words": words}, now=now, who=LAB)
    return _change(conn, current, {"words": words, "next_try": min(now + delay_s, current.deadline)}, now=now, who=LAB)


def postpone(conn: sa.Connection, upload: Upload, *, words: str, next_try: float, now: float) -> None:
    """Let a pending upload wait for something of the lab's own; that is no try."""
    where = sa.and_(uploads.c.id == upload.id, uploads.c.asks == upload.asks, uploads.c.state == "pending")
    conn.execute(sa.update(uploads).where(where).values(words=words, next_try=next_try, changed=now))


def hurry(conn: sa.Connection, result_ids: Sequence[int], *, now: float) -> None:
    """Let what is pending of these results be tried at once: what it has waited for is there."""
    where = sa.and_(uploads.c.result_id.in_(result_ids), uploads.c.state == "pending", uploads.c.next_try > now)
    conn.execute(sa.update(uploads).where(where).values(next_try=now, changed=now))


def hurry_all(conn: sa.Connection, destination: str, *, now: float) -> None:
    """Let what is pending at a destination be tried at once: it was down, and is there again."""
    where = sa.and_(uploads.c.destination == destination, uploads.c.state == "pending", uploads.c.next_try > now)
    conn.execute(sa.update(uploads).where(where).values(next_try=now, changed=now))


def give_up(conn: sa.Connection, destination: str, *, words: str, now: float) -> tuple[Upload, ...]:
    """Call failed what is pending at a destination past its deadline; for when the destination is in trouble."""
    late = sa.and_(uploads.c.destination == destination, uploads.c.state == "pending", uploads.c.deadline <= now)
    rows = conn.execute(sa.select(uploads).where(late).order_by(uploads.c.id)).mappings().all()
    return tuple(
        _change(conn, to_row(Upload, row), {"state": "failed", "words": words}, now=now, who=LAB) for row in rows
    )


def _asked(action: str, *, now: float, who: str, give_up_s: float) -> dict[str, Any]:
    """The columns of an ask; what is new is due at once."""
    fresh = {"action": action, "state": "pending", "words": "", "attempts": 0}
    times = {"asked": now, "next_try": now, "deadline": now + give_up_s, "changed": now}
    return {**fresh, **times, "asked_by": who}


def _ask(
    conn: sa.Connection, upload: Upload, action: str, *, now: float, who: str, give_up_s: float, slot: str | None = None
) -> Upload:
    values = _asked(action, now=now, who=who, give_up_s=give_up_s) | {"asks": upload.asks + 1}
    return _change(conn, upload, values if slot is None else {**values, "slot": slot}, now=now, who=who)


def _hurry(conn: sa.Connection, upload: Upload, *, give_up_s: float, now: float) -> Upload:
    values = {"next_try": min(upload.next_try, now), "deadline": now + give_up_s, "changed": now}
    conn.execute(sa.update(uploads).where(uploads.c.id == upload.id).values(**values))
    return get_upload(conn, upload.id)


def _lock(conn: sa.Connection, where: sa.ColumnElement[bool]) -> Upload:
    return to_row(Upload, require(locked_row(conn, uploads, where), "such upload"))


def _change(conn: sa.Connection, upload: Upload, values: dict[str, Any], *, now: float, who: str) -> Upload:
    """Change an upload; its history has every ask and what came of it, but not each try."""
    conn.execute(sa.update(uploads).where(uploads.c.id == upload.id).values(**{**values, "changed": now}))
    changed = get_upload(conn, upload.id)
    told = ("action", "state", "asks")
    if any(getattr(changed, name) != getattr(upload, name) for name in told):
        change = {"action": changed.action, "state": changed.state, "words": changed.words}
        place = {"result": changed.result_id, "destination": changed.destination}
        record(conn, "upload", upload.id, now=now, who=who, change={**change, **place})
    return changed
