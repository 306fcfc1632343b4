"""What has become of the changes of a series: the facts of a regression's life that the series itself tells."""

import hashlib
import math
from collections.abc import Iterable, Iterator
from itertools import zip_longest

import msgspec

from benchyard.results.changepoints import ChangePoint
from benchyard.results.series import Lane, Point, Series, Stretch

#: The part of a step that must be left for it to be confirmed, and that must be gone for it to be fixed.
CONFIRMED, FIXED = 0.5, 2.0 / 3.0

#: Points around a change in which it is the same one, where results of commits in between came later.
NEAR = 4


class Shift(msgspec.Struct, frozen=True):
    """A change of a series with what follows it; `key` stands for it among all others.

    `found_by` is the newest result of the point by which it was found, `confirmed_by` the first later one where the
    level has lasted, `fixed_by` the commit by which it went back. `near` are the commits around it.
    """

    key: str
    lane: Lane
    epoch: int | None
    version: str
    benchmark: str
    unit: str
    commit: str
    commit_before: str
    result: int
    result_before: int
    found_by: int
    before: float
    after: float
    step: float
    sure: float
    confirmed_by: int | None
    fixed_by: str | None
    near: tuple[str, ...]

    @property
    def worse(self) -> bool:
        """Whether it takes longer, or more, since."""
        return self.step > 0.0


def shifts_of(found: Iterable[Series]) -> Iterator[Shift]:
    """The changes of series, in the order of their commits within each."""
    for series in found:
        for stretch in series.stretches:
            for change, after in zip_longest(stretch.changes, stretch.changes[1:]):
                yield _shift(series, stretch, change, after)


def _shift(series: Series, stretch: Stretch, change: ChangePoint, after: ChangePoint | None) -> Shift:
    points, at = stretch.points, change.index
    end = len(points) if after is None else after.index
    place = (series.lane, stretch.epoch, stretch.version, series.benchmark, points[at].commit)
    return Shift(
        key=hashlib.sha256(msgspec.json.encode(place)).hexdigest()[:32],
        lane=series.lane,
        epoch=stretch.epoch,
        version=stretch.version,
        benchmark=series.benchmark,
        unit=series.unit,
        commit=points[at].commit,
        commit_before=points[at - 1].commit,
        result=points[at].results[0],
        result_before=points[at - 1].results[-1],
        found_by=points[change.found].results[-1],
        before=change.before,
        after=change.after,
        step=change.step,
        sure=change.sure,
        confirmed_by=_confirmed_by(change, points[change.found + 1 : end]),
        fixed_by=points[after.index].commit if after is not None and _is_fixed(change, after) else None,
        near=tuple(point.commit for point in points[max(0, at - NEAR) : at + NEAR + 1]),
    )


def _confirmed_by(change: ChangePoint, later: tuple[Point, ...]) -> int | None:
    """The first later result where all later points together still are on the new level's side."""
    if not later:
        return None
    level = math.fsum(math.log(point.value) for point in later) / len(later)
    left = (level - math.log(change.before)) / math.log1p(change.step)
    return later[0].results[0] if left >= CONFIRMED else None


def _is_fixed(change: ChangePoint, after: ChangePoint) -> bool:
    """Whether the next change has taken back most of this one."""
    gone = (math.log(change.after) - math.log(after.after)) / math.log1p(change.step)
    return gone >= FIXED
