"""A disk that is full at whatever moment of a run: it ends, says why, and leaves nothing behind but that word."""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from smalldisk import leave_room, small_disk
from spinning import write_manifest

from benchyard.tasks.cpus import online_cpus
from benchyard.tasks.host import cgroups
from benchyard.tasks.host.journal import has_journal
from benchyard.tasks.host.undo import host_note_path, key_of, note_paths
from benchyard.tasks.processes import marked_by_others
from benchyard.tasks.rundir import RESERVE
from benchyard.tasks.suitemaking import make_suite
from benchyard.tasks.trees import TreeStore

pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]

KNOBS = ("proc/sys/kernel/randomize_va_space", "proc/sys/kernel/perf_event_max_sample_rate")

#: One value of one process: the writing is what counts.
QUICK = "import pyperf\npyperf.Runner(processes=1, values=1, warmups=0).bench_func('spin', sum, range(1000))\n"

PAGE = os.sysconf("SC_PAGE_SIZE")

#: So many runs that are good one after the other have had the room that they need.
GOOD = 2

#: Rooms in pages: none, hardly any, and more and more beyond what a run keeps for its end.
ROOMS = (0, 1, *range(RESERVE // PAGE - 1, 1000))


class Disk(NamedTuple):
    """A state directory on a small disk, and the command that measures in it."""

    host: Any
    command: tuple[str, ...]

    @property
    def state(self) -> Path:
        """The state directory."""
        return Path(self.host.state)

    def run(self, name: str, *command: str) -> tuple[int, str]:
        """Measure, or do something else, on the host made ready for it."""
        folder = self.state / "runs" / name
        where = ("--output", str(folder / "result.json"), "--report", str(folder / "report.json"))
        status, output = self.host.run(name, *(command or (*self.command, *where)), more=("--measuring", "auto"))
        return int(status), str(output)

    def is_left(self, name: str) -> list[str]:
        """What is left of a run on this host."""
        runs = self.state / "runs"
        hierarchy = cgroups.find_hierarchy(Path("/"))
        key = key_of(Path(os.path.realpath(self.state)), name)
        groups = hierarchy.path.glob(f"benchyard-{key}*") if hierarchy is not None else ()
        notes = [*note_paths(self.state), *(path for path in [host_note_path(Path("/"), key)] if path.exists())]
        journal = ["tuning.json"] if has_journal(self.state) else []
        return [*map(str, marked_by_others(runs, runs)), *map(str, groups), *map(str, notes), *journal]


@pytest.fixture
def disk(host: Any, environments: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """A host whose state directory, and place for temporary files, is on a disk of its own."""
    store = TreeStore(tmp_path / "suites")
    suite = make_suite(store, work=tmp_path, manifests=[write_manifest(tmp_path / "own", script=QUICK)])
    command = [sys.executable, "-m", "benchyard.cli", "task", "run-benchmarks", "--python", sys.executable]
    command += ["--suite", str(store.tree(suite.id)), "--benchmarks", "spin", "--environments", str(environments)]
    host.state.mkdir()
    with small_disk(host.state, "4m"):
        (host.state / "tmp").mkdir()
        monkeypatch.setenv("TMPDIR", str(host.state / "tmp"))
        yield Disk(host, (*command, "--inherit-environ", "TMPDIR"))


def knobs() -> dict[str, str]:
    return {name: (Path("/") / name).read_text() for name in KNOBS}


def test_full_at_each_write(disk: Disk, wait_for: Any) -> None:
    """With a page more of room at each run: it is good, or one line says why not; the host is as it was before.

    What waits on the full disk can be measured as soon as there is room.
    """
    if os.geteuid() != 0 or len(online_cpus()) < 2:
        pytest.xfail("this host cannot be made ready for a run by us")
    found = knobs()
    assert disk.run("0.1")[0] == 0, "the environment is made, and there is room"
    shutil.rmtree(disk.state / "runs" / "0.1")
    good, failed = 0, 0
    for pages in ROOMS:
        name = f"{pages}.1"
        filler = leave_room(disk.state, pages * PAGE)
        status, output = disk.run(name)
        last = output.splitlines()[-1]
        assert status == 0 or re.search(r"No space left|no room| is full", last), (status, output)
        # A benchmark's own traceback is a part of its log.
        assert not re.search(r'File "[^"]*/benchyard/(tasks|cli)/', output), output
        left = disk.is_left(name)
        assert left == [], (status, output)
        # With patience, as another run on this machine may have tuned it at this moment.
        wait_for(lambda: knobs() == found, "the knobs as found")
        filler.unlink()
        again, output = disk.run(f"{pages}.2", "true")
        assert again == 0, output
        assert disk.is_left(f"{pages}.2") == []
        good, failed = (good + 1, failed) if status == 0 else (0, failed + 1)
        if good == GOOD:
            break
        for run in (disk.state / "runs").glob("*.[12]"):
            shutil.rmtree(run)
    assert failed > 5, "it was not full at many writes"
    assert disk.run("last")[0] == 0
