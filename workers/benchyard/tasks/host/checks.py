"""What would spoil a run on this host: each check judges what one look has read, and says it in a line."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from benchyard.tasks.host.baseline import Baseline
from benchyard.tasks.host.cputime import use_between
from benchyard.tasks.host.processtimes import Snapshot
from benchyard.tasks.host.readings import (
    Sensor,
    clock_source,
    free_disk,
    free_memory,
    logins,
    pending_reboot,
    sibling_cpus,
    unfinished_playbooks,
)

Severity = Literal["refuse", "warn", "note"]

# Clock sources that a program reads by a system call or a slow device: microseconds, where the others take some 20 ns.
SLOW_CLOCKS = {"acpi_pm", "hpet", "jiffies", "refined-jiffies", "pit"}


class Finding(msgspec.Struct, frozen=True):
    """What one check has found, in one line of plain words."""

    check: str
    severity: Severity
    message: str


@dataclass(frozen=True)
class GuardLimits:
    """From where on a host is unfit.

    `foreign_percent`: others' share of one measuring CPU. An idle CPU shows 0 to 2 % within a second (its clock tick
    of 10 ms is 1 %), and less than 5 % is not a program that works: it is the kernel's own housekeeping, which the
    measurement has to bear, and which `watch` adds up over the whole run. `hotter_c`: a core's sensor jumps by some
    5 °C at a single wake-up, and a room is some °C warmer in the afternoon. Memory and disk (MiB): the suite's largest
    benchmarks with their environments.
    """

    foreign_percent: float = 5.0
    hotter_c: float = 10.0
    memory_mib: int = 1024
    disk_mib: int = 1024


@dataclass(frozen=True)
class Seen:
    """All that one look has read; the checks only judge it."""

    measuring: tuple[int, ...]
    root: Path
    state_dir: Path | None
    limits: GuardLimits
    before: Snapshot
    after: Snapshot
    throttles: tuple[dict[tuple[int, str], int] | None, dict[tuple[int, str], int] | None]
    sensors: tuple[Sensor, ...]
    baseline: Baseline


Check = Callable[[Seen], Iterator[Finding]]


def _foreign(seen: Seen) -> Iterator[Finding]:
    unread = [cpu for cpu in seen.measuring if not {cpu} <= seen.before.cpus.keys() & seen.after.cpus.keys()]
    if unread:
        yield Finding("foreign CPU time", "note", f"the busy time of CPU {unread[0]} cannot be read")
    for cpu in seen.measuring:
        yield from _busy_cpu(seen, cpu, "refuse", "")
    # The other half of a core: what runs there takes a share of the core's units and of its caches.
    siblings = {other: cpu for cpu in seen.measuring for other in sibling_cpus(cpu, seen.root)}
    for cpu in sorted(siblings.keys() - set(seen.measuring)):
        yield from _busy_cpu(seen, cpu, "warn", f", which shares a core with measuring CPU {siblings[cpu]}")


def _busy_cpu(seen: Seen, cpu: int, severity: Severity, what: str) -> Iterator[Finding]:
    use = use_between(seen.before, seen.after, [cpu])
    if use.seconds <= 0.0 or 100 * use.foreign / use.seconds <= seen.limits.foreign_percent:
        return
    culprits = [
        f"{process.name} (pid {process.pid}) used {_percent(used, use.seconds)}"
        for process, used in use.culprits(3)
        if used >= 0.1 * use.foreign
    ]
    if not culprits:
        culprits = [f"short-lived processes used {_percent(use.foreign, use.seconds)}"]
    yield Finding("foreign CPU time", severity, f"{', '.join(culprits)} of CPU {cpu}{what}")


def _percent(used: float, seconds: float) -> str:
    return f"{100 * used / seconds:.0f} %"


def _logins(seen: Seen) -> Iterator[Finding]:
    users = logins(seen.root)
    if users:
        named = ", ".join(f"{user.name} ({user.where})" for user in users[:5])
        more = f" and {len(users) - 5} more" if len(users) > 5 else ""
        yield Finding("logged-in users", "warn", f"logged in: {named}{more}")


def _temperature(seen: Seen) -> Iterator[Finding]:
    if not seen.sensors:
        yield Finding("temperature", "note", "no temperature can be read")
        return
    known = [(sensor, seen.baseline.lowest(sensor.name)) for sensor in seen.sensors]
    if all(lowest is None for _, lowest in known):
        yield Finding("temperature", "note", "no temperature of this host at idle is known yet")
    hot = [
        (sensor.celsius - lowest, sensor, lowest)
        for sensor, lowest in known
        if lowest is not None and sensor.celsius - lowest > seen.limits.hotter_c
    ]
    if hot:
        above, sensor, lowest = max(hot)
        message = f"{sensor.name} is at {sensor.celsius:.0f} °C, {above:.0f} °C above the {lowest:.0f} °C of idle"
        yield Finding("temperature", "refuse", message)


def _throttling(seen: Seen) -> Iterator[Finding]:
    before, after = seen.throttles
    if before is None or after is None:
        yield Finding("throttling", "note", "nothing counts here how often the CPUs are throttled")
        return
    # A package counts for all its CPUs: any of them says that ours are slower.
    risen = sorted(key for key, count in after.items() if count > before.get(key, count))
    if risen:
        cpu, counter = risen[0]
        message = f"CPU {cpu} is being throttled: its counter {counter} rises"
        yield Finding("throttling", "refuse", message)


def _memory(seen: Seen) -> Iterator[Finding]:
    free = free_memory(seen.root)
    if free is None:
        yield Finding("memory", "note", "the free memory cannot be read")
    elif free < seen.limits.memory_mib << 20:
        yield Finding("memory", "refuse", f"{free >> 20} MiB of memory are free, {seen.limits.memory_mib} are needed")


def _disk(seen: Seen) -> Iterator[Finding]:
    if seen.state_dir is None:
        return
    free = free_disk(seen.state_dir)
    if free is None:
        yield Finding("disk", "note", f"the free disk space of {seen.state_dir} cannot be read")
    elif free < seen.limits.disk_mib << 20:
        message = f"{free >> 20} MiB are free on the disk of {seen.state_dir}, {seen.limits.disk_mib} are needed"
        yield Finding("disk", "refuse", message)


def _clock(seen: Seen) -> Iterator[Finding]:
    source = clock_source(seen.root)
    if source is None:
        yield Finding("clock source", "note", "the clock source cannot be read")
    elif source in SLOW_CLOCKS:
        yield Finding("clock source", "warn", f"the clock source is {source}: reading the time takes microseconds")


def _reboot(seen: Seen) -> Iterator[Finding]:
    reason = pending_reboot(seen.root)
    if reason is not None:
        yield Finding("pending restart", "warn", f"the host waits for a restart: {reason}")


def _playbooks(seen: Seen) -> Iterator[Finding]:
    for playbook, who in unfinished_playbooks(seen.root):
        yield Finding("playbooks", "refuse", f"{playbook}.yml of {who} has not come to its end here; run it again")


#: All checks, in the order in which their findings are shown.
CHECKS: dict[str, Check] = {
    "foreign CPU time": _foreign,
    "logged-in users": _logins,
    "temperature": _temperature,
    "throttling": _throttling,
    "memory": _memory,
    "disk": _disk,
    "clock source": _clock,
    "pending restart": _reboot,
    "playbooks": _playbooks,
}
