"""From a run's report to the columns that say how far its result can be trusted, and to the host's epoch."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from benchyard.results.errors import ResultError
from benchyard.steps.calibration import take_calibration
from benchyard.steps.trust import place_in_epoch, trust_columns
from benchyard.store import hosts, jobs, results
from benchyard.store.calibrations import noise_of
from benchyard.store.history import history_of
from benchyard.store.migrate import migrate
from benchyard.store.rows import Attempt
from benchyard.tasks.host.fingerprint import Fingerprint, HostPrint

HOST = HostPrint(cpu="z80", cpus=4, kernel="6.1", governor="performance", isolation="cpuset-v2", measuring=2)
PRINT = Fingerprint(host=HOST, libc="glibc 2.36", compiler="GCC 13", suite="pyperformance 1.14.0")


@pytest.fixture
def conn() -> Iterator[sa.Connection]:
    """A store in memory, and a transaction on it."""
    engine = sa.create_engine("sqlite://")
    migrate(engine)
    with engine.begin() as conn:
        yield conn
    engine.dispose()


@pytest.fixture
def store(conn: sa.Connection, report: dict[str, Any]) -> Callable[..., tuple[int, str | None, list[str]]]:
    """`store(fingerprint, mean, now)`: what the store step does in its transaction; gives result and what is told."""

    def add(
        fingerprint: Fingerprint = PRINT, mean: float | None = None, now: float = 1.0
    ) -> tuple[int, str | None, list[str]]:
        kind = "benchmarks" if mean is None else "calibrate"
        spec: dict[str, Any] = {"owner": "ada", "origin": "rest", "reason": "", "spec": {}, "host": None}
        job = jobs.create_job(conn, now=now, who="ada", kind=kind, target="linux", **spec)
        run = {**report, "started": now, "fingerprint": msgspec.to_builtins(fingerprint)}
        attempt = Attempt(job.id, 1, "bench", "success", None, run, now, now)
        facts = {name: run[name] for name in ("interpreter", "suite", "suite_version", "mode")}
        facts |= {"commit": None, "branch": None, "version": "3", "flags": (), "path": f"{job.id}", "target": "linux"}
        facts |= {"sha256": f"{job.id:064}", "size": 1, "benchmarks": 1, "kind": kind, **trust_columns(run)}
        row = results.add_result(conn, now=now, who="lab", job_id=job.id, attempt=1, host="bench", **facts)
        opened = place_in_epoch(conn, row.id, attempt, now=now)
        means = {} if mean is None else dict.fromkeys(("nbody", "2to3"), (mean, "second"))
        told = take_calibration(conn, row.id, means, now=now) if mean is not None else []
        return row.id, opened.text if opened else None, told

    return add


Store = Callable[..., tuple[int, str | None, list[str]]]


def test_columns(report: dict[str, Any]) -> None:
    """Grade, reasons and fingerprint become columns; a report of a host that does not know of them has none."""
    assert trust_columns(report) == {}
    grade = {"letter": "B", "reasons": ["a virtual machine"]}
    assert trust_columns({**report, "grade": grade, "fingerprint": msgspec.to_builtins(PRINT)}) == {
        "grade": "B",
        "grade_reasons": ("a virtual machine",),
        "fingerprint": msgspec.to_builtins(PRINT),
        "fingerprint_id": PRINT.id,
    }


def test_report_that_is_none(report: dict[str, Any]) -> None:
    """A grade that is none is told with its place."""
    with pytest.raises(ResultError, match=r"^the run's report does not say how it was measured: .*\$.grade.letter"):
        trust_columns({**report, "grade": {"letter": "Z"}})


def test_epoch_is_about_the_machine(conn: sa.Connection, store: Store) -> None:
    """A run that could not be shielded, or that measured with another compiler, is in the epoch of the others."""
    assert store()[1] == "epoch 1 of host bench"
    bare = msgspec.structs.replace(PRINT, host=msgspec.structs.replace(HOST, isolation="affinity", measuring=1))
    other = msgspec.structs.replace(PRINT, compiler="clang 19", libc="musl")
    assert [store(each, now=2.0)[1] for each in (bare, other, PRINT)] == [None, None, None]
    assert {row.epoch for row in results.list_results(conn)} == {1}
    assert len({row.fingerprint_id for row in results.list_results(conn)}) == 3


def test_second_host_fingerprint_opens_epoch_2(conn: sa.Connection, store: Store) -> None:
    """A new kernel is told with the result that shows it, and in the host's history."""
    store()
    booted = msgspec.structs.replace(PRINT, host=msgspec.structs.replace(HOST, kernel="6.8"))
    number, text, _ = store(booted, now=2.0)
    assert text == "epoch 2 of host bench: changed kernel"
    assert results.get_result(conn, number).epoch == 2
    assert history_of(conn, "host", "bench")[-1].change == {"epoch": 2, "changed": {"kernel": ["6.1", "6.8"]}}


def test_result_of_a_host_that_does_not_say(conn: sa.Connection, report: dict[str, Any]) -> None:
    """Without a fingerprint there is no epoch."""
    assert place_in_epoch(conn, 1, Attempt(7, 1, "bench", "success", None, report, 1.0, 2.0), now=3.0) is None


def test_calibrations_make_the_noise(conn: sa.Connection, store: Store) -> None:
    """From the fifth calibration on the noise of each benchmark is known; other results do not count."""
    for day in range(5):
        assert noise_of(conn, "bench", 1) == {}
        store(mean=1.0 + day / 1000, now=float(day))
        store(now=day + 0.5)
    found = list(noise_of(conn, "bench", 1).values())
    assert [(row.benchmark, row.runs, row.unit, row.updated) for row in found] == [
        ("2to3", 5, "second", 4.0),
        ("nbody", 5, "second", 4.0),
    ]
    assert 0.001 < found[0].floor < 0.05


def test_host_that_drifts_is_quarantined(conn: sa.Connection, store: Store) -> None:
    """It is disabled with the reason, once; who enables it has it judged by what it is like from then on."""
    for day in range(8):
        assert store(mean=1.0 + day % 3 / 1000, now=float(day))[2] == []
    number, _, told = store(mean=1.1, now=8.0)
    host = hosts.get_host(conn, "bench")
    assert host.reason.startswith("quarantined: off by +9.")
    assert host.reason.endswith(f": 2to3 +9.9 %, nbody +9.9 % (result {number})")
    assert told == [f"host bench is quarantined: {host.reason.removeprefix('quarantined: ')}"]
    assert (host.enabled, host.changed_by) == (False, "lab")
    hosts.enable_host(conn, "bench", True, now=9.0, who="ada", reason="new fan")
    for day in range(10, 18):
        assert store(mean=1.1 + day % 3 / 1000, now=float(day))[2] == []
    assert store(mean=1.2, now=20.0)[2] != []


def test_new_epoch_begins_anew(conn: sa.Connection, store: Store) -> None:
    """A host whose kernel is another is not held against what it was before."""
    for day in range(9):
        store(mean=1.0, now=float(day))
    booted = msgspec.structs.replace(PRINT, host=msgspec.structs.replace(HOST, kernel="6.8"))
    assert store(booted, mean=1.5, now=10.0)[2] == []
    assert noise_of(conn, "bench", 2) == {}
    assert hosts.get_host(conn, "bench").enabled
