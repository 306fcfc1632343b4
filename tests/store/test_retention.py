"""Which results may go once they are old: of each week and series all but the best, never what is wanted."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from benchyard.store import results, trashed
from benchyard.store.regressions import modify_regression, note_shift
from benchyard.store.retention import prunable
from benchyard.store.rows import Job

DAY = 86_400.0

#: A Monday.
MONDAY = 4 * DAY + 52 * 7 * DAY
NOW = MONDAY + 1000 * DAY

Add = Callable[..., int]


@pytest.fixture
def add(conn: sa.Connection, make_job: Callable[..., Job]) -> Add:
    """`add(day)`: the id of a result of a job of its own, so many days after a Monday long ago."""

    def add(day: float, *, enabled: bool = True, note: str = "", **given: Any) -> int:
        job = make_job(conn)
        values: dict[str, Any] = {"target": job.target, "interpreter": {"id": "ab"}, "host": "sulaco", "mode": "fast"}
        values |= {"commit": f"{job.id:07x}{'0' * 33}", "branch": "main", "version": "3.15.0a1+", "flags": ()}
        values |= {"suite": "pyperformance", "suite_version": "1.14.0", "path": f"p/{job.id}", "size": 1}
        values |= {"sha256": f"{job.id:064}", "benchmarks": 90, "now": MONDAY + day * DAY}
        row = results.add_result(conn, who="lab", job_id=job.id, attempt=1, **values | given)
        results.enable_result(conn, row.id, enabled, now=1.0, who="ada")
        results.modify_result(conn, row.id, now=1.0, who="ada", note=note)
        return row.id

    return add


def gone(conn: sa.Connection, **how: Any) -> list[int]:
    return [row.id for row in prunable(conn, **{"keep_all_days": 365.0, "now": NOW, **how})]


def test_one_a_week(conn: sa.Connection, add: Add) -> None:
    """Of a week the last stays, or one of a better grade, or with more benchmarks; the next week has its own."""
    first, last, next_week = add(0.1), add(6.9), add(7.1)
    assert gone(conn) == [first]
    assert gone(conn, keep_all_days=1000.0) == []
    graded = add(3.0, grade="B")
    assert gone(conn) == [first, last]
    best = add(2.0, grade="A", benchmarks=50)
    assert gone(conn) == [first, graded, last]
    assert best not in gone(conn) and next_week not in gone(conn)
    whole = add(1.0, grade="A")
    assert gone(conn) == [first, best, graded, last] and whole not in gone(conn)


def test_series_are_apart(conn: sa.Connection, add: Add) -> None:
    """Another host, branch, flag, patch, suite, fingerprint, mode, implementation or fork has its own of the week."""
    add(0.0)
    others: list[dict[str, Any]] = [
        *({"host": "nostromo"}, {"branch": "3.14"}, {"branch": None}, {"flags": ("jit",)}, {"suite_version": "2"}),
        *({"suite": "pyston"}, {"fingerprint_id": "portal:42d6dd4409cb"}),
        *({"interpreter": {"id": "ab", name: "cd"}} for name in ("patch", "implementation", "remote", "url")),
        *({"mode": "rigorous"}, {"branch": None}),
    ]
    for given in others:
        add(1.0, **given)
    assert gone(conn) == []


def test_what_always_stays(conn: sa.Connection, add: Add, make_job: Callable[..., Job]) -> None:
    """Releases, notes, bases, calibrations, and what does not count anyway; young ones, too."""
    base = add(0.0)
    make_job(conn, base_job=results.get_result(conn, base).job_id)
    tagged = add(0.1)
    for given in ({"version": "3.14.0"}, {"version": "3.15.0rc2"}, {"kind": "calibrate"}, {"kind": "profile"}):
        add(0.2, **given)
    add(0.3, note="before the new fan")
    add(0.4, enabled=False)
    young = add(900.0)
    add(0.5)
    commit = results.get_result(conn, tagged).commit
    assert gone(conn, tagged=[str(commit)]) == []
    assert gone(conn) == [tagged]
    assert young not in gone(conn)


def test_what_a_regression_lies_between(conn: sa.Connection, add: Add) -> None:
    """Its first result, and the last before it, stay as long as it is open."""
    before, first, best = add(0.0), add(1.0), add(2.0)
    lane: dict[str, Any] = {"host": "sulaco", "flags": (), "branch": "main", "implementation": "cpython"}
    lane |= {"suite": "pyperformance", "suite_version": "1.14.0", "mode": "fast", "epoch": 1}
    lane |= {"version": "1", "benchmark": "nbody"}
    ids = {"result_id": first, "result_before": before, "found_by": best}
    rest = {"key": "k", "unit": "second", "commit": "c2", "commit_before": "c1", "worse": True}
    numbers = {"before": 1.0, "after": 1.1, "step": 0.1, "sure": 0.9999}
    made = note_shift(conn, {**lane, **ids, **rest, **numbers}, confirmed_by=None, fixed_by=None, now=1.0)
    assert made is not None
    assert gone(conn) == []
    modify_regression(conn, made.id, now=2.0, who="ada", status="fixed")
    assert gone(conn) == [before, first]


def test_trash_is_not_pruned(conn: sa.Connection, add: Add) -> None:
    """What is in the trash is there already, and does not keep another from staying."""
    kept, removed = add(0.0), add(1.0)
    assert gone(conn) == [kept]
    trashed.trash_result(conn, removed, now=1.0, who="ada")
    assert gone(conn) == []
