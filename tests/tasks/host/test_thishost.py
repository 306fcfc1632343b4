"""The knobs of this very host, set and put back: short, as others may be measuring here."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hosttree import (
    ASLR,
    IRQ_DEFAULT,
    RATE,
    THP,
    WATCHDOG,
    statuses,
)

from benchyard.tasks.cpus import format_cpu_list, online_cpus
from benchyard.tasks.host import journal, tuning
from benchyard.tasks.host.knobreport import Status
from benchyard.tasks.host.knobs import Knob, Site
from benchyard.tasks.host.topology import choose_cpus, read_topology
from benchyard.tasks.host.tuning import restore, tune
from benchyard.tasks.hostlock import wait_lock

CLOCKS = ("boost", "governor", "min-frequency")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Return a state directory."""
    return tmp_path / "state"


@contextmanager
def _knobs_of_this_host() -> Iterator[dict[Path, str]]:
    """Give what the real knobs hold, and see to it that they hold it again; one test at a time on a host."""
    paths = [Path("/") / name for name in (ASLR, RATE, THP, WATCHDOG, IRQ_DEFAULT)]
    paths += Path("/proc/irq").glob("*/smp_affinity_list")
    fd = wait_lock(Path(tempfile.gettempdir()) / "benchyard-tests-knobs.lock", shared=False, pause=lambda: True)
    assert fd is not None
    before = {path: path.read_text().strip() for path in paths if path.exists()}
    try:
        yield before
    finally:
        for path, text in before.items():
            if path.read_text().strip() != text:
                path.write_text(text.partition("[")[2].partition("]")[0] or text)
        os.close(fd)


def test_the_knobs_of_this_host(state: Path) -> None:
    """The real ones are set as reported, and afterwards hold exactly what they held."""
    if os.geteuid() != 0 or not os.access(f"/{ASLR}", os.W_OK) or not os.access(f"/{THP}", os.W_OK):
        pytest.xfail("this host's knobs cannot be set by us")
    split = choose_cpus(read_topology(), available=online_cpus())
    measuring, housekeeping = split.measuring, split.housekeeping
    with _knobs_of_this_host() as original:
        for name, value in ((ASLR, "1"), (THP, "always"), (RATE, "5000")):
            (Path("/") / name).write_text(value)
        found = {path: path.read_text() for path in original}
        assert found != {path: f"{text}\n" for path, text in original.items()}
        report = tune(state, measuring=measuring, housekeeping=housekeeping, skip=CLOCKS)
        tuned = {path: path.read_text() for path in original}
        back = restore(state)
        after = {path: path.read_text() for path in original}
    assert after == found
    assert back.complete
    said = statuses(report)
    assert [said[knob] for knob in ("aslr", "thp", "perf-rate")] == ["done", "done", "done"]
    assert tuned[Path("/") / ASLR] == "2\n"
    assert "[madvise]" in tuned[Path("/") / THP]
    assert tuned[Path("/") / RATE] == "1\n"
    assert report.failed == ()
    moved = [path for path, text in tuned.items() if text != found[path] and path.name == "smp_affinity_list"]
    assert {tuned[path].strip() for path in moved} <= {format_cpu_list(housekeeping)}
    assert not moved or said["irq-affinity"] == "done"
    assert {path: path.read_text().strip() for path in original} == original


def test_a_read_only_knob_of_this_host_is_not_permitted(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sysctl that even root may not write is "not permitted", and keeps no journal."""
    name = "proc/sys/kernel/ngroups_max"
    site = Site(name, str, lambda _context, _name, _found: "1")
    monkeypatch.setattr(tuning, "KNOBS", (Knob("groups", (site,)),))
    (report,) = tune(state, measuring=(0,), housekeeping=()).knobs
    assert (report.status, report.before) == (Status.NOT_PERMITTED, report.after)
    assert report.detail == "kernel/ngroups_max: Permission denied"
    assert not journal.journal_path(state).exists()
