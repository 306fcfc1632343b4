"""Whether a result is faster as a whole: the hierarchical performance test.

Chen, Chen, Guo, Temam, Wu and Hu, Statistical Performance Comparisons of Computers, HPCA 2012
(doi:10.1109/HPCA.2012.6169043), and IEEE Transactions on Computers 64 (2015), 1442-1455. It takes no distribution for
granted, and a benchmark that differs tenfold counts for no more than its rank:

1. Each benchmark: Wilcoxon's rank-sum test, two-tailed. What does not differ at `ALPHA` counts as a tie.
2. Over the benchmarks: Wilcoxon's signed-rank test of the differences of the medians, one-tailed; the ranks of ties are
   shared by both sides. Its confidence that one side is the faster is the reliability.

The speedup at a reliability is the largest by which one side can be made slower and still be the faster with that.

The means of processes are ranked, as the rank-sum test wants independent values. Differences are those of logarithms,
so that slow benchmarks do not outrank quick ones and a factor counts the same both ways. A difference within the host's
noise is a tie, too: what all benchmarks of a run have in common, such as a warmer day, is no property of an
interpreter.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from statistics import NormalDist

import msgspec
import numpy as np

from benchyard.results.arrays import Array, medians
from benchyard.results.units import change_words

#: The level of the test of one benchmark.
ALPHA = 0.05

#: Reliabilities for which the speedup is told.
LEVELS = (0.90, 0.95, 0.99)

#: By so much, as a logarithm, all benchmarks of two runs of one interpreter may differ alike on a good host.
COMMON = 0.002

# Values of a benchmark that are looked at, and benchmarks at once: the pairs of all that must fit into memory.
_MOST, _AT_ONCE = 200, 200

# Up to here distributions are exact, from there on they are taken for normal; both bounds are the method's own.
_EXACT_VALUES, _EXACT_BENCHMARKS = 12, 25

# Reliabilities below are not told: three benchmarks that all agree have 87.5 %.
_LEAST_SAID = 0.8

# Halvings of an interval of speedups.
_HALVINGS = 20


class Reliability(msgspec.Struct, frozen=True):
    """How sure it is that head is faster than base as a whole, or slower: a ratio below 1 is slower.

    `faster` is the confidence that it is faster; near 0 it is slower. `at_90`, `at_95` and `at_99` are the ratios that
    are reached at least with a reliability of so many percent, None where that is not sure of any. `change` says it in
    words.
    """

    faster: float
    change: str
    at_90: float | None
    at_95: float | None
    at_99: float | None


def bands_of(pairs: Sequence[tuple[Array, Array]], noise: Sequence[float]) -> Array:
    """What step 1 says of benchmarks for any shift of head at once, of the sorted logarithms of their values.

    A row for each: the difference of the medians, and between which shifts the sides are tied. The rank-sum test counts
    the pairs in which base is the larger, so the shifts at which it sees no difference lie between two of the
    differences of all pairs (Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, 4.3). `noise` is how
    far, as a logarithm, runs of one interpreter differ.
    """
    pairs = [(thinned(base), thinned(head)) for base, head in pairs]
    table = np.empty((len(pairs), 3))
    by_size: dict[tuple[int, int], list[int]] = {}
    for place, (base, head) in enumerate(pairs):
        by_size.setdefault((len(base), len(head)), []).append(place)
    for sizes, all_places in by_size.items():
        for start in range(0, len(all_places), _AT_ONCE):
            places = all_places[start : start + _AT_ONCE]
            base, head = (np.array([pairs[place][side] for place in places]) for side in (0, 1))
            table[places] = _bands(medians(base) - medians(head), base, head, critical_count(*sizes))
    wide = np.array(noise)
    table[:, 1] = np.minimum(table[:, 1], table[:, 0] - wide)
    table[:, 2] = np.maximum(table[:, 2], table[:, 0] + wide)
    return table


def thinned(values: Array) -> Array:
    """So many of the values (of sorted ones, their quantiles) as are looked at; from there on more tell nothing new."""
    if len(values) <= _MOST:
        return values
    places = np.linspace(0, len(values) - 1, _MOST).round().astype(int)
    chosen: Array = values[places]
    return chosen


def _bands(middle: Array, base: Array, head: Array, count: int) -> Array:
    if count < 0:
        nowhere = np.full_like(middle, math.inf)
        return np.column_stack((middle, -nowhere, nowhere))
    pairs = (base[:, :, None] - head[:, None, :]).reshape(len(middle), -1)
    last = pairs.shape[1] - 1 - count
    parted = np.partition(pairs, (count, last), axis=1)
    return np.column_stack((middle, parted[:, count], parted[:, last]))


def hierarchical_test(bands: Array, *, common: float = 0.0, unit: str = "second", levels: bool = True) -> Reliability:
    """The reliability of at least one benchmark, in `unit`, and unless told otherwise the speedups.

    With `common`, it is that of being faster, or slower, by more than this.
    """
    if not len(bands):
        raise ValueError("there is no benchmark to test")
    faster = confidence_at(bands, common)
    if faster < 0.5:
        faster = 1.0 - max(confidence_at(_turned(bands), common), 0.5)
    reached = _speedups(bands, faster, common) if levels else dict.fromkeys(LEVELS)
    return Reliability(faster, _words(faster, unit), *(reached[level] for level in LEVELS))


def _words(faster: float, unit: str) -> str:
    """A reliability is rounded down: 99.99 % is not 100 %."""
    better, worse = change_words(unit)
    reliability = max(faster, 1.0 - faster)
    if reliability < _LEAST_SAID:
        return f"neither {better} nor {worse} reliably"
    said = math.floor(reliability * 1000.0) / 10.0
    only = "only " if reliability < LEVELS[0] else ""
    word = better if faster > 0.5 else worse
    return f"{word} with a reliability of {only}{'over 99.9' if said >= 99.9 else said} %"


def confidence_at(table: Array, shift: float) -> float:
    """The confidence that head is faster than base by more than exp(shift); the rows are those of bands."""
    differences, low, high = table[:, 0], table[:, 1], table[:, 2]
    tied = (low <= shift) & (shift <= high)
    signed = np.where(tied, 0.0, differences - shift)
    n = len(signed)
    positive = signed > 0.0
    ranks = _ranks(np.abs(signed))
    total = float(ranks[positive].sum() + ranks[signed == 0.0].sum() / 2.0)
    if n < _EXACT_BENCHMARKS:
        # Half a rank more is taken for one that is not reached.
        return 1.0 - float(_signed_rank_tails(n)[math.floor(total)])
    spread = math.sqrt(n * (n + 1) * (2 * n + 1) / 24.0)
    return NormalDist().cdf((total - n * (n + 1) / 4.0) / spread)


def _turned(table: Array) -> Array:
    """The same with the sides changed."""
    return np.column_stack((-table[:, 0], -table[:, 2], -table[:, 1]))


def critical_count(base: int, head: int, alpha: float = ALPHA) -> int:
    """The largest number of pairs, of base times head, that is as unlikely as alpha / 2; -1 where none is."""
    return _critical_count(min(base, head), max(base, head), alpha)


@cache
def _critical_count(fewer: int, more: int, alpha: float) -> int:
    if fewer < _EXACT_VALUES and fewer * more <= 2000:
        return int(np.searchsorted(np.cumsum(_rank_sum_parts(fewer, more)), alpha / 2.0, side="right")) - 1
    spread = math.sqrt(fewer * more * (fewer + more + 1) / 12.0)
    return math.floor(fewer * more / 2.0 + spread * NormalDist().inv_cdf(alpha / 2.0) - 0.5)


def _rank_sum_parts(fewer: int, more: int) -> Array:
    """The probability of each number of pairs: the coefficients of a Gaussian binomial (Mann and Whitney, 1947)."""
    size = fewer * more + 1
    ways = np.zeros(size)
    ways[0] = 1.0
    for step in range(1, fewer + 1):
        for place in range(size - 1, more + step - 1, -1):
            ways[place] -= ways[place - more - step]
        for place in range(step, size):
            ways[place] += ways[place - step]
    return ways / math.comb(fewer + more, fewer)


@cache
def _signed_rank_tails(n: int) -> Array:
    """The probability of each sum of positive ranks 1 to n or a larger one."""
    ways = np.zeros(n * (n + 1) // 2 + 1)
    ways[0] = 1.0
    for rank in range(1, n + 1):
        ways[rank:] += ways[:-rank].copy()
    tails: Array = np.cumsum(ways[::-1])[::-1] / 2.0**n
    return tails


def _ranks(values: Array) -> Array:
    """Ranks from 1 on; equal values share theirs."""
    ordered = np.sort(values)
    shared: Array = (ordered.searchsorted(values, "left") + ordered.searchsorted(values, "right") + 1) / 2.0
    return shared


def _speedups(table: Array, faster: float, common: float) -> Mapping[float, float | None]:
    found: dict[float, float | None] = dict.fromkeys(LEVELS)
    sign = 1.0 if faster >= 0.5 else -1.0
    table = _turned(table) if sign < 0.0 else table
    furthest = float(max(common, np.max(table[:, 0])))
    for level in LEVELS:
        if confidence_at(table, common) < level:
            break
        low, high = common, furthest
        for _ in range(_HALVINGS):
            middle = (low + high) / 2.0
            low, high = (middle, high) if confidence_at(table, middle) >= level else (low, middle)
        found[level] = math.exp(sign * low)
    return found
