"""Whether a comparison shows a regression: something that has become slower (or larger) by more than noise makes it.

Three things must come together for a benchmark: its verdict is that it is worse, it counts, and the difference is large
enough to be worth somebody's time. What pyperf calls significant says little: it is about the values of these two runs,
and hosts differ from run to run by more.
"""

import math
from collections.abc import Sequence

import msgspec

from benchyard.results.compare import Change, Comparison, GeometricMean
from benchyard.results.statistics import mean, stdev, t_quantile_95

#: How much more it takes where nobody knows how far two runs of a benchmark differ anyway.
DOUBT = 2.0


class Thresholds(msgspec.Struct, frozen=True):
    """What is slow enough to be told of, relative (0.05 is 5 %): a single benchmark, and the geometric mean of all.

    Where the noise of a time is not known, it takes twice as much of it: what a comparison assumes is of all of them,
    and single benchmarks differ by more. The defaults are from results of one quiet host, of CPython's main from week
    to week: without noise floors, up to 2 of 122 benchmarks were worse by 5 % each time, and none by 10 % but where a
    commit did it. The geometric mean moved by less than 1 % but for two steps.
    """

    single: float = 0.05
    overall: float = 0.01


class Regression(msgspec.Struct, frozen=True):
    """The benchmarks that are `slower`, the worst first, and the geometric mean where that is slower itself."""

    slower: tuple[Change, ...]
    overall: GeometricMean | None


def find_regression(comparison: Comparison, thresholds: Thresholds) -> Regression | None:
    """What is slower in the head of a comparison; None where nothing is that counts."""
    counted = [change for change in comparison.benchmarks if change.counted]
    slower = [c for c in counted if c.verdict == "worse" and c.ratio <= _limit(c, thresholds.single)]
    slower.sort(key=lambda change: (change.ratio, change.name))
    found = comparison.geometric_mean
    overall = found if found is not None and _is_slower(counted, found, thresholds.overall) else None
    return Regression(tuple(slower), overall) if slower or overall is not None else None


def _limit(change: Change, threshold: float) -> float:
    """The ratio from which on a benchmark is slower."""
    in_doubt = change.noise is None and change.base.unit == "second"
    return 1.0 / (1.0 + (DOUBT * threshold if in_doubt else threshold))


def _is_slower(counted: Sequence[Change], overall: GeometricMean, threshold: float) -> bool:
    """Whether benchmarks are slower on the whole, and not only by what a few of them do.

    Student's test of the logarithms of the ratios against 0, two-tailed at 95 %: a mean that one outlier makes, or two
    benchmarks, does not pass.
    """
    if overall.ratio > 1.0 / (1.0 + threshold):
        return False
    logs = [math.log(change.ratio) for change in counted]
    spread = stdev(logs)
    if spread is None:
        return False
    return abs(mean(logs)) >= t_quantile_95(len(logs) - 1) * spread / math.sqrt(len(logs))
