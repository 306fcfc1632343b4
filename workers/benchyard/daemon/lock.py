"""The lock file: whoever holds it is the one supervisor of its programs.

The kernel's lock is the truth and goes with the process that holds it, so a file that is left behind by a
killed supervisor is no obstacle. What is written in the file (process number and start time) only serves to
say who holds it.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from benchyard.daemon.errors import AlreadyRunning, LockUnreadable
from benchyard.daemon.processes import is_same, start_time

_POLL_S = 0.02
_ACQUIRE_S = 0.5  # `running` of another process holds the lock for a moment
_NAME_S = 2.0  # between taking the lock and writing the number


def running(lock: Path) -> int | None:
    """The process number of the supervisor that holds `lock`, or None if there is none.

    Raises LockUnreadable if the lock is held and the file names nobody who lives.
    """
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        end = time.monotonic() + _NAME_S
        while True:
            if _try(descriptor, fcntl.LOCK_SH):
                return None
            pid = _read(descriptor)
            if pid is not None:
                return pid
            if time.monotonic() >= end:
                raise LockUnreadable(lock)
            time.sleep(_POLL_S)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def held(lock: Path) -> Iterator[None]:
    """Hold `lock` for the body; raises AlreadyRunning if another process does.

    The descriptor is not inheritable: a program that inherited it would hold the lock after its supervisor.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        end = time.monotonic() + _ACQUIRE_S
        while not _try(descriptor, fcntl.LOCK_EX):
            if time.monotonic() >= end:
                pid = running(lock)
                if pid is not None:
                    raise AlreadyRunning(pid, lock)
            time.sleep(_POLL_S)
        pid = os.getpid()
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{pid} {start_time(pid)}\n".encode("ascii"), 0)
        yield
    finally:
        os.close(descriptor)


def _try(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(descriptor: int) -> int | None:
    text = os.pread(descriptor, 100, 0).decode("ascii", "replace")
    try:
        number, started = text.split()
        pid, since = int(number), float(started)
    except ValueError:
        return None
    return pid if is_same(pid, since) else None
