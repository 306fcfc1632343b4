"""Hosts over REST, with a real master."""

from typing import TYPE_CHECKING

import sqlalchemy as sa

from benchyard.store.tables import hosts

if TYPE_CHECKING:
    from tests.web.conftest import Lab


def test_a_host_of_the_settings_is_removed(lab: "Lab") -> None:
    """A host that has no row yet, as those that `lab init` makes, is removed like any other."""
    host = {"name": "attic", "role": "worker", "target": lab.target, "address": "10.0.0.8", "cpus": ""}
    assert lab.call("POST", "/hosts", "admin", json=host).status_code == 201
    with lab.engine().begin() as conn:
        conn.execute(sa.delete(hosts).where(hosts.c.name == "attic"))
    assert lab.call("DELETE", "/hosts/attic", "admin").status_code == 200
    assert lab.call("GET", "/hosts/attic", "admin").status_code == 404
    assert not (lab.root / "hosts.d" / "attic.toml").exists()
