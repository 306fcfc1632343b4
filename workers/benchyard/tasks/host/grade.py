"""How far a result can be trusted, by what is known of how it was measured.

A  tuned, isolated and quiet: nothing that is known speaks against it
B  in doubt: the host was not all that it could be, and nothing is known to have disturbed the values
C  disturbed, or not looked after: good for a first look

That is of times. Memory is graded by what it depends on, see `grade_memory`.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from benchyard.tasks.host.fingerprint import HostPrint
from benchyard.tasks.host.guard import GuardReport
from benchyard.tasks.host.knobreport import Status
from benchyard.tasks.host.readings import ROOT, read_text
from benchyard.tasks.host.setup import Setup

Letter = Literal["A", "B", "C"]


class Grade(msgspec.Struct, frozen=True):
    """A letter, and what keeps it from being better, the gravest first."""

    letter: Letter
    reasons: tuple[str, ...] = ()


def grade(
    setup: Setup | None,
    guard: GuardReport | None,
    host: HostPrint,
    *,
    disturbed: Sequence[str] = (),
    astray: int = 0,
    problem: str | None = None,
) -> Grade:
    """Grade a run by how its host was set up, what the guard found, and the benchmarks that were disturbed twice.

    `astray` counts worker processes that could not go to the measuring CPUs, `problem` says in which way the shield was
    down in the end.
    """
    grave = list(_grave(setup, guard, disturbed, astray, problem))
    slight = list(_slight(setup, guard, host))
    letter: Letter = "C" if grave else "B" if slight else "A"
    return Grade(letter, (*grave, *slight))


def grade_memory(root: Path = ROOT) -> Grade:
    """Grade a run that has measured memory: neither others nor clocks matter, but what a touched page is.

    Where the kernel gives huge pages to whoever touches a byte, a peak depends on how things happen to lie.
    """
    pages = read_text(root / "sys/kernel/mm/transparent_hugepage/enabled") or ""
    if "[always]" in pages:
        return Grade("B", ("transparent huge pages are always given: peaks are rounded up to these",))
    return Grade("A")


def _grave(
    setup: Setup | None, guard: GuardReport | None, disturbed: Sequence[str], astray: int, problem: str | None
) -> Iterable[str]:
    if setup is None:
        yield "the host was not set up for it: neither tuned nor pinned"
    elif setup.shield.kind == "none":
        yield f"not pinned: {setup.shield.detail}"
    if guard is None:
        yield "nobody looked whether the host was quiet"
    else:
        yield from (finding.message for finding in guard.findings if finding.severity == "refuse")
    if disturbed:
        yield f"disturbed, again when measured once more: {', '.join(disturbed)}"
    if astray:
        yield f"{astray} processes were not on the measuring CPUs"
    if problem is not None:
        yield f"the measuring CPUs were not kept free to the end: {problem}"


def _slight(setup: Setup | None, guard: GuardReport | None, host: HostPrint) -> Iterable[str]:
    if setup is not None:
        if setup.shield.kind == "affinity":
            yield f"pinned, but others may use the same CPUs: {setup.shield.detail}"
        elif setup.shield.kind != "none" and setup.shield.detail:
            yield f"isolation: {setup.shield.detail}"
        if setup.tuning is None:
            yield "the host's knobs were left as they were"
        else:
            bad = [knob for knob in setup.tuning.knobs if knob.status in (Status.FAILED, Status.NOT_PERMITTED)]
            yield from (f"{knob.knob}: {knob.status}{f' ({knob.detail})' if knob.detail else ''}" for knob in bad)
        yield from setup.problems
    if guard is not None:
        yield from (finding.message for finding in guard.findings if finding.severity == "warn")
    if host.virtual:
        yield "a virtual machine: what else its hardware does cannot be known"
