"""Comparing two results, or two interpreters of which there are several: benchmark by benchmark, and overall."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from benchyard.results.measured import Measured, MeasuredSuite, Summary, measure, summarize
from benchyard.results.overall import COMMON, Reliability, bands_of, hierarchical_test
from benchyard.results.reading import Suite
from benchyard.results.statistics import differ, geometric_mean
from benchyard.results.units import format_change
from benchyard.results.verdicts import (
    ASSUMED_DEGREES,
    LEAST_ASSUMED,
    Known,
    Noise,
    Tested,
    assumed_noise,
    judge,
    learned_noise,
    moderated,
    share_of,
    usual_noise,
)

NOT_SIGNIFICANT = "not significant"

#: What is to be thought of a change: head is better, worse, shows no difference, or cannot be told.
Verdict = Literal["better", "worse", "same", "unknown"]

_BELIEVED = ("better", "worse")


class Memory(msgspec.Struct, frozen=True):
    """The most memory that a process of a benchmark had, in bytes, in both results; `ratio` is base over head."""

    base: float
    head: float
    ratio: float


class Change(msgspec.Struct, frozen=True):
    """One benchmark of both results; `ratio` is base over head: above 1, head is faster (or smaller).

    `change` and `significant` are what pyperf says of these values. `verdict` is whether that is to be believed: after
    all benchmarks were looked at, and with what two runs of one interpreter differ by. `p` is then the rate of false
    ones among those that are at least as clear, and the true ratio lies between `low` and `high` with 95 %; None where
    neither result says how far its values vary.

    `noise` is how far two runs of one interpreter differ there anyway, relative, None where that is not known; a
    change `within_noise` is none to be believed: by so much they differ without one. `differences` are what else is
    different, and makes it count for nothing overall unless `counted`.
    """

    name: str
    base: Summary
    head: Summary
    ratio: float
    change: str
    significant: bool
    noise: float | None = None
    within_noise: bool = False
    verdict: Verdict = "unknown"
    p: float | None = None
    low: float | None = None
    high: float | None = None
    memory: Memory | None = None
    differences: tuple[str, ...] = ()
    counted: bool = True

    @property
    def is_believed(self) -> bool:
        """Whether the two differ: significantly, and by more than runs of one interpreter do."""
        return self.verdict in _BELIEVED


class GeometricMean(msgspec.Struct, frozen=True):
    """The overall ratio, over the `n` benchmarks that were compared `of` all that either result has."""

    ratio: float
    change: str
    n: int
    of: int


class Group(msgspec.Struct, frozen=True):
    """The geometric mean of the benchmarks with one tag."""

    tag: str
    ratio: float
    change: str
    n: int


class Counts(msgspec.Struct, frozen=True):
    """How many of the benchmarks that count have which verdict."""

    better: int = 0
    worse: int = 0
    same: int = 0
    unknown: int = 0


class Comparison(msgspec.Struct, frozen=True):
    """What two results say together; names are sorted.

    `missing` are in base only, `new` in head only, `incomparable` in both but measured in different units.
    `differences` are of the results as wholes: with any, nothing counts overall unless that was asked for. `marks` are
    what else is to be known. `assumed_noise` is by how much two runs of one interpreter are taken to differ in
    benchmarks whose noise is not known, relative. `memory` is the geometric mean of the memory, where both results
    tell it.
    """

    benchmarks: tuple[Change, ...]
    missing: tuple[str, ...]
    new: tuple[str, ...]
    incomparable: tuple[str, ...]
    geometric_mean: GeometricMean | None
    reliability: Reliability | None = None
    counts: Counts = Counts()
    groups: tuple[Group, ...] = ()
    memory: GeometricMean | None = None
    differences: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    assumed_noise: float | None = None


#: The unit that noise floors are of: they are learned from times.
_TIME = "second"

Pairs = Mapping[str, tuple[Measured, Measured]]


def compare(
    base: Suite | MeasuredSuite,
    head: Suite | MeasuredSuite,
    *,
    noise: Mapping[str, Known] = {},
    differences: Sequence[str] = (),
    marks: Sequence[str] = (),
    include_different: bool = False,
    levels: bool = True,
) -> Comparison:
    """Compare `head` with `base`, as `pyperf compare_to BASE HEAD` does; `noise` are noise floors by benchmark.

    Noise is that of times, and says nothing of values in other units, which no clock has measured: they are taken to
    differ as little as times do on good hosts. The geometric mean counts insignificant
    differences, too, as pyperf's does. It is None where there is nothing to compare, or what there is differs in more
    than the interpreter: `differences` are those that the results have as wholes. Without `levels`, no speedups are
    told for the levels of reliability.
    """
    base, head = _measured(base), _measured(head)
    names = sorted(base.benchmarks.keys() & head.benchmarks.keys())
    pairs = {name: pair for name in names if _comparable(pair := (base.benchmarks[name], head.benchmarks[name]))}
    noises, assumed = _noises(pairs, noise)
    tested = judge(pairs, noises)
    counts = not differences or include_different
    changes = tuple(
        _change(name, pair, noises[name], tested[name], counts, include_different) for name, pair in pairs.items()
    )
    counted = [change for change in changes if change.counted]
    of = len(base.benchmarks.keys() | head.benchmarks.keys())
    return Comparison(
        benchmarks=changes,
        missing=tuple(sorted(base.benchmarks.keys() - head.benchmarks.keys())),
        new=tuple(sorted(head.benchmarks.keys() - base.benchmarks.keys())),
        incomparable=tuple(name for name in names if name not in pairs),
        geometric_mean=_overall([change.ratio for change in counted], unit_of(counted), of=of),
        reliability=_reliability([(pairs[c.name], noises[c.name]) for c in counted], unit_of(counted), levels),
        counts=Counts(**{verdict: sum(c.verdict == verdict for c in counted) for verdict in Counts.__struct_fields__}),
        groups=_groups(counted, pairs),
        memory=_overall([change.memory.ratio for change in counted if change.memory is not None], "byte", of=of),
        differences=tuple(differences),
        marks=tuple(marks),
        assumed_noise=assumed,
    )


def _measured(side: Suite | MeasuredSuite) -> MeasuredSuite:
    return side if isinstance(side, MeasuredSuite) else measure(side)


def _comparable(pair: tuple[Measured, Measured]) -> bool:
    # pyperf takes positive values only, so no mean is zero; but the smallest over the largest may be.
    return pair[0].summary.unit == pair[1].summary.unit and 0.0 < _ratio(pair) < math.inf


def _ratio(pair: tuple[Measured, Measured]) -> float:
    return pair[0].summary.mean / pair[1].summary.mean


def _noises(pairs: Pairs, known: Mapping[str, Known]) -> tuple[dict[str, Noise], float | None]:
    """The noise of each benchmark, and the limit that was assumed, if any was."""
    times = {name: pair for name, pair in pairs.items() if pair[0].summary.unit == _TIME}
    learned = {name: found for name in times if (found := learned_noise(known.get(name))) is not None}
    others = [pair for name, pair in times.items() if name not in learned]
    quiet = Noise(LEAST_ASSUMED, ASSUMED_DEGREES)
    assumed = assumed_noise(others, usual=usual_noise(learned)) if others else quiet
    limit = math.expm1(assumed.limit) if len(learned) < len(pairs) else None
    known_better = moderated(learned)
    return {name: known_better.get(name, assumed if name in times else quiet) for name in pairs}, limit


def _change(
    name: str, pair: tuple[Measured, Measured], noise: Noise, tested: Tested, counts: bool, include_different: bool
) -> Change:
    base, head = pair
    ratio = _ratio(pair)
    significant = differ(base.spread, head.spread)
    verdict = _verdict(ratio, tested, significant)
    differences = _own_differences(base, head)
    return Change(
        name=name,
        base=base.summary,
        head=head.summary,
        ratio=ratio,
        change=format_change(ratio, base.summary.unit) if significant else NOT_SIGNIFICANT,
        significant=significant,
        noise=noise.floor,
        within_noise=noise.floor is not None
        and verdict not in _BELIEVED
        and abs(math.log(ratio)) <= math.sqrt(share_of(*pair)) * min(noise.limit, math.log1p(noise.floor)),
        verdict=verdict,
        p=tested.p,
        low=tested.low,
        high=tested.high,
        memory=_memory(base, head),
        differences=differences,
        counted=counts and (not differences or include_different),
    )


def _own_differences(base: Measured, head: Measured) -> tuple[str, ...]:
    if base.version and head.version and base.version != head.version:
        return (f"version {base.version} against {head.version}",)
    return ()


def _verdict(ratio: float, tested: Tested, significant: bool) -> Verdict:
    """A change is believed on top of pyperf's test, never against it."""
    if tested.p is None:
        return "unknown"
    if not (tested.differs and significant):
        return "same"
    return "better" if ratio > 1.0 else "worse"


def _memory(base: Measured, head: Measured) -> Memory | None:
    if base.memory is None or head.memory is None or base.summary.unit != _TIME:
        return None
    return Memory(base.memory, head.memory, base.memory / head.memory)


def _overall(ratios: Sequence[float], unit: str, *, of: int) -> GeometricMean | None:
    if not ratios:
        return None
    ratio = geometric_mean(ratios)
    return GeometricMean(ratio=ratio, change=format_change(ratio, unit), n=len(ratios), of=of)


def unit_of(changes: Iterable[Change]) -> str:
    """The unit in whose words the whole is told: that of the benchmarks where they have one, else as of times."""
    units = {change.base.unit for change in changes}
    return units.pop() if len(units) == 1 else _TIME


def _reliability(
    found: Sequence[tuple[tuple[Measured, Measured], Noise]], unit: str, levels: bool
) -> Reliability | None:
    if not found:
        return None
    limits = [math.sqrt(share_of(*pair)) * noise.limit for pair, noise in found]
    bands = bands_of([(base.logarithms, head.logarithms) for (base, head), _ in found], limits)
    return hierarchical_test(bands, common=COMMON, unit=unit, levels=levels)


def _groups(changes: Sequence[Change], pairs: Pairs) -> tuple[Group, ...]:
    """By the tags that the head's suite gives its benchmarks, else the base's."""
    tagged: dict[str, list[Change]] = {}
    for change in changes:
        base, head = pairs[change.name]
        for tag in set(head.tags or base.tags):
            tagged.setdefault(tag, []).append(change)
    found = []
    for tag, of_tag in sorted(tagged.items()):
        ratio = geometric_mean(change.ratio for change in of_tag)
        found.append(Group(tag, ratio, format_change(ratio, unit_of(of_tag)), len(of_tag)))
    return tuple(found)


__all__ = ["Change", "Comparison", "Counts", "GeometricMean", "Group", "Memory", "Summary", "compare", "summarize"]
