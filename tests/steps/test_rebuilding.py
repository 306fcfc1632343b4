"""The index of what the lab has measured, made again from its files alone: each column of each row."""

import gzip
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from benchyard.hosting.reconciling import Lab, Reconciled, rebuild
from benchyard.results import importing
from benchyard.results.intake import take_in
from benchyard.results.runs import BY_LAB
from benchyard.steps.calibration import run_means
from benchyard.steps.filing import deliver, delivery_path, file_result
from benchyard.steps.kinds import find_kind
from benchyard.steps.store import _note
from benchyard.store import attempts, jobs, results, trashed
from benchyard.store.migrate import migrate
from benchyard.store.tables import epochs, measurements, samples
from benchyard.store.tables import results as results_table
from benchyard.tasks.host.fingerprint import Fingerprint, HostPrint

KINDS = ("benchmarks", "calibrate", "memory", "profile")
INDEX = (measurements, samples, results_table, epochs)


class Bench:
    """A lab that measures: jobs, attempts and reports as its steps make them, without the runs themselves."""

    def __init__(self, folder: Path, engine: sa.Engine, file: bytes) -> None:
        self.engine, self.file, self.now = engine, file, 1780000000.0
        self.root, self.incoming = folder / "results", folder / "incoming"
        for path in (self.root, self.incoming):
            path.mkdir()
        self.said: list[str] = []
        self.lab = Lab(self.root, self.transact, ("bench",), say=self.said.append)

    def transact(self, work: Callable[..., Any], *args: Any, **how: Any) -> Any:
        with self.engine.begin() as conn:
            return work(conn, *args, **how)

    def measure(self, kind: str, report: dict[str, Any], *, kernel: str = "6.1", host: str = "bench-1") -> int:
        """Measure with a job of that kind, and give the result's id."""
        self.now += 100.0
        spec = {"mode": report["mode"], "benchmarks": ["all"], "upload": False, "source": None}
        job = self.transact(
            jobs.create_job, now=self.now, who="ada", kind=kind, target="linux-aarch64", host=None, spec=spec,
            owner="ada", origin="rest", reason="",
        )  # fmt: skip
        conditions = HostPrint(cpu="z80", cpus=4, kernel=kernel, isolation="cpuset-v1", measuring=2)
        fingerprint = Fingerprint(host=conditions, libc="glibc 2.36", compiler="GCC 13", suite="pyperformance 1.14.0")
        told = {
            "grade": {"letter": "B", "reasons": ["turbo is on", "a; b"]},
            "fingerprint": msgspec.to_builtins(fingerprint),
        }
        run = {**report, **told, "started": self.now + 0.125, "finished": self.now + 60.0}
        self.transact(attempts.new_attempt, job.id, now=self.now)
        self.transact(attempts.place_attempt, job.id, 1, host=host, now=self.now)
        ended = self.transact(
            attempts.end_attempt, job.id, 1, status="success", cause=None, now=self.now + 61.5, report=run
        )
        for status in ("queued", "building", "ready", "running", "storing"):
            self.transact(jobs.set_status, job.id, status, now=self.now, who="lab")
        document = json.loads(self.file) | {"benchmarks": json.loads(self.file)["benchmarks"][job.id :]}
        data = json.dumps(document).encode() if find_kind(kind).has_values else b'{"profiler": "py-spy"}'
        deliver(self.incoming, ended, data)
        filed = file_result(self.root, delivery_path(self.incoming, ended), job, ended, find_kind(kind))
        means = run_means(filed["measurements"]) if kind == "calibrate" else None
        found: tuple[int, list[str]] = self.transact(_note, job, ended, filed, means, {}, self.now + 70.0)
        return found[0]

    def index(self) -> list[dict[str, Any]]:
        """All rows of the index, without what numbers its rows."""
        with self.engine.begin() as conn:
            rows = [dict(row) for row in conn.execute(sa.select(results_table)).mappings()]
            paths = {row.pop("id"): row["path"] for row in rows}
            found = list(rows)
            for table in (measurements, samples, epochs):
                for row in conn.execute(sa.select(table)).mappings():
                    found.append({**row, "result_id": paths[row["result_id"]], "table": table.name})
        return sorted(found, key=repr)

    def forget(self) -> None:
        """Empty the index."""
        with self.engine.begin() as conn:
            for table in INDEX:
                conn.execute(sa.delete(table))


def _nested(levels: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(levels):
        found = {"a": found}
    return found


@pytest.fixture(params=["sqlite", "postgresql"])
def bench(
    request: pytest.FixtureRequest, tmp_path: Path, new_database: Callable[[], str], real_file: bytes
) -> Iterator[Bench]:
    url = f"sqlite:///{tmp_path}/state.sqlite" if request.param == "sqlite" else new_database()
    engine = sa.create_engine(url)
    migrate(engine)
    yield Bench(tmp_path, engine, real_file)
    engine.dispose()


def test_all_that_was_measured(bench: Bench, report: dict[str, Any]) -> None:
    """Results of all kinds, without values as well, and epochs: kind, mode, target, job, owner, what failed, times."""
    for kind in KINDS:
        bench.measure(kind, report)
    for kernel in ("6.5", "6.1"):
        bench.measure("benchmarks", {**report, "mode": "rigorous"}, kernel=kernel)
    before = bench.index()
    assert {row.get("kind") for row in before} == {None, *KINDS}
    assert {row.get("epoch") for row in before if "kind" in row} == {1, 2, 3}
    assert {row["job_id"] for row in before if "kind" in row} == {1, 2, 3, 4, 5, 6}
    assert rebuild(bench.lab) == Reconciled(measured=5)
    assert bench.index() == before
    bench.forget()
    assert rebuild(bench.lab) == Reconciled(added=6)
    assert bench.index() == before
    assert rebuild(bench.lab) == Reconciled(measured=5)
    assert bench.index() == before


def test_runs_of_another_lab(bench: Bench, report: dict[str, Any]) -> None:
    """A file of a lab whose jobs are not these says what was measured and how; no job or epoch of here is meant."""
    bench.measure("calibrate", {**report, "mode": "rigorous"})
    (row,) = bench.transact(results.list_results)
    bench.forget()
    with bench.engine.begin() as conn:
        conn.exec_driver_sql("UPDATE benchyard_attempts SET report = replace(report, '\"started\":', '\"begun\":')")
    assert rebuild(bench.lab) == Reconciled(added=1)
    (found,) = bench.transact(results.list_results)
    own = {"id": found.id, "job_id": None, "attempt": None, "owner": "lab", "epoch": None, "changed": found.changed}
    assert found == msgspec.structs.replace(row, **own)


def test_a_file_that_came_back(bench: Bench, report: dict[str, Any]) -> None:
    """The file of a result in the trash that somebody puts back by hand is a result of no job: the run has its row."""
    id = bench.measure("benchmarks", report)
    bench.transact(trashed.trash_result, id, now=1.0, who="ada")
    assert rebuild(bench.lab) == Reconciled(added=1)
    (found,) = bench.transact(results.list_results)
    assert (found.job_id, found.attempt, found.kind, found.mode) == (None, None, "benchmarks", "fast")
    assert rebuild(bench.lab) == Reconciled(measured=1)


def test_given_by_hand(bench: Bench, report: dict[str, Any], tmp_path: Path) -> None:
    """The same file given to a result that somebody has added says the same; commit and branch as that person said."""
    id = bench.measure("benchmarks", report)
    row = bench.transact(results.get_result, id)
    (tmp_path / "other").mkdir()
    told: dict[str, Any] = {"host": "x", "commit": "abc", "branch": None, "now": 1.0, "present": None}
    columns = take_in(tmp_path / "other", (bench.root / row.path).read_bytes(), **told)
    same = ("version", "flags", "suite", "suite_version", "mode", "benchmarks", "grade", "grade_reasons", "fingerprint")
    assert {name: columns[name] for name in (*same, "sha256", "size")} == {
        name: getattr(row, name) for name in (*same, "sha256", "size")
    }
    assert columns["interpreter"] == {**row.interpreter, "commit": "abc"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"job": "1"},
        {"started": -1},
        {"kind": "../x"},
        {"host": "a/b"},
        {"interpreter": {}},
        {"interpreter": {"id": "a", "version": 3, "machine": "m", "system": "s"}},
        {"fingerprint": {"host": 3}},
        {"fingerprint": {"host": {"cpu": 3}}},
        {"flags": "jit"},
        {"failed": [{}]},
        {"grade": "D"},
        {"interpreter": {"id": "a", "version": "3", "machine": "m", "system": "s", "executable": 7}},
        {"commit": "1" * 501},
        {"commit": "\x1b[2J\nabc"},
        {"branch": "ma\u202ein"},
        {"branch": "main\x00"},
        {"flags": ["jit\x9b"]},
        {"fingerprint": {"host": {"cpu": "z\r80"}}},
        {"fingerprint": {"host": {"mitigations": {"spectre": "\x1b"}}}},
        {"failed": [{"name": "\x07"}]},
    ],
)
def test_what_no_lab_says(bench: Bench, report: dict[str, Any], wrong: dict[str, Any]) -> None:
    """A file that says of its run what cannot be is told of, and nothing of it is kept."""
    _forge(bench, report, wrong)
    assert rebuild(bench.lab) == Reconciled(unreadable=1)
    assert "is no result: what the result file says of its run cannot be: " in bench.said[-1]
    assert bench.index() == []


@pytest.mark.parametrize(
    ("name", "part", "said"),
    [
        ("interpreter", {"toolchain": _nested(940)}, "interpreter is nested more than 8 levels deep"),
        ("interpreter", {"toolchain": _nested(8)}, "interpreter is nested more than 8 levels deep"),
        ("interpreter", {"sysconfig": {"CC": "a\x00b"}}, "interpreter has a NUL character in it"),
        ("interpreter", {"\x00": 1}, "interpreter has a NUL character in it"),
        ("interpreter", {"environ": {"CC": "x" * 100_000}}, "interpreter is longer than 100 kB"),
        ("fingerprint", {"more": _nested(940)}, "fingerprint is nested more than 8 levels deep"),
    ],
)
def test_what_no_index_gives_back(
    bench: Bench, report: dict[str, Any], name: str, part: dict[str, Any], said: str
) -> None:
    """What is as deep or as long as no run has it would end the lists of results that have it in them."""
    run = _forge(bench, report, {})
    _forge(bench, None, {name: {**run[name], **part}})
    assert rebuild(bench.lab) == Reconciled(unreadable=1)
    assert bench.said[-1].endswith(f"is no result: what the result file says of {said}")
    assert bench.index() == []


def test_words_for_people(bench: Bench, report: dict[str, Any]) -> None:
    """A program of any name may disturb a run, and a benchmark fail with any words: what cannot be shown is marked."""
    _forge(bench, report, {"grade_reasons": ["\x1b[2J runs"], "failed": [{"name": "2to3", "error": "no\x00\u202e"}]})
    assert rebuild(bench.lab) == Reconciled(added=1)
    (row,) = bench.transact(results.list_results)
    assert (row.grade_reasons, row.failed) == (("\ufffd[2J runs",), ({"name": "2to3", "error": "no\ufffd\ufffd"},))


@pytest.mark.parametrize("created", [0.0, 5.7e9, 9e10])
def test_clocks_that_were_wrong(bench: Bench, report: dict[str, Any], created: float) -> None:
    """What was made at no time that can be was made when its file was written: it is not the newest for ever."""
    _forge(bench, report, {"created": created, "started": created})
    (path,) = bench.root.rglob("*.json.gz")
    os.utime(path, (1.5e9, 1.5e9))
    assert rebuild(bench.lab) == Reconciled(added=1)
    assert bench.transact(results.list_results)[0].created == 1.5e9


@pytest.mark.parametrize("host", ["other_box", "bench"])
def test_imported_as_of_another_host(bench: Bench, report: dict[str, Any], host: str) -> None:
    """A file of a run that was imported for another host than it says is of that host again."""
    bench.measure("benchmarks", report)
    bench.forget()
    (path,) = bench.root.rglob("*.json.gz")
    content = importing.open_content(path.read_bytes())
    path.unlink()
    columns = importing.keep(bench.root, content, importing.examine(content, "x.json", host=host, now=1.0))
    assert columns["host"] == host
    assert rebuild(bench.lab) == Reconciled(added=1)
    (row,) = bench.transact(results.list_results)
    assert (row.host, row.path, row.created) == (host, columns["path"], columns["created"])


def _forge(bench: Bench, report: dict[str, Any] | None, wrong: dict[str, Any]) -> dict[str, Any]:
    """Say other things of the run in the file of the only result, measured before; gives all that it said."""
    if report is not None:
        bench.measure("benchmarks", report)
        bench.forget()
    (path,) = bench.root.rglob("*.json.gz")
    document = json.loads(gzip.decompress(path.read_bytes()))
    said: dict[str, Any] = json.loads(document["metadata"][BY_LAB])
    document["metadata"][BY_LAB] = json.dumps(said | wrong)
    path.unlink()
    path.write_bytes(gzip.compress(json.dumps(document).encode()))
    return said


def test_an_address_that_is_none(bench: Bench, report: dict[str, Any]) -> None:
    """Where the commit is said to be from names the file at most."""
    bench.measure("benchmarks", report)
    (path,) = bench.root.rglob("*.json.gz")
    document = json.loads(gzip.decompress(path.read_bytes()))
    said = json.loads(document["metadata"][BY_LAB])
    said["interpreter"]["url"] = "http://[::1"
    document["metadata"][BY_LAB] = json.dumps(said)
    content = importing.open_content(json.dumps(document).encode())
    assert importing.examine(content, "x.json", now=1.0).place.name.split("-")[4] == "python"
