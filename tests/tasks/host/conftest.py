"""Trees of files, clocks and busy loops that the tests of a host share."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sensortree import SensorTree

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
