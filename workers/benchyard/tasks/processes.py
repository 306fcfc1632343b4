"""Finding and ending the processes of a run or build: by descent, and by the mark they bear in their environment."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

# The name of the mark; its value is the absolute directory of the run. A job number alone would not do:
# two labs on one host count from 1, and one would kill the other's.
MARK = "BENCHYARD_RUN"

# Names the file that says what the host was made for the run.
SETUP_VARIABLE = "BENCHYARD_SETUP"

# The same for a build in the lab; its value is the absolute directory of the builder on this host.
BUILD_MARK = "BENCHYARD_BUILD"

# Says to the command of a run that it was killed and is started again: what it finds there is its own.
AGAIN = "BENCHYARD_AGAIN"

# What follows "-m" in the command line of a supervisor; the directory of its run is next.
_SUPERVISOR = b"benchyard.tasks.supervisor"

GRACE_S = 2.0
_POLL_S = 0.05


def descendants(pid: int) -> list[int]:
    """Return the living processes below a process, zombies left out."""
    children: dict[int, list[int]] = {}
    for child, stat in _read_all("stat"):
        # The name, in parentheses, may itself contain blanks and parentheses.
        state, parent = stat[stat.rindex(b")") + 2 :].split()[:2]
        if state not in (b"Z", b"X"):
            children.setdefault(int(parent), []).append(child)
    found: list[int] = []
    todo = [pid]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def marked(directory: Path, mark: str = MARK) -> list[int]:
    """Return the processes that bear the mark of the run, or build, with this directory, this process left out."""
    return [pid for pid, value in _marks(mark) if value == os.fsencode(directory)]


def marked_by_others(runs: Path, own: Path) -> list[int]:
    """Return the processes that bear the mark of any run below `runs` but `own`: orphans, if no other run may
    live.
    """
    below = os.fsencode(runs) + b"/"
    return [pid for pid, value in _marks(MARK) if value.startswith(below) and value != os.fsencode(own)]


def living_runs() -> frozenset[Path]:
    """Return the directories of all runs on this host, of whatever lab, of which a process lives.

    It is their supervisor, by its command line, or it bears the mark.
    """
    supervisors = (line.split(b"\0") for _pid, line in _read_all("cmdline") if _SUPERVISOR in line)
    named = [words[words.index(_SUPERVISOR) + 1] for words in supervisors if _SUPERVISOR in words[:-1]]
    return frozenset(Path(os.fsdecode(run)) for run in (*named, *(value for _pid, value in _marks(MARK))))


def kill_all(
    find: Callable[[], list[int]],
    *,
    grace_s: float = GRACE_S,
    limit_s: float = 60.0,
    reap: Callable[[], None] = lambda: None,
) -> list[int]:
    """End every process `find` returns, until it returns none: SIGTERM first, SIGKILL after `grace_s`
    seconds.

    Looks again each time, as a process may have had children meanwhile. Returns what still lives after
    `limit_s` seconds: a process in an uninterruptible wait cannot be killed.
    """
    began = time.monotonic()
    told: set[int] = set()
    while found := find():
        elapsed = time.monotonic() - began
        if elapsed > limit_s:
            return found
        for pid in found:
            if elapsed >= grace_s:
                _kill(pid, signal.SIGKILL)
            elif pid not in told:
                _kill(pid, signal.SIGTERM)
                _kill(pid, signal.SIGCONT)  # a stopped process would not hear of it
                told.add(pid)
        time.sleep(_POLL_S)
        reap()
    return []


def _kill(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # it ended by itself
    except PermissionError:
        pass  # another user's: it stays in what `kill_all` returns


def _marks(name: str) -> Iterator[tuple[int, bytes]]:
    prefix = name.encode() + b"="
    own = os.getpid()
    for pid, environ in _read_all("environ"):
        if pid == own or prefix not in environ:
            continue
        for entry in environ.split(b"\0"):
            if entry.startswith(prefix):
                yield pid, entry.removeprefix(prefix)


def _read_all(name: str) -> Iterator[tuple[int, bytes]]:
    proc = Path("/proc")
    for entry in proc.iterdir() if proc.is_dir() else ():
        if entry.name.isdigit():
            try:
                yield int(entry.name), (entry / name).read_bytes()
            except OSError:
                continue  # it has ended meanwhile, or belongs to another user
