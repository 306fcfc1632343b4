"""Real benchmarks under real profilers."""

import hashlib
import json
import sys
from pathlib import Path

import pytest

from benchyard.tasks.errors import OptionError, ProfilerError, RunError
from benchyard.tasks.interpreter import inspect_interpreter
from benchyard.tasks.profilers import Profiler, choose_profiler
from benchyard.tasks.profiling import forget_maps, profile_benchmarks, profiled_python

HERE = str(Path(sys.executable).resolve())


@pytest.fixture
def perf() -> Profiler:
    """perf, where the kernel lets it take samples now."""
    try:
        return choose_profiler("perf", HERE, inspect_interpreter(HERE))
    except ProfilerError as exc:
        pytest.xfail(str(exc))


@pytest.mark.slow
def test_py_spy(tmp_path: Path, environments: Path) -> None:
    """A second of a benchmark gives stacks of its own functions; the report and the manifest name the files."""
    said: list[str] = []
    report = profile_benchmarks(
        HERE,
        ["nbody"],
        mode="fast",
        profiler="py-spy",
        output=tmp_path / "out",
        report=tmp_path / "report.json",
        environments=environments,
        say=said.append,
    )
    folded = (tmp_path / "out" / "nbody.folded").read_text()
    assert all(line.startswith("bench_nbody (run_benchmark.py:") for line in folded.splitlines())
    profile = json.loads((tmp_path / "out" / "profile.json").read_text())
    assert profile["profiler"].startswith("py-spy ")
    assert profile["benchmarks"][0]["samples"] > 50
    assert [file.name for file in report.attachments] == ["nbody.svg", "nbody.folded"]
    for file in report.attachments:
        data = (tmp_path / "out" / file.name).read_bytes()
        assert (file.size, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["nbody.folded", "nbody.svg", "profile.json"]
    assert json.loads((tmp_path / "report.json").read_text())["benchmarks"][0]["status"] == "success"
    assert "benchyard: benchmark 1/1 nbody" in said
    with pytest.raises(OptionError, match="has a profile"):
        profile_benchmarks(HERE, ["nbody"], output=tmp_path / "out", environments=environments)


@pytest.mark.slow
def test_perf(tmp_path: Path, environments: Path, other_python: str, perf: Profiler) -> None:
    """perf gives the C functions of the interpreter while the benchmark runs, and leaves no map of it behind."""
    before = set(Path("/tmp").glob("perf-*.map"))  # noqa: S108
    try:
        report = profile_benchmarks(
            other_python,
            ["nbody"],
            mode="fast",
            profiler="perf",
            output=tmp_path,
            environments=environments,
        )
    except (ProfilerError, RunError) as exc:
        if "took no samples" in str(exc) or "at most" in str(exc):
            pytest.xfail(f"the host was tuned meanwhile: {exc}")
        raise
    assert [file.name for file in report.attachments] == ["nbody.svg", "nbody.folded"]
    assert "_PyEval_EvalFrameDefault" in (tmp_path / "nbody.folded").read_text()
    assert perf.label in (tmp_path / "nbody.svg").read_text()
    assert set(Path("/tmp").glob("perf-*.map")) <= before  # noqa: S108


def test_choice_of_an_old_interpreter() -> None:
    """py-spy shows more of an interpreter that has nothing to show to perf, and why is said."""
    found = choose_profiler("auto", HERE, inspect_interpreter(HERE))
    assert found.name == "py-spy"
    assert "frame pointers" in found.why


def test_no_profiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where neither is, both remedies are told in one line."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python3"))
    with pytest.raises(ProfilerError) as refused:
        choose_profiler("auto", HERE, inspect_interpreter(HERE))
    assert "\n" not in str(refused.value)
    assert "pip install 'benchyard[profile]'" in str(refused.value)
    assert "Debian: linux-perf" in str(refused.value)


def test_foreign_interpreter() -> None:
    """py-spy is not tried on what it does not know."""
    interpreter = inspect_interpreter(HERE)
    import msgspec

    foreign = msgspec.structs.replace(interpreter, implementation="pypy")
    with pytest.raises(ProfilerError, match="not at pypy"):
        choose_profiler("py-spy", HERE, foreign)


def test_program_quotes_paths(tmp_path: Path) -> None:
    """A folder's name is nothing to the shell."""
    seen = tmp_path / "a b;$(touch x)"
    seen.mkdir()
    text = profiled_python(Profiler("perf", "/usr/bin/perf", "6.1", 999, event="cpu-clock"), "/opt/p y", seen)
    assert f"'{seen}'/pids" in text
    assert "exec '/opt/p y' \"$@\"" in text


def test_maps_are_forgotten(tmp_path: Path) -> None:
    """What CPython has written for perf goes, and nobody else's."""
    for pid in (1, 2):
        (tmp_path / f"perf-{pid}.map").write_text("x")
    (tmp_path / "pids").write_text("2\n3\n")
    forget_maps(tmp_path, temporary=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["perf-1.map", "pids"]
    forget_maps(tmp_path / "nothing", temporary=tmp_path)
