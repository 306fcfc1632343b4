"""Trees of files, busy loops, shields and processes that the tests of a measuring host share."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sensortree import SensorTree

from benchyard.tasks.cpus import available_cpus, format_cpu_list, online_cpus
from benchyard.tasks.host.shield import Shield, lower_leftovers, raise_shield
from benchyard.tasks.hostlock import wait_lock
from benchyard.tasks.processes import kill_all

LOOP = """
import ctypes, os, sys, time
ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)  # whatever becomes of the test, this ends with it
ctypes.CDLL(None).prctl(15, b"busyloop", 0, 0, 0)
os.sched_setaffinity(0, {int(sys.argv[1])})
print("ready", flush=True)
end = time.process_time() + float(sys.argv[2])
while time.process_time() < end:
    pass
"""


@pytest.fixture
def tree(tmp_path: Path) -> SensorTree:
    """Return an empty host of two CPUs."""
    return SensorTree(tmp_path / "root")


BusyLoop = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def busy_loop() -> Iterator[BusyLoop]:
    """Return a function that starts a process named "busyloop" that uses one CPU, until it is killed."""
    started: list[subprocess.Popen[bytes]] = []

    def start(cpu: int, seconds: float = 120.0) -> "subprocess.Popen[bytes]":
        argv = [sys.executable, "-c", LOOP, str(cpu), str(seconds)]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait(timeout=10)
        if process.stdout:
            process.stdout.close()


Spawn = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """A function that starts a Python program which prints a line once it is ready; all are killed at the end."""
    started: list[subprocess.Popen[bytes]] = []

    def start(program: str, python: Path | str = sys.executable, *, ready: bool = True) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen([python, "-c", program], stdout=subprocess.PIPE, start_new_session=True)
        started.append(process)
        if ready:
            assert process.stdout is not None
            assert process.stdout.readline()
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    """A state directory; whatever shield a test leaves up is lowered."""
    directory = tmp_path / "state"
    directory.mkdir()
    yield directory
    lower_leftovers(Path("/"), directory)


@dataclass
class Raiser:
    """Raises real shields: the last CPU measures, the first keeps house."""

    state_dir: Path
    measuring: tuple[int, ...]
    housekeeping: tuple[int, ...]

    def __call__(self, name: str) -> Shield:
        """Raise one; its kind is what can be had, and there must be groups."""
        deadline = time.monotonic() + 60
        while True:
            shield = raise_shield(
                name, measuring=self.measuring, housekeeping=self.housekeeping, state_dir=self.state_dir
            )
            if shield.kind in ("partition", "cpuset"):
                return shield
            # Other tests on this machine may have one up: theirs takes seconds.
            if "is kept by benchyard-" not in shield.detail or time.monotonic() > deadline:
                pytest.xfail(f"no shield is permitted here: {shield.detail}")
            time.sleep(0.2)


@pytest.fixture
def all_cpus(wait_for: Callable[..., bool]) -> Iterator[tuple[int, ...]]:
    """All CPUs of this host, at least two, which this process may run on.

    One test at a time has them. Runs of other tests on this machine may still have a shield up, for seconds.
    """
    cpus = online_cpus()
    if len(cpus) < 2:
        pytest.xfail("a shield needs two CPUs")
    fd = wait_lock(Path(tempfile.gettempdir()) / "benchyard-tests-shield.lock", shared=False, pause=_pause)
    assert fd is not None
    try:
        wait_for(lambda: available_cpus() == cpus, f"the right to run on CPU {format_cpu_list(cpus)}")
        yield cpus
    finally:
        os.close(fd)


def _pause() -> bool:
    time.sleep(0.05)
    return True


@pytest.fixture
def raiser(state_dir: Path, all_cpus: tuple[int, ...]) -> Raiser:
    """A function that raises a real shield for some seconds."""
    return Raiser(state_dir, all_cpus[-1:], all_cpus[:1])


@pytest.fixture
def end_all() -> Iterator[list[int]]:
    """A list of processes that are killed at the end, for those that are not children of the test."""
    pids: list[int] = []
    yield pids
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert not kill_all(lambda: [pid for pid in pids if _lives(pid)])


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
