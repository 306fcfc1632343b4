"""The state of hosts: what changes while the lab runs. The rest is in files of the lab directory."""

from typing import Any

import sqlalchemy as sa

from benchyard.store.history import record
from benchyard.store.rows import Host
from benchyard.store.sql import insert_once, locked_row, require, to_row
from benchyard.store.tables import hosts


def add_host(conn: sa.Connection, name: str, *, now: float, who: str) -> Host:
    """Return a host's state, made (enabled) where there is none yet."""
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


def list_hosts(conn: sa.Connection) -> tuple[Host, ...]:
    """Return the state of all hosts by name."""
    rows = conn.execute(sa.select(hosts).order_by(hosts.c.name)).mappings()
    return tuple(to_row(Host, row) for row in rows)


def enable_host(conn: sa.Connection, name: str, enabled: bool, *, now: float, who: str, reason: str = "") -> Host:
    """Let a host take jobs or not, and keep why; what it measures now goes on."""
    host = to_row(Host, require(locked_row(conn, hosts, hosts.c.name == name), f"host {name!r}"))
    change = {"enabled": enabled, "reason": reason}
    if (host.enabled, host.reason) == (enabled, reason):
        return host
    conn.execute(sa.update(hosts).where(hosts.c.name == name).values(**change, changed=now, changed_by=who))
    record(conn, "host", name, now=now, who=who, change=change)
    return get_host(conn, name)
