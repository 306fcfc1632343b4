"""Threads that are kept to some CPUs: noting them, and pinning them again.

Before Linux 6.2, a thread that comes into another cpuset, or whose cpuset changes, forgets the CPUs it was told to
keep to (https://git.kernel.org/torvalds/c/8f9ea86fdf99); whoever changes cpusets has to remember for it.
"""

import os
from contextlib import suppress
from pathlib import Path

import msgspec

_PF_KTHREAD = 0x00200000


class Pinned(msgspec.Struct, frozen=True):
    """A thread and its CPUs; `start` (clock ticks since the boot) tells it from a later one with its number."""

    thread: int
    start: int
    cpus: tuple[int, ...]


def pinned_threads(online: tuple[int, ...]) -> tuple[Pinned, ...]:
    """Return the threads of this host that may not run on all of the `online` CPUs."""
    found = []
    for path in Path("/proc").glob("[0-9]*/task/[0-9]*"):
        thread = int(path.name)
        with suppress(OSError):  # it has ended meanwhile
            cpus = tuple(sorted(os.sched_getaffinity(thread)))
            if cpus != online:
                found.append(Pinned(thread, _stat(thread)[1], cpus))
    return tuple(found)


def pin_again(threads: tuple[Pinned, ...], online: tuple[int, ...]) -> None:
    """Keep threads to their CPUs again that may now run on all; those that chose others meanwhile are left."""
    for pinned in threads:
        with suppress(OSError):  # it has ended, or the kernel binds it itself
            if os.sched_getaffinity(pinned.thread) == set(online) and _stat(pinned.thread)[1] == pinned.start:
                os.sched_setaffinity(pinned.thread, pinned.cpus)


def is_kernel_thread(pid: int) -> bool:
    """Whether a process is a thread of the kernel."""
    try:
        return bool(_stat(pid)[0] & _PF_KTHREAD)
    except OSError:
        return False


def _stat(thread: int) -> tuple[int, int]:
    """Return the flags and the start of a thread, see proc_pid_stat(5)."""
    # The name, in parentheses, may itself contain blanks and parentheses.
    fields = Path(f"/proc/{thread}/stat").read_bytes().rpartition(b")")[2].split()
    return int(fields[6]), int(fields[19])
