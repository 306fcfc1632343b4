"""What comparing needs of a result, worked out once: it is compared again and again."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec
import numpy as np

from benchyard.results.arrays import Array
from benchyard.results.reading import Samples, Suite
from benchyard.results.statistics import Spread, spread_of


class Summary(msgspec.Struct, frozen=True):
    """One benchmark of one result; `mean` and `stdev` are in `unit`, `stdev` is None for a single value."""

    mean: float
    stdev: float | None
    n: int
    unit: str


@dataclass(frozen=True)
class Measured:
    """One benchmark of one side of a comparison, which is one result or several of one interpreter.

    `groups` are the values of each process, by result: the means of processes are what varies independently. Where a
    result has its values from one process, each value stands for itself, which is all that can be known then.
    """

    summary: Summary
    spread: Spread
    groups: tuple[Array, ...]
    version: str
    tags: tuple[str, ...]
    memory: float | None

    @cached_property
    def units(self) -> Array:
        """The independent values of all results."""
        return np.concatenate(self.groups)

    @cached_property
    def variance(self) -> tuple[float, int]:
        """Their variance within their results, relative to the square of the mean, and its degrees of freedom."""
        degrees = sum(len(group) - 1 for group in self.groups)
        squares = math.fsum(float(((group - group.mean()) ** 2).sum()) for group in self.groups)
        return (squares / degrees / self.summary.mean**2 if degrees else 0.0), degrees

    @cached_property
    def logarithms(self) -> Array:
        """The logarithms of the independent values, in ascending order."""
        return np.sort(np.log(self.units))


@dataclass(frozen=True)
class MeasuredSuite:
    """The benchmarks of one side, by name."""

    benchmarks: Mapping[str, Measured]
    results: int = 1


def measure(*suites: Suite) -> MeasuredSuite:
    """Work out one side of a comparison: a result, or several of one interpreter whose values are pooled.

    A benchmark that was measured in another unit, or that says it is another version, than in the first of them is
    pooled without that result.
    """
    samples: dict[str, list[Samples]] = {}
    for suite in suites:
        for name, found in suite.benchmarks.items():
            known = samples.setdefault(name, [])
            if all(_are_alike(one, found) for one in known):
                known.append(found)
    return MeasuredSuite({name: _measured(found) for name, found in samples.items()}, len(suites))


def _are_alike(one: Samples, other: Samples) -> bool:
    """Whether the values of two results are of the same: what does not say its version is of any."""
    return one.unit == other.unit and (one.version == other.version or not (one.version and other.version))


def summarize(samples: Samples) -> Summary:
    """Reduce the values of a benchmark to mean and spread."""
    return _summary(spread_of(samples.values), samples.unit)


def _summary(spread: Spread, unit: str) -> Summary:
    return Summary(mean=spread.mean, stdev=spread.stdev, n=spread.n, unit=unit)


def _measured(pooled: Sequence[Samples]) -> Measured:
    spread = spread_of([value for samples in pooled for value in samples.values])
    memory = [samples.memory for samples in pooled if samples.memory is not None]
    return Measured(
        summary=_summary(spread, pooled[0].unit),
        spread=spread,
        groups=tuple(map(_units, pooled)),
        version=next((samples.version for samples in pooled if samples.version), ""),
        tags=pooled[0].tags,
        memory=max(memory) if memory else None,
    )


def _units(samples: Samples) -> Array:
    values = np.array(samples.values)
    sizes = samples.processes
    if len(sizes) < 2 or sum(sizes) != len(values):
        return values
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    means: Array = np.add.reduceat(values, starts) / np.array(sizes)
    return means
