"""Naming, finding and ending processes, such that no stranger is ever taken for one of ours.

A process number alone says little: the kernel gives it to somebody else later. So a process is known by its
number and the time it was started.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil

MARK = "BENCHYARD_SUPERVISOR"
"""Environment variable that tells a supervisor's programs from others; its value is the lock file."""

_SAME_START_S = 1.5  # the kernel's idea of the time of boot may waver by a second
_POLL_S = 0.05


def boot_id() -> str:
    """A text that changes with each boot, or "" where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def start_time(pid: int) -> float | None:
    """When process `pid` was started, in seconds after the boot; None if there is no such process.

    Not by the wall clock: setting the clock would make every process a stranger.
    """
    try:
        return round(psutil.Process(pid).create_time() - psutil.boot_time(), 2)
    except (psutil.Error, ValueError):
        return None


def is_alive(pid: int) -> bool:
    """Whether `pid` runs; a zombie, which only waits for its parent's attention, does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, ValueError):
        return False


def is_same(pid: int, started: float) -> bool:
    """Whether `pid` is alive and still the process that was started at `started` (see `start_time`)."""
    now = start_time(pid)
    return now is not None and abs(now - started) < _SAME_START_S and is_alive(pid)


def bears_mark(pid: int, mark: str) -> bool:
    """Whether the process was started, directly or not, by the supervisor of lock file `mark`."""
    try:
        return psutil.Process(pid).environ().get(MARK) == mark
    except (psutil.Error, OSError):
        return False


def group_members(group: int) -> tuple[int, ...]:
    """The living processes of process group `group`."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return ()
    except PermissionError:
        pass  # some of them belong to another user: they count as well
    return tuple(pid for pid in psutil.pids() if _group_of(pid) == group and is_alive(pid))


def end_group(group: int, grace_s: float, kill_wait_s: float = 10.0) -> bool:
    """End a whole process group: SIGTERM, `grace_s` seconds later SIGKILL; False if some still live then."""
    return _signal_and_wait(group, signal.SIGTERM, grace_s) or _signal_and_wait(group, signal.SIGKILL, kill_wait_s)


def wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Wait at most `timeout_s` seconds for `condition`; whether it came true."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(_POLL_S)
    return True


def _signal_and_wait(group: int, number: signal.Signals, timeout_s: float) -> bool:
    if not group_members(group):
        return True
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)
    return wait_until(lambda: not group_members(group), timeout_s)


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except OSError:
        return None
