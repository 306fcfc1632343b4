"""Series of values whose commits, lanes and conditions are known."""

from typing import Any

import msgspec
import pytest

from benchyard.results.changepoints import NoChangePoints
from benchyard.results.series import Lane, Value, branch_of, series_of, values_of

LANE = Lane("bench1", ("lto", "pgo"), "main", "cpython", "pyperformance", "1.14.0", "full")
DAY = 86400.0


def value(number: int, mean: float = 1.0, **given: Any) -> Value:
    """The value of a result whose number is that of its commit, and of the day that this was made on."""
    values: dict[str, Any] = {
        "result": number,
        "lane": LANE,
        "epoch": 1,
        "version": "1.0",
        "unit": "second",
        "commit": f"{number:040x}",
        "committed": number * DAY,
        "created": 1e9 + number,
        "benchmark": "nbody",
        "mean": mean,
    }
    return Value(**(values | given))


def test_ordered_by_commit() -> None:
    """Points are in the order of their commits, not in that in which they were measured."""
    made = [value(1, 1.0), value(2, 2.0, committed=9 * DAY), value(3, 3.0)]
    (series,) = series_of(made)
    assert [point.value for point in series.stretches[0].points] == [1.0, 3.0, 2.0]
    assert (series.lane, series.benchmark, series.unit, series.points) == (LANE, "nbody", "second", 3)


def test_commits_of_one_day_as_measured() -> None:
    """Where commits are known to the day only, the one that was measured first comes first."""
    (series,) = series_of([value(7, committed=DAY), value(3, committed=DAY), value(5, committed=DAY)])
    assert [point.results for point in series.stretches[0].points] == [(3,), (5,), (7,)]


def test_results_of_a_commit_are_pooled() -> None:
    """One point for a commit: its geometric mean, and between which values the results were."""
    twice = [value(1, 1.0, n=60), value(2, 4.0, commit=value(1).commit, committed=DAY, n=20)]
    (point,) = series_of(twice)[0].stretches[0].points
    assert (point.value, point.low, point.high, point.results, point.n) == (2.0, 1.0, 4.0, (1, 2), 80)


def test_lanes_are_apart() -> None:
    """Another host, flag, branch, interpreter, suite, version of it or mode is another series, the longest first."""
    others: list[dict[str, Any]] = [
        {"host": "bench2"},
        {"flags": ("jit",)},
        {"branch": "3.14"},
        {"implementation": "pypy"},
        {"suite": "pyston"},
        {"suite_version": "1.13.0"},
        {"mode": "fast"},
    ]
    assert {name for other in others for name in other} == set(LANE.__struct_fields__)
    lanes = [LANE, LANE, *(msgspec.structs.replace(LANE, **other) for other in others)]
    found = series_of(value(number, lane=lane) for number, lane in enumerate(lanes))
    assert (found[0].lane, found[0].points) == (LANE, 2)
    assert sorted(series.lane for series in found[1:]) == sorted(lanes[2:])


def test_stretches_are_apart() -> None:
    """A new epoch of the host, or a new version of the benchmark, is no change of the level."""
    made = [value(n, 1.0) for n in range(10)]
    made += [value(n, 2.0, epoch=2) for n in range(10, 20)] + [
        value(n, 4.0, epoch=2, version="2") for n in range(20, 30)
    ]
    (series,) = series_of(made)
    assert [(s.epoch, s.version, len(s.points)) for s in series.stretches] == [
        (1, "1.0", 10),
        (2, "1.0", 10),
        (2, "2", 10),
    ]
    assert all(stretch.changes == () for stretch in series.stretches)


def test_changes_are_marked_with_noise() -> None:
    """A step is found within its stretch, unless that is noise there."""
    made = [value(n, (1.0 if n < 20 else 1.1) * (1.0 + 0.002 * (n % 3))) for n in range(40)]
    (change,) = series_of(made)[0].stretches[0].changes
    assert change.index == 20
    assert series_of(made, noise={(1, "nbody"): 0.5})[0].stretches[0].changes == ()


def test_unit_of_the_newest() -> None:
    """Bytes and seconds are not in one series."""
    (series,) = series_of([value(1, unit="byte"), value(2), value(3)])
    assert (series.unit, series.points) == ("second", 2)


def row(**given: Any) -> tuple[Any, ...]:
    """A row of the datastore, in its order."""
    known: dict[str, Any] = {
        "id": 1, "host": "bench1", "branch": "main", "commit": "ab" * 20, "suite": "pyperformance",
        "suite_version": "1.14.0", "mode": "full", "epoch": 1, "created": 5.0, "flags": ("pgo", "lto"),
        "commit_date": "1970-01-02", "build_date": None, "implementation": "cpython", "patch": None,
        "foreign_print": None, "fork": None,
        "benchmark": "nbody", "unit": "second", "version": "1.0", "mean": 2.0, "n": 3, "stdev": 0.1,
    }  # fmt: skip
    return tuple((known | given).values())


def test_rows_become_values() -> None:
    """Flags have an order of their own, a date is one in UTC; a patched interpreter is no commit."""
    (found,) = values_of([row(commit_date="2001-09-09 01:46:40"), row(id=2, patch="c0ffee")])
    assert found.lane == LANE
    assert (found.result, found.committed, found.mean, found.n, found.stdev) == (1, 1e9, 2.0, 3, 0.1)


def test_unknown_kind_of_interpreter() -> None:
    """What does not say its kind is of CPython, in one lane with what does; PyPy is another."""
    found = values_of([row(), row(implementation="unknown"), row(implementation=None), row(implementation="pypy")])
    assert [value.lane.implementation for value in found] == ["cpython"] * 3 + ["pypy"]


def test_forks_have_lanes_of_their_own() -> None:
    """A fork's branch is not upstream's, also where nobody knows which it is."""
    found = values_of([row(), row(fork="ada"), row(fork="ada", branch=None)])
    assert [value.lane.branch for value in found] == ["main", "ada/main", "ada/"]


def test_no_date() -> None:
    """A commit whose date nobody knows stands where it was measured first."""
    (found,) = values_of([row(commit_date=None)])
    assert found.committed is None
    assert series_of([found])[0].stretches[0].points[0].time == 5.0


def test_date_that_only_a_later_result_knows() -> None:
    """A commit stands where it was made, if any of its results tells that: the first that does."""
    later = [value(2, result=8, committed=None, created=5e9), value(2, result=9, created=6e9)]
    (series,) = series_of([value(1), value(3), *later, value(2, result=10, committed=4 * DAY, created=7e9)])
    assert [point.time for point in series.stretches[0].points] == [DAY, 2 * DAY, 3 * DAY]


@pytest.mark.parametrize("date", ["9999-12-31T23:59:59-12:00", "2150-01-01", "0001-01-01", "1970-01-02"])
def test_dates_that_cannot_be(date: str) -> None:
    """A commit of no time that can be is one whose date nobody knows."""
    assert [found.committed for found in values_of([row(commit_date=date)])] == [None]


def test_branches() -> None:
    """Other tools call a branch by the commit where they know no better."""
    assert branch_of("main", "ab" * 20) == "main"
    assert branch_of("ab" * 20, "abababa") == branch_of("abababab", "ab" * 20) == branch_of(None, "ab" * 20) == ""


def test_points_without_change_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the library that finds changes is not there, a series has its points all the same."""

    def missing(values: object, *, noise: object = None) -> object:
        raise NoChangePoints("not there")

    monkeypatch.setattr("benchyard.results.series.find_changes", missing)
    (found,) = series_of([value(n, 1.0 if n < 20 else 2.0) for n in range(40)])
    assert (found.points, found.stretches[0].changes) == (40, ())
