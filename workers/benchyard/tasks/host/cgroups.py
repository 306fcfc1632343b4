"""Control groups with the cpuset controller: where they are, and the few things done to them.

The same few for both versions of Linux: cgroup-v1/cpusets.rst and cgroup-v2.rst in Documentation/admin-guide.
"""

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PROCS = "cgroup.procs"
CONTROLLER = "cpuset"

_TRIES = 200
_PAUSE_S = 0.02
_ESCAPE = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class Hierarchy:
    """The tree of groups that the cpuset controller works on: `version` 1 or 2, mounted at `path`."""

    version: int
    path: Path


def find_hierarchy(root: Path) -> Hierarchy | None:
    """Return where the cpuset controller is mounted, None if it is nowhere."""
    for line in _lines(root / "proc/self/mounts"):
        fields = line.split(" ")
        if len(fields) < 4:
            continue
        # Blanks in a path are written as \040.
        point = _ESCAPE.sub(lambda match: chr(int(match[1], 8)), fields[1])
        path = root / point.lstrip("/")
        if fields[2] == "cgroup2" and CONTROLLER in read_value(path / "cgroup.controllers").split():
            return Hierarchy(2, path)
        if fields[2] == "cgroup" and CONTROLLER in fields[3].split(","):
            return Hierarchy(1, path)
    return None


def own_group(hierarchy: Hierarchy, root: Path) -> Path:
    """Return the group this process is in; the topmost where that cannot be said."""
    for line in _lines(root / "proc/self/cgroup"):
        number, controllers, group = [*line.split(":", 2), "", ""][:3]
        if (number == "0") if hierarchy.version == 2 else (CONTROLLER in controllers.split(",")):
            path = hierarchy.path / group.lstrip("/")
            # Seen from within a container, it may lie outside: "/../other".
            if ".." not in path.parts and path.is_dir():
                return path
    return hierarchy.path


@contextmanager
def hold_hierarchy(hierarchy: Path) -> Iterator[None]:
    """Keep every other lab on this host from changing its groups; raises TimeoutError after some seconds."""
    fd = os.open(hierarchy, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for _ in range(_TRIES):
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(_PAUSE_S)
        else:
            raise TimeoutError(f"another process holds {hierarchy}")
        yield
    finally:
        os.close(fd)


def keep_held(group: Path) -> None:
    """Hold a group for as long as this process lives: the descriptor is never closed."""
    fd = os.open(group, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)


def may_change(group: Path) -> bool:
    """Whether this process may remove a group and move what is in it."""
    return os.access(group, os.W_OK) and os.access(group.parent, os.W_OK)


def is_held(group: Path) -> bool:
    """Whether a living process holds a group; not one that is gone."""
    try:
        fd = os.open(group, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def read_value(path: Path) -> str:
    """Return what a file of a group says, "" if there is no such file."""
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def write_value(path: Path, value: str) -> None:
    """Write a value by one write, as the kernel wants it; the OSError raised names the file and the value."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode("ascii"))
    except OSError as exc:
        raise type(exc)(exc.errno, f"{exc.strerror} for {value!r}", str(path)) from exc
    finally:
        os.close(fd)


def make_group(path: Path) -> None:
    """Make a group; the kernel fills it with its files."""
    path.mkdir()


def remove_group(path: Path) -> None:
    """Remove a group without members and groups below it; its files go with it."""
    path.rmdir()


def members(group: Path) -> list[int]:
    """Return the processes in a group and in those below it, none if there is no such group."""
    return [pid for path in reversed(_tree(group)) for pid in members_alone(path)]


def members_alone(group: Path) -> list[int]:
    """Return the processes in a group, without those in groups below it."""
    return [int(word) for word in read_value(group / PROCS).split()]


def clear_group(group: Path, *homes: Path) -> str | None:
    """Move what is in a group and below it to the first of `homes` that takes it, and remove the group.

    Returns what stood against it after many tries, None once the group is gone.
    """
    problem = None
    for attempt in range(_TRIES):
        if not group.is_dir():
            return None
        if attempt:
            time.sleep(_PAUSE_S)  # a process may just be ending, or starting another
        for pid in members(group):
            move(pid, *homes)
        try:
            for path in reversed(_tree(group)):
                remove_group(path)
        except FileNotFoundError:
            pass
        except OSError as exc:
            problem = f"{exc.filename}: {exc.strerror}"
    return problem or f"{group} is still there"


def move(pid: int, *groups: Path) -> bool:
    """Move a process, with all its threads, into the first of the groups that takes it; whether one did.

    A process that has ended needs no moving.
    """
    for group in groups:
        try:
            write_value(group / PROCS, str(pid))
            return True
        except ProcessLookupError:
            return True
        except OSError:
            continue
    return False


def _tree(group: Path) -> list[Path]:
    """Return a group and those below it, from the top."""
    found = [group]
    for path in found:
        with suppress(OSError):
            found += sorted(entry for entry in path.iterdir() if entry.is_dir())
    return found


def _lines(path: Path) -> list[str]:
    return read_value(path).splitlines()
