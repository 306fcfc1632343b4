"""Tuning a host: on trees of hosts that we do not have."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hosttree import (
    ASLR,
    BOOT_ID,
    CPU,
    GOVERNOR,
    IRQ,
    IRQ_DEFAULT,
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
from benchyard.tasks.errors import HostBusyError, OptionError, TuningError
from benchyard.tasks.host import journal, rootfiles, tuning
from benchyard.tasks.host.tuning import RestoreReport, restore
from benchyard.tasks.hostlock import try_lock

DONE_EVERYWHERE = dict.fromkeys(("aslr", "perf-rate", "thp", "nmi-watchdog", "irq-affinity"), "done")
CLOCKS = ("boost", "governor", "min-frequency")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Return a state directory."""
    return tmp_path / "state"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a host with intel_pstate and four CPUs, two threads a core."""
    return make_tree(tmp_path / "root", TREES["intel_pstate"])


@pytest.mark.parametrize(
    ("driver", "clocks", "wanted"),
    [
        (
            "intel_pstate",
            ("done", "done", "done"),
            {f"{CPU}/intel_pstate/no_turbo": "1", f"{CPU}/cpufreq/policy2/scaling_min_freq": "3800000"},
        ),
        (
            "amd-pstate",
            ("done", "done", "done"),
            {f"{CPU}/cpufreq/policy{policy}/boost": "0" for policy in range(4)} | {f"{CPU}/cpufreq/boost": "1"},
        ),
        ("acpi-cpufreq", ("done", "done", "done"), {f"{CPU}/cpufreq/boost": "0", GOVERNOR.format(3): "performance"}),
        ("arm", ("absent", "done", "done"), {GOVERNOR.format(0): "performance"}),
        ("guest", ("absent", "absent", "absent"), {}),
    ],
)
def test_every_kind_of_host_is_tuned_and_put_back(
    driver: str, clocks: tuple[str, ...], wanted: dict[str, str], state: Path, tmp_path: Path
) -> None:
    """What is there is set and read back, what is not is absent, and restoring leaves all as it was."""
    root = make_tree(tmp_path / "root", TREES[driver])
    before = snapshot(root)
    report = tune_tree(state, root)
    assert statuses(report) == dict(zip(CLOCKS, clocks, strict=True)) | DONE_EVERYWHERE
    assert report.tuned
    wanted = wanted | {ASLR: "2", RATE: "1", THP: "madvise", WATCHDOG: "0", IRQ_DEFAULT: "7"}
    wanted |= {IRQ.format(2): "0-2", IRQ.format(10): "0-2", IRQ.format(11): "0-1"}
    assert {name: read(root, name) for name in wanted} == wanted
    assert {knob.knob: (knob.before, knob.after) for knob in report.knobs}["thp"] == ("always", "madvise")
    back = restore(state, root=root)
    assert set(statuses(back).values()) == {"restored"}
    assert (back.complete, snapshot(root)) == (True, before)
    assert not journal.journal_path(state).exists()
    assert restore(state, root=root) == RestoreReport()


def test_a_host_without_any_knob(state: Path, tmp_path: Path) -> None:
    """On an empty tree everything is absent, and nothing is left to be put back."""
    report = tune_tree(state, tmp_path, smt=True)
    assert set(statuses(report).values()) == {"absent"}
    assert report.tuned
    assert not journal.journal_path(state).exists()


def test_a_tuned_host_is_left_as_it_is(state: Path, root: Path) -> None:
    """What is as wanted already is not written, and no journal stays."""
    tune_tree(state, root)
    journal.remove_journal(state)
    times = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    assert set(statuses(tune_tree(state, root)).values()) == {"already"}
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == times
    assert not journal.journal_path(state).exists()


@pytest.mark.parametrize("data", [b"", b"\xff\xfe\n", b"\n" * 3, b"x" * 1_000_000, b"9 8\n7\n", b"\x1b[31mred\n"])
@pytest.mark.parametrize(
    ("knob", "name"),
    [("governor", GOVERNOR.format(1)), ("aslr", ASLR), ("thp", THP), ("irq-affinity", IRQ.format(10)), ("smt", "")],
)
def test_garbage_fails_its_knob_and_no_other(knob: str, name: str, data: bytes, state: Path, root: Path) -> None:
    """A file whose content is not understood is left alone and named in one line; the others are set and put back."""
    path = root / (name or f"{CPU}/cpu1/online")
    path.write_bytes(data)
    before = snapshot(root)
    report = tune_tree(state, root, smt=True)
    (failed,) = report.failed
    assert failed.knob == knob
    assert path.name in failed.detail
    assert len(failed.detail) < 200
    assert "\n" not in failed.detail
    assert {str(other.status) for other in report.knobs if other.knob != knob} == {"done"}
    assert path.read_bytes() == data
    assert restore(state, root=root).complete
    assert snapshot(root) == before


@pytest.mark.parametrize("make", ["folder", "pipe", "link"])
def test_what_is_no_file_fails(make: str, state: Path, root: Path) -> None:
    """A folder, a pipe or a link out of the tree in place of a file fails, at once."""
    (root / RATE).unlink()
    if make == "folder":
        (root / RATE).mkdir()
    elif make == "pipe":
        os.mkfifo(root / RATE)
    else:
        (root / RATE).symlink_to("/etc/hostname")
    assert [knob.knob for knob in tune_tree(state, root).failed] == ["perf-rate"]


def test_a_frequency_that_is_not_known_fails(state: Path, root: Path) -> None:
    """Without its limit, a lowest frequency cannot be chosen; the other policies get theirs."""
    (root / f"{CPU}/cpufreq/policy1/scaling_max_freq").write_text("<unknown>\n")
    (failed,) = tune_tree(state, root).failed
    assert (failed.knob, failed.files) == ("min-frequency", {"failed": 1, "done": 3})
    assert "policy1/scaling_min_freq: the highest frequency is not known" in failed.detail


@contextmanager
def _as_nobody(*folders: Path) -> Iterator[None]:
    if os.geteuid() != 0:
        yield
        return
    for folder in folders:
        os.chown(folder, 65534, 65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_without_root_everything_stays_and_is_said() -> None:
    """Who may not write a knob is told so, knob by knob, and nothing is left to be put back."""
    with tempfile.TemporaryDirectory() as folder:  # pytest's own may not be entered by others
        base = Path(folder)
        root, state = make_tree(base / "root", TREES["guest"]), base / "state"
        state.mkdir()
        for path in root.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o444)
        (root / WATCHDOG).chmod(0)
        before = snapshot(root)
        with _as_nobody(base, state):
            report = tune_tree(state, root)
        refused = dict.fromkeys(DONE_EVERYWHERE, "not permitted")
        # One interrupt is where it should be, and those that refuse do so on every host.
        assert statuses(report) == dict.fromkeys(CLOCKS, "absent") | refused | {"irq-affinity": "already"}
        assert {knob.knob: knob.detail for knob in report.knobs}["aslr"].endswith("Permission denied")
        assert (report.failed, report.tuned) == ((), False)
        assert {knob.knob: knob.files for knob in report.knobs}["irq-affinity"] == {"not permitted": 3, "already": 1}
        assert (snapshot(root), journal.journal_path(state).exists()) == (before, False)


def test_smt_is_switched_only_if_asked_for(state: Path, root: Path) -> None:
    """The sibling of the measuring CPU goes offline with `smt`, and comes back; the last CPU left is kept."""
    assert "smt" not in statuses(tune_tree(state, root))
    restore(state, root=root)
    assert statuses(tune_tree(state, root, smt=True))["smt"] == "done"
    assert [read(root, f"{CPU}/cpu{cpu}/online") for cpu in (1, 2, 3)] == ["0", "1", "1"]
    restore(state, root=root)
    assert read(root, f"{CPU}/cpu1/online") == "1"
    (failed,) = tune_tree(state, root, smt=True, housekeeping=(1,)).failed
    assert "would leave no CPU for everything else" in failed.detail
    assert read(root, f"{CPU}/cpu1/online") == "1"


def test_interrupts_stay_where_every_cpu_measures(state: Path, root: Path) -> None:
    """Without a CPU of its own, housekeeping keeps its interrupts."""
    report = tune_tree(state, root, measuring=(0, 1, 2, 3), housekeeping=())
    assert statuses(report)["irq-affinity"] == "absent"
    assert read(root, IRQ.format(2)) == "0-3"


def test_irqbalance_is_named(state: Path, root: Path) -> None:
    """Who moves interrupts back behind us is named beside what was done."""
    make_tree(root, {"proc/1/comm": "init", "proc/77/comm": "irqbalance"})
    report = tune_tree(state, root)
    assert statuses(report)["irq-affinity"] == "done"
    assert "irqbalance runs" in report.knobs[-1].detail


def test_skipped_knobs_are_left(state: Path, root: Path) -> None:
    """A skipped knob is neither touched nor reported; an unknown name is refused before anything is done."""
    before = snapshot(root)
    with pytest.raises(OptionError, match="there is no knob 'turbo'; knobs are boost, governor,"):
        tune_tree(state, root, skip=["turbo"])
    assert (snapshot(root), state.exists()) == (before, False)
    assert "thp" not in statuses(tune_tree(state, root, skip=["thp"]))
    assert read(root, THP) == "[always] madvise never"


def test_the_journal_is_there_before_the_first_write(state: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the first knob is written, every value found is on disk already."""
    seen: list[journal.Journal] = []

    def write_text(root: Path, name: str, value: str) -> None:
        found = journal.read_journal(state)
        assert found is not None
        seen.append(found)
        rootfiles.write_text(root, name, value)

    before = snapshot(root)
    monkeypatch.setattr(tuning, "write_text", write_text)
    tune_tree(state, root)
    assert {entry.name: entry.found for entry in seen[0].entries}.items() <= before.items()
    assert len(seen[0].entries) == 17
    assert seen[0].boot_id == before[BOOT_ID]


def test_without_a_journal_nothing_is_tuned(tmp_path: Path, root: Path) -> None:
    """Where nothing can be kept, tuning refuses in one line before it has written anything."""
    before = snapshot(root)
    (tmp_path / "file").write_text("")
    with pytest.raises(TuningError, match=r"^cannot use [^\n]*: [^\n]*$"):
        tune_tree(tmp_path / "file", root)
    assert snapshot(root) == before


@pytest.mark.parametrize("place", range(1, 9))
def test_a_full_disk_meanwhile_puts_everything_back(
    place: int, state: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the journal cannot be written any more, what was set is put back and the error names the journal."""
    before = snapshot(root)
    count = 0

    def write_atomically(path: Path, data: bytes) -> None:
        nonlocal count
        count += 1
        if count >= place:
            raise OSError(28, "No space left on device")
        write(path, data)

    write = files.write_atomically
    monkeypatch.setattr(journal, "write_atomically", write_atomically)
    with pytest.raises(TuningError, match="No space left on device"):
        tune_tree(state, root)
    assert (snapshot(root), journal.journal_path(state).exists()) == (before, False)


def test_one_tunes_at_a_time(state: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another holds the lock, nothing is touched; a bound keeps it from waiting for ever."""
    monkeypatch.setattr(journal, "_LOCK_LIMIT_S", 0.1)
    before = snapshot(root)
    state.mkdir()
    fd = try_lock(state / "tuning.lock")
    assert fd is not None
    try:
        with pytest.raises(HostBusyError, match="is held"):
            tune_tree(state, root)
    finally:
        os.close(fd)
    assert snapshot(root) == before
