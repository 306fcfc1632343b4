"""Watching the measuring CPUs while benchmarks run, from a thread of a process on the housekeeping CPUs.

A sample reads /proc/stat, the stat file of each process, the frequency of each measuring CPU, and what the
kernel has said; with 300 processes that takes some 2 ms, 0.2 % of a housekeeping CPU at a sample a second. The
temperature is read at each tenth sample and at the end only: drivers ask the CPU itself, by an interrupt. The
counters of throttles are read at both ends.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from benchyard.tasks.host.conditions import Conditions, Culprit
from benchyard.tasks.host.cputime import Use, use_between
from benchyard.tasks.host.kernellog import KernelLog
from benchyard.tasks.host.processtimes import Snapshot, take
from benchyard.tasks.host.readings import ROOT, cpu_sensors, frequency_mhz, temperatures, throttle_counts

_TEMPERATURE_EVERY = 10
# A CPU that was less busy than this since the last sample has no frequency of interest: it was idle, maybe asleep.
_BUSY_SHARE = 0.9
# Samples that are kept: more than five hours at one a second, and a benchmark takes minutes.
_MOST_SAMPLES = 20_000
_MOST_MESSAGES = 50


@dataclass(frozen=True)
class Moment:
    """A moment of a watch, for `Watch.since`."""

    use: Use
    sample: int
    message: int
    throttles: dict[tuple[int, str], int] | None


@dataclass
class _Reading:
    sample: int
    mhz: tuple[float, ...] = ()
    celsius: float | None = None


class Watch:
    """A sampler of the measuring CPUs; `own` names processes of the run, all that descend from them are the run's.

    Name the supervisor of the run: what is orphaned below it comes back to it, and takes its time along. `start` takes
    a sample each `every_s` seconds in a thread; without, call `sample` at will. `mark` and `since` take one of their
    own, so that what lies between them is known to the tick. One watch may be used from several threads.
    """

    def __init__(
        self,
        measuring: Collection[int],
        *,
        own: Callable[[], Collection[int]],
        root: Path = ROOT,
        every_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._measuring = tuple(sorted(set(measuring)))
        self._own = own
        self._root = root
        self._every_s = every_s
        self._clock = clock
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._log: KernelLog | None = None
        self._last: Snapshot | None = None
        self._use = Use()
        self._samples = 0
        self._message_count = 0
        self._readings: deque[_Reading] = deque(maxlen=_MOST_SAMPLES)
        self._messages: deque[tuple[int, int, str]] = deque(maxlen=_MOST_MESSAGES)

    def start(self) -> None:
        """Take the first sample, and go on in a thread until `stop`."""
        self.sample()
        self._thread = threading.Thread(target=self._go_on, name="benchyard-watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and close what is open; `since` still answers, without new messages of the kernel."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        with self._lock:
            if self._log is not None:
                self._log.close()
                self._log = None

    def sample(self) -> None:
        """Read everything once."""
        with self._lock:
            self._sample()

    def mark(self) -> Moment:
        """Return this moment."""
        with self._lock:
            self._sample()
            return Moment(self._use.copy(), self._samples, self._message_count, throttle_counts(self._root))

    def since(self, moment: Moment) -> Conditions:
        """Return the conditions between a moment and now."""
        with self._lock:
            self._sample(warmth=True)
            use = self._use.minus(moment.use)
            readings = [reading for reading in self._readings if reading.sample >= moment.sample]
            messages = [(level, text) for number, level, text in self._messages if number > moment.message]
            mhz = [value for reading in readings for value in reading.mhz]
            return Conditions(
                seconds=use.seconds,
                cpus=len(self._measuring),
                busy_s=use.busy,
                own_cpu_s=use.own_high,
                foreign_cpu_s=use.foreign,
                irq_s=use.irq,
                steal_s=use.steal,
                culprits=tuple(Culprit(process.name, process.pid, used) for process, used in use.culprits()),
                throttles=self._throttles_since(moment),
                mhz_min=min(mhz, default=None),
                mhz_mean=sum(mhz) / len(mhz) if mhz else None,
                mhz_max=max(mhz, default=None),
                temperature_max_c=max((r.celsius for r in readings if r.celsius is not None), default=None),
                involuntary_switches=use.switches,
                kernel_messages=tuple(messages),
                kernel_messages_left_out=self._message_count - moment.message - len(messages),
            )

    def _go_on(self) -> None:
        while not self._ended.wait(self._every_s):
            self.sample()

    def _sample(self, *, warmth: bool = False) -> None:
        snapshot = take(self._own(), root=self._root, clock=self._clock)
        reading = _Reading(self._samples)
        if self._last is None:
            self._log = KernelLog.open(self._root)
        else:
            self._use.add(use_between(self._last, snapshot, self._measuring))
            reading.mhz = self._frequencies(self._last, snapshot)
        if warmth or self._samples % _TEMPERATURE_EVERY == 0:
            sensors = cpu_sensors(temperatures(self._root))
            reading.celsius = max((sensor.celsius for sensor in sensors), default=None)
        self._last = snapshot
        self._readings.append(reading)
        self._samples += 1
        for message in self._log.read() if self._log is not None else ():
            self._message_count += 1
            self._messages.append((self._message_count, message.level, message.text))

    def _frequencies(self, before: Snapshot, after: Snapshot) -> tuple[float, ...]:
        found = []
        for cpu in self._measuring:
            if cpu in before.cpus and cpu in after.cpus:
                busy = after.cpus[cpu].busy - before.cpus[cpu].busy
                mhz = frequency_mhz(cpu, self._root)
                if mhz is not None and busy >= _BUSY_SHARE * (after.at - before.at) > 0.0:
                    found.append(mhz)
        return tuple(found)

    def _throttles_since(self, moment: Moment) -> int | None:
        """Add up what the measuring CPUs count; a package's counter stands at each of its CPUs and counts once."""
        before, after = moment.throttles, throttle_counts(self._root)
        if before is None or after is None:
            return None
        risen: dict[str, list[int]] = {}
        for (cpu, counter), count in after.items():
            if cpu in self._measuring:
                risen.setdefault(counter, []).append(max(0, count - before.get((cpu, counter), count)))
        return sum(max(counts) if "package" in counter else sum(counts) for counter, counts in risen.items())
