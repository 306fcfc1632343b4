"""Putting a tuned host back, also after a kill at any place."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from hosttree import (
    ASLR,
    BOOT_ID,
    CPU,
    GOVERNOR,
    IRQ,
    RATE,
    THP,
    TREES,
    WATCHDOG,
    make_tree,
    read,
    snapshot,
    statuses,
    tune_tree,
)

from benchyard.tasks import files
from benchyard.tasks.errors import TuningError
from benchyard.tasks.host import journal, restoring, rootfiles, tuning
from benchyard.tasks.host.tuning import RestoreReport, restore


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Return a state directory."""
    return tmp_path / "state"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a host with intel_pstate and four CPUs, two threads a core."""
    return make_tree(tmp_path / "root", TREES["intel_pstate"])


def _kill_at(place: int, mode: str) -> Callable[[], None]:
    """Make this process kill itself at a write, of a knob or of the journal: before it, after it, or half-way."""
    count = 0

    def kill(at: str) -> None:
        nonlocal count
        count += at == "before"
        if count == place and at == mode:
            os.kill(os.getpid(), signal.SIGKILL)

    def write_text(root: Path, name: str, value: str) -> None:
        kill("before")
        if mode == "half":
            (root / name).write_bytes(b"")
        kill("half")
        rootfiles.write_text(root, name, value)
        kill("after")

    def write_atomically(path: Path, data: bytes) -> None:
        kill("before")
        if mode == "half":
            path.with_name(f".{path.name}.1.tmp").write_bytes(data[:20])
        kill("half")
        write(path, data)
        kill("after")

    write = files.write_atomically

    def install() -> None:
        for module in (tuning, restoring):
            vars(module)["write_text"] = write_text
        vars(journal)["write_atomically"] = write_atomically

    return install


def _killed(work: Callable[[], object], place: int, mode: str) -> bool:
    """Do the work in a process of its own that is killed at a place; False if it came to its end before."""
    pid = os.fork()
    if pid == 0:
        try:
            _kill_at(place, mode)()
            work()
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status in (0, -signal.SIGKILL)
    return status != 0


@pytest.mark.parametrize("mode", ["before", "half", "after"])
def test_a_kill_at_any_write_can_be_put_back(mode: str, state: Path, root: Path) -> None:
    """Tuning is killed before, at and after each write: restoring always finds all that was written."""
    before = snapshot(root)
    place = 1
    while _killed(lambda: tune_tree(state, root, smt=True), place, mode):
        assert restore(state, root=root).complete
        assert snapshot(root) == before, place
        assert not journal.journal_path(state).exists()
        place += 1
    assert place > 25  # 17 files and the journal before each of 9 knobs


@pytest.mark.parametrize("mode", ["before", "after"])
def test_a_kill_while_restoring_can_be_put_back(mode: str, state: Path, root: Path) -> None:
    """Restoring is killed before and after each write: the next one does the rest."""
    before = snapshot(root)
    place = 1
    tune_tree(state, root, smt=True)
    while _killed(lambda: restore(state, root=root), place, mode):
        assert restore(state, root=root).complete
        assert snapshot(root) == before, place
        tune_tree(state, root, smt=True)
        place += 1
    assert place > 17
    assert snapshot(root) == before


def test_what_others_have_changed_is_left_and_named(state: Path, root: Path) -> None:
    """A value that is neither ours nor the one found stays, and no longer keeps the journal."""
    tune_tree(state, root)
    (root / GOVERNOR.format(2)).write_text("ondemand\n")
    (root / THP).write_text("always madvise [never]\n")
    (root / RATE).write_text("\x00\n")
    (root / ASLR).write_text("1\n")  # as it was found
    (root / WATCHDOG).unlink()
    report = restore(state, root=root)
    found = statuses(report)
    changed = [knob for knob, status in found.items() if status == "changed since"]
    assert changed == ["governor", "perf-rate", "thp"]
    assert (found["aslr"], found["nmi-watchdog"]) == ("already", "absent")
    details = {knob.knob: knob.detail for knob in report.knobs}
    assert (
        details["governor"] == "policy2/scaling_governor: is ondemand, was powersave, and we set performance (1 of 4)"
    )
    assert [read(root, GOVERNOR.format(cpu)) for cpu in (1, 2)] == ["powersave", "ondemand"]
    assert (report.complete, journal.journal_path(state).exists()) == (True, False)


def test_a_start_of_the_host_drops_the_journal(state: Path, root: Path) -> None:
    """After another start the knobs are as the start has made them: nothing is written, and the report says so."""
    tune_tree(state, root)
    (root / BOOT_ID).write_text("another\n")
    before = snapshot(root)
    assert restore(state, root=root) == RestoreReport(journal=True, rebooted=True)
    assert (snapshot(root), journal.journal_path(state).exists()) == (before, False)


def test_an_earlier_tuning_is_put_back_first(state: Path, root: Path) -> None:
    """Tuning twice and restoring once gives what was there before the first."""
    before = snapshot(root)
    assert tune_tree(state, root).earlier is None
    second = tune_tree(state, root, measuring=(2,), housekeeping=(0, 1, 3))
    assert second.earlier is not None
    assert second.earlier.complete
    assert read(root, IRQ.format(2)) == "0-1,3"
    restore(state, root=root)
    assert snapshot(root) == before


def test_an_earlier_tuning_that_stays_is_in_the_way(state: Path, root: Path) -> None:
    """What cannot be put back keeps the journal and forbids the next tuning, until it can be."""
    before = snapshot(root)
    tune_tree(state, root)
    (root / ASLR).rename(root / "aside")
    (root / ASLR).symlink_to("/etc/hostname")
    with pytest.raises(TuningError, match=f"could not be put back: /{ASLR}; see"):
        tune_tree(state, root)
    assert restore(state, root=root).left == (f"/{ASLR}",)
    (root / "aside").rename(root / ASLR)
    assert restore(state, root=root).complete
    assert snapshot(root) == before


class _Kernel:
    """Files that follow one another and take not every value, as a kernel's do."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: dict[str, Callable[[Path, str], str]] = {}
        for module in (tuning, restoring):
            monkeypatch.setattr(module, "write_text", self.write)

    def write(self, root: Path, name: str, value: str) -> None:
        answer = self.answers.get(name)
        rootfiles.write_text(root, name, value if answer is None else answer(root, value))


def _round(_root: Path, value: str) -> str:
    return "3700000" if value == "3800000" else value


def test_a_value_that_the_kernel_rounds_fails_and_is_put_back(
    state: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read back decides: another value than the one written fails, and is known as ours afterwards."""
    before = snapshot(root)
    name = f"{CPU}/cpufreq/policy0/scaling_min_freq"
    _Kernel(monkeypatch).answers[name] = _round
    (failed,) = tune_tree(state, root).failed
    assert failed.detail == "policy0/scaling_min_freq: was written 3800000, and reads 3700000 (1 of 4)"
    assert restore(state, root=root).complete
    assert snapshot(root) == before


def test_what_follows_another_file_is_put_back_in_a_second_round(
    state: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lowest frequency above the limit without boost is refused until boost, put back later, lifts that."""
    name = f"{CPU}/cpufreq/policy0/scaling_min_freq"
    (root / name).write_text("5000000\n")
    before = snapshot(root)
    no_turbo = f"{CPU}/intel_pstate/no_turbo"

    def limit(root: Path, value: str) -> str:
        return "3800000" if read(root, no_turbo) == "1" else value

    _Kernel(monkeypatch).answers[name] = limit
    tune_tree(state, root)
    assert read(root, name) == "3800000"
    report = restore(state, root=root)
    assert set(statuses(report).values()) == {"restored"}
    assert snapshot(root) == before


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b'{"boot_id":"x","entries":[{"knob":"aslr","name":"etc/passwd","found":"1","set":"2"}]}',
        b'{"boot_id":"x","entries":[{"knob":"aslr","name":"proc/irq/../x","found":"1","set":"2"}]}',
        b'{"boot_id":"x","entries":[{"knob":"x","name":"%s","found":"1","set":"2"}]}' % ASLR.encode(),
        b'{"boot_id":"x","entries":[{"knob":"aslr","name":"%s","found":"1; reboot","set":"2"}]}' % ASLR.encode(),
    ],
)
def test_a_journal_that_is_not_ours_is_refused(data: bytes, state: Path, root: Path) -> None:
    """A damaged journal, or one that names other files or values than a knob's, is one line; nothing is written."""
    before = snapshot(root)
    state.mkdir()
    journal.journal_path(state).write_bytes(data)
    works: list[Callable[[], object]] = [lambda: restore(state, root=root), lambda: tune_tree(state, root)]
    for work in works:
        with pytest.raises(TuningError, match=r"^[^\n]*tuning.json is damaged: [^\n]*$"):
            work()
    assert snapshot(root) == before
