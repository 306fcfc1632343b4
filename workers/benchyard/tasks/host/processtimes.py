"""The CPU time of every process, and a snapshot of it beside that of the CPUs.

A snapshot costs about 5 µs per process, so that all processes can be read once a second: then those that used
a CPU can be named by the difference of two snapshots, also when nobody suspected them before.
"""

import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from benchyard.tasks.cpus import parse_cpu_list
from benchyard.tasks.errors import CpuListError
from benchyard.tasks.host.readings import CpuTimes, cpu_times

# A process that ends while all are read leaves a snapshot in which its time may be missing; more often than this in a
# row happens on a host that builds, and there nothing is exact.
_TRIES = 3
_SWITCHES = re.compile(r"^nonvoluntary_ctxt_switches:\s*([0-9]{1,19})$", re.MULTILINE)
_ALLOWED = re.compile(r"^Cpus_allowed_list:\s*(\S+)$", re.MULTILINE)


class ProcessTimes(NamedTuple):
    """A process, dead ones that nobody waited for included (see proc(5)).

    `self_s` is the CPU time of all its threads in seconds, `children_s` that of the children it has waited for with
    theirs. `start` is in ticks since the host's start: with the pid it names a process for ever. `cpu` is where its
    main thread ran last.
    """

    pid: int
    parent: int
    name: str
    self_s: float
    children_s: float
    start: int
    cpu: int
    threads: int


class Bound(NamedTuple):
    """Where a process may run (None = not known), and how often its main thread was put aside for another."""

    cpus: frozenset[int] | None
    switches: int | None


@dataclass(frozen=True)
class Snapshot:
    """CPUs and processes at one moment; `at` is in the seconds of the clock that was given to `take`.

    `own` are the processes that belong to the run, with where they may run.
    """

    at: float
    cpus: Mapping[int, CpuTimes]
    processes: Mapping[int, ProcessTimes]
    own: Mapping[int, Bound]


def take(own: Collection[int], *, root: Path, clock: Callable[[], float]) -> Snapshot:
    """Read everything once; the processes `own` and all that descend from them are the run's."""
    processes = read_processes(root)
    family = with_descendants(own, processes)
    return Snapshot(clock(), cpu_times(root) or {}, processes, {pid: _bound(pid, root) for pid in family})


def read_processes(root: Path) -> dict[int, ProcessTimes]:
    """Return all processes by pid.

    Parents are read before their children (in order of pid), and all of it again if one ended meanwhile: so a child
    is seen alive, or its time is seen in its parent, and neither twice nor never.
    """
    folder = f"{root}/proc"
    second = os.sysconf("SC_CLK_TCK")
    found: dict[int, ProcessTimes] = {}
    for _ in range(_TRIES):
        found, vanished = {}, False
        for pid in _pids(folder):
            try:
                data = _read(f"{folder}/{pid}/stat")
            except OSError as exc:
                vanished = vanished or isinstance(exc, FileNotFoundError | ProcessLookupError)
                continue
            process = parse_stat(data, second)
            if process is not None:
                found[pid] = process
        if not vanished:
            break
    return found


@lru_cache(maxsize=4096)  # most processes sleep, and the line of one that sleeps stays the same
def parse_stat(data: bytes, ticks_per_second: int) -> ProcessTimes | None:
    """Read the line of /proc/PID/stat; None if it is none."""
    opens, closes = data.find(b"("), data.rfind(b")")  # the name between them may hold blanks and parentheses
    fields = data[closes + 2 :].split(maxsplit=37)
    try:
        return ProcessTimes(
            pid=int(data[:opens]),
            parent=int(fields[1]),
            name=data[opens + 1 : closes].decode("utf-8", "replace"),
            self_s=(int(fields[11]) + int(fields[12])) / ticks_per_second,
            children_s=(int(fields[13]) + int(fields[14])) / ticks_per_second,
            threads=int(fields[17]),
            start=int(fields[19]),
            cpu=int(fields[36]),
        )
    except (ValueError, IndexError):
        return None


def with_descendants(pids: Collection[int], processes: Mapping[int, ProcessTimes]) -> list[int]:
    """Return those of the processes that live, with all below them, each once."""
    children: dict[int, list[int]] = {}
    for process in processes.values():
        children.setdefault(process.parent, []).append(process.pid)
    found: dict[int, None] = {}
    todo = [pid for pid in pids if pid in processes]
    while todo:
        pid = todo.pop()
        if pid not in found:
            found[pid] = None
            todo += children.get(pid, ())
    return list(found)


def _bound(pid: int, root: Path) -> Bound:
    try:
        text = _read(f"{root}/proc/{pid}/status").decode("ascii", "replace")
    except OSError:
        text = ""
    allowed, switches = _ALLOWED.search(text), _SWITCHES.search(text)
    try:
        cpus = frozenset(parse_cpu_list(allowed[1])) if allowed else None
    except CpuListError:
        cpus = None
    return Bound(cpus, int(switches[1]) if switches else None)


def _pids(folder: str) -> list[int]:
    try:
        with os.scandir(folder) as entries:  # a Path for each would double the cost of a snapshot
            return sorted(int(entry.name) for entry in entries if entry.name.isascii() and entry.name.isdigit())
    except OSError:
        return []


def _read(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(fd, 4096)
    finally:
        os.close(fd)
