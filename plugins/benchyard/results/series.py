"""Series: what one benchmark, or all together, gave from commit to commit on one host.

A lane is what has to be alike for that: host, flags, branch, kind of interpreter, suite and mode. Within a lane, what
was measured under other conditions of the host (another epoch, or another fingerprint that a foreign tool has given) or
with another version of the benchmark is a stretch of its own: between two of them nothing can be said. Results of one
commit are one point.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from benchyard.results.changepoints import ChangePoint, NoChangePoints, find_changes
from benchyard.results.statistics import geometric_mean
from benchyard.results.times import moment_of

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

# What comes first in the datastore's rows, and tells what a result is of.
_FACTS = 16


class Lane(msgspec.Struct, frozen=True, order=True):
    """What the results of a series have in common; an empty branch is one that nobody knows, FORK/BRANCH a fork's."""

    host: str
    flags: tuple[str, ...]
    branch: str
    implementation: str
    suite: str
    suite_version: str
    mode: str


class Value(msgspec.Struct, frozen=True):
    """What a benchmark gave in one result; `committed` and `created` are when its commit and it were made."""

    result: int
    lane: Lane
    epoch: int | None
    version: str
    unit: str
    commit: str
    committed: float | None
    created: float
    benchmark: str
    mean: float
    n: int = 1
    stdev: float | None = None


class Point(msgspec.Struct, frozen=True):
    """A commit: the geometric mean of what its `results` gave, the least and the most of them, and of how many values.

    `time` is that of the commit, or of the first result where that is not known; `stdev` is that of the values of a
    single result.
    """

    commit: str
    time: float
    value: float
    low: float
    high: float
    results: tuple[int, ...]
    n: int = 1
    stdev: float | None = None


class Stretch(msgspec.Struct, frozen=True):
    """Points that can be compared, in the order of their commits, and where their level changes.

    `version` is that of the benchmark, and the fingerprint after it where a foreign tool has given one.
    """

    epoch: int | None
    version: str
    points: tuple[Point, ...]
    changes: tuple[ChangePoint, ...] = ()


class Series(msgspec.Struct, frozen=True):
    """The series of a `benchmark`, in `unit`, or of the geometric mean of all (an empty name).

    A geometric mean (`results.means`) is relative to the first point of its stretch, and has no unit: 0.97 takes 3 %
    less.
    """

    lane: Lane
    benchmark: str
    unit: str
    stretches: tuple[Stretch, ...]

    @property
    def points(self) -> int:
        """How many points there are in all."""
        return sum(len(stretch.points) for stretch in self.stretches)


class Lanes:
    """The lanes of the datastore's rows (`store.series`), each made once."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], Lane] = {}

    def of(self, row: Sequence[Any]) -> Lane | None:
        """The lane of a row; None where its interpreter was patched: what that gave is of no commit."""
        _, host, branch, commit, suite, suite_version, mode, _, _, flags, _, _, implementation, patch, _, fork = row[
            :_FACTS
        ]
        if patch:
            return None
        branch = branch_of(branch, commit) if fork is None else f"{fork}/{branch_of(branch, commit)}"
        key = (host, flags, branch, implementation, suite, suite_version, mode)
        lane = self._known.get(key)
        if lane is None:
            # Files of suites with many versions of pyperf do not say it of all; others than CPython do.
            kind = implementation if implementation not in (None, "", "unknown") else "cpython"
            words = (kind, suite or "", suite_version or "", mode or "")
            lane = self._known.setdefault(key, Lane(host, tuple(sorted(flags)), branch, *words))
        return lane


def values_of(rows: Iterable[Any]) -> list[Value]:
    """Values of the datastore's rows, without those of patched interpreters."""
    lanes = Lanes()
    found = []
    for row in rows:
        lane = lanes.of(row)
        if lane is None:
            continue
        benchmark, unit, version, mean, n, stdev = row[_FACTS:]
        commit, epoch, created, dates = row[3], row[7], row[8], row[10:12]
        if row[14] is not None:
            version = f"{version} {row[14]}".lstrip()
        committed = moment_of(dates[0] or dates[1])
        found.append(Value(row[0], lane, epoch, version, unit, commit, committed, created, benchmark, mean, n, stdev))
    return found


def series_of(values: Iterable[Value], *, noise: Mapping[tuple[int | None, str], float] = {}) -> list[Series]:
    """The series of each lane and benchmark, those with the most points first; `noise` is by epoch and benchmark.

    Of several units, that of the newest result is taken.
    """
    found = []
    for (lane, benchmark), all_of_it in grouped(values, lambda value: (value.lane, value.benchmark)).items():
        unit = max(all_of_it, key=lambda value: value.result).unit
        alike = grouped((v for v in all_of_it if v.unit == unit), lambda value: (value.epoch, value.version))
        stretches = [
            stretch_of(epoch, version, _points(those), noise.get((epoch, benchmark)))
            for (epoch, version), those in alike.items()
        ]
        found.append(Series(lane, benchmark, unit, stretches_in_order(stretches)))
    return sorted(found, key=lambda series: (-series.points, series.lane, series.benchmark))


def branch_of(branch: str | None, commit: str) -> str:
    """The branch of a result; other tools give a commit's own name where they were told no branch."""
    return "" if branch is None or branch.startswith(commit[:7]) or commit.startswith(branch) else branch


def time_of(made: Iterable[tuple[float, float | None]]) -> float:
    """When a commit was made, of when its results were and what each tells of it: as the first says that knows it.

    Where none does, it is the time of the first result.
    """
    in_order = sorted(made, key=lambda times: times[0])
    return next((committed for _, committed in in_order if committed is not None), in_order[0][0])


def stretch_of(epoch: int | None, version: str, points: list[Point], noise: float | None) -> Stretch:
    """Points that can be compared, with the changes of their level where these can be found."""
    try:
        changes = find_changes([point.value for point in points], noise=noise)
    except NoChangePoints:  # the points are worth seeing by themselves
        changes = ()
    return Stretch(epoch, version, tuple(points), changes)


def _points(values: Iterable[Value]) -> list[Point]:
    """One point for each commit, in order."""
    points = []
    for commit, those in grouped(values, lambda value: value.commit).items():
        means = [value.mean for value in those]
        points.append(
            Point(
                commit=commit,
                time=time_of((value.created, value.committed) for value in those),
                value=geometric_mean(means) if len(means) > 1 else means[0],
                low=min(means),
                high=max(means),
                results=tuple(sorted(value.result for value in those)),
                n=sum(value.n for value in those),
                stdev=those[0].stdev if len(those) == 1 else None,
            )
        )
    return sorted(points, key=_order)


def _order(point: Point) -> tuple[float, int]:
    """By the commit's time; commits of one time (known to the day only) in the order in which they were measured."""
    return (point.time, point.results[0])


def stretches_in_order(stretches: Iterable[Stretch]) -> tuple[Stretch, ...]:
    """Stretches as they were measured one after the other."""
    return tuple(sorted(stretches, key=lambda stretch: (stretch.points[0].results[0], stretch.points[0].time)))


def grouped(values: Iterable[V], key: Callable[[V], K]) -> dict[K, list[V]]:
    """What has one key together, in the order in which it comes."""
    groups: dict[K, list[V]] = {}
    for value in values:
        groups.setdefault(key(value), []).append(value)
    return groups
