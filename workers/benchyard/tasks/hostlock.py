"""The lock of a host: measuring holds it alone, preparing and building share it.

It is a `flock` on STATE/host.lock, so the kernel frees it when its holder dies, however that was. Everybody
takes STATE/host.turn for the time of waiting: a run that waits therefore keeps later builders from overtaking
it for ever.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchyard.tasks.errors import HostBusyError, TaskError

#: What `hold_host` says, each minute, while it waits, and when it need not wait any more.
WAITING = "benchyard: this host is measuring; nothing is prepared on it meanwhile"
GOING_ON = "benchyard: this host is free"

_POLL_S = 0.1
_SAY_EVERY_S = 60.0


def try_lock(path: Path, *, shared: bool = False) -> int | None:
    """Return a descriptor that holds the lock file, None if another holds it; closing it frees the lock."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    except BaseException:
        os.close(fd)
        raise
    return fd


def wait_lock(path: Path, *, shared: bool, pause: Callable[[], bool]) -> int | None:
    """Return a descriptor that holds the lock file, None once `pause`, called between tries, says False."""
    while (fd := try_lock(path, shared=shared)) is None:
        if not pause():
            return None
    return fd


@contextmanager
def hold_lock(path: Path, *, limit_s: float, failure: TaskError, shared: bool = False) -> Iterator[int]:
    """Hold a lock file, made with its folder where there is none; gives its descriptor.

    Raises `failure` if it is not free within `limit_s` seconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + limit_s

    def pause() -> bool:
        time.sleep(_POLL_S)
        return time.monotonic() < deadline

    fd = wait_lock(path, shared=shared, pause=pause)
    if fd is None:
        raise failure
    try:
        yield fd
    finally:
        os.close(fd)


def acquire_host(state: Path, *, shared: bool, pause: Callable[[], bool]) -> int | None:
    """Return a descriptor that holds the host, taken in turn; None once `pause` says False."""
    state.mkdir(parents=True, exist_ok=True)
    turn = wait_lock(state / "host.turn", shared=False, pause=pause)
    if turn is None:
        return None
    try:
        return wait_lock(state / "host.lock", shared=shared, pause=pause)
    finally:
        os.close(turn)


@contextmanager
def hold_host(
    state: Path | str,
    shared: bool = True,
    *,
    timeout_s: float = 6 * 3600.0,
    say: Callable[[str], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[int]:
    """Hold the lock of the host, shared for preparing and building, exclusively for measuring; gives its descriptor.

    Waits at most `timeout_s` seconds, or until `stop` says so, telling `say` every minute; then raises HostBusyError.
    """
    state = Path(state)
    began = time.monotonic()
    said: float | None = None

    def pause() -> bool:
        nonlocal said
        now = time.monotonic()
        if stop() or now - began >= timeout_s:
            return False
        if say is not None and (said is None or now - said >= _SAY_EVERY_S):
            said = now
            say(f"{WAITING} ({now - began:.0f} s so far)")
        time.sleep(_POLL_S)
        return True

    fd = acquire_host(state, shared=shared, pause=pause)
    if fd is None:
        raise HostBusyError(f"the host was not free within {timeout_s:g} s: {state / 'host.lock'} is held")
    try:
        if say is not None and said is not None:
            say(GOING_ON)
        yield fd
    finally:
        os.close(fd)
