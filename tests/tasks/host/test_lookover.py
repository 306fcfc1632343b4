"""A host looked over."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from benchyard.tasks.cpus import online_cpus
from benchyard.tasks.host.checks import CHECKS
from benchyard.tasks.host.knobreport import Status
from benchyard.tasks.host.knobs import KNOBS
from benchyard.tasks.host.lookover import LookOver, look_over
from benchyard.tasks.host.reserved import reserved_by
from benchyard.tasks.host.topology import Split
from benchyard.tasks.host.tuning import look_at_knobs, tune


def test_this_host(tmp_path: Path) -> None:
    """Everything is told of this host, and its knobs are as they were."""
    cpus = online_cpus()
    split = Split(measuring=cpus[-1:], housekeeping=cpus[:-1] or cpus, why="")
    before = look_at_knobs(measuring=split.measuring, housekeeping=split.housekeeping)
    report = look_over(split, state=tmp_path)
    assert report.cpus == str(cpus[-1])
    assert report.checks == tuple(CHECKS)
    assert {"python", "kernel", "benchyard", "pyperf"} <= report.versions.keys()
    assert (report.host.isolation, report.host.measuring) == (reserved_by(split.measuring) or "", 0)
    assert report.disk_free is not None and report.disk_free > 0
    assert report.knobs == before
    assert {knob.knob for knob in before} == {knob.name for knob in KNOBS if not knob.optional}


def test_isolation_is_told(tmp_path: Path) -> None:
    """CPUs that the host was started with for measurements alone are told as such, others are not."""
    isolated = tmp_path / "sys/devices/system/cpu/isolated"
    isolated.parent.mkdir(parents=True)
    for cpus, told in (("", ""), ("2-3", "kernel"), ("3", "")):
        isolated.write_text(f"{cpus}\n")
        report = look_over(Split(measuring=(2, 3), housekeeping=(0, 1), why=""), root=tmp_path)
        assert report.host.isolation == told


def test_knobs_tell_what_they_would_be_set_to(tmp_path: Path) -> None:
    """A knob that is not as wanted tells both values, one that is says so; and what is told is what tuning does."""
    root = tmp_path / "root"
    watchdog = root / "proc/sys/kernel/nmi_watchdog"
    watchdog.parent.mkdir(parents=True)
    watchdog.write_text("1\n")
    (root / "proc/sys/kernel/randomize_va_space").write_text("2\n")
    cpus: dict[str, Any] = {"measuring": (1,), "housekeeping": (0,)}
    told = {knob.knob: knob for knob in look_at_knobs(**cpus, root=root)}
    assert (told["nmi-watchdog"].status, told["nmi-watchdog"].before, told["nmi-watchdog"].after) == (
        Status.TO_BE_SET,
        "1",
        "0",
    )
    assert told["aslr"].status is Status.ALREADY
    assert told["boost"].status is Status.ABSENT
    assert watchdog.read_text() == "1\n"
    done = {knob.knob: knob for knob in tune(tmp_path / "state", **cpus, root=root).knobs}
    assert {name: knob.after for name, knob in done.items()} == {name: knob.after for name, knob in told.items()}


def test_command(tmp_path: Path) -> None:
    """`benchyard task host-report` prints it for people, and leaves it in a file for the lab."""
    output = tmp_path / "checks" / "1.json"
    argv = [sys.executable, "-m", "benchyard.cli", "task", "host-report", "--state", str(tmp_path / "state")]
    done = subprocess.run([*argv, "--output", str(output)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "foreign CPU time" in done.stdout and "irq-affinity" in done.stdout and "pyperf " in done.stdout
    report = msgspec.json.decode(output.read_bytes(), type=LookOver)
    done = subprocess.run([*argv, "--json"], capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout)["host"] == msgspec.to_builtins(report.host)
