"""Whether a comparison shows a regression: something that has become slower (or larger) by more than noise makes it.

Three things must come together for a benchmark: its difference is significant, it is larger than what two runs of one
interpreter differ by there anyway, where the lab has learned that, and it is large enough to be worth somebody's time.
Significance alone says little: it is about the values of these two runs, and hosts differ from run to run by more.
"""

import math

import msgspec

from benchyard.results.compare import Change, Comparison, GeometricMean
from benchyard.results.statistics import mean, stdev, t_quantile_95


class Thresholds(msgspec.Struct, frozen=True):
    """What is slow enough to be told of, relative (0.05 is 5 %): a single benchmark, and the geometric mean of all.

    A mean over many benchmarks moves less by chance than a single one, and a smaller change of it matters.
    """

    single: float = 0.05
    overall: float = 0.01


class Regression(msgspec.Struct, frozen=True):
    """The benchmarks that are `slower`, the worst first, and the geometric mean where that is slower itself."""

    slower: tuple[Change, ...]
    overall: GeometricMean | None


def find_regression(comparison: Comparison, thresholds: Thresholds) -> Regression | None:
    """What is slower in the head of a comparison; None where nothing is that counts."""
    limit = 1.0 / (1.0 + thresholds.single)
    slower = [
        change
        for change in comparison.benchmarks
        if change.significant and not change.within_noise and change.ratio <= limit
    ]
    slower.sort(key=lambda change: (change.ratio, change.name))
    found = comparison.geometric_mean
    overall = found if found is not None and _is_slower(comparison, found, thresholds.overall) else None
    return Regression(tuple(slower), overall) if slower or overall is not None else None


def _is_slower(comparison: Comparison, overall: GeometricMean, threshold: float) -> bool:
    """Whether benchmarks are slower on the whole, and not only by what a few of them do.

    Student's test of the logarithms of the ratios against 0, two-tailed at 95 %: a mean that one outlier makes, or two
    benchmarks, does not pass.
    """
    if overall.ratio > 1.0 / (1.0 + threshold):
        return False
    logs = [math.log(change.ratio) for change in comparison.benchmarks]
    spread = stdev(logs)
    if spread is None:
        return False
    return abs(mean(logs)) >= t_quantile_95(len(logs) - 1) * spread / math.sqrt(len(logs))
