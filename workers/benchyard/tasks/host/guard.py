"""Is this host fit to measure right now? One look at everything that would spoil a run, and waiting until it is gone.

What a finding means, and what becomes of it:

| severity | the values would be          | policy `strict`           | policy `warn`              | policy `off` |
|----------|------------------------------|---------------------------|----------------------------|--------------|
| refuse   | wrong, now                   | waits, then refuses       | waits, then measures       | is not       |
| warn     | in doubt, or not comparable  | measures; in the report   | measures; in the report    | looked for   |
|          | for long                     |                           |                            |              |
| note     | as good as can be known      | measures; in the report   | measures; in the report    |              |

A finding that stays in the report lowers the grade of the result, notes excepted. `strict` does not refuse for a
"warn": those do not go away by waiting (a slow clock source, a pending restart), or need not disturb (somebody who
is logged in, often to look how the run goes); a lab that stands still for them helps nobody, and the result says it.
"""

import math
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from benchyard.tasks.host.baseline import Baseline, read_baseline, write_baseline
from benchyard.tasks.host.cputime import use_between
from benchyard.tasks.host.processtimes import Snapshot, take
from benchyard.tasks.host.readings import (
    ROOT,
    Sensor,
    clock_source,
    cpu_sensors,
    free_disk,
    free_memory,
    logins,
    pending_reboot,
    sibling_cpus,
    temperatures,
    throttle_counts,
)

Severity = Literal["refuse", "warn", "note"]
Policy = Literal["strict", "warn", "off"]
POLICIES: tuple[Policy, ...] = ("strict", "warn", "off")

# Clock sources that a program reads by a system call or a slow device: microseconds, where the others take some 20 ns.
SLOW_CLOCKS = {"acpi_pm", "hpet", "jiffies", "refined-jiffies", "pit"}
# Below this share of all CPUs (%) the host counts as idle: its temperature may become the baseline.
_IDLE_PERCENT = 5.0


class Finding(msgspec.Struct, frozen=True):
    """What one check has found, in one line of plain words."""

    check: str
    severity: Severity
    message: str


class GuardReport(msgspec.Struct, frozen=True):
    """Whether the host may measure, how long was waited for it (s), and what the last look found."""

    passed: bool
    waited_s: float
    findings: tuple[Finding, ...] = ()


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


def look(
    measuring: Collection[int],
    *,
    root: Path = ROOT,
    state_dir: Path | None = None,
    window_s: float = 1.0,
    own_pids: Collection[int] = (),
    limits: GuardLimits | None = None,
    more: Sequence[Callable[[], list[Finding]]] = (),
    sleep: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    now: Callable[[], float] = time.time,
) -> list[Finding]:
    """Look at the host once, for `window_s` seconds, and return what was found, in the order of CHECKS.

    `own_pids` and their descendants are not foreign. `state_dir` keeps the baseline of temperatures and is the disk
    that needs room; without it neither is looked at. `more` are checks of others, like those of the host's knobs.
    """
    throttled = throttle_counts(root)
    before = take(own_pids, root=root, clock=clock)
    sleep(window_s)
    after = take(own_pids, root=root, clock=clock)
    seen = Seen(
        measuring=tuple(sorted(set(measuring))),
        root=root,
        state_dir=state_dir,
        limits=limits or GuardLimits(),
        before=before,
        after=after,
        throttles=(throttled, throttle_counts(root)),
        sensors=cpu_sensors(temperatures(root)),
        baseline=read_baseline(state_dir) if state_dir else Baseline(),
    )
    findings = [finding for check in CHECKS.values() for finding in check(seen)]
    findings += [finding for check in more for finding in check()]
    return [*findings, *_keep_baseline(seen, now())]


def wait_until_fit(
    look: Callable[[], list[Finding]],
    *,
    policy: Policy,
    wait_s: float,
    pause: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    every_s: float = 5.0,
    say: Callable[[str], None] = lambda line: None,
) -> GuardReport:
    """Look until nothing is left that refuses, or `wait_s` seconds are over; what it means stands above.

    It looks at least once, and once more at the end of the time. `pause` may raise to end the wait; `say` gets a line
    whenever the reason changes.
    """
    if policy == "off":
        return GuardReport(passed=True, waited_s=0.0)
    began = clock()
    told: list[str] = []
    while True:
        findings = tuple(look())
        waited = clock() - began
        reasons = [finding for finding in findings if finding.severity == "refuse"]
        if not reasons or waited >= wait_s:
            return GuardReport(passed=not reasons or policy == "warn", waited_s=waited, findings=findings)
        if told != (told := [finding.check for finding in reasons]):
            say(f"benchyard: waiting for the host: {'; '.join(finding.message for finding in reasons)}")
        pause(min(every_s, wait_s - waited))


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
}


def _keep_baseline(seen: Seen, now: float) -> Iterator[Finding]:
    """Learn from this look, if the whole host was idle during it."""
    use = use_between(seen.before, seen.after, list(seen.after.cpus))
    capacity = use.seconds * len(seen.after.cpus)
    idle = capacity > 0.0 and 100 * (use.busy + use.irq + use.steal) / capacity < _IDLE_PERCENT
    if seen.state_dir is None or not seen.sensors or not idle or not math.isfinite(now):
        return
    baseline = seen.baseline.seen(seen.sensors, now)
    if baseline == seen.baseline:
        return
    try:
        write_baseline(seen.state_dir, baseline)
    except OSError as exc:
        yield Finding("temperature", "note", f"the idle temperature cannot be kept in {seen.state_dir}: {exc.strerror}")
