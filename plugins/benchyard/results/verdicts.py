"""Which benchmarks differ between two results, told so that two results of one interpreter hardly ever do.

pyperf's test takes all values for independent, knows nothing of how far two runs of one interpreter differ, and makes a
hundred tests at one level. Here, for each benchmark:

- the means of processes are compared, as values of one process are more alike than others (Kalibera and Jones, Rigorous
  Benchmarking in Reasonable Time, ISMM 2013, doi:10.1145/2464157.2464160);
- the difference is the logarithm of the ratio of the means, and its variance that of both means plus that between runs:
  the host's noise floor where calibrations have told it, else what is assumed (`assumed_noise`);
- Student's test with the degrees of freedom of Welch and Satterthwaite (Biometrics Bulletin 2, 1946, 110-114);

and over all benchmarks the procedure of Benjamini and Hochberg (J. R. Statist. Soc. B 57, 1995, 289-300): of the
differences that are told at most `FALSE_DISCOVERIES` are none, and where nothing differs, in 99 of 100 comparisons
none is told. Holm's procedure holds the second also where something differs, and finds less for it; what people want
to know of a list of changes is how much of it is false. It holds for benchmarks that depend on each other positively,
as those of one host do (Benjamini and Yekutieli, Annals of Statistics 29, 2001, 1165-1188).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from benchyard.results.arrays import Array
from benchyard.results.measured import Measured
from benchyard.results.statistics import t_quantile

#: Of the differences that are told, on average so many are none.
FALSE_DISCOVERIES = 0.01

#: How sure the intervals are that stand beside ratios.
CONFIDENCE = 0.95

# Standard deviations of the logarithm of the ratio of two runs of one interpreter, where no calibration has told it:
# what good hosts have (about 1 % between two runs in 95 of 100), what bad ones have (identical code differs by 3 %
# between the 5th and 95th percentile: https://github.com/faster-cpython/ideas/issues/551), and how well it is known.
LEAST_ASSUMED, MOST_ASSUMED, ASSUMED_DEGREES = 0.005, 0.018, 10

# Benchmarks from which on their scatter says how noisy the two runs were, and their floors what is usual on a host.
_LEAST_BENCHMARKS = 10

# Standard deviations within which 95 of 100 values lie.
_WITHIN_95 = 1.959964

# The median of chi square with one degree of freedom.
_MEDIAN_CHI2 = 0.454936


class Known(Protocol):
    """What calibrations have told of a benchmark on a host: its noise floor, and of how many runs."""

    @property
    def floor(self) -> float: ...
    @property
    def runs(self) -> int: ...


@dataclass(frozen=True)
class Noise:
    """The standard deviation of the logarithm of the ratio of two runs of one interpreter, and how well it is known."""

    deviation: float
    degrees: float
    floor: float | None = None

    @property
    def limit(self) -> float:
        """How far two runs differ in 95 of 100, as a logarithm."""
        return (_WITHIN_95 if self.floor is None else _factor(self.degrees)) * self.deviation


@dataclass(frozen=True)
class Tested:
    """What is known of one difference: `p` after the correction, and between which ratios the true one lies.

    All are None where neither side says how far its values vary.
    """

    p: float | None
    low: float | None = None
    high: float | None = None

    @property
    def differs(self) -> bool:
        """Whether there is a difference."""
        return self.p is not None and self.p <= FALSE_DISCOVERIES


def learned_noise(known: Known | None) -> Noise | None:
    """The noise that a floor stands for."""
    if known is None:
        return None
    degrees = _degrees(known.runs)
    return Noise(math.log1p(known.floor) / _factor(degrees), degrees, known.floor)


def moderated(learned: Mapping[str, Noise]) -> dict[str, Noise]:
    """The same noises, known better: a few runs tell little of one benchmark, and more of what is usual on the host.

    The variance of each is drawn towards the usual one, the median, which counts as `ASSUMED_DEGREES` degrees of
    freedom (Smyth, Linear Models and Empirical Bayes Methods, Stat. Appl. Genet. Mol. Biol. 3, 2004, 3.2), but only
    upwards: a benchmark that has shown itself noisy is taken at its word.
    """
    usual = usual_noise(learned)
    if usual is None:
        return dict(learned)
    found = {}
    for name, noise in learned.items():
        degrees = noise.degrees + ASSUMED_DEGREES
        drawn = (ASSUMED_DEGREES * usual.deviation**2 + noise.degrees * noise.deviation**2) / degrees
        found[name] = Noise(max(noise.deviation, math.sqrt(drawn)), degrees, noise.floor)
    return found


def usual_noise(learned: Mapping[str, Noise]) -> Noise | None:
    """What is usual of the benchmarks of a host; None where too few have told it."""
    if len(learned) < _LEAST_BENCHMARKS:
        return None
    return Noise(math.sqrt(float(np.median([noise.deviation**2 for noise in learned.values()]))), ASSUMED_DEGREES)


def assumed_noise(pairs: Sequence[tuple[Measured, Measured]], *, usual: Noise | None = None) -> Noise:
    """What is assumed of two runs where no calibration has told it.

    Most benchmarks change alike or not at all: how far they scatter beyond what their own values explain is noise.
    That is the spread t for which half of the squared residuals from the common shift lie below the median that they
    have by chance (a median form of Paule and Mandel's estimate of a variance between laboratories, J. Res. NBS 87,
    1982, 377-385), within what good and bad hosts have. Two interpreters that differ much are so tested with the noise
    of a bad host at worst. Few benchmarks tell nothing: they are tested with what is `usual` of others there, or with
    the noise of a bad host.
    """
    found = [(_log_ratio(*pair), math.fsum(_variances(*pair)), share_of(*pair)) for pair in pairs if _testable(*pair)]
    if len(found) < _LEAST_BENCHMARKS:
        return usual or Noise(MOST_ASSUMED, ASSUMED_DEGREES)
    differences, variances, shares = np.array(found).T
    residuals = (differences - np.median(differences)) ** 2
    # Each residual is at that median for one spread: the one for which half of them are below is the median of these.
    spread = math.sqrt(max(0.0, float(np.median((residuals / _MEDIAN_CHI2 - variances) / shares))))
    return Noise(min(max(spread, LEAST_ASSUMED), MOST_ASSUMED), ASSUMED_DEGREES)


def share_of(base: Measured, head: Measured) -> float:
    """What is left of the variance of one run against one where several results of a side have the benchmark."""
    return (1.0 / len(base.groups) + 1.0 / len(head.groups)) / 2.0


def judge(pairs: Mapping[str, tuple[Measured, Measured]], noise: Mapping[str, Noise]) -> dict[str, Tested]:
    """Test each benchmark, and correct for there being many; the noise is that of one run against one."""
    from scipy.special import stdtr, stdtrit  # takes a while to import

    names = [name for name, pair in pairs.items() if _testable(*pair)]
    if not names:
        return dict.fromkeys(pairs, Tested(None))
    rows = []
    for name in names:
        base, head = pairs[name]
        parts = (*_variances(base, head), noise[name].deviation ** 2 * share_of(base, head))
        degrees = (*_degrees_of(base, head), noise[name].degrees)
        total = sum(parts)
        weights = sum(part * part / of for part, of in zip(parts, degrees, strict=True))
        rows.append((_log_ratio(base, head), math.sqrt(total), total * total / weights if weights else math.inf))
    differences, errors, degrees_of = np.array(rows).T
    degrees_of = np.minimum(degrees_of, 1e9)
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = np.where(differences == 0.0, 0.0, np.abs(differences) / errors)
    adjusted = benjamini_hochberg(2.0 * stdtr(degrees_of, -scores))
    half = stdtrit(degrees_of, 0.5 + CONFIDENCE / 2.0) * errors
    lows, highs = np.exp(differences - half), np.exp(differences + half)
    found = dict.fromkeys(pairs, Tested(None))
    for place, name in enumerate(names):
        found[name] = Tested(float(adjusted[place]), float(lows[place]), float(highs[place]))
    return found


def benjamini_hochberg(p_values: Array) -> Array:
    """The least rate of false discoveries at which each is one: p n / rank, none larger than that of the next."""
    order = np.argsort(p_values)[::-1]
    ranks = np.arange(len(p_values), 0, -1)
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(1.0, np.minimum.accumulate(p_values[order] * len(p_values) / ranks))
    return adjusted


def _factor(degrees: float) -> float:
    """Standard deviations within which 95 of 100 values lie, of one that is known with so many degrees of freedom."""
    return t_quantile(0.5 + CONFIDENCE / 2.0, max(1, int(degrees)))


def _degrees(runs: int) -> float:
    # As the floor was made (noise.py): Qn is worth 0.6 of a standard deviation's.
    return float(max(1, int(0.6 * (runs - 1))))


def _log_ratio(base: Measured, head: Measured) -> float:
    return math.log(base.summary.mean / head.summary.mean)


def _testable(base: Measured, head: Measured) -> bool:
    return bool(base.variance[1] or head.variance[1])


def _variances(base: Measured, head: Measured) -> tuple[float, ...]:
    """The variances of both means; or that of their difference, where one has a single value, which is taken to vary
    as those of the other: what is known once is no two estimates.
    """
    (one, known), (other, known_too) = base.variance, head.variance
    if known and known_too:
        return one / len(base.units), other / len(head.units)
    return ((one if known else other) * (1.0 / len(base.units) + 1.0 / len(head.units)),)


def _degrees_of(base: Measured, head: Measured) -> tuple[float, ...]:
    """The degrees of freedom of these."""
    known, known_too = base.variance[1], head.variance[1]
    return (known, known_too) if known and known_too else (known or known_too,)
