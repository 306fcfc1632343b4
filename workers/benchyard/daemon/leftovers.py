"""Programs that outlived a killed supervisor: remembered in a file, found and ended by the next one.

Without this a supervisor that was killed with SIGKILL would leave its programs running and the next one would
start each of them a second time.
"""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchyard.daemon.lock import held
from benchyard.daemon.processes import bears_mark, boot_id, end_group, group_members, is_same


def state_file(lock: Path) -> Path:
    """Where the running programs of the supervisor with this lock are written down."""
    return lock.with_name(lock.name + ".programs.json")


def remember(lock: Path, programs: Mapping[str, tuple[int, float]]) -> None:
    """Write down the running programs: name to process number and start time (see `start_time`)."""
    path = state_file(lock)
    state = {
        "boot": boot_id(),
        "programs": {name: {"pid": pid, "start": start} for name, (pid, start) in programs.items()},
    }
    scratch = path.with_name(path.name + ".new")
    scratch.write_text(json.dumps(state, indent=1) + "\n", encoding="utf-8")
    scratch.replace(path)


def forget(lock: Path) -> None:
    """All programs have ended: there is nothing to find."""
    state_file(lock).unlink(missing_ok=True)


def clear_leftovers(lock: Path, say: Callable[[str], None], grace_s: float = 30.0) -> bool:
    """End what a killed supervisor with this lock left running, without starting anything; whether all ended.

    `supervise` does this by itself; call it before looking at what such programs occupy, like their ports.
    Raises AlreadyRunning if a supervisor lives, whose programs are no leftovers.
    """
    if not state_file(lock).exists():
        return True
    with held(lock):
        return end_leftovers(lock, say, grace_s)


def end_leftovers(lock: Path, say: Callable[[str], None], grace_s: float) -> bool:
    """The same for a caller that holds the lock.

    The last program started is the first to go, as at an ordinary stop.
    """
    all_ended = True
    for name, pid, start in reversed(_remembered(lock)):
        if is_ours(pid, start, str(lock.resolve())):
            say(f"{name}: process {pid} was left over by a killed supervisor, ending it")
            if not end_group(pid, grace_s):
                say(f"{name}: process {pid} does not end, not even by SIGKILL")
                all_ended = False
    forget(lock)
    return all_ended


def is_ours(group: int, start: float, mark: str) -> bool:
    """Whether process group `group` is the program that was started as its leader at `start`.

    When the leader is gone its number may have become a stranger's, so then each member must bear the mark.
    """
    members = group_members(group)
    if group in members:
        return is_same(group, start)
    return bool(members) and all(bears_mark(pid, mark) for pid in members)


def _remembered(lock: Path) -> list[tuple[str, int, float]]:
    """Name, process number and start time of each; nothing after a reboot, which ended them all."""
    try:
        state: Any = json.loads(state_file(lock).read_bytes())
        if state["boot"] != boot_id():
            return []
        found = [(str(name), int(p["pid"]), float(p["start"])) for name, p in state["programs"].items()]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError, AttributeError):
        return []  # replaced atomically, so only somebody's edit can have damaged it
    # Group 0 and 1, and our own, must never be signalled whatever the file says.
    return [entry for entry in found if entry[1] > 1 and entry[1] != os.getpgrp()]
