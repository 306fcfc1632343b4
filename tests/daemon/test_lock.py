"""One supervisor per lock, whatever became of the last one."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from benchyard.daemon import AlreadyRunning, LockUnreadable, clear_leftovers, running, stop
from benchyard.daemon.leftovers import state_file

if TYPE_CHECKING:
    from tests.daemon.conftest import Wait, Yard

STEADY = "note('started')\nready()\nwhile True: time.sleep(60)\n"
HOLDER = (
    "import fcntl, sys\n"
    "held = open(sys.argv[1], 'a')\n"
    "fcntl.flock(held, fcntl.LOCK_EX)\n"
    "print(1, flush=True)\n"
    "input()\n"
)


def test_second_supervisor_is_refused(yard: "Yard", wait_for: "Wait") -> None:
    """A second supervisor of the same lock starts nothing and names the process that runs."""
    program = yard.program("web", STEADY)
    first = yard.up(program)
    yard.pid_of("web")
    second = subprocess.run(yard.command(program), capture_output=True, text=True, timeout=60)
    assert second.returncode == 1
    assert second.stderr.startswith(f"AlreadyRunning: already running as process {first.pid}, ")
    assert yard.journal() == ["web started"]
    assert running(yard.lock) == first.pid


def test_nobody_runs(yard: "Yard") -> None:
    """Without a lock file nothing runs, and stopping it is done already."""
    assert running(yard.lock) is None
    assert stop(yard.lock, 1.0)


@pytest.mark.parametrize("text", [f"{os.getpid()} 1.0\n", "1 0.0\n", "nonsense"], ids=["ours", "another", "none"])
def test_stale_lock_file_is_no_obstacle(yard: "Yard", wait_for: "Wait", text: str) -> None:
    """A lock file left by a dead supervisor does not count, even if its number is somebody's now."""
    yard.lock.write_text(text)
    assert running(yard.lock) is None
    supervisor = yard.up(yard.program("web", STEADY))
    yard.pid_of("web")
    assert running(yard.lock) == supervisor.pid


def test_stop_from_outside(yard: "Yard", wait_for: "Wait") -> None:
    """`stop` ends the programs and their supervisor, and leaves no state behind."""
    supervisor = yard.up(yard.program("web", STEADY))
    pid = yard.pid_of("web")
    assert stop(yard.lock, 60.0)
    assert supervisor.wait(10) == 0
    assert running(yard.lock) is None
    assert not yard.lives(pid)
    assert not state_file(yard.lock).exists()


def test_stop_that_takes_too_long(yard: "Yard", wait_for: "Wait") -> None:
    """`stop` says False when the programs are still being stopped after its time."""
    yard.up(yard.program("web", "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + STEADY), grace_s=3.0)
    yard.pid_of("web")
    assert not stop(yard.lock, 0.2)
    assert stop(yard.lock, 60.0)


def test_programs_do_not_hold_the_lock(yard: "Yard", wait_for: "Wait") -> None:
    """A killed supervisor's lock is free at once, though its program lives on."""
    supervisor = yard.up(yard.program("web", STEADY))
    pid = yard.pid_of("web")
    supervisor.kill()
    supervisor.wait(10)
    assert yard.lives(pid)
    assert running(yard.lock) is None
    open_files = {str(descriptor.resolve()) for descriptor in Path(f"/proc/{pid}/fd").iterdir()}
    assert str(yard.lock.resolve()) not in open_files


def test_lock_of_a_stranger(yard: "Yard", wait_for: "Wait") -> None:
    """A lock held by something that is no supervisor is an error that names the file."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(yard.lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(LockUnreadable, match=r"lab\.lock"):
            running(yard.lock)
        holder.communicate(b"\n", timeout=10)


def test_asking_does_not_disturb(yard: "Yard", wait_for: "Wait") -> None:
    """A supervisor that starts while others keep asking who runs gets its lock all the same."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom benchyard.daemon import running\n"
        "print(1, flush=True)\nwhile True: running(Path(sys.argv[1]))\n"
    )
    yard.lock.touch()
    with subprocess.Popen([sys.executable, "-c", code, str(yard.lock)], stdout=subprocess.PIPE) as asker:
        assert asker.stdout is not None
        asker.stdout.readline()
        supervisor = yard.up(yard.program("web", STEADY))
        yard.pid_of("web")
        assert running(yard.lock) == supervisor.pid
        asker.kill()


def test_killed_supervisor_leaves_no_second_program(yard: "Yard", wait_for: "Wait") -> None:
    """What a killed supervisor left running is ended before the next one starts anything."""
    code = "note(f'started while {Path(\"web.pid\").exists()}')\n" + STEADY
    first = yard.up(yard.program("web", code), yard.program("db", STEADY))
    old = {yard.pid_of("web"), yard.pid_of("db")}
    first.kill()
    first.wait(10)
    assert all(yard.lives(pid) for pid in old)
    yard.up(yard.program("web", code), yard.program("db", STEADY))
    yard.pid_of("web", other_than=yard.pid_of("web"))
    assert not any(yard.lives(pid) for pid in old)
    said = yard.said()
    assert said.index("web: process") < said.rindex("web: started")
    assert said.index("db: process") < said.index("web: process"), "in the reverse order of their start"


def test_stop_ends_leftovers(yard: "Yard", wait_for: "Wait") -> None:
    """`stop` also ends the programs of a supervisor that was killed."""
    supervisor = yard.up(yard.program("web", STEADY))
    pid = yard.pid_of("web")
    supervisor.kill()
    supervisor.wait(10)
    assert yard.lives(pid)
    assert stop(yard.lock, 60.0)
    assert not yard.lives(pid)
    assert not state_file(yard.lock).exists()


def test_clear_leftovers_spares_what_is_supervised(yard: "Yard", wait_for: "Wait") -> None:
    """Leftovers are those of a dead supervisor: while one lives its programs are not touched."""
    supervisor = yard.up(yard.program("web", STEADY))
    pid = yard.pid_of("web")
    state = state_file(yard.lock)
    wait_for(lambda: state.exists() and str(pid) in state.read_text(), "the state is written")
    with pytest.raises(AlreadyRunning, match=f"process {supervisor.pid}"):
        clear_leftovers(yard.lock, print)
    assert yard.lives(pid)


def test_leftover_group_without_its_leader(yard: "Yard", wait_for: "Wait") -> None:
    """Children of a program that has itself ended since are ended too: they bear the supervisor's mark."""
    code = (
        "child = os.fork()\n"
        "if child == 0:\n"
        "    while True: time.sleep(60)\n"
        "Path('child').write_text(str(child))\n" + STEADY
    )
    first = yard.up(yard.program("web", code))
    leader = yard.pid_of("web")
    child = int((yard.folder / "child").read_text())
    yard.pids.add(child)
    first.kill()
    first.wait(10)
    os.kill(leader, signal.SIGKILL)
    wait_for(lambda: not yard.lives(leader), "the leader ends")
    assert yard.lives(child)
    yard.up(yard.program("web", STEADY))
    yard.pid_of("web", other_than=leader)
    assert not yard.lives(child)


def test_stranger_with_an_old_number_is_spared(yard: "Yard", wait_for: "Wait") -> None:
    """A process that merely has the number of a leftover, but another start time, is not touched."""
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as stranger:
        first = yard.up(yard.program("web", STEADY))
        pid = yard.pid_of("web")
        state = state_file(yard.lock)
        wait_for(lambda: state.exists() and str(pid) in state.read_text(), "the state is written")
        first.kill()
        first.wait(10)
        os.kill(pid, signal.SIGKILL)
        state.write_text(state.read_text().replace(f'"pid": {pid}', f'"pid": {stranger.pid}'))
        # The start time in the file is that of `web`, started a moment later than the stranger: move it away.
        state.write_text(state.read_text().replace('"start": ', '"start": 9'))
        yard.up(yard.program("web", STEADY))
        yard.pid_of("web", other_than=pid)
        assert stranger.poll() is None
        stranger.kill()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"boot": "another", "programs": {"web": {"pid": 2, "start": 1}}}'])
def test_damaged_state_is_no_obstacle(yard: "Yard", wait_for: "Wait", text: str) -> None:
    """A state file that cannot be read, or of another boot, stops nobody from starting."""
    state_file(yard.lock).write_text(text)
    yard.up(yard.program("web", STEADY))
    assert psutil.pid_exists(yard.pid_of("web"))
