"""The series of the geometric mean: what a point is depends on those before it only."""

import math
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchyard.results.means import FORGOTTEN, Means, mean_series
from benchyard.results.series import Lane, Point

LANE = Lane("bench1", ("lto", "pgo"), "main", "cpython", "pyperformance", "1.14.0", "full")


def means(number: int, gave: dict[str, float], **given: Any) -> Means:
    """A result whose number is that of its commit; a benchmark's name may have a version, as in `nbody 2`."""
    kinds = tuple((name.partition(" ")[0], "second", name.partition(" ")[2]) for name in gave)
    values: dict[str, Any] = {
        "result": number,
        "lane": LANE,
        "epoch": 1,
        "commit": f"{number:040x}",
        "committed": float(number),
        "created": 1e9 + number,
        "kinds": kinds,
        "logs": np.log(list(gave.values())),
    }
    return Means(**(values | given))


def points(*made: Means) -> tuple[Point, ...]:
    """The points of the only stretch."""
    (series,) = mean_series(made)
    (stretch,) = series.stretches
    assert (series.benchmark, series.unit) == ("", "")
    return stretch.points


def values(*made: Means) -> list[float]:
    """What these are."""
    return [point.value for point in points(*made)]


def test_relative_to_the_first() -> None:
    """Where all have the same benchmarks, it is the geometric mean relative to the first point."""
    made = [means(n, {"a": factor, "b": 50.0 / factor**3}) for n, factor in enumerate([1.0, 1.21, 1.44])]
    assert values(*made) == pytest.approx([1.0, 1 / 1.21, 1 / 1.44])


def test_what_is_missing_keeps_what_it_was() -> None:
    """One that fails for once, and a run of a few benchmarks, move the mean by what was measured and no more."""
    gave = [
        {"a": 1.0, "b": 9.0, "c": 1.0},
        {"a": 1.0, "c": 1.0},
        {"a": 1.331},
        {"a": 1.331, "b": 9.0 * 1.331, "c": 1.331},
    ]
    made = [means(n, each) for n, each in enumerate(gave)]
    assert values(*made) == pytest.approx([1.0, 1.0, 1.1, 1.331])
    assert [point.n for point in points(*made)] == [3, 2, 1, 3]


def test_what_is_new_counts_from_the_next_point_on() -> None:
    """A benchmark that was not there before says nothing of a change yet; nor does another version of one."""
    gave = [{"a": 1.0, "b": 1.0}, {"a": 1.0, "b 2": 100.0}, {"a": 1.0, "b 2": 133.1}]
    assert values(*[means(n, each) for n, each in enumerate(gave)]) == pytest.approx([1.0, 1.0, 1.331 ** (1 / 3)])
    assert values(*[means(n, {f"a {n}": 1.0}) for n in range(4)]) == [1.0]


def test_what_is_gone_is_forgotten() -> None:
    """A benchmark that was removed from the suite holds the mean back no longer, after some points."""
    made = [means(0, {"a": 1.0, "b": 1.0})]
    made += [means(n, {"a": 1.0}) for n in range(1, FORGOTTEN + 1)]
    made += [means(FORGOTTEN + 1, {"a": 2.0}), means(FORGOTTEN + 2, {"a": 4.0})]
    assert values(*made)[FORGOTTEN:] == pytest.approx([1.0, 2.0, 4.0])
    made[FORGOTTEN] = means(FORGOTTEN, {"a": 2.0})
    assert values(*made)[FORGOTTEN] == pytest.approx(math.sqrt(2.0))


def test_date_that_only_a_later_result_knows() -> None:
    """A commit stands where it was made, if any of its results tells that."""
    later = [means(1, {"a": 2.0}, result=8, committed=None), means(1, {"a": 2.0}, result=9, created=2e9)]
    found = points(means(0, {"a": 1.0}), means(2, {"a": 4.0}), *later)
    assert [(point.time, point.value) for point in found] == [(0.0, 1.0), (1.0, 2.0), (2.0, 4.0)]


def test_results_of_a_commit_are_one_point() -> None:
    """Of several the mean is taken, and all of them are named."""
    made = [means(0, {"a": 1.0}), means(1, {"a": 1.0}), means(2, {"a": 4.0}, commit=f"{1:040x}", committed=1.0)]
    found = points(*made)
    assert [point.value for point in found] == pytest.approx([1.0, 2.0])
    assert [point.results for point in found] == [(0,), (1, 2)]


def test_epochs_are_apart() -> None:
    """Each epoch of the host begins at 1."""
    (series,) = mean_series([means(0, {"a": 1.0}), means(1, {"a": 2.0}, epoch=2)])
    assert [[point.value for point in stretch.points] for stretch in series.stretches] == [[1.0], [1.0]]


def test_points_that_come_change_none() -> None:
    """Whatever is added at the end, with whichever benchmarks, all that was there stays as it is."""
    dice = random.Random(7)  # noqa: S311
    names = [f"b{n}" for n in range(12)]
    made = []
    for number in range(150):
        here = [name for name in names if dice.random() < (0.9 if number % 5 else 0.3)] or names[:1]
        made.append(means(number, {name: dice.uniform(0.5, 2.0) for name in here}))
    whole = points(*made)
    for end in (1, 2, 60, 149):
        assert points(*made[:end]) == whole[:end]


@given(st.lists(st.floats(1e-9, 1e9), min_size=1, max_size=8), st.floats(1e-3, 1e3))
def test_all_scaled_alike(gave: list[float], factor: float) -> None:
    """Where all benchmarks take so much longer, so does their mean."""
    made = [means(n, {f"b{place}": mean * factor**n for place, mean in enumerate(gave)}) for n in range(2)]
    assert values(*made)[1] == pytest.approx(factor, rel=1e-9)
