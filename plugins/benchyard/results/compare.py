"""Comparing two results: benchmark by benchmark, and overall."""

import math
from collections.abc import Mapping

import msgspec

from benchyard.results.reading import Samples, Suite
from benchyard.results.statistics import differ, geometric_mean, mean, stdev
from benchyard.results.units import format_change

NOT_SIGNIFICANT = "not significant"


class Summary(msgspec.Struct, frozen=True):
    """One benchmark of one result; `mean` and `stdev` are in `unit`, `stdev` is None for a single value."""

    mean: float
    stdev: float | None
    n: int
    unit: str


class Change(msgspec.Struct, frozen=True):
    """One benchmark of both results; `ratio` is base over head: above 1, head is faster (or smaller).

    `change` and `significant` are what pyperf says of these values. `noise` is how far two runs of one interpreter
    differ there anyway, relative, None where that is not known; a change `within_noise` is none to be believed.
    """

    name: str
    base: Summary
    head: Summary
    ratio: float
    change: str
    significant: bool
    noise: float | None = None
    within_noise: bool = False

    @property
    def is_believed(self) -> bool:
        """Whether the two differ: significantly, and by more than runs of one interpreter do."""
        return self.significant and not self.within_noise


class GeometricMean(msgspec.Struct, frozen=True):
    """The overall ratio, over the `n` benchmarks that were compared `of` all that either result has."""

    ratio: float
    change: str
    n: int
    of: int


class Comparison(msgspec.Struct, frozen=True):
    """What two results say together; names are sorted.

    `missing` are in base only, `new` in head only, `incomparable` in both but measured in different units.
    """

    benchmarks: tuple[Change, ...]
    missing: tuple[str, ...]
    new: tuple[str, ...]
    incomparable: tuple[str, ...]
    geometric_mean: GeometricMean | None


#: The unit that noise floors are of: they are learned from times.
_TIME = "second"


def compare(base: Suite, head: Suite, *, noise: Mapping[str, float] = {}) -> Comparison:
    """Compare `head` with `base`, as `pyperf compare_to BASE HEAD` does; `noise` are noise floors by benchmark.

    Noise is that of times, and says nothing of values in other units. The geometric mean counts insignificant
    differences, too, as pyperf's does. It is None where there is nothing to compare.
    """
    names = sorted(base.benchmarks.keys() & head.benchmarks.keys())
    changes = {name: _change(name, base.benchmarks[name], head.benchmarks[name], noise.get(name)) for name in names}
    compared = tuple(change for change in changes.values() if change is not None)
    return Comparison(
        benchmarks=compared,
        missing=tuple(sorted(base.benchmarks.keys() - head.benchmarks.keys())),
        new=tuple(sorted(head.benchmarks.keys() - base.benchmarks.keys())),
        incomparable=tuple(name for name, change in changes.items() if change is None),
        geometric_mean=_overall(compared, of=len(base.benchmarks.keys() | head.benchmarks.keys())),
    )


def summarize(samples: Samples) -> Summary:
    """Reduce the values of a benchmark to mean and spread."""
    values = samples.values
    return Summary(mean=mean(values), stdev=stdev(values), n=len(values), unit=samples.unit)


def _change(name: str, base: Samples, head: Samples, noise: float | None) -> Change | None:
    if base.unit != head.unit:
        return None
    before, after = summarize(base), summarize(head)
    # pyperf takes positive values only, so no mean is zero; but the smallest over the largest may be.
    ratio = before.mean / after.mean
    if not (0.0 < ratio < math.inf):
        return None
    significant = differ(base.values, head.values)
    floor = noise if base.unit == _TIME else None
    change = format_change(ratio, base.unit) if significant else NOT_SIGNIFICANT
    return Change(
        name=name,
        base=before,
        head=after,
        ratio=ratio,
        change=change,
        significant=significant,
        noise=floor,
        within_noise=floor is not None and abs(math.log(ratio)) <= math.log1p(floor),
    )


def _overall(changes: tuple[Change, ...], *, of: int) -> GeometricMean | None:
    if not changes:
        return None
    ratio = geometric_mean(change.ratio for change in changes)
    units = {change.base.unit for change in changes}
    unit = units.pop() if len(units) == 1 else "second"
    return GeometricMean(ratio=ratio, change=format_change(ratio, unit), n=len(changes), of=of)
