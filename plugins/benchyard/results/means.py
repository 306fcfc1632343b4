"""The series of the geometric mean over all benchmarks: an index, chained from each point to the next.

The first point of a stretch is 1. From there on each point is what the one before it is, times the geometric mean of
how the benchmarks have changed since they were last measured. That is what the mean relative to the first point is, as
long as all points have the same benchmarks, and holds where they have not: what a point lacks keeps what it was, so one
that fails for once, or a run of a few benchmarks, moves the mean by what was measured and no more; one that is new
counts from the next point on; one that was not there for long is forgotten. So nothing of a point depends on what comes
after it. With a base and a set of benchmarks taken from all points, whatever was added moved all that was there.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from benchyard.results.arrays import Array
from benchyard.results.series import Lane, Lanes, Point, Series, grouped, stretch_of, stretches_in_order, time_of
from benchyard.results.times import moment_of

#: Points after which a benchmark that none of them has is forgotten.
FORGOTTEN = 50

#: A benchmark, its unit and version: only what has the same is compared.
Kind = tuple[str, str, str]

_words = msgspec.json.Decoder(tuple[str, ...])
_numbers = msgspec.json.Decoder(list[float])


class Means(msgspec.Struct, frozen=True):
    """What all benchmarks of a result gave, in the order of `kinds`: the logarithms of their means.

    `version` is the fingerprint that a foreign tool has given it, if any: those of the benchmarks are in `kinds`.
    """

    result: int
    lane: Lane
    epoch: int | None
    commit: str
    committed: float | None
    created: float
    kinds: tuple[Kind, ...]
    logs: Array
    version: str = ""


def means_of(rows: Iterable[tuple[Any, Sequence[str]]]) -> list[Means]:
    """The means of the datastore's rows (`store.series.measured_means`), without those of patched interpreters."""
    lanes = Lanes()
    kinds: dict[tuple[str, str, str], tuple[Kind, ...]] = {}
    found = []
    for row, (benchmarks, units, versions, means) in rows:
        lane = lanes.of(row)
        if lane is None:
            continue
        said = (benchmarks, units, versions)
        if said not in kinds:  # nearly all results have the same
            kinds[said] = tuple(zip(*map(_words.decode, said), strict=True))
        logs = np.log(_numbers.decode(means))
        committed = moment_of(row.commit_date or row.build_date)
        told = (row.commit, committed, row.created, kinds[said], logs, row.foreign_print or "")
        found.append(Means(row.id, lane, row.epoch, *told))
    return found


def mean_series(found: Iterable[Means]) -> list[Series]:
    """The series of the geometric mean over all benchmarks, of each lane, those with the most points first."""
    series = []
    for lane, of_lane in grouped(found, lambda means: means.lane).items():
        stretches = [
            stretch_of(epoch, version, _points(those), None)
            for (epoch, version), those in grouped(of_lane, lambda means: (means.epoch, means.version)).items()
        ]
        series.append(Series(lane, "", "", stretches_in_order(stretches)))
    return sorted(series, key=lambda one: (-one.points, one.lane))


def _points(found: Sequence[Means]) -> list[Point]:
    """One point for each commit, in order; one that has nothing in common with those before it is left out."""
    by_commit = [sorted(those, key=lambda one: one.result) for those in grouped(found, lambda one: one.commit).values()]
    times = {those[0].commit: time_of((one.created, one.committed) for one in those) for those in by_commit}
    commits = sorted(by_commit, key=lambda those: (times[those[0].commit], those[0].result))
    logs, present = _matrix(commits)
    steps, linked = _links(logs, present)
    values = np.exp(np.cumsum(steps)).tolist()
    points = []
    for those, value, counted, n in zip(commits, values, linked.tolist(), present.sum(axis=1).tolist(), strict=True):
        if counted:
            commit, made_by = those[0].commit, tuple(one.result for one in those)
            points.append(Point(commit, times[commit], value, value, value, made_by, int(n)))
    return points


def _matrix(commits: Sequence[Sequence[Means]]) -> tuple[Array, npt.NDArray[np.bool_]]:
    """The logarithms by commit and kind, and whether there are any; those of several results are averaged."""
    columns: dict[Kind, int] = {}
    places: dict[tuple[Kind, ...], npt.NDArray[np.intp]] = {}
    for those in commits:
        for means in those:
            if means.kinds not in places:
                places[means.kinds] = np.array(
                    [columns.setdefault(kind, len(columns)) for kind in means.kinds], np.intp
                )
    sums, counts = np.zeros((2, len(commits), len(columns)))
    for row, those in enumerate(commits):
        for means in those:
            sums[row, places[means.kinds]] += means.logs
            counts[row, places[means.kinds]] += 1.0
    present = counts > 0.0
    return sums / np.maximum(counts, 1.0), present


def _links(logs: Array, present: npt.NDArray[np.bool_]) -> tuple[Array, npt.NDArray[np.bool_]]:
    """How each point differs from the one before it, as a logarithm, and whether it has anything in common with it."""
    rows = np.arange(len(logs))[:, None]
    last = np.maximum.accumulate(np.where(present, rows, -1), axis=0)
    before = np.vstack([np.full((1, logs.shape[1]), -1), last[:-1]])
    known = (before >= 0) & (rows - before <= FORGOTTEN)
    compared = known & present
    changes = np.where(compared, logs - np.take_along_axis(logs, np.maximum(before, 0), axis=0), 0.0)
    linked = compared.any(axis=1)
    linked[0] = True
    return changes.sum(axis=1) / np.maximum(known.sum(axis=1), 1), linked
