"""The state of hosts."""

import pytest
import sqlalchemy as sa

from benchyard.store import hosts
from benchyard.store.errors import Conflict, NotFound
from benchyard.store.history import history_of


def test_added_host_is_enabled(conn: sa.Connection) -> None:
    """A host is added once, however often it is said."""
    host = hosts.ensure_host(conn, "sulaco", now=1.0, who="ada")
    assert (host.enabled, host.reason, host.created) == (True, "", 1.0)
    assert hosts.ensure_host(conn, "sulaco", now=2.0, who="bob") == host
    assert hosts.list_hosts(conn) == (host,)


def test_disabled_host(conn: sa.Connection) -> None:
    """Disabling keeps who, when and why, once."""
    hosts.ensure_host(conn, "sulaco", now=1.0, who="ada")
    host = hosts.enable_host(conn, "sulaco", False, now=2.0, who="bob", reason="fan is loud")
    assert (host.enabled, host.reason, host.changed, host.changed_by) == (False, "fan is loud", 2.0, "bob")
    assert hosts.enable_host(conn, "sulaco", False, now=3.0, who="eve", reason="fan is loud") == host
    assert [change.change for change in history_of(conn, "host", "sulaco")] == [
        {"enabled": True},
        {"enabled": False, "reason": "fan is loud"},
    ]


def test_unknown_host(conn: sa.Connection) -> None:
    """A host that is not there is named."""
    with pytest.raises(NotFound, match=r"^there is no host 'nostromo'$"):
        hosts.enable_host(conn, "nostromo", True, now=1.0, who="ada")


def test_removed_host(conn: sa.Connection) -> None:
    """A removed host has no state and keeps its history; of the same name again, it is a new one."""
    hosts.ensure_host(conn, "sulaco", now=1.0, who="ada")
    hosts.enable_host(conn, "sulaco", False, now=2.0, who="ada", reason="gone")
    hosts.remove_host(conn, "sulaco", now=3.0, who="ada")
    assert hosts.list_hosts(conn) == ()
    assert history_of(conn, "host", "sulaco")[-1].change == {"removed": 3.0}
    with pytest.raises(NotFound, match=r"^there is no host 'sulaco'$"):
        hosts.remove_host(conn, "sulaco", now=4.0, who="ada")
    assert hosts.ensure_host(conn, "sulaco", now=5.0, who="ada").enabled


def test_quarantined_host(conn: sa.Connection) -> None:
    """A host is quarantined once, by the lab, with a reason; what ends it is that somebody enables the host."""
    hosts.ensure_host(conn, "sulaco", now=1.0, who="ada")
    host = hosts.quarantine_host(conn, "sulaco", now=2.0, who="lab", reason="off by +5.0 %")
    assert (host.enabled, host.reason, host.quarantined) == (False, "quarantined: off by +5.0 %", 2.0)
    assert hosts.quarantine_host(conn, "sulaco", now=3.0, who="lab", reason="off by +6.0 %") == host
    assert history_of(conn, "host", "sulaco")[-1].change == {
        "enabled": False,
        "reason": "quarantined: off by +5.0 %",
        "quarantined": 2.0,
    }
    disabled = hosts.enable_host(conn, "sulaco", False, now=4.0, who="ada", reason="fan ordered")
    assert (disabled.quarantined, disabled.reason) == (2.0, "fan ordered")
    enabled = hosts.enable_host(conn, "sulaco", True, now=5.0, who="ada")
    assert (enabled.enabled, enabled.reason, enabled.quarantined, enabled.band_since) == (True, "", None, 5.0)
    again = hosts.enable_host(conn, "sulaco", False, now=6.0, who="ada")
    assert hosts.enable_host(conn, "sulaco", True, now=7.0, who="ada").band_since == again.band_since == 5.0


def test_leased_host(conn: sa.Connection) -> None:
    """A lease keeps jobs off until its time; the same person may change the end, somebody else not."""
    hosts.ensure_host(conn, "sulaco", now=1.0, who="ada")
    host = hosts.lease_host(conn, "sulaco", until=100.0, now=2.0, who="ada", reason="new fan")
    assert (host.leased_by, host.lease_reason) == ("ada", "new fan")
    assert (host.may_measure(99.9), host.may_measure(100.0)) == (False, True)
    with pytest.raises(Conflict, match=r"^host sulaco is leased to ada; release it first"):
        hosts.lease_host(conn, "sulaco", until=50.0, now=3.0, who="bob")
    longer = hosts.lease_host(conn, "sulaco", until=200.0, now=3.0, who="ada")
    assert (longer.leased_until, longer.lease_reason) == (200.0, "new fan")
    assert hosts.next_expiry(conn, now=3.0) == 200.0
    assert hosts.lease_host(conn, "sulaco", until=300.0, now=201.0, who="bob").lease_reason == ""


def test_released_host(conn: sa.Connection) -> None:
    """A lease is ended once; one whose time is over is none."""
    hosts.ensure_host(conn, "sulaco", now=1.0, who="ada")
    hosts.lease_host(conn, "sulaco", until=100.0, now=2.0, who="ada")
    host = hosts.release_host(conn, "sulaco", now=3.0, who="bob")
    assert (host.leased_until, host.leased_by, host.changed_by) == (None, None, "bob")
    hosts.lease_host(conn, "sulaco", until=100.0, now=4.0, who="ada")
    assert hosts.next_expiry(conn, now=100.0) is None
    with pytest.raises(Conflict, match=r"^host sulaco is not leased$"):
        hosts.release_host(conn, "sulaco", now=100.0, who="ada")


def test_what_the_lab_notes_changes_nothing(conn: sa.Connection) -> None:
    """That a host was seen, and what a check has found, is nobody's change of it."""
    before = hosts.ensure_host(conn, "sulaco", now=1.0, who="ada")
    hosts.note_seen(conn, "sulaco", now=7.0)
    hosts.set_fitness(conn, "sulaco", {"job": 3})
    host = hosts.get_host(conn, "sulaco")
    assert (host.seen, host.fitness, host.changed) == (7.0, {"job": 3}, before.changed)
