"""The state of hosts: what changes while the lab runs. The rest is in files of the lab directory."""

from typing import Any

import sqlalchemy as sa

from benchyard.store.errors import Conflict
from benchyard.store.history import record
from benchyard.store.rows import Host
from benchyard.store.sql import insert_once, locked_row, require, to_row
from benchyard.store.tables import hosts


def ensure_host(conn: sa.Connection, name: str, *, now: float, who: str) -> Host:
    """Return the state of a host of the settings, made (enabled) where there is none yet."""
    values: dict[str, Any] = {
        "name": name,
        "enabled": True,
        "reason": "",
        "created": now,
        "changed": now,
        "changed_by": who,
    }
    if insert_once(conn, hosts, values, unique=["name"]):
        record(conn, "host", name, now=now, who=who, change={"enabled": True})
    return get_host(conn, name)


def get_host(conn: sa.Connection, name: str) -> Host:
    """Return a host's state; NotFound where there is none."""
    row = conn.execute(sa.select(hosts).where(hosts.c.name == name)).mappings().first()
    return to_row(Host, require(row, f"host {name!r}"))


def find_host(conn: sa.Connection, name: str) -> Host | None:
    """Return a host's state, or None where nothing has been noted of it yet."""
    row = conn.execute(sa.select(hosts).where(hosts.c.name == name)).mappings().first()
    return None if row is None else to_row(Host, row)


def change_host(conn: sa.Connection, name: str, change: dict[str, Any], *, now: float, who: str) -> Host:
    """Note that what the settings say of a host was changed; its state stays as it is."""
    ensure_host(conn, name, now=now, who=who)
    conn.execute(sa.update(hosts).where(hosts.c.name == name).values(changed=now, changed_by=who))
    record(conn, "host", name, now=now, who=who, change=change)
    return get_host(conn, name)


def list_hosts(conn: sa.Connection) -> tuple[Host, ...]:
    """Return the state of all hosts by name."""
    rows = conn.execute(sa.select(hosts).order_by(hosts.c.name)).mappings()
    return tuple(to_row(Host, row) for row in rows)


def enable_host(conn: sa.Connection, name: str, enabled: bool, *, now: float, who: str, reason: str = "") -> Host:
    """Let a host take jobs or not, and keep why; what it measures now goes on.

    Who enables a quarantined host takes it as it is now: what is usual for it is learned anew from then on. So does who
    enables one that a job has left changed halfway.
    """
    host = lock_host(conn, name)
    change: dict[str, Any] = {"enabled": enabled, "reason": reason}
    if (host.enabled, host.reason) == (enabled, reason):
        return host
    values = change if host.broken_by is None else {**change, "broken_by": None}
    if enabled and host.quarantined is not None:
        change = {**change, "quarantined": None}
        values = {**values, **change, "band_since": now}
    conn.execute(sa.update(hosts).where(hosts.c.name == name).values(**values, changed=now, changed_by=who))
    record(conn, "host", name, now=now, who=who, change=change)
    return get_host(conn, name)


def quarantine_host(conn: sa.Connection, name: str, *, now: float, who: str, reason: str) -> Host:
    """Disable a host because its measurements are not what they were; one that is quarantined already stays as it is.

    It lasts until the host is enabled by somebody.
    """
    host = lock_host(conn, name)
    if host.quarantined is not None:
        return host
    change = {"enabled": False, "reason": f"quarantined: {reason}", "quarantined": now}
    conn.execute(sa.update(hosts).where(hosts.c.name == name).values(**change, changed=now, changed_by=who))
    record(conn, "host", name, now=now, who=who, change=change)
    return get_host(conn, name)


def lease_host(conn: sa.Connection, name: str, *, until: float, now: float, who: str, reason: str = "") -> Host:
    """Keep the queue off a host until then, since `who` works on it; once more by the same person changes the end.

    What it measures now goes on. Conflict while somebody else has leased it.
    """
    host = lock_host(conn, name)
    if host.is_leased(now) and host.leased_by != who:
        raise Conflict(f"host {name} is leased to {host.leased_by}; release it first, or wait for the end of that")
    change = {"leased_until": until, "leased_by": who, "lease_reason": reason or _kept_reason(host, now)}
    return _set(conn, name, change, now=now, who=who)


def release_host(conn: sa.Connection, name: str, *, now: float, who: str) -> Host:
    """End a lease before its time; Conflict where there is none."""
    if not lock_host(conn, name).is_leased(now):
        raise Conflict(f"host {name} is not leased")
    return _set(conn, name, {"leased_until": None, "leased_by": None, "lease_reason": None}, now=now, who=who)


def next_expiry(conn: sa.Connection, *, now: float) -> float | None:
    """Return when the next lease ends, None where there is none."""
    ends: float | None = conn.execute(
        sa.select(sa.func.min(hosts.c.leased_until)).where(hosts.c.leased_until > now)
    ).scalar()
    return ends


def _kept_reason(host: Host, now: float) -> str:
    return (host.lease_reason or "") if host.is_leased(now) else ""


def note_seen(conn: sa.Connection, name: str, *, now: float) -> None:
    """Keep when a host's worker was last known to be connected; nobody has changed anything by that."""
    conn.execute(sa.update(hosts).where(hosts.c.name == name).values(seen=now))


def set_fitness(conn: sa.Connection, name: str, fitness: dict[str, Any]) -> None:
    """Keep what a check has found; the lab's own note, so it has no history."""
    conn.execute(sa.update(hosts).where(hosts.c.name == name).values(fitness=fitness))


def _set(conn: sa.Connection, name: str, change: dict[str, Any], *, now: float, who: str) -> Host:
    conn.execute(sa.update(hosts).where(hosts.c.name == name).values(**change, changed=now, changed_by=who))
    record(conn, "host", name, now=now, who=who, change=change)
    return get_host(conn, name)


def lock_host(conn: sa.Connection, name: str) -> Host:
    """Return a host's state, which nobody else changes before this transaction ends; NotFound where there is none."""
    return to_row(Host, require(locked_row(conn, hosts, hosts.c.name == name), f"host {name!r}"))


def remove_host(conn: sa.Connection, name: str, *, now: float, who: str) -> None:
    """Forget a host's state; its history stays, and results go on naming it. NotFound where there is none."""
    found = conn.execute(sa.delete(hosts).where(hosts.c.name == name)).rowcount
    require(found or None, f"host {name!r}")
    record(conn, "host", name, now=now, who=who, change={"removed": now})
