"""`benchyard host`."""

from types import ModuleType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Run
    from tests.client.lab_server import LabServer

ADD = ("host", "add", "quiet-2", "--role", "isolated", "--target", "linux-x86_64", "--address", "10.0.0.2")


def test_a_host_is_added(run: "Run", lab: "LabServer") -> None:
    """`host add` sends the host and shows once what its worker needs."""
    ran = run(*ADD, "--cpus", "2-3")
    assert ran.status == 0, ran.err
    assert lab.seen[-1].body == {
        "name": "quiet-2",
        "role": "isolated",
        "target": "linux-x86_64",
        "address": "10.0.0.2",
        "cpus": "2-3",
    }
    assert "secret  worker-secret-9\nmaster  127.0.0.1:9989\n" in ran.out


def test_hosts_are_listed(run: "Run", lab: "LabServer") -> None:
    """`host list` and `host get` show the host and its status; --json is the lab's."""
    run(*ADD)
    assert run("host", "list").out.splitlines()[1].split() == [
        "quiet-2",
        "offline",
        "isolated",
        "linux-x86_64",
        "10.0.0.2",
    ]
    assert "status   offline\n" in run("host", "get", "quiet-2").out
    assert run("host", "get", "quiet-2", "--json").json == lab.hosts["quiet-2"]
    assert run("host", "list", "--json").json == {"items": [*lab.hosts.values()], "next": None}


def test_a_missing_host(run: "Run") -> None:
    """A host that does not exist is one line, exit status 1; a role that does not, exit status 2."""
    ran = run("host", "get", "nowhere")
    assert (ran.status, ran.err) == (1, "benchyard: host 'nowhere' is unknown\n")
    assert run(*ADD[:4], "boss", *ADD[5:]).status == 2


def test_a_host_is_changed(run: "Run", lab: "LabServer", server_module: ModuleType) -> None:
    """`host modify`, `disable` and `enable` change the host and say so; --json prints the changed host."""
    lab.hosts["quiet-1"] = server_module.a_host("quiet-1")
    assert run("host", "modify", "quiet-1", "--cpus", "2-3").out == "host quiet-1: changed (cpus)\n"
    assert lab.hosts["quiet-1"]["cpus"] == "2-3"
    assert run("host", "modify", "quiet-1").status == 2
    ran = run("host", "disable", "quiet-1", "--reason", "new fan")
    assert ran.out == "host quiet-1: online, disabled\n"
    assert "reason   new fan\n" in run("host", "get", "quiet-1").out
    assert run("host", "enable", "quiet-1", "--json").json == lab.hosts["quiet-1"]


@pytest.mark.parametrize("what", ["configure", "update", "check"])
def test_maintenance_without_an_engine(run: "Run", lab: "LabServer", server_module: ModuleType, what: str) -> None:
    """`host configure`, `update` and `check` show the job that does it, or say that nothing can do it."""
    lab.hosts["quiet-1"] = server_module.a_host("quiet-1")
    ran = run("host", what, "quiet-1")
    assert (ran.status, ran.err) == (1, f"benchyard: no engine for {what} is configured\n")
    lab.canned = [server_module.as_json(lab.hosts["quiet-1"]), server_module.as_json(server_module.a_job(7), 202)]
    assert run("host", what, "quiet-1").out == "job 7: queued\n"


def test_a_host_is_removed(run: "Run", lab: "LabServer", server_module: ModuleType) -> None:
    """`host remove` removes the host; without a terminal it does not ask."""
    lab.hosts["quiet-1"] = server_module.a_host("quiet-1")
    assert run("host", "remove", "quiet-1", "--yes", "--json").json == {"id": "quiet-1", "status": "removed"}
    assert not lab.hosts


def test_epoch_and_noise_of_a_host(run: "Run", lab: "LabServer", server_module: ModuleType) -> None:
    """`host get` and `host list` show the epoch, and what is known of the noise."""
    time = server_module.TIME
    known = {"epoch": 3, "epoch_since": time, "calibrated": time, "noise_floor": 0.0123}
    lab.hosts["quiet-1"] = server_module.a_host("quiet-1", **known)
    shown = run("host", "get", "quiet-1").out.splitlines()
    assert any(line.split()[:3] == ["epoch", "3", "since"] for line in shown)
    assert any(line.startswith("calibrated") and line.endswith(" ago") for line in shown)
    assert "noise       1.2 % in the median" in shown
    assert "3 since" in run("host", "list").out.splitlines()[1]
    ran = run("host", "list", "--columns", "host,noise,calibrated")
    assert ran.out.splitlines()[1].split()[:3] == ["quiet-1", "1.2", "%"]


def test_noise_by_benchmark(run: "Run", lab: "LabServer", server_module: ModuleType) -> None:
    """`host noise` is a table of floors; where nothing is known it says what it takes."""
    lab.hosts["quiet-1"] = server_module.a_host("quiet-1")
    ran = run("host", "noise", "quiet-1")
    assert ran.out.endswith("Its noise is not known: it takes some jobs of kind calibrate in this epoch.\n"), ran.err
    time = server_module.TIME
    lab.noise |= {"epoch": 3, "since": time, "calibrations": 7, "calibrated": time, "median": 0.0123}
    nbody = {"name": "nbody", "floor": 0.0123, "runs": 7, "center": 0.08, "unit": "second", "updated": time}
    lab.noise["benchmarks"] = [nbody]
    lines = run("host", "noise", "quiet-1").out.splitlines()
    assert any(line.startswith("calibrated  7 times, ") for line in lines)
    assert lines[-2:] == ["BENCHMARK  NOISE  RUNS   CENTER", "nbody      1.2 %     7  80.0 ms"]
    assert run("host", "noise", "quiet-1", "--json").json == lab.noise | {"host": "quiet-1"}


def test_quarantined_host(run: "Run", lab: "LabServer", server_module: ModuleType) -> None:
    """A host that the lab has disabled is quarantined, and the reason says why."""
    state = {"status": "quarantined", "enabled": False, "reason": "quarantined: off by +5.0 %"}
    lab.hosts["quiet-1"] = server_module.a_host("quiet-1", **state)
    out = run("host", "get", "quiet-1").out
    assert "status   quarantined\n" in out
    assert "reason   quarantined: off by +5.0 %\n" in out
    assert run("host", "list").out.splitlines()[1].split()[1] == "quarantined"
