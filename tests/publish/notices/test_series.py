"""Series are watched by a running master: records of what has changed, and notices of what has become worse."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from measuredlab import MeasuredLab, around

from benchyard.publish import regressions as watching
from benchyard.store import measurements, notices, regressions, results
from benchyard.store.rows import Notice, Regression, Result

if TYPE_CHECKING:
    from tests.publish.notices.conftest import Master, Masters


def add(conn: sa.Connection, lab: MeasuredLab, number: int, *, dated: bool = True, **means: float) -> Result:
    """A result of the commit with this number, with what each benchmark takes, and little noise."""
    noise = 1.0 + 0.002 * (number * 7 % 5)
    given = {name: mean * noise for name, mean in means.items()}
    commit = f"{number:040x}"
    interpreter = {"id": commit, "implementation": "cpython"}
    interpreter |= {"commit_date": f"2026-01-01T00:{number:02}:00+00:00"} if dated else {}
    files = {name: around(mean) for name, mean in given.items()}
    now = (1e9 if dated else 1.8e9) + number
    row = lab.measured(conn, files, now=now, commit=commit, interpreter=interpreter, origin="rest")
    rest = {"unit": "second", "n": 20, "median": 1.0, "mad": 0.0, "minimum": 1.0, "maximum": 1.0}
    rest |= {"memory": None, "version": "", "stdev": 0.01}
    measurements.add_measurements(conn, row.id, [{"benchmark": n, "mean": m, **rest} for n, m in given.items()], b"")
    return row


def fill(conn: sa.Connection, lab: MeasuredLab, first: int, last: int, **means: float) -> None:
    """Results of these commits."""
    for number in range(first, last + 1):
        add(conn, lab, number, dated=True, **means)


def records(conn: sa.Connection) -> dict[str, Regression]:
    """The records, by benchmark."""
    return {found.benchmark: found for found in regressions.list_regressions(conn)}


def told(conn: sa.Connection) -> tuple[Notice, ...]:
    """The notices of regressions."""
    return notices.list_notices(conn, kind=["regression"])


@pytest.fixture
def master(masters: "Masters") -> "Master":
    """A master that watches; its history begins here."""
    started = masters.start({})
    started.db(notices.watch, watching.WATCH, now=0.0)
    return started


@pytest.fixture
def look(master: "Master", spin: Callable[..., Any]) -> Callable[[], None]:
    """A look at all that was stored, now."""
    service = master.master.service_manager.namedServices[watching.SERVICE]

    def now() -> None:
        spin(service._busy.run(service.follow))

    return now


def test_life_of_a_regression(master: "Master", lab: MeasuredLab, look: Callable[[], None]) -> None:
    """A level that becomes worse is a record and a notice, one of each; later results confirm it, and fix it."""
    master.db(fill, lab, 1, 12, nbody=1.0, go=2.0)
    look()
    assert master.db(records) == {}
    master.db(fill, lab, 13, 15, nbody=1.2, go=2.0)
    look()
    found = master.db(records)
    assert set(found) == {"", "nbody"}
    assert (found["nbody"].status, found["nbody"].worse, found["nbody"].result_id) == ("new", True, 13)
    assert found["nbody"].step == pytest.approx(0.2, abs=0.01)
    assert found["nbody"].flags == ("jit", "pgo")
    (notice,) = master.db(told)
    assert (
        "regression: main 0000000000 on bench: 1.09x slower overall, 1 benchmark slower, nbody 1.20x" in notice.subject
    )
    assert "benchyard result regressions --result 13" in notice.body
    assert notice.users == ("ada",)
    look()
    master.db(fill, lab, 16, 16, nbody=1.2, go=2.0)
    look()
    assert {name: each.status for name, each in master.db(records).items()} == {"": "confirmed", "nbody": "confirmed"}
    master.db(fill, lab, 17, 19, nbody=1.0, go=2.0)
    look()
    both = [(r.benchmark, r.worse, r.status) for r in master.db(regressions.list_regressions)]
    assert sorted(both) == [("", False, "new"), ("", True, "fixed"), ("nbody", False, "new"), ("nbody", True, "fixed")]
    assert len(master.db(told)) == 1


def test_killed_in_between(master: "Master", lab: MeasuredLab, look: Callable[[], None]) -> None:
    """Records that were made before a kill, and a history that was not noted as looked at: still one of each."""
    master.db(fill, lab, 1, 12, nbody=1.0)
    master.db(fill, lab, 13, 15, nbody=1.2)
    look()
    before, notice = master.db(regressions.list_regressions), master.db(told)
    master.db(lambda conn: conn.execute(sa.text("update benchyard_watches set position = 0 where name = 'series'")))
    look()
    assert master.db(regressions.list_regressions) == before
    assert master.db(told) == notice
    assert len(before) == 2


def test_by_itself(masters: "Masters", lab: MeasuredLab) -> None:
    """What was stored while no master was there is looked at by the next, by itself."""
    first = masters.start({})
    first.db(fill, lab, 1, 12, nbody=1.0)
    first.db(fill, lab, 13, 15, nbody=1.2)
    masters.stop(first)
    second = masters.start({})
    reader = sa.create_engine(f"sqlite:///{second.database}", poolclass=sa.NullPool)

    def found() -> bool:
        with reader.connect() as conn:
            return bool(records(conn))

    second.wait(found, "the records")
    assert set(second.db(records)) == {"", "nbody"}


def test_a_long_history(
    master: "Master", lab: MeasuredLab, look: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a history that is imported, whatever its order, the changes of its earliest commits are found, too."""
    monkeypatch.setattr(watching, "LOOK_BACK", 12)
    monkeypatch.setattr(watching, "PART", 1)
    for number in reversed(range(1, 41)):
        master.db(add, lab, number, nbody=1.0 if number < 12 else 1.2, go=2.0 if number < 30 else 2.5)
    look()
    found = {name: (each.commit, each.worse) for name, each in master.db(records).items() if name}
    assert found == {"nbody": (f"{12:040x}", True), "go": (f"{30:040x}", True)}
    means = [each.commit for each in master.db(regressions.list_regressions) if not each.benchmark]
    assert sorted(means) == [f"{12:040x}", f"{30:040x}"]
    before = master.db(regressions.list_regressions)
    master.db(fill, lab, 41, 42, nbody=1.2, go=2.5)
    look()
    assert [each.key for each in master.db(regressions.list_regressions)] == [each.key for each in before]


def test_old_commits_again_without_a_date(
    master: "Master", lab: MeasuredLab, look: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results that do not tell when their commits were made are where others of these commits are."""
    monkeypatch.setattr(watching, "LOOK_BACK", 12)
    master.db(fill, lab, 1, 12, nbody=1.0)
    master.db(fill, lab, 13, 24, nbody=1.2)
    look()
    before = master.db(records)
    for number in (3, 4, 5, 6):
        master.db(add, lab, number, dated=False, nbody=1.0)
    look()
    assert [each.worse for each in master.db(regressions.list_regressions)] == [True, True]
    assert {name: each.id for name, each in master.db(records).items()} == {n: each.id for n, each in before.items()}


def test_first_slower_result_is_disabled(master: "Master", lab: MeasuredLab, look: Callable[[], None]) -> None:
    """A record whose first result counts no more is at the next one, with all that was said of it."""
    master.db(fill, lab, 1, 12, nbody=1.0)
    master.db(fill, lab, 13, 17, nbody=1.2)
    look()
    before = master.db(records)["nbody"]
    assert before.result_id == 13
    master.db(regressions.modify_regression, before.id, now=1e9, who="ada", owner="ada")
    master.db(results.enable_result, 13, False, now=1e9, who="ada")
    look()
    after = master.db(records)["nbody"]
    assert (after.id, after.result_id, after.owner) == (before.id, 14, "ada")
    assert len(master.db(regressions.list_regressions)) == 2


def test_stops_in_between(
    masters: "Masters", master: "Master", lab: MeasuredLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A master that stops waits for no more than one benchmark, and not for long; all is looked at by the next."""
    monkeypatch.setattr(watching, "LOOK_BACK", 2)
    monkeypatch.setattr(watching, "STOP_S", 0.2)
    master.db(fill, lab, 1, 12, nbody=1.0, go=2.0)
    master.db(fill, lab, 13, 16, nbody=1.2, go=2.0)
    begun, stopped, shifts = [], threading.Event(), watching._shifts

    def think(*args: Any) -> Any:
        begun.append(args)
        stopped.wait(10.0)
        return shifts(*args)

    monkeypatch.setattr(watching, "_shifts", think)
    looked = master.master.service_manager.namedServices[watching.SERVICE]._once()
    master.wait(lambda: begun, "a benchmark is thought about")
    masters.stop(master)
    assert len(begun) == 1
    stopped.set()
    second = masters.start({})
    second.spin(looked)
    assert len(begun) == 1
    watch = second.db(notices.find_watch, watching.WATCH)
    assert watch is not None and watch.position == 0
    second.spin(second.master.service_manager.namedServices[watching.SERVICE]._once())
    assert set(second.db(records)) == {"", "nbody"}
    assert not [line for line in masters.log if "it is tried again" in line]


def test_told_once(master: "Master", lab: MeasuredLab, look: Callable[[], None]) -> None:
    """What was told of when the first slower result came is not told again."""
    master.db(fill, lab, 1, 12, nbody=1.0, go=1.0)
    master.db(fill, lab, 13, 15, nbody=1.2, go=1.2)
    data = {"slower": [{"name": "nbody"}]}
    early: dict[str, Any] = {
        "key": "regression:13:12",
        "kind": "regression",
        "time": 1e9,
        "subject": "s",
        "body": "b",
        "data": data,
    }
    master.db(notices.add_notice, **early)
    look()
    assert set(master.db(records)) == {"", "nbody", "go"}
    late, _ = master.db(told)
    assert "go" in late.subject
    assert "nbody" not in late.body


def test_disabled_results_do_not_count(master: "Master", lab: MeasuredLab, look: Callable[[], None]) -> None:
    """A result that somebody has disabled confirms nothing."""
    master.db(fill, lab, 1, 12, nbody=1.0)
    master.db(fill, lab, 13, 15, nbody=1.2)
    master.db(results.enable_result, 15, False, now=1e9, who="ada")
    look()
    assert master.db(records) == {}
