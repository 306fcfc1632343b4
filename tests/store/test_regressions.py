"""Regressions as records: made once, moved on by what the series tells, and kept as people say, on both databases."""

from typing import Any

import pytest
import sqlalchemy as sa

from benchyard.store import history, regressions
from benchyard.store.errors import NotFound, Stale, StoreError
from benchyard.store.rows import Regression


def values(**given: Any) -> dict[str, Any]:
    """The columns of a change that was found."""
    known: dict[str, Any] = {
        "key": "k1",
        "host": "bench1",
        "flags": ("pgo",),
        "branch": "main",
        "implementation": "cpython",
        "suite": "pyperformance",
        "suite_version": "1.14.0",
        "mode": "full",
        "epoch": 1,
        "benchmark": "nbody",
        "version": "1.0",
        "unit": "second",
        "commit": "c21",
        "commit_before": "c20",
        "result_id": 21,
        "result_before": 20,
        "found_by": 23,
        "before": 1.0,
        "after": 1.1,
        "step": 0.1,
        "sure": 0.9999,
        "worse": True,
    }
    return known | given


def note(
    conn: sa.Connection, *, now: float = 100.0, confirmed_by: int | None = None, **given: Any
) -> Regression | None:
    """What a look at the series notes."""
    how = {name: given.pop(name) for name in ("near", "others") if name in given}
    fixed_by = given.pop("fixed_by", None)
    return regressions.note_shift(conn, values(**given), confirmed_by=confirmed_by, fixed_by=fixed_by, now=now, **how)


def only(conn: sa.Connection) -> Regression:
    """The only record."""
    (found,) = regressions.list_regressions(conn)
    return found


def test_made_once(conn: sa.Connection) -> None:
    """The same change is one record, however often it is looked at, and its history has one line."""
    made = note(conn)
    assert made is not None
    assert (made.status, made.worse, made.owner, made.comment) == ("new", True, None, "")
    assert [note(conn, now=200.0) for _ in range(3)] == [None] * 3
    assert only(conn) == made
    assert len(history.history_of(conn, "regression", made.id)) == 1


def test_life(conn: sa.Connection) -> None:
    """New, confirmed by a later result, fixed by a commit; never back."""
    note(conn)
    note(conn, confirmed_by=24, now=200.0)
    assert (only(conn).status, only(conn).confirmed_by, only(conn).changed) == ("confirmed", 24, 200.0)
    note(conn, confirmed_by=25, now=300.0)
    assert only(conn).confirmed_by == 24
    note(conn, confirmed_by=24, fixed_by="c30", now=400.0)
    assert (only(conn).status, only(conn).fixed_by) == ("fixed", "c30")
    note(conn, confirmed_by=24, now=500.0)
    assert only(conn).status == "fixed"


def test_known_stays_known(conn: sa.Connection) -> None:
    """What somebody says is not undone by a result, but a fix is a fix."""
    made = note(conn)
    assert made is not None
    said = regressions.modify_regression(
        conn, made.id, now=150.0, who="ada", status="known", owner="ada", comment="PEP 1"
    )
    assert (said.status, said.owner, said.comment, said.changed_by) == ("known", "ada", "PEP 1", "ada")
    note(conn, confirmed_by=24, now=200.0)
    assert (only(conn).status, only(conn).confirmed_by) == ("known", 24)
    note(conn, confirmed_by=24, fixed_by="c30", now=300.0)
    assert (only(conn).status, only(conn).comment) == ("fixed", "PEP 1")


def test_said_to_be_fixed(conn: sa.Connection) -> None:
    """A person may say that it is fixed; later results do not open it again."""
    made = note(conn)
    assert made is not None
    regressions.modify_regression(conn, made.id, now=150.0, who="ada", status="fixed")
    note(conn, confirmed_by=24)
    assert only(conn).status == "fixed"


def test_speed_up(conn: sa.Connection) -> None:
    """What has become better is shown, and is not `fixed` by becoming worse again."""
    note(conn, worse=False, step=-0.1, after=0.9)
    note(conn, worse=False, step=-0.1, after=0.9, confirmed_by=24, fixed_by="c30")
    assert (only(conn).worse, only(conn).status, only(conn).fixed_by) == (False, "confirmed", "c30")


def test_place_is_mended(conn: sa.Connection) -> None:
    """Where results of commits in between come later, the same record says so."""
    made = note(conn)
    assert made is not None
    moved: dict[str, Any] = {"key": "k2", "commit": "c20b", "result_id": 40, "near": ("c20", "c20b", "c21")}
    assert note(conn, now=200.0, **moved) is None
    assert (only(conn).id, only(conn).commit, only(conn).result_id, only(conn).key) == (made.id, "c20b", 40, "k2")
    assert note(conn, now=300.0, **moved) is None
    assert only(conn).changed == 200.0


def test_its_own_commit_has_gone(conn: sa.Connection) -> None:
    """Where the results of its first commit do not count any more, it is found at the next, and is the same record."""
    made = note(conn)
    assert made is not None
    regressions.modify_regression(conn, made.id, now=150.0, who="ada", status="known", owner="ada", comment="PEP 1")
    moved: dict[str, Any] = {"key": "k2", "commit": "c22", "result_id": 22, "near": ("c19", "c20", "c22", "c23")}
    assert note(conn, **moved, others=("k2",), now=200.0) is None
    found = only(conn)
    assert (found.id, found.commit, found.key, found.status) == (made.id, "c22", "k2", "known")
    assert (found.owner, found.comment) == ("ada", "PEP 1")


@pytest.mark.parametrize(
    "other",
    [
        {"worse": False},
        {"benchmark": "go"},
        {"benchmark": ""},
        {"epoch": None},
        {"flags": ("jit",)},
        {"host": "bench2"},
        {"others": ("k1", "k2")},
        {"near": ()},
        {"near": ("c18", "c19", "c20")},
    ],
)
def test_another_is_another(conn: sa.Connection, other: dict[str, Any]) -> None:
    """Another direction, benchmark, epoch or lane near it, or one that is there as well, is a record of its own."""
    note(conn)
    given = {"key": "k2", "commit": "c22", "near": ("c20", "c21", "c22"), **other}
    assert note(conn, **given) is not None
    assert len(regressions.list_regressions(conn)) == 2


def test_lists(conn: sa.Connection) -> None:
    """By status, direction, benchmark, host, branch, owner and result; newest first, page by page."""
    note(conn)
    note(conn, key="k2", benchmark="", host="bench2", branch="3.14")
    note(conn, key="k3", worse=False, result_id=50)
    regressions.modify_regression(conn, 2, now=5.0, who="ada", owner="ada", status="known")

    def ids(**asked: Any) -> list[int]:
        return [found.id for found in regressions.list_regressions(conn, **asked)]

    assert ids() == [3, 2, 1]
    assert ids(limit=1, before=3) == [2]
    assert ids(status=("known", "fixed")) == [2]
    assert ids(worse=True) == [2, 1]
    assert ids(benchmark="") == [2]
    assert ids(host="bench1") == [3, 1]
    assert ids(branch="3.14") == ids(owner="ada") == [2]
    assert ids(result=50) == [3]
    with pytest.raises(StoreError, match="unknown status of a regression 'gone'"):
        ids(status=("gone",))


def test_what_cannot_be_said(conn: sa.Connection) -> None:
    """An unknown status, a record that is not there, and one that somebody else has changed are refused."""
    made = note(conn)
    assert made is not None
    with pytest.raises(StoreError, match="unknown status"):
        regressions.modify_regression(conn, made.id, now=1.0, who="ada", status="gone")
    with pytest.raises(NotFound, match="no regression 9"):
        regressions.modify_regression(conn, 9, now=1.0, who="ada", status="known")
    with pytest.raises(Stale, match="regression 1 was changed by lab"):
        regressions.modify_regression(conn, made.id, now=1.0, who="ada", status="known", expected_changed=1.0)


def test_nothing_new_is_no_change(conn: sa.Connection) -> None:
    """Saying the same again is no change, and an owner can be taken back."""
    note(conn)
    first = regressions.modify_regression(conn, 1, now=150.0, who="ada", owner="ada", comment="look")
    assert regressions.modify_regression(conn, 1, now=160.0, who="bob", owner="ada", comment="look") == first
    assert regressions.modify_regression(conn, 1, now=170.0, who="bob", owner=None).owner is None
