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


def test_how_it_is_looked_after(run: "Run", lab: "LabServer", server_module: ModuleType) -> None:
    """`host add` and `host modify` have all that a host's file can say, and send only what was said."""
    assert run(*ADD, "--no-tune", "--guard", "strict", "--guard-wait", "5", "--ansible-user", "ops").status == 0
    said = {"tune": False, "guard": "strict", "guard_wait_s": 5.0, "ansible_user": "ops"}
    assert {name: value for name, value in lab.seen[-1].body.items() if name in said} == said
    assert "shield" not in lab.seen[-1].body
    assert run("host", "modify", "quiet-2", "--tune", "--no-shield", "--connection", "local").status == 0
    assert lab.seen[-1].body == {"tune": True, "shield": False, "connection": "local"}
    assert run("host", "modify", "quiet-2", "--guard", "maybe").status == 2


DONE = {"status": "success", "finished": "2026-11-22T10:00:09.000Z", "summary": "7 tasks, 3 changed"}


@pytest.mark.parametrize("what", ["configure", "update"])
def test_a_host_is_changed_by_a_job(run: "Run", lab: "LabServer", server_module: ModuleType, what: str) -> None:
    """It is watched to its end; one that fails is the command's failure."""
    lab.hosts["quiet-1"] = server_module.a_host("quiet-1", connected=True)
    assert run("host", what, "quiet-1", "--no-wait").out == "job 1: queued\n"
    lab.scripts[0] = [DONE]
    ran = run("host", what, "quiet-1")
    assert (ran.status, ran.out.splitlines()[-1].partition("  ")[2]) == (0, "job 2: success: 7 tasks, 3 changed")
    lab.scripts[0] = [{**DONE, "status": "failed", "summary": None, "error": "unreachable: no route"}]
    ran = run("host", what, "quiet-1")
    assert ran.status == 1 and ran.out.endswith("job 3: failed: unreachable: no route\n")
    lab.scripts[0] = [DONE]
    ran = run("host", what, "quiet-1", "--json")
    assert (ran.json["job"]["id"], ran.json["check"]) == (4, None)


def test_what_would_change_is_shown(run: "Run", lab: "LabServer", server_module: ModuleType) -> None:
    """With --check the log is printed: it says what would change."""
    lab.hosts["quiet-1"] = server_module.a_host("quiet-1")
    lab.scripts[0] = [DONE]
    ran = run("host", "configure", "quiet-1", "--check")
    assert ran.status == 0 and "changed: [quiet-1]\n" in ran.out
    assert lab.seen[1].body == {"check": True}


FITNESS = {
    "job": 1,
    "checked": "2026-11-22T10:00:09.000Z",
    "fit": True,
    "cpus": "1",
    "checks": ["memory", "disk"],
    "findings": [{"check": "disk", "severity": "note", "message": "cannot be read"}],
    "knobs": [{"knob": "aslr", "status": "already", "before": "2", "after": "2", "detail": ""}],
}


def test_a_host_is_checked(run: "Run", lab: "LabServer", server_module: ModuleType) -> None:
    """`host check` shows what each check has found and how the knobs are; its status says whether the host is fit."""
    lab.hosts["quiet-1"] = server_module.a_host("quiet-1", fitness=FITNESS)
    lab.scripts[0] = [DONE]
    ran = run("host", "check", "quiet-1")
    assert ran.status == 0
    assert ran.out.splitlines() == [
        "CHECK   VERDICT  MESSAGE",
        "memory  ok",
        "disk    unknown  cannot be read",
        "",
        "KNOB  STATUS   NOW  MEASURING  DETAIL",
        "aslr  already  2    2",
    ]
    lab.hosts["quiet-1"]["fitness"] = FITNESS | {"fit": False}
    lab.scripts[0] = [DONE]
    ran = run("host", "check", "quiet-1", "--json")
    assert (ran.status, ran.json["fit"]) == (1, False)
    lab.scripts[0] = [{**DONE, "status": "failed", "error": "boom"}]
    ran = run("host", "check", "quiet-1")
    assert (ran.status, ran.out) == (1, "") and ran.err.endswith("job 3: failed: boom\n")


@pytest.mark.parametrize(
    ("span", "seconds"), [("2h", 7200.0), ("1d12h", 129600.0), ("30min", 1800.0), ("1.5h", 5400.0)]
)
def test_a_host_is_leased(run: "Run", lab: "LabServer", server_module: ModuleType, span: str, seconds: float) -> None:
    """`host lease` says until when; --release ends it."""
    lab.hosts["quiet-1"] = server_module.a_host("quiet-1")
    ran = run("host", "lease", "quiet-1", span, "--reason", "new fan")
    assert lab.seen[-1].body == {"seconds": seconds, "reason": "new fan"}
    assert ran.out.startswith("host quiet-1: leased to anna until ")
    assert any(line.split()[:3] == ["leased", "to", "anna"] for line in run("host", "get", "quiet-1").out.splitlines())
    assert run("host", "lease", "quiet-1", "--release").out == "host quiet-1: online\n"


@pytest.mark.parametrize("words", [(), ("2",), ("h",), ("2h!",), ("2h", "--release")])
def test_spans_that_are_none(run: "Run", lab: "LabServer", server_module: ModuleType, words: tuple[str, ...]) -> None:
    """What is no span of time is wrong usage, and so is none at all."""
    lab.hosts["quiet-1"] = server_module.a_host("quiet-1")
    assert run("host", "lease", "quiet-1", *words).status == 2


def test_inventory(run: "Run", lab: "LabServer") -> None:
    """`host inventory` prints what a dynamic inventory prints, all or the variables of one host."""
    assert run("host", "inventory", "--list").json == {"_meta": {"hostvars": {"quiet-1": {"ansible_host": "h"}}}}
    assert run("host", "inventory", "--host", "quiet-1").json == {"ansible_host": "h"}
    assert run("host", "inventory", "--host", "nowhere").status == 1


def test_what_a_host_does(run: "Run", lab: "LabServer", server_module: ModuleType) -> None:
    """`host list` and `host get` show what it does, its fitness, when it was seen, its disk and its versions."""
    time = server_module.TIME
    lab.hosts["quiet-1"] = server_module.a_host(
        "quiet-1",
        status="busy",
        connected=True,
        work={"job": 7, "stage": "measure", "benchmark": "nbody"},
        fitness=FITNESS | {"fit": False, "findings": [{"check": "disk", "severity": "refuse", "message": "full"}]},
        last_seen=time,
        disk_free=3 * 1024**3,
        versions={"benchyard": "0.1.0", "kernel": "6.1"},
        grade="B",
    )
    out = run("host", "get", "quiet-1").out.splitlines()
    shown = {line.split("  ")[0]: line.partition("  ")[2].strip() for line in out if not line.startswith(" ")}
    assert shown["does"] == "measure of job 7: nbody"
    assert shown["fitness"].startswith("not fit, ") and "last seen" not in shown
    assert (shown["free disk"], shown["versions"]) == ("3.0 GiB", "benchyard 0.1.0, kernel 6.1")
    assert any(line.split() == ["disk", "full"] for line in out)
    listed = run("host", "list", "--columns", "host,does,fitness,seen,disk,version").out.splitlines()[1]
    assert listed.split("  ")[1].strip() == "measure of job 7: nbody" and listed.split()[-5:] == [
        "unfit", "now", "3.0", "GiB", "0.1.0",
    ]  # fmt: skip


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
