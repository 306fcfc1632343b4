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
from pathlib import Path
from typing import Literal

import msgspec

from benchyard.tasks.host.baseline import Baseline, read_baseline, write_baseline
from benchyard.tasks.host.checks import CHECKS, Finding, GuardLimits, Seen
from benchyard.tasks.host.cputime import use_between
from benchyard.tasks.host.processtimes import take
from benchyard.tasks.host.readings import ROOT, cpu_sensors, temperatures, throttle_counts

Policy = Literal["strict", "warn", "off"]
POLICIES: tuple[Policy, ...] = ("strict", "warn", "off")

# Below this share of all CPUs (%) the host counts as idle: its temperature may become the baseline.
_IDLE_PERCENT = 5.0


class GuardReport(msgspec.Struct, frozen=True):
    """Whether the host may measure, how long was waited for it (s), and what the last look found."""

    passed: bool
    waited_s: float
    findings: tuple[Finding, ...] = ()


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
