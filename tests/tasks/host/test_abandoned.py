"""Shields that nobody looks after any more come down; all others stay, whosever they are."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from benchyard.tasks.host import cgroups
from benchyard.tasks.host.abandoned import lower_abandoned
from benchyard.tasks.host.setup import mend_host
from benchyard.tasks.host.shield import lower
from benchyard.tasks.host.undo import host_note_path, key_of
from benchyard.tasks.processes import MARK
from benchyard.tasks.runner import stop

RAISE = """
import time
from pathlib import Path
from benchyard.tasks.host.shield import raise_shield
raise_shield("1.1", measuring={measuring}, housekeeping={housekeeping}, state_dir=Path({state!r}))
print("raised", flush=True)
time.sleep(600)
"""

IDLE = "import time\nprint(1, flush=True)\ntime.sleep(600)"

ROOT = Path("/")
BALANCE = "cpuset.sched_load_balance"


class Raised(NamedTuple):
    """A shield, the process that has raised it, and where its state directory was."""

    process: "subprocess.Popen[bytes]"
    key: str
    run: Path

    @property
    def groups(self) -> list[Path]:
        """Its groups that are there, the measuring one first."""
        hierarchy = cgroups.find_hierarchy(ROOT)
        assert hierarchy is not None
        return sorted(hierarchy.path.glob(f"benchyard-{self.key}*"))

    def abandon(self) -> None:
        """Kill who has raised it, and remove the state directory."""
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.run.parent.parent)


@pytest.fixture
def raised(raiser: Any, spawn: Any, wait_for: Any) -> Iterator[Raised]:
    """A shield that another process has raised."""
    lower(raiser("1.0"))  # there can be one
    state = Path(os.path.realpath(raiser.state_dir))
    program = RAISE.format(measuring=raiser.measuring, housekeeping=raiser.housekeeping, state=str(state))

    def start() -> Raised | None:
        shield = Raised(spawn(program), key_of(state, "1.1"), state / "runs" / "1.1")
        if shield.groups:
            return shield
        shield.process.kill()  # another run had one up at that moment
        return None

    shield = wait_for(start, "a shield of its own")
    yield shield
    shield.process.kill()
    shield.process.wait()
    lower_abandoned(ROOT)


@pytest.mark.parametrize("known", [True, False])
def test_a_shield_without_state_directory_comes_down(
    raised: Raised, raiser: Any, spawn: Any, tmp_path: Path, wait_for: Any, known: bool
) -> None:
    """Any lab's next look at this host lowers what a killed supervisor left, by the host's own note or without."""
    bystander = spawn(IDLE)
    top = raised.groups[0].parent
    note = host_note_path(ROOT, raised.key)
    assert note.exists()
    raised.abandon()
    if not known:
        note.unlink()
    assert mend_host(tmp_path / "another") == []
    assert raised.groups == []
    assert not note.exists()
    # With patience, as another run on this machine may raise its shield now.
    wait_for(lambda: cgroups.read_value(top / BALANCE) in ("1", ""), "the balancing as before")
    wait_for(lambda: set(raiser.measuring) <= os.sched_getaffinity(bystander.pid), "the CPUs as before")


def test_who_was_pinned_is_pinned_again(raiser: Any, spawn: Any, request: Any, tmp_path: Path, wait_for: Any) -> None:
    """Also where the state directory is gone: the host has a note of its own."""
    bystander = spawn(IDLE)
    os.sched_setaffinity(bystander.pid, raiser.housekeeping)
    request.getfixturevalue("raised").abandon()
    assert mend_host(tmp_path / "another") == []
    wait_for(lambda: os.sched_getaffinity(bystander.pid) == set(raiser.housekeeping), "the pinned process as before")


def _raiser(_raised: Raised) -> "subprocess.Popen[bytes] | None":
    return None


def _marked(raised: Raised) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(["sleep", "600"], env={**os.environ, MARK: str(raised.run)})


def _supervisor(raised: Raised) -> "subprocess.Popen[bytes]":
    """A process with the command line of one, which holds nothing: one of an earlier version."""
    return subprocess.Popen([sys.executable, "-c", IDLE, "benchyard.tasks.supervisor", str(raised.run)])


def _measuring(raised: Raised) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(["sleep", "600"])
    cgroups.write_value(raised.groups[0] / cgroups.PROCS, str(process.pid))
    return process


@pytest.mark.parametrize(
    ("start", "told"),
    [(_raiser, False), (_marked, False), (_supervisor, False), (_measuring, True)],
    ids=["raiser", "marked", "supervisor", "measuring"],
)
def test_a_shield_that_is_in_use_stays(
    raised: Raised, tmp_path: Path, start: Callable[[Raised], "subprocess.Popen[bytes] | None"], told: bool
) -> None:
    """While a process of its run lives, nobody else takes it down; who measures there unknown to all is named."""
    groups = raised.groups
    process = start(raised)
    try:
        if process is None:
            process = raised.process
            shutil.rmtree(raised.run.parent.parent)
        else:
            raised.abandon()
        problems = mend_host(tmp_path / "another")
        assert raised.groups == groups
        assert [f"these processes measure there: [{process.pid}]" in problem for problem in problems] == [True] * told
    finally:
        if process is not None:
            process.kill()
            process.wait()
    assert mend_host(tmp_path / "another") == []
    assert raised.groups == []


def test_other_groups_are_left_alone(raiser: Any, tmp_path: Path) -> None:
    """What is not named as we name ours is nobody's business."""
    shield = raiser("1.1")
    lower(shield)
    group = Path(shield.group).parent / "benchyard-of-somebody"
    group.mkdir()
    try:
        assert mend_host(tmp_path / "another") == []
        assert group.is_dir()
    finally:
        group.rmdir()


def test_a_run_whose_state_directory_goes_away(all_cpus: Any, host: Any, tmp_path: Path, wait_for: Any) -> None:
    """Its supervisor lowers its own shield at the end all the same, and makes nothing new in that place."""
    go = tmp_path / "go"
    state = Path(os.path.realpath(host.state))
    top = cgroups.find_hierarchy(ROOT)
    tries = iter(range(100))

    def shielded() -> Any:
        run = f"1.{next(tries)}"
        command = ("sh", "-c", f"while [ ! -e {go} ]; do sleep 0.1; done")
        host.start(run, *command, more=("--measuring", "auto", "--no-tune"))
        wait_for(lambda: host.read(run).get("pid"), "the run's command")
        found = sorted(top.path.glob(f"benchyard-{key_of(state, run)}*")) if top is not None else []
        if not found:
            stop(run, state=state)
        return found and (found, host.read(run)["supervisor"])

    if top is None or not cgroups.may_change(top.path):
        pytest.xfail("no shield is permitted here")
    groups, supervisor = wait_for(shielded, "a run with a shield of its own")
    shutil.rmtree(state)
    go.touch()
    wait_for(lambda: not any(group.exists() for group in groups), "the shield is lowered")
    wait_for(lambda: not Path(f"/proc/{supervisor}").exists(), "the supervisor's end")
    assert not state.exists()
