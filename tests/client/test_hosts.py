"""Hosts, as the client shows them."""

from datetime import UTC, datetime
from types import ModuleType
from typing import TYPE_CHECKING

from benchyard.client import Client

if TYPE_CHECKING:
    from tests.client.lab_server import LabServer


def test_noise_of_a_host(lab: "LabServer", client: Client, server_module: ModuleType) -> None:
    """`noise()` has the floors of the host's benchmarks in its epoch; nothing where nothing is known."""
    lab.hosts["quiet-1"] = server_module.a_host("quiet-1", epoch=3, epoch_since=server_module.TIME)
    host = client.hosts.get("quiet-1")
    assert (host.epoch, host.epoch_since) == (3, datetime(2025, 11, 22, 10, 53, 0, 123000, UTC))
    assert (host.calibrated, host.noise_floor) == (None, None)
    assert (host.noise().benchmarks, host.noise().median) == ((), None)
    lab.noise |= {"epoch": 3, "calibrations": 7, "median": 0.01}
    lab.noise["benchmarks"] = [{"name": "nbody", "floor": 0.01, "runs": 7, "center": 0.08, "unit": "second"}]
    noise = host.noise()
    assert (noise.host, noise.epoch, noise.calibrations) == ("quiet-1", 3, 7)
    assert [(each.name, each.floor, each.center) for each in noise.benchmarks] == [("nbody", 0.01, 0.08)]
