"""Lists of CPUs as Linux and pyperf write them ("0-2,5"), and those a host has."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from benchyard.tasks.errors import CpuListError

# Linux itself can be built for at most 8192 CPUs; beyond that a number is a typing error.
MAX_CPUS = 8192

_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", re.ASCII)


def parse_cpu_list(text: str) -> tuple[int, ...]:
    """Return the CPU numbers of a list such as "0-2,5", ascending and each once.

    Raises CpuListError for anything malformed, an empty list, a range that runs backwards or a number no
    Linux has.
    """
    cpus: set[int] = set()
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        if match is None:
            raise CpuListError(f"bad CPU list {text!r}: {part.strip()!r} is not a CPU number or a range like 2-5")
        first = int(match[1])
        last = int(match[2]) if match[2] else first
        if last < first:
            raise CpuListError(f"bad CPU list {text!r}: the range {part.strip()!r} runs backwards")
        if last >= MAX_CPUS:
            raise CpuListError(f"bad CPU list {text!r}: {last} is above the highest CPU number, {MAX_CPUS - 1}")
        cpus.update(range(first, last + 1))
    return tuple(sorted(cpus))


def format_cpu_list(cpus: Iterable[int]) -> str:
    """Return CPU numbers as a list such as "0-2,5"; the opposite of `parse_cpu_list`."""
    ranges: list[list[int]] = []
    for cpu in sorted(set(cpus)):
        if ranges and cpu == ranges[-1][1] + 1:
            ranges[-1][1] = cpu
        else:
            ranges.append([cpu, cpu])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def available_cpus() -> tuple[int, ...]:
    """Return the CPUs this process may run on, ascending."""
    return tuple(sorted(os.sched_getaffinity(0)))


def online_cpus(path: Path = Path("/sys/devices/system/cpu/online")) -> tuple[int, ...]:
    """Return the CPUs of this host that are switched on, also those this process is kept away from."""
    try:
        return parse_cpu_list(path.read_text("ascii").strip())
    except (OSError, CpuListError):  # a container without /sys
        return available_cpus()


def check_cpus(cpus: Iterable[int], online: tuple[int, ...] | None = None) -> tuple[int, ...]:
    """Return CPUs ascending; raises CpuListError if there is none, or if this host (the CPUs `online`) lacks one.

    The kernel silently drops CPUs it does not have from an affinity, and the run would then measure
    elsewhere.
    """
    wanted = tuple(sorted(set(cpus)))
    if not wanted:
        raise CpuListError("the CPU list is empty; name at least one CPU")
    online = online_cpus() if online is None else online
    missing = [cpu for cpu in wanted if cpu not in online]
    if missing:
        raise CpuListError(f"no CPU {format_cpu_list(missing)} on this host; it has {format_cpu_list(online)}")
    return wanted
