"""Whose CPU time it was: the time on some CPUs between two snapshots, parted into the run's own and others'.

The kernel counts each CPU's busy time, and each process's time on whichever CPU, but not the time of a
process on a CPU. So others' time on a set of CPUs is bounded from both sides, and what was seen of others
chooses between the bounds:

    B    = Σ user + nice + system of the CPUs                     (irq, softirq and steal are counted apart)
    high = Σ own time that may have been on these CPUs
    low  = Σ own time that must have been on these CPUs
    seen = Σ time of others' processes whose main thread ran last on one of these CPUs
    foreign = seen, held within max(0, B - high) ... max(0, B - low)

Own time comes from the processes of the run that live (self) and from those they have waited for (children),
so that a process which is born and dies between two snapshots counts as own by its parent's `children`:

    high = Σ Δself of own processes that may run on one of these CPUs
         + max(0, Σ Δchildren of all own processes - Σ (self + children) at the first snapshot of those gone since)
    low  = Σ Δself of own processes that at both snapshots could run on these CPUs only

(A child's time moves into `children` of its parent when that waits for it; what the first snapshot knew of it
has been counted then.) Where the run is confined to these CPUs, high = low = own, and foreign = B - own.
An own process that may run elsewhere widens the bounds by what it used, not more.

What this cannot know: own children whose parent ignores SIGCHLD (the kernel forgets their time, they are
taken for foreign), and short-lived foreign processes that used less than own processes did on other CPUs.
A kernel without CONFIG_IRQ_TIME_ACCOUNTING counts time in interrupts for the process that was interrupted, too:
then `foreign` may be too small by `irq`, never too large, and a large `irq` is a disturbance of its own.
`Use` values of consecutive pairs of snapshots are added before the bounds are applied: the clock tick of
/proc/stat (10 ms; the kernel itself samples at 1 to 10 ms) is rounded once, not once per sample.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from benchyard.tasks.host.processtimes import Bound, ProcessTimes, Snapshot

# Others that are gone keep their entry until there are so many.
_MOST_OTHERS = 256


class Process(NamedTuple):
    """A process for ever: the kernel uses a pid again, but not with the same start."""

    pid: int
    start: int
    name: str


@dataclass
class Use:
    """The use of a set of CPUs over some time; all in seconds of CPU time, but `seconds`, which passed."""

    seconds: float = 0.0
    busy: float = 0.0
    irq: float = 0.0
    steal: float = 0.0
    own_high: float = 0.0
    own_low: float = 0.0
    switches: int = 0
    others: dict[Process, float] = field(default_factory=dict)

    @property
    def foreign(self) -> float:
        """Others' CPU time (see the module)."""
        seen = sum(self.others.values())
        return min(max(seen, self.busy - self.own_high, 0.0), max(0.0, self.busy - self.own_low))

    def culprits(self, most: int = 5) -> list[tuple[Process, float]]:
        """Return the others that used most, none of whom used less than a clock tick."""
        ordered = sorted(self.others.items(), key=lambda item: -item[1])
        return [(process, used) for process, used in ordered[:most] if used >= 0.01]

    def add(self, more: "Use") -> None:
        """Add the use of the time that followed."""
        for name in ("seconds", "busy", "irq", "steal", "own_high", "own_low", "switches"):
            setattr(self, name, getattr(self, name) + getattr(more, name))
        for process, used in more.others.items():
            self.others[process] = self.others.get(process, 0.0) + used
        if len(self.others) > _MOST_OTHERS:
            least = sorted(self.others, key=self.others.__getitem__)
            for process in least[: len(self.others) - _MOST_OTHERS]:
                del self.others[process]

    def copy(self) -> "Use":
        """Return the same values, which no later `add` changes."""
        use = Use()
        use.add(self)
        return use

    def minus(self, earlier: "Use") -> "Use":
        """Return what was used since an earlier copy."""
        others = {process: used - earlier.others.get(process, 0.0) for process, used in self.others.items()}
        return Use(
            seconds=self.seconds - earlier.seconds,
            busy=self.busy - earlier.busy,
            irq=self.irq - earlier.irq,
            steal=self.steal - earlier.steal,
            own_high=self.own_high - earlier.own_high,
            own_low=self.own_low - earlier.own_low,
            switches=self.switches - earlier.switches,
            others={process: used for process, used in others.items() if used > 1e-6},
        )


def use_between(before: Snapshot, after: Snapshot, cpus: Collection[int]) -> Use:
    """Return how these CPUs were used between two snapshots."""
    use = Use(seconds=after.at - before.at)
    for cpu in cpus:
        if cpu in before.cpus and cpu in after.cpus:
            was, now = before.cpus[cpu], after.cpus[cpu]
            # A CPU that was off and on again counts from 0.
            use.busy += max(0.0, now.busy - was.busy)
            use.irq += max(0.0, now.irq - was.irq)
            use.steal += max(0.0, now.steal - was.steal)
    _add_own(use, before, after, frozenset(cpus))
    _add_others(use, before, after, frozenset(cpus))
    return use


def _add_own(use: Use, before: Snapshot, after: Snapshot, cpus: frozenset[int]) -> None:
    children = 0.0
    for pid, bound in after.own.items():
        now = after.processes[pid]
        was = _same(now, before.processes)
        used = now.self_s - (was.self_s if was else 0.0)
        children += now.children_s - (was.children_s if was else 0.0)
        if bound.cpus is None or bound.cpus & cpus:
            use.own_high += used
        earlier = before.own.get(pid) if was else None
        if earlier is not None and _within(bound, cpus) and _within(earlier, cpus):
            use.own_low += used
        if earlier is not None and bound.switches is not None and earlier.switches is not None:
            use.switches += bound.switches - earlier.switches
    known = 0.0
    for pid in before.own:
        was = before.processes[pid]
        if _same(was, after.processes) is None:
            known += was.self_s + was.children_s
    use.own_high += max(0.0, children - known)


def _add_others(use: Use, before: Snapshot, after: Snapshot, cpus: frozenset[int]) -> None:
    for process, used in _active(before, after):
        if process.cpu in cpus:
            use.others[Process(process.pid, process.start, process.name)] = used
    # Threads of one process run on several CPUs, and the children that a process had meanwhile are gone. Where that
    # which was seen does not explain the time, they are the likeliest to have used it.
    rest = use.busy - use.own_high - sum(use.others.values())
    for process, used in sorted(_hidden(before, after, cpus), key=lambda item: -item[1]):
        if rest <= 0.0:
            break
        named = Process(process.pid, process.start, process.name)
        use.others[named] = use.others.get(named, 0.0) + min(used, rest)
        rest -= used


def _active(before: Snapshot, after: Snapshot) -> Iterator[tuple[ProcessTimes, float]]:
    """Yield others' processes that used a CPU, with how much."""
    for pid, now in after.processes.items():
        if pid in after.own or pid in before.own:
            continue
        was = _same(now, before.processes)
        used = now.self_s - (was.self_s if was else 0.0)
        if used > 0.0:
            yield now, used


def _hidden(before: Snapshot, after: Snapshot, cpus: frozenset[int]) -> Iterator[tuple[ProcessTimes, float]]:
    for process, used in _active(before, after):
        if process.threads > 1 and process.cpu not in cpus:
            yield process, used
    for pid, now in after.processes.items():
        was = _same(now, before.processes)
        if was is not None and pid not in after.own and now.children_s > was.children_s:
            yield now, now.children_s - was.children_s


def _same(process: ProcessTimes, others: Mapping[int, ProcessTimes]) -> ProcessTimes | None:
    other = others.get(process.pid)
    return other if other is not None and other.start == process.start else None


def _within(bound: Bound, cpus: frozenset[int]) -> bool:
    return bound.cpus is not None and bound.cpus <= cpus
