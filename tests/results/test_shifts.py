"""What a series tells of the life of its changes."""

from benchyard.results.series import Lane, Series, Value, series_of
from benchyard.results.shifts import Shift, shifts_of

LANE = Lane("bench1", ("pgo",), "main", "cpython", "pyperformance", "1.14.0", "full")


def made(*levels: tuple[int, float]) -> list[Series]:
    """A series of so many points of each level, with very little noise; result 1 is of commit 1, and so on."""
    values, number = [], 0
    for points, level in levels:
        for _ in range(points):
            number += 1
            mean = level * (1.0 + 0.001 * (number * 7 % 5))
            commit = f"{number:040x}"
            values.append(Value(number, LANE, 1, "1.0", "second", commit, float(number), 0.0, "nbody", mean))
    return series_of(values)


def shifts(*levels: tuple[int, float]) -> list[Shift]:
    """The changes of such a series."""
    return list(shifts_of(made(*levels)))


def test_new() -> None:
    """With the third point a step is there, between two commits, and nothing has confirmed it."""
    (shift,) = shifts((20, 1.0), (3, 1.1))
    assert (shift.result_before, shift.result, shift.found_by) == (20, 21, 23)
    assert (int(shift.commit_before, 16), int(shift.commit, 16)) == (20, 21)
    assert (shift.worse, shift.confirmed_by, shift.fixed_by) == (True, None, None)
    assert round(shift.step, 2) == 0.10
    assert (shift.lane, shift.benchmark, shift.unit, shift.epoch) == (LANE, "nbody", "second", 1)


def test_confirmed() -> None:
    """The next result on the new level confirms it; the key stays the same."""
    (new,), (confirmed,) = shifts((20, 1.0), (3, 1.1)), shifts((20, 1.0), (4, 1.1))
    assert (confirmed.key, confirmed.confirmed_by) == (new.key, 24)


def test_not_confirmed() -> None:
    """A result that is as before confirms nothing, and does not fix it alone."""
    (shift,) = shifts((20, 1.0), (3, 1.1), (1, 1.0))
    assert (shift.confirmed_by, shift.fixed_by) == (None, None)


def test_fixed() -> None:
    """Once the level is back for good, it was fixed by the first commit of that; that is a speed-up by itself."""
    slower, faster = shifts((20, 1.0), (6, 1.1), (3, 1.01))
    assert int(slower.fixed_by or "", 16) == 27
    assert (slower.worse, faster.worse, faster.fixed_by) == (True, False, None)
    assert slower.key != faster.key


def test_half_fixed_is_not_fixed() -> None:
    """Where half of a step is still there, it is not gone."""
    slower, faster = shifts((20, 1.0), (6, 1.1), (6, 1.05))
    assert (slower.fixed_by, faster.worse) == (None, False)


def test_near() -> None:
    """The commits around a change are those of the few results before and after."""
    (shift,) = shifts((20, 1.0), (6, 1.1))
    assert [int(commit, 16) for commit in shift.near] == [17, 18, 19, 20, 21, 22, 23, 24, 25]


def test_none() -> None:
    """What does not change has none."""
    assert shifts((30, 1.0)) == []
