"""How far two runs of one interpreter differ on a host, and whether a new run still is of that host's kind.

Both are learned from calibration runs: of one interpreter, on one host, within one epoch, with one suite and mode. What
counts of a run is the mean of each benchmark, as comparisons do; differences are logarithms of ratios, so that twice
the time and half of it are equally far away.

Calibrations are few, and some are bad: spreads are Qn (`robust_spread`), which half of the runs cannot spoil.
"""

import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from benchyard.results.arrays import Array
from benchyard.results.statistics import t_quantile
from benchyard.results.units import format_percent

#: Runs that a noise floor takes, and earlier runs that a band takes.
LEAST_RUNS, LEAST_BAND = 5, 8

#: Of two runs of one interpreter so many lie within the noise floor.
CONFIDENCE = 0.95

#: How often a run of a host that is well may lie outside a band: three sigmas, as control charts have it.
FALSE_ALARM = 0.0027

#: A host is not stopped for less than this, relative, however steady it was.
LEAST_DRIFT = 0.005

# Benchmarks from which on single ones are told apart from what all have in common; how many of them may be out of their
# own bands, whatever the host does, and which part.
_LEAST_BENCHMARKS, _ALWAYS, _PART = 10, 2, 0.1

_QN = 2.2219
_QN_SMALL = {2: 0.399, 3: 0.994, 4: 0.512, 5: 0.844, 6: 0.611, 7: 0.857, 8: 0.669, 9: 0.872}
# Part of n - 1 that Qn's degrees of freedom are: for n up to 30 its variance is that of a deviation of 0.59 to 0.71
# (n - 1) degrees of freedom, and tests hold that no interval made so is too narrow.
_QN_DEGREES = 0.6

Run = Mapping[str, float]


class Floor(msgspec.Struct, frozen=True):
    """The noise of a benchmark: `floor` is relative (0.01 is 1 %), `center` the median of the `runs`' means."""

    floor: float
    runs: int
    center: float


class Drift(msgspec.Struct, frozen=True):
    """A run that is not of the kind of the `runs` before it; all are relative, above 0 is slower (or larger).

    `shift` is what the benchmarks have in common, `band` how far from 0 it may be; `benchmarks` are those that are
    furthest from what they were, by how much, the furthest first, and `out` is how many `of` all differ by more than
    they ever do besides.
    """

    shift: float
    band: float
    runs: int
    out: int
    of: int
    benchmarks: tuple[tuple[str, float], ...]


def noise_floors(runs: Sequence[Run]) -> dict[str, Floor]:
    """How far two runs differ, by benchmark: by no more than the floor with a probability of 95 %.

    The repeatability limit of ISO 5725-6:1994, 4.1.4, t sqrt(2) s: there with 1.96 for t, as s is taken for known. Here
    s is estimated from these runs, so t is Student's for its degrees of freedom. Benchmarks of less than `LEAST_RUNS`
    runs are left out.
    """
    found = {}
    for name in sorted({name for run in runs for name in run}):
        means = np.array([run[name] for run in runs if name in run])
        if len(means) >= LEAST_RUNS:
            limit = _factor(1.0 - CONFIDENCE, len(means)) * math.sqrt(2.0) * robust_spread(np.log(means))
            found[name] = Floor(math.expm1(limit), len(means), float(np.median(means)))
    return found


def find_drift(earlier: Sequence[Run], new: Run) -> Drift | None:
    """Whether a run lies outside the bands of those before it; None where not, or where they are too few.

    Two control charts for individuals (NIST/SEMATECH e-Handbook 6.3.2.2), with limits that are prediction intervals
    for one more run (Hahn and Meeker, Statistical Intervals, 1991, 4.7), as the runs are few: median +- t sqrt(1 + pi /
    (2 n)) s, where pi / (2 n) is for the variance of the median. The first is of what all benchmarks have in common,
    the median over them of the log ratio to their centers: so it holds however they depend on each other. The second
    counts benchmarks that are, besides that, outside of bands of their own. Two may be, and a tenth of all: by chance
    alone that many are not once in a thousand runs (binomial, 0.0027 each), but what a few use may change for them.

    Simulated, a host that is well is told to drift in less than 1 % of its calibrations, and in 2 % where single values
    are far off now and then (Student's t with 3 degrees of freedom).
    """
    names = sorted(name for name in new if sum(name in run for run in earlier) >= LEAST_BAND)
    if not names:
        return None
    before = np.log(np.array([[run.get(name, math.nan) for name in names] for run in earlier]))
    centers = np.nanmedian(before, axis=0)
    before, now = before - centers, np.log(np.array([new[name] for name in names])) - centers
    known = ~np.isnan(before).all(axis=1)  # runs of other benchmarks only
    shifts, shift = np.nanmedian(before[known], axis=1), float(np.median(now))
    middle, band = float(np.median(shifts)), _band(shifts, FALSE_ALARM)
    out = 0
    if len(names) >= _LEAST_BENCHMARKS:
        apart, apart_now = before[known] - shifts[:, None], now - shift
        bands = np.array([_band(column[~np.isnan(column)], FALSE_ALARM) for column in apart.T])
        out = int((np.abs(apart_now - np.nanmedian(apart, axis=0)) > bands).sum())
    if abs(shift - middle) <= band and out <= max(_ALWAYS, _PART * len(names)):
        return None
    furthest = sorted(zip(names, np.expm1(now).tolist(), strict=True), key=lambda item: -abs(math.log1p(item[1])))
    return Drift(
        math.expm1(shift - middle), math.expm1(band), len(shifts), out, len(names), tuple(furthest[:5])
    )  # fmt: skip


def drift_text(drift: Drift) -> str:
    """A drift in words, for people who are to find its cause."""
    named = ", ".join(f"{name} {format_percent(change, sign=True)}" for name, change in drift.benchmarks)
    off, band = format_percent(drift.shift, sign=True), format_percent(drift.band)
    alone = f", {drift.out} of {drift.of} benchmarks by themselves" if drift.out else ""
    return f"off by {off} against {drift.runs} calibrations, its band is {band}{alone}: {named}"


def robust_spread(values: Array) -> float:
    """Qn, an estimate of the standard deviation from the differences of pairs.

    Rousseeuw and Croux, Alternatives to the Median Absolute Deviation, JASA 88 (1993), 3.1: 2.2219 times the k-th
    smallest difference, k = h (h - 1) / 2, h = n // 2 + 1. Half of the values may be anything. With the factors for
    small samples of Croux and Rousseeuw, Time-efficient Algorithms for Two Highly Robust Estimators of Scale, 1992.
    """
    n = len(values)
    first, second = np.triu_indices(n, 1)
    half = n // 2 + 1
    rank = half * (half - 1) // 2 - 1
    difference = float(np.partition(np.abs(values[first] - values[second]), rank)[rank])
    small = _QN_SMALL.get(n) or (n / (n + 1.4) if n % 2 else n / (n + 3.8))
    return small * _QN * difference


def _factor(outside: float, n: int) -> float:
    """Student's factor for a spread of n values, two-tailed."""
    return t_quantile(1.0 - outside / 2.0, max(1, int(_QN_DEGREES * (n - 1))))


def _band(values: Array, outside: float) -> float:
    n = len(values)
    width = _factor(outside, n) * math.sqrt(1.0 + math.pi / (2.0 * n)) * robust_spread(values)
    return max(width, math.log1p(LEAST_DRIFT))
