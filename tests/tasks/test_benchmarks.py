"""Measuring with real benchmarks of pyperformance, in its quickest mode."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pyperf
import pytest

from benchyard.tasks.benchmarks import run_benchmarks
from benchyard.tasks.cpus import available_cpus, format_cpu_list
from benchyard.tasks.errors import CpuListError, InterpreterError, OptionError, RunError, SelectionError
from benchyard.tasks.interpreter import inspect_interpreter
from benchyard.tasks.progress import Progress, parse_progress
from benchyard.tasks.report import RunReport


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory, environments: Path) -> tuple[Path, RunReport, list[str]]:
    """Return the output file, report and lines of a run of two benchmarks, through a virtual environment's python."""
    folder = tmp_path_factory.mktemp("first")
    venv = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True, timeout=120)
    said: list[str] = []
    report = run_benchmarks(
        str(venv / "bin" / "python"),
        ["nbody", "json_loads"],
        mode="fast",
        affinity=available_cpus()[-1:],
        output=folder / "out.json",
        report=folder / "report.json",
        environments=environments,
        metadata={"lab_host": "here"},
        say=said.append,
    )
    return folder / "out.json", report, said


def test_the_values_are_one_file_that_pyperf_reads(first_run: tuple[Path, RunReport, list[str]]) -> None:
    """The file holds both benchmarks with values, the suite's version and tags, the CPUs and our metadata."""
    output, report, _ = first_run
    suite = pyperf.BenchmarkSuite.load(str(output))
    assert suite.get_benchmark_names() == ["json_loads", "nbody"]
    for benchmark in suite.get_benchmarks():
        metadata = benchmark.get_metadata()
        assert benchmark.get_nvalue() > 1
        assert metadata["performance_version"] == report.suite_version
        assert metadata["lab_host"] == "here"
        assert metadata["cpu_affinity"] == format_cpu_list(available_cpus()[-1:])
        assert metadata["tags"]
    assert json.loads(output.read_text())["metadata"]["lab_host"] == "here"


def test_the_report_says_what_was_measured_how(first_run: tuple[Path, RunReport, list[str]]) -> None:
    """The report names the base interpreter, the mode, the CPUs and each outcome, and is on disk as returned."""
    output, report, _ = first_run
    assert report.interpreter == inspect_interpreter(sys.executable)
    assert (report.suite, report.mode, report.affinity) == ("pyperformance", "fast", available_cpus()[-1:])
    assert [(outcome.name, outcome.status) for outcome in report.benchmarks] == [
        ("json_loads", "success"),
        ("nbody", "success"),
    ]
    assert report.failed == ()
    assert report.started < report.finished
    assert msgspec.json.decode((output.parent / "report.json").read_bytes(), type=RunReport) == report


def test_each_start_is_said(first_run: tuple[Path, RunReport, list[str]]) -> None:
    """A progress line is said for each benchmark, in order, and what pyperf printed follows."""
    _, _, said = first_run
    progress = [progress for line in said if (progress := parse_progress(line))]
    assert progress == [Progress(1, 2, "json_loads"), Progress(2, 2, "nbody")]
    assert any(line.startswith("nbody: Mean +- std dev") for line in said)


def test_nothing_is_left_beside_the_files(first_run: tuple[Path, RunReport, list[str]]) -> None:
    """Only the output and the report remain."""
    output, _, _ = first_run
    assert sorted(path.name for path in output.parent.iterdir()) == ["out.json", "report.json", "venv"]


def test_a_second_run_starts_no_pip_and_failures_are_named(
    first_run: tuple[Path, RunReport, list[str]], environments: Path, tmp_path: Path
) -> None:
    """The next run reuses the environment; a crash in one benchmark's package is its failure alone."""
    _, first, _ = first_run
    interpreter = first.interpreter.executable
    # A package that crashes the interpreter, in the place of html5lib, which the benchmark html5lib imports.
    prepared = run_benchmarks(
        interpreter,
        ["html5lib"],
        mode="fast",
        output=tmp_path / "prepared.json",
        environments=environments,
    )
    package = next(Path(prepared.environment).glob("lib/python*/site-packages/html5lib"))
    shutil.copytree(package, tmp_path / "kept")
    crash = "import os, signal\nprint('about to crash', flush=True)\nos.kill(os.getpid(), signal.SIGSEGV)\n"
    (package / "__init__.py").write_text(crash)
    record = Path(prepared.environment + ".json")
    before = record.stat()
    report = run_benchmarks(
        interpreter, ["html5lib", "nbody"], mode="fast", output=tmp_path / "out.json", environments=environments
    )
    assert report.environment == first.environment
    assert report.pip_calls == 0
    assert (record.stat().st_ino, record.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    failed, measured = report.benchmarks
    assert (failed.name, failed.status, failed.error) == ("html5lib", "failed", "killed by signal 11")
    assert "about to crash" in failed.log_tail
    assert (measured.name, measured.status, measured.error) == ("nbody", "success", None)
    assert pyperf.BenchmarkSuite.load(str(tmp_path / "out.json")).get_benchmark_names() == ["nbody"]
    # Alone it leaves no value at all.
    (package / "__init__.py").write_text("raise ImportError('broken on purpose')\n")
    with pytest.raises(RunError, match="none of 1 benchmarks gave a value; html5lib: ") as caught:
        run_benchmarks(
            interpreter,
            ["html5lib"],
            mode="fast",
            output=tmp_path / "none.json",
            report=tmp_path / "none.report.json",
            environments=environments,
        )
    assert not (tmp_path / "none.json").exists()
    report = msgspec.json.decode((tmp_path / "none.report.json").read_bytes(), type=RunReport)
    assert report == caught.value.report
    assert "broken on purpose" in report.benchmarks[0].log_tail
    shutil.rmtree(package)
    shutil.copytree(tmp_path / "kept", package)


@pytest.mark.slow
def test_another_interpreter_and_a_benchmark_that_cannot_be_installed(
    other_python: str, environments: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A benchmark whose requirements do not install is named with pip's words; the rest is stored."""
    constraint = tmp_path / "constraint.txt"
    constraint.write_text("mako==1.3.0\n")
    monkeypatch.setenv("PIP_CONSTRAINT", str(constraint))
    report = run_benchmarks(
        other_python, ["mako", "json_loads"], mode="fast", output=tmp_path / "out.json.gz", environments=environments
    )
    measured, failed = report.benchmarks
    assert failed.name == "mako"
    assert (failed.error or "").startswith("its requirements could not be installed: ResolutionImpossible")
    assert "mako==1.1.4" in failed.log_tail
    assert measured.status == "success"
    suite = pyperf.BenchmarkSuite.load(str(tmp_path / "out.json.gz"))
    assert suite.get_benchmark_names() == ["json_loads"]
    version = suite.get_benchmark("json_loads").get_metadata()["python_version"]
    assert version.startswith(report.interpreter.version)


def _refused(tmp_path: Path, error: type[Exception], match: str, **options: Any) -> None:
    arguments: dict[str, Any] = {"python": sys.executable, "selections": ["nbody"], **options}
    with pytest.raises(error, match=match):
        run_benchmarks(output=tmp_path / "out.json", environments=tmp_path / "environments", **arguments)
    assert not (tmp_path / "out.json.parts").exists()
    assert not (tmp_path / "environments").exists()


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"python": "/x/python"}, InterpreterError, "does not exist"),
        ({"selections": ["nbdoy"]}, SelectionError, "did you mean 'nbody'"),
        ({"mode": "slow"}, OptionError, "unknown mode 'slow'"),
        ({"affinity": (8000,)}, CpuListError, "no CPU 8000"),
        ({"affinity": ()}, CpuListError, "empty"),
        ({"inherit_environ": ["A,B"]}, OptionError, "bad name of an environment variable"),
        ({"metadata": {"a b": "c"}}, OptionError, "bad metadata key"),
        ({"metadata": {"name": "c"}}, OptionError, "written by the run itself"),
        ({"metadata": {"loops": "c"}}, OptionError, "written by the run itself"),
        ({"metadata": {"a": "b\nc"}}, OptionError, "printable text"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_made(
    tmp_path: Path, options: dict[str, Any], error: type[Exception], match: str
) -> None:
    """A wrong argument is refused at once: no environment, no directory."""
    _refused(tmp_path, error, match, **options)


def test_an_existing_result_is_never_overwritten(tmp_path: Path) -> None:
    """An output file that exists is refused and stays."""
    (tmp_path / "out.json").write_text("kept")
    _refused(tmp_path, OptionError, "never overwritten")
    assert (tmp_path / "out.json").read_text() == "kept"


def test_a_python_too_old_for_the_suite_is_refused(tmp_path: Path) -> None:
    """Each installed Python that pyperf does not support can be inspected, but not measured."""
    versions = Path.home() / ".pyenv" / "versions"
    for path in [*versions.glob("2.7.*/bin/python"), *versions.glob("3.[67].*/bin/python")]:
        _refused(tmp_path, InterpreterError, r"the suite needs >=3\.", python=str(path))


@pytest.mark.slow
def test_memory(tmp_path: Path, environments: Path) -> None:
    """With `track_memory` the values are bytes, one of each process, and the grade is of memory."""
    output = tmp_path / "out.json"
    report = run_benchmarks(
        sys.executable,
        ["nbody"],
        mode="fast",
        track_memory=True,
        affinity=available_cpus()[-1:],
        output=output,
        environments=environments,
    )
    (benchmark,) = pyperf.BenchmarkSuite.load(str(output)).get_benchmarks()
    assert benchmark.get_unit() == "byte"
    assert all(1 << 20 < value < 1 << 30 for value in benchmark.get_values())
    assert report.grade is not None
    assert report.grade.letter in ("A", "B")
    assert report.benchmarks[0].conditions is None
