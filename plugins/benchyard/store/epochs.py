"""Epochs: the stretches of a host's history with one fingerprint, opened by the results that show a change.

An epoch is told by the host's part of the fingerprint without what belongs to a single run; the interpreter's compiler
and C library, and how the run was kept apart, are in the result's own fingerprint. A fingerprint that was there before
opens a new epoch as well: between the two, something was otherwise. Kinds of jobs for which no host is tuned (memory,
profiles) open none: governor and boost are others for their time alone.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from benchyard.store.history import LAB, record
from benchyard.store.hosts import ensure_host, lock_host
from benchyard.store.results import get_result
from benchyard.store.rows import BENCHMARKS, CALIBRATE, Epoch
from benchyard.store.sql import to_row
from benchyard.store.tables import epochs, results

#: Kinds of results for which hosts are tuned.
_TUNED = (BENCHMARKS, CALIBRATE)

#: What a run's own fingerprint says of its host and an epoch's does not, with what that has in its place.
NOT_OF_HOSTS = {"isolation": "", "measuring": 0}


class Opened(msgspec.Struct, frozen=True):
    """An epoch that was opened, and what has changed since the one before it: old and new value by name."""

    epoch: Epoch
    changed: dict[str, tuple[Any, Any]]

    @property
    def text(self) -> str:
        """It in words, for people."""
        changed = f": changed {', '.join(self.changed)}" if self.changed else ""
        return f"epoch {self.epoch.number} of host {self.epoch.host}{changed}"


def place_result(
    conn: sa.Connection,
    result_id: int,
    *,
    fingerprint: dict[str, Any],
    host_fingerprint: str,
    measured: float,
    now: float,
) -> Opened | None:
    """Put a result into its host's epoch, in the transaction that adds it; returns the epoch if it is a new one.

    `fingerprint` is the host's part, with its id; `measured` when the run began. A result that is late, of a run before
    the current epoch, belongs to an earlier one if that has its fingerprint.
    """
    result = get_result(conn, result_id)
    if result.epoch is not None:
        return None
    ensure_host(conn, result.host, now=now, who=LAB)
    lock_host(conn, result.host)
    known = list_epochs(conn, result.host)
    then = [epoch for epoch in known if epoch.since <= measured]
    for epoch in (*then[-1:], *known[-1:]):
        if epoch.host_fingerprint == host_fingerprint:
            _put(conn, result_id, epoch.number)
            return None
    if result.kind not in _TUNED:
        return None
    number = known[-1].number + 1 if known else 1
    epoch = Epoch(result.host, number, host_fingerprint, fingerprint, measured, result_id)
    conn.execute(sa.insert(epochs).values(**msgspec.structs.asdict(epoch)))
    _put(conn, result_id, number)
    opened = Opened(epoch, changes(known[-1].fingerprint, fingerprint) if known else {})
    change = {"epoch": number, **({"changed": opened.changed} if opened.changed else {})}
    record(conn, "host", result.host, now=now, who=LAB, change=change)
    return opened


def current_epoch(conn: sa.Connection, host: str) -> Epoch | None:
    """Return the epoch that a host is in, None before its first result."""
    newest = sa.select(epochs).where(epochs.c.host == host).order_by(epochs.c.number.desc()).limit(1)
    row = conn.execute(newest).mappings().first()
    return None if row is None else to_row(Epoch, row)


def list_epochs(conn: sa.Connection, host: str) -> tuple[Epoch, ...]:
    """Return a host's epochs, oldest first."""
    rows = conn.execute(sa.select(epochs).where(epochs.c.host == host).order_by(epochs.c.number)).mappings()
    return tuple(to_row(Epoch, row) for row in rows)


def changes(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> dict[str, tuple[Any, Any]]:
    """What differs between two fingerprints: old and new value by name, None for what one does not have."""
    found: dict[str, tuple[Any, Any]] = {}
    for name in dict.fromkeys((*old, *new)):
        before, after = old.get(name), new.get(name)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found |= changes(before, after, f"{prefix}{name}.")
        elif before != after:
            found[prefix + name] = (before, after)
    return found


def _put(conn: sa.Connection, result_id: int, number: int) -> None:
    conn.execute(sa.update(results).where(results.c.id == result_id).values(epoch=number))
