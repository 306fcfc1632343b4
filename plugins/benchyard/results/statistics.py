"""The statistics of a comparison: mean, spread, Student's test, geometric mean.

Sums are exact (`math.fsum`), so that the order of values changes nothing.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

# Two-tailed 5 % points of Student's t distribution for 1 to 30 degrees of freedom, and the first degree of
# freedom of each coarser step. Published: NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2,
# https://www.itl.nist.gov/div898/handbook/eda/section3/eda3672.htm (column 0.975). The steps are pyperf's
# (`pyperf._utils.tdist95conf_level`): our verdicts must be those of `pyperf compare_to`.
_T_95 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
_T_95_STEPS = ((31, 2.042), (40, 2.021), (50, 2.009), (60, 2.000), (80, 1.990), (100, 1.984), (200, 1.960))

# Units in the last place by which two means of the same value may differ.
_ROUNDING = 4


def mean(values: Sequence[float]) -> float:
    """Return the arithmetic mean of at least one value."""
    return math.fsum(values) / len(values)


def stdev(values: Sequence[float]) -> float | None:
    """Return the sample standard deviation (n - 1), None for one value."""
    return spread_of(values).stdev


def geometric_mean(ratios: Iterable[float]) -> float:
    """Return exp(mean(log(ratio))) of at least one positive ratio."""
    return math.exp(mean([math.log(ratio) for ratio in ratios]))


def t_quantile_95(degrees: int) -> float:
    """Return the two-tailed 5 % point of Student's t distribution, `degrees` at least 1."""
    if degrees <= len(_T_95):
        return _T_95[degrees - 1]
    return _T_95_STEPS[bisect_right(_T_95_STEPS, degrees, key=lambda step: step[0]) - 1][1]


@cache
def t_quantile(probability: float, degrees: int) -> float:
    """Return the point of Student's t distribution that values stay below with a probability of 0.5 to 1.

    The distribution's integral is Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
    """
    low, high = 0.0, 1.0
    while _t_within(high, degrees) < 2.0 * probability - 1.0:
        high *= 2.0
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if _t_within(middle, degrees) < 2.0 * probability - 1.0 else (low, middle)
    return high


def _t_within(t: float, degrees: int) -> float:
    """The probability that Student's t lies between -t and t."""
    angle = math.atan(t / math.sqrt(degrees))
    odd = degrees % 2
    term = math.cos(angle) if odd else 1.0
    terms = []
    for power in range(odd, degrees - 1, 2):
        terms.append(term)
        term *= (power + 1) / (power + 2) * math.cos(angle) ** 2
    series = math.sin(angle) * math.fsum(terms)
    return 2.0 / math.pi * (angle + series) if odd else series


class Spread(NamedTuple):
    """What Student's test needs of a sample: its mean, the squares of what its values are off that, and their
    number."""

    mean: float
    squares: float
    n: int

    @property
    def stdev(self) -> float | None:
        """The sample standard deviation (n - 1), None for one value."""
        return math.sqrt(self.squares / (self.n - 1)) if self.n > 1 else None


def spread_of(values: Sequence[float]) -> Spread:
    """Reduce at least one value to mean and squares."""
    centre = mean(values)
    return Spread(centre, math.fsum([(value - centre) ** 2 for value in values]), len(values))


def differ(base: Spread, head: Spread) -> bool:
    """Tell whether the means of two samples differ significantly: Student's test, two-tailed, at 95 %.

    t = (mean1 - mean2) / sqrt(s² (1/n1 + 1/n2)), s² the pooled variance of n1 + n2 - 2 degrees of freedom:
    https://en.wikipedia.org/wiki/Student%27s_t-test, "Equal or unequal sample sizes, similar variances".

    For samples of one size this is pyperf's test. For others pyperf's formula fails, and it prints an error
    and calls every difference significant; so it does for values that do not vary. Here both are tested. One
    value against one cannot be tested: as in pyperf, any difference counts.
    """
    difference = abs(base.mean - head.mean)
    # The same value three times and ten times has means that differ in the last bit.
    if difference <= _ROUNDING * math.ulp(max(base.mean, head.mean)):
        return False
    degrees = base.n + head.n - 2
    if degrees == 0:
        return True
    variance = (base.squares + head.squares) / degrees
    # Not divided by the error: it is zero where no value varies, and then any difference is significant.
    error = math.sqrt(variance * (1.0 / base.n + 1.0 / head.n))
    return difference >= t_quantile_95(degrees) * error
