"""Others are kept off the measuring CPUs, and everything is as before afterwards."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchyard.tasks.errors import CpuListError, ShieldError
from benchyard.tasks.host.shield import (
    Shield,
    lower,
    lower_leftovers,
    problem_of,
    processes_of,
    raise_shield,
)
from benchyard.tasks.host.wrapper import missed, write_wrapper

BUSY = "import os\nprint(os.getpid(), flush=True)\nwhile True: pass"

# A process that raises a shield, starts a benchmark's worker on it and is killed at the given point.
CRASH = """
import os, signal, subprocess, sys
from pathlib import Path
from benchyard.tasks.host import cgroups
from benchyard.tasks.host.shield import raise_shield
from benchyard.tasks.host.wrapper import write_wrapper

die, state = sys.argv[1], Path(sys.argv[2])
measuring, housekeeping = (tuple(map(int, word.split(","))) for word in sys.argv[3:5])

def kill(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)

if die in ("make_group", "write_value"):
    setattr(cgroups, die, kill)
elif die == "move":
    move = cgroups.move
    cgroups.move = lambda pid, *groups: move(pid, *groups) and pid == int(sys.argv[5]) and kill()
shield = raise_shield("1.1", measuring=measuring, housekeeping=housekeeping, state_dir=state)
if shield.group is None:
    sys.exit(shield.detail)
wrapper = write_wrapper(shield, state, sys.executable)
worker = subprocess.Popen([wrapper, "-c", sys.argv[6]], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
print(worker.stdout.readline().decode().strip(), shield.group, flush=True)
kill()
"""


def where(pid: int) -> tuple[set[int], str]:
    """Return the CPUs and the control groups of a process."""
    return os.sched_getaffinity(pid), Path(f"/proc/{pid}/cgroup").read_text()


def last_cpu(pid: int) -> int:
    """Return the CPU a process was last seen on."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[36])


def groups_of(shield: Shield) -> list[str]:
    """Return the groups of a shield that are there."""
    assert shield.group is not None
    group = Path(shield.group)
    key = group.name.removesuffix("-measure")
    return sorted(path.name for path in group.parent.iterdir() if path.name.startswith(key))


def test_workers_have_their_cpus_alone(raiser: Any, spawn: Any, tmp_path: Path, wait_for: Any) -> None:
    """A worker runs on the measuring CPU, all others elsewhere; afterwards all are where they were."""
    bystander = spawn(BUSY)
    before, own = where(bystander.pid), where(os.getpid())
    shield = raiser("1.1")
    try:
        wrapper = write_wrapper(shield, tmp_path, sys.executable)
        worker = spawn(BUSY, wrapper)
        assert processes_of(shield) == [worker.pid]
        assert where(worker.pid)[0] == {last_cpu(worker.pid)} == set(raiser.measuring)
        assert last_cpu(bystander.pid) not in raiser.measuring
        assert not where(bystander.pid)[0] & set(raiser.measuring)
        assert not os.sched_getaffinity(0) & set(raiser.measuring)
        later = spawn(BUSY)
        assert not where(later.pid)[0] & set(raiser.measuring)
        assert problem_of(shield) is None
        assert missed(tmp_path) == 0
    finally:
        lower(shield)
    assert groups_of(shield) == []
    # With patience, as another run on this machine may raise its shield now.
    wait_for(lambda: (where(bystander.pid), where(os.getpid())) == (before, own), "all as before")
    wait_for(lambda: where(worker.pid)[1] == where(later.pid)[1] == own[1], "those that came later")
    assert problem_of(shield) == f"{shield.group} is gone"
    assert processes_of(shield) == []
    lower(shield)


def test_pinned_processes_are_pinned_again(raiser: Any, spawn: Any, wait_for: Any) -> None:
    """A process that keeps to the measuring CPU is moved off it, and is back on it, alone, afterwards."""
    bystander = spawn(BUSY)
    os.sched_setaffinity(bystander.pid, raiser.measuring)
    before = where(bystander.pid)
    shield = raiser("1.1")
    try:
        assert not where(bystander.pid)[0] & set(raiser.measuring)
    finally:
        lower(shield)
    wait_for(lambda: where(bystander.pid) == before, "the pinned process as before")


def test_escaped_processes_are_found(raiser: Any, spawn: Any, tmp_path: Path, wait_for: Any, end_all: Any) -> None:
    """A process that left its session, its parent and its environment is still one of the shield's."""
    shield = raiser("1.1")
    try:
        wrapper = write_wrapper(shield, tmp_path, sys.executable)
        escape = "import os\nif os.fork() == 0:\n os.setsid()\n os.execve('/bin/sleep', ['sleep', '600'], {})\nprint(1)"
        spawn(escape, wrapper).wait()
        (escaped,) = wait_for(lambda: processes_of(shield), "the escaped process")
        end_all.append(escaped)
        wait_for(lambda: not Path(f"/proc/{escaped}/environ").read_bytes(), "its empty environment")
        os.kill(escaped, signal.SIGKILL)
        wait_for(lambda: not processes_of(shield), "its end")
    finally:
        lower(shield)


def _crash(*arguments: str) -> Any:
    """Return how it went, None where another run had a shield up at that moment."""
    crashed = subprocess.run([sys.executable, "-c", CRASH, *arguments], capture_output=True, timeout=60)
    return None if b"is kept by benchyard-" in crashed.stderr else crashed


@pytest.mark.parametrize("die", ["make_group", "write_value", "move", "end"])
def test_leftovers_of_a_killed_supervisor(raiser: Any, spawn: Any, die: str, wait_for: Any, end_all: Any) -> None:
    """Whenever it is killed: what its note says is undone, and no group and no changed process remains."""
    lower(raiser("1.0"))  # there can be one
    bystander = spawn(BUSY)
    os.sched_setaffinity(bystander.pid, raiser.measuring)
    before, own = where(bystander.pid), where(os.getpid())
    cpus = (",".join(map(str, raiser.measuring)), ",".join(map(str, raiser.housekeeping)))
    arguments = [die, str(raiser.state_dir), *cpus, str(bystander.pid), BUSY]
    try:
        crashed = wait_for(lambda: _crash(*arguments), "a shield of its own")
        end_all += [int(word) for word in crashed.stdout.split()[:1]]
        assert crashed.returncode == -signal.SIGKILL, crashed.stderr
        (note,) = (raiser.state_dir / "shields").iterdir()
        assert json.loads(note.read_bytes())["name"] == "1.1"
    finally:
        lower_leftovers(Path("/"), raiser.state_dir)
    assert list((raiser.state_dir / "shields").iterdir()) == []
    wait_for(lambda: (where(bystander.pid), where(os.getpid())) == (before, own), "all as before")
    wait_for(lambda: all(where(pid)[1] == own[1] for pid in end_all), "the worker")
    assert not list(Path("/sys/fs/cgroup").glob(f"**/benchyard-{note.stem}*"))
    lower_leftovers(Path("/"), raiser.state_dir)


def test_the_second_shield_leaves_the_first_in_peace(raiser: Any, spawn: Any, tmp_path: Path) -> None:
    """Another lab that wants the same CPU gets no groups, is told who has it, and measures elsewhere."""
    other = tmp_path / "other"
    other.mkdir()
    first = raiser("1.1")
    try:
        worker = spawn(BUSY, write_wrapper(first, tmp_path, sys.executable))
        second = raise_shield(
            "1.1", measuring=raiser.measuring, housekeeping=raiser.housekeeping, state_dir=tmp_path / "other"
        )
        assert second.kind == "affinity"
        assert not set(second.measuring) & set(raiser.measuring)
        wrapper = write_wrapper(second, other, sys.executable)
        stranger = spawn(BUSY, wrapper)
        assert where(stranger.pid)[0] == set(second.measuring)
        assert processes_of(second) == []
        assert (problem_of(second), problem_of(first), missed(other)) == (None, None, 0)
        lower(second)
        lower_leftovers(Path("/"), other)
        assert processes_of(first) == [worker.pid]
        assert first.group is not None
        assert f" is kept by {Path(first.group).name}" in second.detail
    finally:
        lower(first)


def test_a_shield_of_the_same_name_is_replaced(raiser: Any) -> None:
    """A run that is started again after its supervisor was killed does not stumble over its own shield."""
    first = raiser("1.1")
    try:
        second = raiser("1.1")
        assert (second.kind, second.group, second.note) == (first.kind, first.group, first.note)
    finally:
        lower(first)
    assert groups_of(first) == []


def test_pyperf_measures_on_the_shield(raiser: Any, tmp_path: Path) -> None:
    """Started through the program, pyperf's workers measure on the CPU and are the interpreter of the venv."""
    shield = raiser("1.1")
    try:
        wrapper = write_wrapper(shield, tmp_path, sys.executable)
        options = ["--python", str(wrapper), "--fast", "-p2", "-n2", "--output", str(tmp_path / "x.json")]
        argv = [sys.executable, "-m", "pyperf", "timeit", *options, "pass"]
        ran = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    finally:
        lower(shield)
    assert ran.returncode == 0, ran.stderr
    metadata = json.loads((tmp_path / "x.json").read_bytes())["metadata"]
    assert metadata["cpu_affinity"] == ",".join(map(str, raiser.measuring))
    assert metadata["python_executable"] == sys.executable
    assert missed(tmp_path) == 0


@pytest.mark.parametrize(
    ("measuring", "housekeeping", "root", "why"),
    [
        ((0,), (0,), "/", "CPU 0 measures and keeps house"),
        ((0,), (9999,), "/nowhere", "no cpuset controller is mounted here"),
    ],
)
def test_affinity_alone(
    measuring: tuple[int, ...],
    housekeeping: tuple[int, ...],
    root: str,
    why: str,
    state_dir: Path,
    spawn: Any,
    all_cpus: Any,
    wait_for: Any,
) -> None:
    """Where there can be no groups, workers keep to the measuring CPUs; the caller's own affinity is left alone."""
    own = where(os.getpid())
    shield = raise_shield("1.1", measuring=measuring, housekeeping=housekeeping, state_dir=state_dir, root=Path(root))
    assert shield == Shield("1.1", "affinity", why, measuring, housekeeping)
    wait_for(lambda: where(os.getpid()) == own, "the affinity as before")
    worker = spawn(BUSY, write_wrapper(shield, state_dir, sys.executable))
    assert where(worker.pid)[0] == {last_cpu(worker.pid)} == {0}
    assert (missed(state_dir), problem_of(shield), processes_of(shield)) == (0, None, [])
    lower(shield)


def test_cpus_this_host_lacks(state_dir: Path, all_cpus: tuple[int, ...]) -> None:
    """CPUs that cannot be had are not claimed: the shield says which ones are used instead."""
    shield = raise_shield("1.1", measuring=(8000,), housekeeping=(0,), state_dir=state_dir)
    assert shield.kind == "affinity"
    assert set(shield.measuring) == os.sched_getaffinity(0)
    assert "; CPU 8000 cannot be had, only " in shield.detail
    assert not list((state_dir / "shields").glob("*"))


def test_without_affinity(state_dir: Path, monkeypatch: pytest.MonkeyPatch, spawn: Any) -> None:
    """On a system without affinity there is no shield, it is said, and the program still starts the interpreter."""
    monkeypatch.delattr(os, "sched_setaffinity")
    shield = raise_shield("1.1", measuring=(1,), housekeeping=(0,), state_dir=state_dir, root=Path("/nowhere"))
    why = "no cpuset controller is mounted here; this system has no CPU affinity"
    assert (shield.kind, shield.detail) == ("none", why)
    spawn(BUSY, write_wrapper(shield, state_dir, sys.executable))


def test_without_taskset(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the program that sets it, no affinity is claimed."""
    monkeypatch.setenv("PATH", "/nowhere")
    shield = raise_shield("1.1", measuring=(0,), housekeeping=(0,), state_dir=state_dir)
    assert (shield.kind, shield.detail) == (
        "none",
        "CPU 0 measures and keeps house; there is no taskset (util-linux) here",
    )


@pytest.mark.parametrize(("measuring", "housekeeping"), [((), (0,)), ((0,), ())])
def test_no_cpu_is_no_shield(measuring: tuple[int, ...], housekeeping: tuple[int, ...], state_dir: Path) -> None:
    """An empty list of CPUs is refused."""
    with pytest.raises(CpuListError, match="^a shield needs a CPU to measure on"):
        raise_shield("1.1", measuring=measuring, housekeeping=housekeeping, state_dir=state_dir)


def test_a_damaged_note_is_not_guessed_at(state_dir: Path) -> None:
    """A note that cannot be read is an error that names it and the groups, after the others were lowered."""
    notes = state_dir / "shields"
    notes.mkdir()
    (notes / "abc.json").write_text("{")
    other = {"name": "1.1", "boot_id": "another start of this host", "hierarchy": "/nowhere", "groups": []}
    (notes / "def.json").write_text(json.dumps(other))
    with pytest.raises(ShieldError, match=r"abc\.json is damaged; .* benchyard-abc\*$"):
        lower_leftovers(Path("/"), state_dir)
    assert [path.name for path in notes.iterdir()] == ["abc.json"]
    (notes / "abc.json").unlink()


def test_a_shield_can_be_told_to_others() -> None:
    """What was achieved survives being written as JSON and read, for the process that starts pyperf."""
    shield = Shield("1.1", "cpuset", "", (1,), (0,), "/sys/fs/cgroup/cpuset/benchyard-x-measure", "/state/x.json")
    assert msgspec.json.decode(msgspec.json.encode(shield), type=Shield) == shield
