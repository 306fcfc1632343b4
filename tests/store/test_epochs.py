"""Epochs of hosts: opened by the results that show a change, told once."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from benchyard.store import epochs, results
from benchyard.store.history import history_of
from benchyard.store.rows import Job

AddResult = Callable[..., int]

OLD = {"cpu": "z80", "kernel": "6.1", "mitigations": {"meltdown": "PTI", "l1tf": "PTE"}}
NEW = {"cpu": "z80", "kernel": "6.8", "mitigations": {"meltdown": "PTI", "retbleed": "IBRS"}}


@pytest.fixture
def add_result(conn: sa.Connection, make_job: Callable[..., Job]) -> AddResult:
    """`add_result(host)`: the id of a new result of a job of its own."""

    def add(host: str = "sulaco", **given: Any) -> int:
        job = make_job(conn)
        values: dict[str, Any] = {"target": job.target, "interpreter": {"id": "ab"}, "commit": None, "branch": None}
        values |= {"version": "3.14.0", "flags": (), "suite": "pyperformance", "suite_version": "1.14.0"}
        values |= {"mode": "fast", "path": f"p/{job.id}", "sha256": f"{job.id:064}", "size": 1, "benchmarks": 1}
        row = results.add_result(conn, now=5.0, who="lab", job_id=job.id, attempt=1, host=host, **values | given)
        return row.id

    return add


def place(
    conn: sa.Connection, result_id: int, fingerprint: dict[str, Any], measured: float = 1.0
) -> epochs.Opened | None:
    """Put a result into its epoch; its fingerprint's id is the kernel."""
    return epochs.place_result(
        conn,
        result_id,
        fingerprint=fingerprint,
        host_fingerprint=str(fingerprint["kernel"]),
        measured=measured,
        now=measured + 10.0,
    )


def test_kinds_without_tuning_open_none(conn: sa.Connection, add_result: AddResult) -> None:
    """Their governor is another for their time alone; they are in the epoch that they show, if it is there."""
    first, memory, profile, second = (
        add_result(kind=kind) for kind in ("benchmarks", "memory", "profile", "benchmarks")
    )
    place(conn, first, OLD)
    assert place(conn, memory, {**OLD, "kernel": "untuned"}, 2.0) is None
    assert place(conn, profile, OLD, 3.0) is None
    assert place(conn, second, OLD, 4.0) is None
    assert [results.get_result(conn, id).epoch for id in (first, memory, profile, second)] == [1, None, 1, 1]


def test_first_result_opens_the_first_epoch(conn: sa.Connection, add_result: AddResult) -> None:
    """It begins when its run did; results of the same fingerprint are in it, too, and nothing is told again."""
    assert epochs.current_epoch(conn, "sulaco") is None
    first = add_result()
    opened = place(conn, first, OLD)
    assert opened is not None
    assert (opened.epoch.number, opened.epoch.since, opened.epoch.result_id) == (1, 1.0, first)
    assert opened.text == "epoch 1 of host sulaco"
    second = add_result()
    assert place(conn, second, OLD, 2.0) is None
    assert [results.get_result(conn, id).epoch for id in (first, second)] == [1, 1]
    assert [change.change for change in history_of(conn, "host", "sulaco")] == [{"enabled": True}, {"epoch": 1}]


def test_other_fingerprint_opens_the_next(conn: sa.Connection, add_result: AddResult) -> None:
    """What has changed is in the host's history, by name, with the old and the new value."""
    place(conn, add_result(), OLD)
    second = add_result()
    opened = place(conn, second, NEW, 2.0)
    assert opened is not None
    assert opened.text == "epoch 2 of host sulaco: changed kernel, mitigations.l1tf, mitigations.retbleed"
    assert epochs.current_epoch(conn, "sulaco") == opened.epoch
    assert results.get_result(conn, second).epoch == 2
    last = history_of(conn, "host", "sulaco")[-1]
    assert (last.who, last.time) == ("lab", 12.0)
    assert last.change == {
        "epoch": 2,
        "changed": {
            "kernel": ["6.1", "6.8"],
            "mitigations.l1tf": ["PTE", None],
            "mitigations.retbleed": [None, "IBRS"],
        },
    }


def test_fingerprint_that_was_there_before(conn: sa.Connection, add_result: AddResult) -> None:
    """A kernel that is booted again opens an epoch of its own: meanwhile the host was another."""
    for measured, fingerprint in ((1.0, OLD), (2.0, NEW), (3.0, OLD)):
        place(conn, add_result(), fingerprint, measured)
    assert [epoch.number for epoch in epochs.list_epochs(conn, "sulaco")] == [1, 2, 3]


def test_each_host_has_its_own(conn: sa.Connection, add_result: AddResult) -> None:
    """Epochs are numbered per host."""
    for host in ("sulaco", "nostromo"):
        opened = place(conn, add_result(host), OLD)
        assert opened is not None and opened.epoch.number == 1


def test_again(conn: sa.Connection, add_result: AddResult) -> None:
    """A result that has its epoch keeps it."""
    first = add_result()
    place(conn, first, OLD)
    assert place(conn, first, NEW, 2.0) is None
    assert results.get_result(conn, first).epoch == 1


def test_late_result(conn: sa.Connection, add_result: AddResult) -> None:
    """A result that is stored after a later one belongs to the epoch in which it was measured."""
    place(conn, add_result(), OLD, 1.0)
    place(conn, add_result(), NEW, 5.0)
    old, new = add_result(), add_result()
    assert place(conn, old, OLD, 3.0) is None
    assert place(conn, new, NEW, 4.0) is None
    assert [results.get_result(conn, id).epoch for id in (old, new)] == [1, 2]


def test_grade_and_fingerprint_are_kept(conn: sa.Connection, add_result: AddResult) -> None:
    """They come back as they were given; a result of which nobody knows has none."""
    given = {"kind": "calibrate", "grade": "B", "grade_reasons": ("a", "b; c"), "fingerprint_id": "f"}
    row = results.get_result(conn, add_result(fingerprint={"host": OLD, "libc": "glibc"}, **given))
    assert {name: getattr(row, name) for name in given} == given
    assert row.fingerprint == {"host": OLD, "libc": "glibc"}
    plain = results.get_result(conn, add_result())
    assert (plain.kind, plain.grade, plain.grade_reasons, plain.fingerprint) == ("benchmarks", None, (), None)
