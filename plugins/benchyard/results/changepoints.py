"""Where the level of a series has changed: change points, each found once and for all.

The method is PELT, optimal partitioning in linear time (Killick, Fearnhead and Eckley, Optimal Detection of
Changepoints with a Linear Computational Cost, JASA 107, 2012, 1590-1598), of the library ruptures (Truong, Oudre and
Vayatis, Selective Review of Offline Change Point Detection Methods, Signal Processing 167, 2020; BSD licence): it
needs numpy and scipy only, which we have, and takes 20 us for a window. Apache Otava (Hunter: Fleming and others, ICPE
2023), whose E-divisive means was made for such series, cannot be had as a library: it brings clients of BigQuery,
PostgreSQL and Slack, and wants one version of numpy.

Like Hunter we take a window instead of all, and Student's test instead of permutations, so that the same series gives
the same. Beyond that a series is gone through as it has grown, point after point: a change that was found stays where
it was found, whatever follows, as only what is after it is looked at from then on. So people can speak of it.
"""

import math
from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from benchyard.results.arrays import Array
from benchyard.results.errors import ResultError

#: Points on each side of a change. With so many after it, it is found where it is large.
LEAST_POINTS = 3

#: Points that are looked back at.
WINDOW = 80

#: Steps that are smaller are none, relative, however steady a series is.
LEAST_STEP = 0.005

#: How sure a change must be, of 1, after all places were looked at where it could have been. As a series is looked at
#: anew with each point, this is far from 1 % of false ones: see `make bench-verdicts`.
LEAST_SURE = 0.999

# Points that PELT may part: fewer than a change takes, or the last point before a large step is taken for its first.
_LEAST_PARTED = 1

# What a change must take off the squared residuals, in variances: PELT only proposes, the test decides.
_PENALTY = 12.0

# Deviations beyond which a point counts as if it were just so far from its level.
_FURTHEST = 4.0

# Series whose changes are kept at hand.
_KEPT = 256

# The median of the absolute value of a normal variable, times sqrt(2) for differences of two.
_TO_DEVIATION = 1.0 / (0.674490 * math.sqrt(2.0))

# A series that never varies is not infinitely steady.
_LEAST_DEVIATION = 1e-5


class ChangePoint(msgspec.Struct, frozen=True):
    """The level of a series is another from the point of this `index` on.

    `before` and `after` are the levels, geometric means of the points up to the change before and, after it, of those
    that there were when it was found, at the point `found`. `step` is after over before less 1, `sure` is 1 less the
    probability that as large a step comes by chance anywhere in what was looked at.
    """

    index: int
    found: int
    before: float
    after: float
    step: float
    sure: float


def find_changes(values: Sequence[float], *, noise: float | None = None) -> tuple[ChangePoint, ...]:
    """The changes of a series of positive values, in order; those of its beginning alone are the same.

    `noise` is how far two points differ anyway, relative (a noise floor): smaller steps must last longer to count. A
    large step is found with the third point after it, and all that are to be told with the fourth or some later one.
    """
    return _changes(tuple(values), noise) if len(values) >= 2 * LEAST_POINTS else ()


@lru_cache(_KEPT)
def _changes(values: tuple[float, ...], noise: float | None) -> tuple[ChangePoint, ...]:
    """The same is asked again and again: by people, for pictures, and by the lab with each new result."""
    logs: Array = np.log(np.asarray(values, dtype=np.float64))
    deviations = _deviations(logs)
    if noise:
        # A floor is 1.96 sqrt(2) deviations.
        deviations = np.maximum(deviations, math.log1p(noise) / 2.772)
    partition = method()(kernel="linear", min_size=_LEAST_PARTED)
    worth = _worth_a_look(logs, deviations)
    found: list[ChangePoint] = []
    start = 0
    for end in range(2 * LEAST_POINTS, len(logs) + 1):
        first = max(start, end - WINDOW)
        if end - first < 2 * LEAST_POINTS or (end - first == WINDOW and not worth[end - 1]):
            continue
        window = logs[first:end]
        scaled = ((window - window[0]) / deviations[end - 1]).reshape(-1, 1)
        places = partition.fit(scaled).predict(pen=_PENALTY)
        for place, until in pairwise(places):
            most = _FURTHEST * float(deviations[end - 1])
            change = _tested(_drawn_in(window[:place], most), _drawn_in(window[place:until], most), noise)
            if change is not None:
                start = first + int(place)
                found.append(msgspec.structs.replace(change, index=start, found=end - 1))
                break
    return tuple(found)


def least_step(noise: float | None, before: int, after: int) -> float:
    """The least step between levels of so many points: what the noise floor of two single ones is for these."""
    return max(LEAST_STEP, (noise or 0.0) * math.sqrt((1.0 / before + 1.0 / after) / 2.0))


class NoChangePoints(ResultError):
    """What finds them is not there."""


@cache
def method() -> Any:
    """PELT, as the library has it; NoChangePoints where that is not installed."""
    try:
        from ruptures import KernelCPD  # takes a while to import
    except ModuleNotFoundError as exc:
        raise NoChangePoints(
            "change points need the package ruptures, of which there is none for this Python: take 3.11 to 3.13"
        ) from exc
    return KernelCPD


def _deviations(logs: Array) -> Array:
    """The standard deviation of the points up to each: from the differences of neighbours, of which steps are few."""
    steps = np.abs(np.diff(logs))
    width = WINDOW - 1
    medians = [float(np.median(steps[:end])) for end in range(1, min(width, len(steps)) + 1)]
    if len(steps) > width:
        windows = np.lib.stride_tricks.sliding_window_view(steps, width)[1:]
        medians += np.median(windows, axis=1).tolist()
    return np.maximum(np.array([medians[0], *medians]) * _TO_DEVIATION, _LEAST_DEVIATION)


def _worth_a_look(logs: Array, deviations: Array) -> npt.NDArray[np.bool_]:
    """Whether the full window up to each point has any place where a change would pay.

    All windows at once, which is far quicker than partitions one by one; few have any.
    """
    worth = np.zeros(len(logs), dtype=np.bool_)
    if len(logs) < WINDOW:
        return worth
    windows = np.lib.stride_tricks.sliding_window_view(logs, WINDOW)
    sums = np.cumsum(windows - windows[:, :1], axis=1)
    places = np.arange(LEAST_POINTS, WINDOW - LEAST_POINTS + 1)
    left, whole = sums[:, places - 1], sums[:, -1:]
    steps = (whole - left) / (WINDOW - places) - left / places
    gains = (steps**2 * (places * (WINDOW - places) / WINDOW)).max(axis=1)
    worth[WINDOW - 1 :] = gains >= _PENALTY * deviations[WINDOW - 1 :] ** 2
    return worth


def _drawn_in(stretch: Array, most: float) -> Array:
    """The same with what is far from its median drawn in: one bad run is not to hide what comes after it."""
    middle = float(np.median(stretch)) if len(stretch) else 0.0
    return np.clip(stretch, middle - most, middle + most)


def _tested(before: Array, after: Array, noise: float | None) -> ChangePoint | None:
    """A change between two stretches; None where it may be chance, or is too small, or that of a single point."""
    if min(len(before), len(after)) < LEAST_POINTS:
        return None
    step = float(after.mean() - before.mean())
    least = math.log1p(least_step(noise, len(before), len(after)))
    if abs(step) < least or float(np.median(after) - np.median(before)) * math.copysign(1.0, step) < least:
        return None
    sure = _sure(before, after, step)
    if sure < LEAST_SURE:
        return None
    low = float(before.mean())
    return ChangePoint(0, 0, math.exp(low), math.exp(low + step), math.expm1(step), sure)


def _sure(before: Array, after: Array, step: float) -> float:
    """Student's test, corrected for all the places where the change could have been (Bonferroni)."""
    from scipy.special import stdtr

    degrees = len(before) + len(after) - 2
    squares = float(((before - before.mean()) ** 2).sum() + ((after - after.mean()) ** 2).sum())
    spread = max(math.sqrt(squares / degrees), _LEAST_DEVIATION)
    score = abs(step) / (spread * math.sqrt(1.0 / len(before) + 1.0 / len(after)))
    return max(0.0, 1.0 - 2.0 * float(stdtr(degrees, -score)) * max(1, len(before) + len(after) - 2 * LEAST_POINTS + 1))
