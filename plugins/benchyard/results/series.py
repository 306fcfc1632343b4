"""Series: what one benchmark, or all together, gave from commit to commit on one host.

A lane is what has to be alike for that: host, flags, branch, kind of interpreter, suite and mode. Within a lane, what
was measured under other conditions of the host (another epoch) or with another version of the benchmark is a stretch of
its own: between two of them nothing can be said. Results of one commit are one point.
"""

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
import numpy as np

from benchyard.results.changepoints import ChangePoint, NoChangePoints, find_changes
from benchyard.results.statistics import geometric_mean

K = TypeVar("K", bound=Hashable)

#: Benchmarks of a geometric mean are those that so many of a stretch's points have.
_USUAL = 0.9


class Lane(msgspec.Struct, frozen=True, order=True):
    """What the results of a series have in common; an empty branch is one that nobody knows."""

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
    """Points that can be compared, in the order of their commits, and where their level changes."""

    epoch: int | None
    version: str
    points: tuple[Point, ...]
    changes: tuple[ChangePoint, ...] = ()


class Series(msgspec.Struct, frozen=True):
    """The series of a `benchmark`, in `unit`, or of the geometric mean of all (an empty name).

    A geometric mean is relative to the first point of its stretch, and has no unit: 0.97 takes 3 % less.
    """

    lane: Lane
    benchmark: str
    unit: str
    stretches: tuple[Stretch, ...]

    @property
    def points(self) -> int:
        """How many points there are in all."""
        return sum(len(stretch.points) for stretch in self.stretches)


def values_of(rows: Iterable[Any]) -> list[Value]:
    """Values of the datastore's rows (`store.series`), without those of patched interpreters: these are no commits."""
    lanes: dict[tuple[Any, ...], Lane] = {}
    found = []
    for row in rows:
        id, host, branch, commit, suite, suite_version, mode, epoch, created, flags = row[:10]
        commit_date, build_date, implementation, patch, benchmark, unit, version, mean, n, stdev = row[10:]
        if patch:
            continue
        branch = branch_of(branch, commit)
        key = (host, flags, branch, implementation, suite, suite_version, mode)
        lane = lanes.get(key)
        if lane is None:
            # Files of suites with many versions of pyperf do not say it of all; others than CPython do.
            kind = implementation if implementation not in (None, "", "unknown") else "cpython"
            words = (kind, suite or "", suite_version or "", mode or "")
            lane = lanes.setdefault(key, Lane(host, tuple(sorted(flags)), branch, *words))
        committed = moment_of(commit_date or build_date)
        found.append(Value(id, lane, epoch, version, unit, commit, committed, created, benchmark, mean, n, stdev))
    return found


def series_of(values: Iterable[Value], *, noise: Mapping[tuple[int | None, str], float] = {}) -> list[Series]:
    """The series of each lane and benchmark, those with the most points first; `noise` is by epoch and benchmark.

    Of several units, that of the newest result is taken.
    """
    found = []
    for (lane, benchmark), all_of_it in _by(values, lambda value: (value.lane, value.benchmark)).items():
        unit = max(all_of_it, key=lambda value: value.result).unit
        alike = _by((v for v in all_of_it if v.unit == unit), lambda value: (value.epoch, value.version))
        stretches = [
            _stretch(epoch, version, _points(those), noise.get((epoch, benchmark)))
            for (epoch, version), those in alike.items()
        ]
        found.append(Series(lane, benchmark, unit, _in_order(stretches)))
    return sorted(found, key=lambda series: (-series.points, series.lane, series.benchmark))


def mean_series(values: Iterable[Value]) -> list[Series]:
    """The series of the geometric mean over all benchmarks, of each lane.

    The base is the first point of a stretch. Benchmarks are those of the base that nine of ten points have, in one
    unit and version; one that fails for once keeps what it was, so that it does not move the mean.
    """
    found = []
    for lane, all_of_it in _by(values, lambda value: value.lane).items():
        stretches = []
        for epoch, those in _by(all_of_it, lambda value: value.epoch).items():
            points = _mean_points(those)
            if points:
                stretches.append(_stretch(epoch, "", points, None))
        if stretches:
            found.append(Series(lane, "", "", _in_order(stretches)))
    return sorted(found, key=lambda series: (-series.points, series.lane))


def moment_of(text: object) -> float | None:
    """When a commit was made, in epoch seconds, as an ISO date or time tells it; one without zone is UTC."""
    if not isinstance(text, str):
        return None
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def branch_of(branch: str | None, commit: str) -> str:
    """The branch of a result; other tools give a commit's own name where they were told no branch."""
    return "" if branch is None or branch.startswith(commit[:7]) or commit.startswith(branch) else branch


def _stretch(epoch: int | None, version: str, points: list[Point], noise: float | None) -> Stretch:
    try:
        changes = find_changes([point.value for point in points], noise=noise)
    except NoChangePoints:  # the points are worth seeing by themselves
        changes = ()
    return Stretch(epoch, version, tuple(points), changes)


def _points(values: Iterable[Value]) -> list[Point]:
    """One point for each commit, in order."""
    points = []
    for commit, those in _by(values, lambda value: value.commit).items():
        means = [value.mean for value in those]
        first = min(those, key=lambda value: value.created)
        points.append(
            Point(
                commit=commit,
                time=first.created if first.committed is None else first.committed,
                value=geometric_mean(means) if len(means) > 1 else means[0],
                low=min(means),
                high=max(means),
                results=tuple(sorted(value.result for value in those)),
                n=sum(value.n for value in those),
                stdev=first.stdev if len(those) == 1 else None,
            )
        )
    return sorted(points, key=_order)


def _mean_points(values: Sequence[Value]) -> list[Point]:
    """The geometric mean of each commit, relative to the first; nothing where no benchmark is in most of them."""
    kinds: dict[str, set[tuple[str, str]]] = {}
    for value in values:
        kinds.setdefault(value.benchmark, set()).add((value.unit, value.version))
    alike = [value for value in values if len(kinds[value.benchmark]) == 1]
    firsts: dict[tuple[str, int], Value] = {(value.commit, value.result): value for value in alike}
    order = _points(firsts.values())
    rows = {point.commit: row for row, point in enumerate(order)}
    columns = {name: column for column, name in enumerate(sorted({value.benchmark for value in alike}))}
    sums, counts = np.zeros((2, len(rows), len(columns)))
    for value in alike:
        place = rows[value.commit], columns[value.benchmark]
        sums[place] += math.log(value.mean)
        counts[place] += 1.0
    known = counts > 0.0
    usual = known[:1].all(axis=0) & (known.mean(axis=0) >= _USUAL) if len(rows) else np.zeros(0, dtype=bool)
    if not usual.any():
        return []
    known = known[:, usual]
    logs = sums[:, usual] / np.maximum(counts[:, usual], 1.0)
    last = np.maximum.accumulate(np.where(known, np.arange(len(rows))[:, None], 0), axis=0)
    logs = np.take_along_axis(logs, last, axis=0)
    means = np.exp((logs - logs[0]).mean(axis=1)).tolist()
    return [
        Point(point.commit, point.time, mean, mean, mean, point.results, int(present))
        for point, mean, present in zip(order, means, known.sum(axis=1), strict=True)
    ]


def _order(point: Point) -> tuple[float, int]:
    """By the commit's time; commits of one time (known to the day only) in the order in which they were measured."""
    return (point.time, point.results[0])


def _in_order(stretches: Iterable[Stretch]) -> tuple[Stretch, ...]:
    return tuple(sorted(stretches, key=lambda stretch: (stretch.points[0].results[0], stretch.points[0].time)))


def _by(values: Iterable[Value], key: Callable[[Value], K]) -> dict[K, list[Value]]:
    groups: dict[K, list[Value]] = {}
    for value in values:
        groups.setdefault(key(value), []).append(value)
    return groups
