"""The conditions that a benchmark was measured under, and which of them have disturbed it."""

import re
from dataclasses import dataclass

import msgspec

# What the kernel says when it slows down, kills or repairs something, whatever the level it says it at.
_TROUBLE = re.compile(
    r"throttl|temperature above threshold|hardware error|machine check|out of memory|oom-kill|i/o error|soft lockup"
    r"|hard lockup|rcu.*stall|blocked for more than|clocksource.*unstable|perf: interrupt took too long",
    re.IGNORECASE,
)
_ERROR_LEVEL = 3


class Culprit(msgspec.Struct, frozen=True):
    """A process of others that used the measuring CPUs, with its seconds on them."""

    name: str
    pid: int
    cpu_s: float


class Conditions(msgspec.Struct, frozen=True):
    """What went on while something was measured; on the measuring CPUs, where nothing else is said.

    seconds             that passed
    cpus                how many CPUs measure
    busy_s, own_cpu_s   CPU time of all, and of the run itself (at most: see `cputime`)
    foreign_cpu_s       CPU time of others, `culprits` those who used most of it
    irq_s, steal_s      time in interrupts, and time the hypervisor gave to others
    throttles           how often the CPUs were slowed down for their heat; None where nobody counts
    mhz_*               the frequency at the samples at which a CPU was busy
    temperature_max_c   the hottest CPU sensor
    involuntary_switches  how often processes of the run had to make way (those that lived through a sample)
    kernel_messages     new ones, (level, text), at most some dozens; `kernel_messages_left_out` counts the others
    """

    seconds: float
    cpus: int
    busy_s: float
    own_cpu_s: float
    foreign_cpu_s: float
    irq_s: float
    steal_s: float
    culprits: tuple[Culprit, ...] = ()
    throttles: int | None = None
    mhz_min: float | None = None
    mhz_mean: float | None = None
    mhz_max: float | None = None
    temperature_max_c: float | None = None
    involuntary_switches: int = 0
    kernel_messages: tuple[tuple[int, str], ...] = ()
    kernel_messages_left_out: int = 0


@dataclass(frozen=True)
class ConditionLimits:
    """From where on conditions have disturbed a measurement.

    Shares are percent of the time of the measuring CPUs. 1 % of others' time is what a careful comparison wants to
    see; below `least_s` it cannot be told from the rounding of the kernel's clock ticks. A quiet CPU spends 0.1 % in
    interrupts, that of a busy network card more than 2 %. A frequency that falls by 5 % moves values by about that.
    """

    foreign_percent: float = 1.0
    steal_percent: float = 0.5
    irq_percent: float = 2.0
    least_s: float = 0.1
    frequency_drop_percent: float = 5.0
    throttles: int = 0


def disturbances(conditions: Conditions, limits: ConditionLimits | None = None) -> tuple[str, ...]:
    """Return what has disturbed a measurement, a line each; empty if nothing has."""
    limits = limits or ConditionLimits()
    found = []
    shares = (
        (conditions.foreign_cpu_s, limits.foreign_percent, f"other processes{_named(conditions)}"),
        (conditions.steal_s, limits.steal_percent, "other virtual machines"),
        (conditions.irq_s, limits.irq_percent, "interrupts"),
    )
    time_s = conditions.seconds * conditions.cpus
    for used, percent, who in shares:
        if used > limits.least_s and 100 * used > percent * time_s:
            found.append(f"{who} used {used:.2f} s of the measuring CPUs, {100 * used / time_s:.1f} %")
    if conditions.throttles is not None and conditions.throttles > limits.throttles:
        found.append(f"the measuring CPUs were throttled {conditions.throttles} times")
    low, high = conditions.mhz_min, conditions.mhz_max
    if low is not None and high is not None and 100 * (high - low) > limits.frequency_drop_percent * high:
        found.append(f"the frequency changed between {low:.0f} and {high:.0f} MHz")
    trouble = [text for level, text in conditions.kernel_messages if level <= _ERROR_LEVEL or _TROUBLE.search(text)]
    if trouble:
        more = f" (and {len(trouble) - 1} more)" if len(trouble) > 1 else ""
        found.append(f"the kernel said: {trouble[0]}{more}")
    return tuple(found)


def _named(conditions: Conditions) -> str:
    names = [f"{culprit.name} (pid {culprit.pid}) {culprit.cpu_s:.2f} s" for culprit in conditions.culprits[:3]]
    return f": {', '.join(names)};" if names else ""
