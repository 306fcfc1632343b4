"""From what a run delivered to a stored result, with a real pyperf file."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyperf
import pytest

from benchyard.results.errors import ResultError
from benchyard.results.files import read_file
from benchyard.results.index import index_suite
from benchyard.results.reading import read_suite
from benchyard.results.runs import BY_LAB, read_run
from benchyard.steps.filing import deliver, delivery_path, file_result
from benchyard.steps.kinds import find_kind
from benchyard.store.rows import Attempt, Job

KIND = find_kind("benchmarks")

MakeJob = Callable[..., Job]
MakeAttempt = Callable[..., Attempt]


@pytest.fixture
def delivered(tmp_path: Path, real_file: bytes, make_attempt: MakeAttempt) -> Path:
    """Where a run's real result file was delivered."""
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    deliver(incoming, make_attempt(), real_file)
    return delivery_path(incoming, make_attempt())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The results folder."""
    folder = tmp_path / "results"
    folder.mkdir()
    return folder


def files_in(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def test_delivery_is_whole_or_nothing(delivered: Path, real_file: bytes, make_attempt: MakeAttempt) -> None:
    """A run's file is named by the run, has all its bytes, and leaves no part beside it; again is the same."""
    deliver(delivered.parent, make_attempt(), real_file)
    assert files_in(delivered.parent) == [delivered]
    assert (delivered.name, delivered.read_bytes()) == ("7.2.json", real_file)


def test_result_is_filed(
    root: Path, delivered: Path, real_file: bytes, make_job: MakeJob, make_attempt: MakeAttempt, report: dict[str, Any]
) -> None:
    """The file is kept under bench_runner's name, all of it and what the lab says of its run; columns say the same."""
    columns = file_result(root, delivered, make_job(), make_attempt(report=report), KIND)
    folder = "bm-20260507-3.16.0a0-49918f5-JIT"
    kept = read_file(root / columns["path"])
    before, after = json.loads(real_file), json.loads(kept)
    assert {**after, "metadata": {**after["metadata"], BY_LAB: None}} == {
        **before,
        "metadata": {**before["metadata"], BY_LAB: None},
    }
    run = read_run(after["metadata"])
    assert run is not None and (run.job, run.attempt, run.started) == (7, 2, report["started"])
    assert columns == {
        "created": report["finished"],
        "kind": "benchmarks",
        "host": "bench",
        "target": "linux",
        "failed": ({"name": "2to3", "error": "killed by signal 11", "log_tail": "boom"},),
        "grade": None,
        "grade_reasons": (),
        "fingerprint": None,
        "fingerprint_id": None,
        "interpreter": report["interpreter"],
        "commit": report["interpreter"]["commit"],
        "branch": "main",
        "version": "3.16.0a0",
        "flags": ("jit", "pgo"),
        "suite": "pyperformance",
        "suite_version": "1.14.0",
        "mode": "fast",
        "path": f"{folder}/bm-20260507-bench-aarch64-python-main-3.16.0a0-49918f5.json.gz",
        "sha256": hashlib.sha256(kept).hexdigest(),
        "size": len(kept),
        "benchmarks": len(pyperf.BenchmarkSuite.load(str(delivered))),
        **index_suite(read_suite(kept)),
    }
    assert delivered.read_bytes() == real_file


def test_result_of_a_built_interpreter(
    root: Path, delivered: Path, make_job: MakeJob, make_attempt: MakeAttempt, report: dict[str, Any]
) -> None:
    """Of what the job was built from, the row has remote, ref, branch and merge base; the name has whose it is."""
    report["interpreter"] |= {"branch": None, "patch": "abcdef0123" * 6 + "abcd"}
    source = {
        "remote": "ada",
        "url": "https://github.com/ada/cpython",
        "ref": "idea",
        "commit": report["interpreter"]["commit"],
        "branch": "idea",
        "merge_base": "1" * 40,
        "time": 1777680000.0,
    }
    columns = file_result(root, delivered, make_job(source=source), make_attempt(report=report), KIND)
    told = ("remote", "url", "ref", "branch", "merge_base")
    assert columns["branch"] == "idea"
    assert {name: columns["interpreter"][name] for name in told} == {name: source[name] for name in told}
    assert columns["interpreter"]["patch"] == report["interpreter"]["patch"]
    name = "bm-20260502-bench-aarch64-ada-idea+abcdef0-3.16.0a0-49918f5.json.gz"
    assert columns["path"] == f"bm-20260502-3.16.0a0-49918f5-JIT/{name}"


def test_filing_twice_is_filing_once(
    root: Path, delivered: Path, make_job: MakeJob, make_attempt: MakeAttempt, report: dict[str, Any]
) -> None:
    """After a crash between the file and its row, the same file is found again."""
    first = file_result(root, delivered, make_job(), make_attempt(report=report), KIND)
    assert file_result(root, delivered, make_job(), make_attempt(report=report), KIND) == first
    assert files_in(root) == [root / first["path"]]


def test_nothing_delivered(root: Path, make_job: MakeJob, make_attempt: MakeAttempt, report: dict[str, Any]) -> None:
    """A run that left no file is named."""
    with pytest.raises(ResultError, match=r"^run 7\.2 delivered no file$"):
        file_result(root, root / "7.2.json", make_job(), make_attempt(report=report), KIND)


@pytest.mark.parametrize("lacking", ["interpreter", "started", "suite", "mode"])
def test_report_that_lacks_something(
    root: Path, delivered: Path, make_job: MakeJob, make_attempt: MakeAttempt, report: dict[str, Any], lacking: str
) -> None:
    """A report without something that is needed is told with what it lacks, and nothing is kept."""
    del report[lacking]
    with pytest.raises(ResultError, match=rf"^the report of run 7\.2 lacks '{lacking}'$"):
        file_result(root, delivered, make_job(), make_attempt(report=report), KIND)
    assert files_in(root) == []


def test_no_report(root: Path, delivered: Path, make_job: MakeJob, make_attempt: MakeAttempt) -> None:
    """A file without a report is not a result: nobody knows what it measured."""
    with pytest.raises(ResultError, match="lacks 'interpreter'"):
        file_result(root, delivered, make_job(), make_attempt(), KIND)


def test_delivered_file_is_broken(
    root: Path, delivered: Path, real_file: bytes, make_job: MakeJob, make_attempt: MakeAttempt, report: dict[str, Any]
) -> None:
    """Half a file is refused and not kept."""
    delivered.write_bytes(real_file[: len(real_file) // 2])
    with pytest.raises(ResultError):
        file_result(root, delivered, make_job(), make_attempt(report=report), KIND)
    assert files_in(root) == []
