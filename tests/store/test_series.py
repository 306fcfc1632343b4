"""What series are made of: the measurements of the results that count, on both databases."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from benchyard.results.means import mean_series, means_of
from benchyard.results.series import series_of, values_of
from benchyard.store import calibrations, measurements, results, trashed
from benchyard.store.forks import fork_of
from benchyard.store.rows import Job, Noise
from benchyard.store.series import (
    known_floors,
    measured_benchmarks,
    measured_means,
    measured_results,
    measured_values,
)
from benchyard.store.tables import results as table

Add = Callable[..., int]


@pytest.fixture
def add(conn: sa.Connection, make_job: Callable[..., Job]) -> Add:
    """A function that adds a result with two benchmarks; commits are told apart by their number."""
    count = 0

    def make(*, enabled: bool = True, epoch: int = 1, nbody: float = 1.0, **given: Any) -> int:
        nonlocal count
        count += 1
        values: dict[str, Any] = {
            "host": "sulaco",
            "target": "linux-x86_64",
            "commit": f"{count:040x}",
            "branch": "main",
            "version": "3.15.0a1+",
            "flags": ("pgo", "lto"),
            "suite": "pyperformance",
            "suite_version": "1.14.0",
            "mode": "default",
            "interpreter": {"commit_date": f"2026-01-{count:02}", "implementation": "cpython", "patch": None},
            "path": f"bm-{count}/bm.json",
            "sha256": f"{count:064x}",
            "size": 5,
            "benchmarks": 2,
            **given,
        }
        job = make_job(conn)
        row = results.add_result(conn, now=100.0 + count, who="lab", job_id=job.id, attempt=1, **values)
        conn.execute(sa.update(table).where(table.c.id == row.id).values(epoch=epoch))
        rest = {"unit": "second", "n": 3, "median": 1.0, "mad": 0.0, "minimum": 1.0, "maximum": 1.0}
        rest |= {"memory": None, "version": "1", "stdev": 0.1}
        rows = [{"benchmark": "nbody", "mean": nbody, **rest}, {"benchmark": "go", "mean": 5.0, **rest}]
        measurements.add_measurements(conn, row.id, rows, b"")
        results.enable_result(conn, row.id, enabled, now=200.0, who="ada")
        return row.id

    return make


def ids(conn: sa.Connection, **asked: Any) -> list[int]:
    """The results whose values are found."""
    return [row.id for row in measured_values(conn, benchmark="nbody", **asked)]


def test_all_that_a_series_needs(conn: sa.Connection, add: Add) -> None:
    """One row for a result, with what its interpreter says of the commit."""
    first = add(nbody=2.5)
    (row,) = measured_values(conn, benchmark="nbody")
    assert tuple(row) == (
        *(first, "sulaco", "main", f"{1:040x}", "pyperformance", "1.14.0", "default", 1, 101.0, ("pgo", "lto")),
        *("2026-01-01", None, "cpython", None, None, None, "nbody", "second", "1", 2.5, 3, 0.1),
    )
    assert {row.benchmark for row in measured_values(conn)} == {"nbody", "go"}


def test_fingerprints_of_other_tools_are_stretches(conn: sa.Connection, add: Add) -> None:
    """What another tool says was measured under other conditions has a stretch of its own, in both kinds of series."""
    commit = f"{1:040x}"
    old = add(nbody=1.0, commit=commit, fingerprint_id="portal:42d6dd")
    new = add(nbody=9.0, commit=commit, fingerprint_id="portal:b2cf91")
    own = [add(commit=commit, fingerprint_id=id, fingerprint={"host": {}}) for id in ("ab", "cd")]
    (values,) = series_of(values_of(measured_values(conn, benchmark="nbody")))
    assert [(stretch.version, stretch.points[0].results) for stretch in values.stretches] == [
        ("1 portal:42d6dd", (old,)),
        ("1 portal:b2cf91", (new,)),
        ("1", tuple(own)),
    ]
    (means,) = mean_series(means_of(measured_means(conn)))
    assert [(stretch.version, stretch.points[0].results) for stretch in means.stretches] == [
        ("portal:42d6dd", (old,)),
        ("portal:b2cf91", (new,)),
        ("", tuple(own)),
    ]


def test_means_of_all(conn: sa.Connection, add: Add) -> None:
    """One row for a result, with the means of all its benchmarks in one order."""
    add(enabled=False)
    one, two = add(nbody=0.1), add(nbody=1.0 / 3.0, host="other")
    rows = measured_means(conn)
    assert [row.id for row, _ in rows] == [one, two]
    for (_, lists), nbody in zip(rows, (0.1, 1.0 / 3.0), strict=True):
        names, units, versions, means = map(json.loads, lists)
        assert dict(zip(names, means, strict=True)) == pytest.approx({"nbody": nbody, "go": 5.0}, rel=1e-14)
        assert (units, versions) == (["second"] * 2, ["1"] * 2)
    assert tuple(rows[0][0]) == tuple(measured_values(conn, benchmark="go")[0])[:16]
    assert [row.id for row, _ in measured_means(conn, host="other")] == [two]
    assert [row.id for row, _ in measured_means(conn, ids=[one])] == [one]
    assert [row.id for row, _ in measured_means(conn, most=1)] == [two]
    (found,) = means_of(measured_means(conn, ids=[one]))
    assert dict(zip(found.kinds, np.exp(found.logs).tolist(), strict=True)) == pytest.approx(
        {("nbody", "second", "1"): 0.1, ("go", "second", "1"): 5.0}
    )


def test_what_a_lane_has(conn: sa.Connection, add: Add) -> None:
    """The results that count with the dates of their commits, and the benchmarks of all."""
    one = add()
    add(enabled=False)
    add(host="other")
    (row,) = measured_results(conn, host="sulaco", flags=("pgo", "lto"))
    assert (row.id, row.commit, row.commit_date, row.build_date) == (one, f"{1:040x}", "2026-01-01", None)
    assert row.created == 101.0
    assert measured_benchmarks(conn, host="sulaco", flags=("pgo", "lto")) == ["go", "nbody"]
    assert measured_benchmarks(conn, host="sulaco", flags=("jit",)) == []


def test_what_does_not_count(conn: sa.Connection, add: Add) -> None:
    """Disabled and trashed results, calibrations, and what is of no commit, are in no series."""
    counts = add()
    add(enabled=False)
    add(commit=None)
    add(kind="calibrate")
    trashed.trash_result(conn, add(), now=300.0, who="ada")
    assert ids(conn) == [counts]


def test_narrowed(conn: sa.Connection, add: Add) -> None:
    """By host, branch, flags, target and time; flags are all the same."""
    made = [add(), add(host="other"), add(branch="3.14"), add(flags=("jit",)), add(target="linux-aarch64")]
    assert ids(conn, host="other") == [made[1]]
    assert ids(conn, branch="3.14") == [made[2]]
    assert ids(conn, flags=("jit",)) == [made[3]]
    assert ids(conn, target="linux-aarch64") == [made[4]]
    assert ids(conn, since=104.0) == made[3:]
    assert ids(conn, most=2) == made[3:]


def test_forks(conn: sa.Connection, add: Add) -> None:
    """Whose repository a commit is in comes with it, as the interpreter of the row says; FORK/BRANCH is one fork's."""
    cpython, ada = (f"https://github.com/{owner}/cpython" for owner in ("python", "ada"))
    told: list[tuple[dict[str, Any], str | None]] = [
        ({}, None),
        ({"remote": None, "url": None}, None),
        ({"remote": "upstream", "url": "/srv/mirror"}, None),
        ({"remote": "main", "url": cpython}, None),
        ({"remote": "main", "url": "git@github.com:python/cpython.git"}, None),
        ({"remote": "ada", "url": ada}, "ada"),
        ({"remote": "ada"}, "ada"),
    ]
    for interpreter, fork in told:
        add(interpreter=interpreter)
        assert fork_of(interpreter) == fork
    rows = measured_values(conn, benchmark="nbody")
    assert [row.fork for row in rows] == [fork for _, fork in told]
    assert [row.fork for row, _ in measured_means(conn, branch="ada/main")] == ["ada", "ada"]
    assert len(ids(conn, branch="main")) == len(told)
    add(branch="ada/main")
    assert len(ids(conn, branch="ada/main")) == 3


def test_without_interpreter(conn: sa.Connection, add: Add) -> None:
    """A row that says nothing of its interpreter is one nevertheless."""
    made = add()
    conn.execute(sa.update(table).values(interpreter=None))
    (row,) = measured_values(conn, benchmark="nbody")
    assert (row.id, row.commit_date, row.implementation, row.patch) == (made, None, None, None)


def test_floors(conn: sa.Connection) -> None:
    """The noise of a host, by epoch and benchmark."""
    found = [Noise("sulaco", epoch, "nbody", 0.01 * epoch, 8, 1.0, "second", 5.0) for epoch in (1, 2)]
    for noise in found:
        calibrations.put_noise(conn, "sulaco", noise.epoch, [noise])
    assert known_floors(conn, ["sulaco"]) == {("sulaco", 1, "nbody"): 0.01, ("sulaco", 2, "nbody"): 0.02}
    assert known_floors(conn, []) == {}
