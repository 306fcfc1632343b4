"""Real benchmarks under real profilers."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from benchyard.tasks import profiled, profilers
from benchyard.tasks.errors import OptionError, ProfilerError, RunError
from benchyard.tasks.interpreter import Interpreter, inspect_interpreter, version_numbers
from benchyard.tasks.processes import AGAIN
from benchyard.tasks.profiled import forget_maps, forget_parts, profiled_python
from benchyard.tasks.profilers import Profiler, choose_profiler
from benchyard.tasks.profiling import profile_benchmarks
from benchyard.tasks.report import RunReport

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


#: Profiles two benchmarks, and is killed when the first is done: once it is kept, or while the second one is begun.
KILLED = """
import os, signal, sys
from pathlib import Path
from benchyard.tasks import profiling

output, environments = map(Path, sys.argv[1:3])
once = output.with_name("once")

def say(line):
    print(line, flush=True)
    if line.startswith(sys.argv[3]) and not once.exists():
        once.touch()
        os.kill(os.getpid(), signal.SIGKILL)

profiling.profile_benchmarks(
    sys.executable, ["nbody", "json_loads"], mode="fast", profiler="py-spy", output=output,
    report=output.with_name("report.json"), environments=environments, say=say,
)
"""


@pytest.mark.slow
@pytest.mark.parametrize("line", ["benchyard: json_loads: ", "benchyard: benchmark 2/2 nbody"])
def test_a_killed_profile_takes_up_where_it_was(tmp_path: Path, environments: Path, line: str) -> None:
    """What was profiled stays, and is not profiled again; nothing of the pieces is left in the end."""
    output = tmp_path / "out"
    argv = [sys.executable, "-c", KILLED, str(output), str(environments), line]
    first = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    assert first.returncode == -9, first.stderr
    kept = output / "json_loads.svg"
    before = kept.stat().st_mtime_ns
    again = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    assert again.returncode == 0, again.stderr
    assert kept.stat().st_mtime_ns == before
    profile = json.loads((output / "profile.json").read_text())
    assert [one["name"] for one in profile["benchmarks"]] == ["json_loads", "nbody"]
    for one in profile["benchmarks"]:
        for file in one["files"]:
            assert hashlib.sha256((output / file["name"]).read_bytes()).hexdigest() == file["sha256"]
    report = json.loads((tmp_path / "report.json").read_text())
    assert [one["status"] for one in report["benchmarks"]] == ["success", "success"]
    names = [f"{name}.{end}" for name in ("json_loads", "nbody") for end in ("folded", "svg")]
    assert sorted(path.name for path in output.iterdir()) == [*names, "profile.json"]


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


@pytest.fixture
def modern(tmp_path: Path) -> tuple[str, Interpreter]:
    """An interpreter, and what is known of it, that says that it can show its functions to perf."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 1\n")
    python.chmod(0o755)
    return str(python), msgspec.structs.replace(inspect_interpreter(HERE), version="3.13.0")


def test_maps_that_cannot_be_written(
    tmp_path: Path, modern: tuple[str, Interpreter], monkeypatch: pytest.MonkeyPatch
) -> None:
    """py-spy shows more where CPython cannot write the names of its functions for perf, and why is said."""
    assert "their names" not in choose_profiler("auto", *modern).why
    monkeypatch.setattr(profilers, "MAPS", tmp_path / "read-only")
    found = choose_profiler("auto", *modern)
    assert found.name == "py-spy"
    assert f"it would write their names into {tmp_path / 'read-only'}, which it cannot here" in found.why


def test_perf_without_maps(
    tmp_path: Path, modern: tuple[str, Interpreter], perf: Profiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """perf does not claim Python functions that nobody can name."""
    try:
        shown = choose_profiler("perf", *modern)
        monkeypatch.setattr(profilers, "MAPS", tmp_path / "read-only")
        hidden = choose_profiler("perf", *modern)
    except ProfilerError as exc:
        pytest.xfail(f"the host was tuned meanwhile: {exc}")
    assert (shown.python_frames, shown.why) == (True, "")
    assert not hidden.python_frames
    assert "which it cannot here" in hidden.why


def test_a_profile_that_was_killed_when_all_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is started again by its supervisor has ended with the report that is there; any other is refused."""
    (tmp_path / "profile.json").write_text("{}")
    report = RunReport(
        interpreter=inspect_interpreter(HERE),
        suite="pyperformance",
        suite_version="1",
        mode="fast",
        affinity=None,
        started=1.0,
        finished=2.0,
        environment_s=0.0,
        benchmarks=(),
    )
    (tmp_path / "report.json").write_bytes(msgspec.json.encode(report))

    def profile(name: str) -> RunReport:
        report = tmp_path / name
        return profile_benchmarks(HERE, ["nbody"], output=tmp_path, report=report, environments=tmp_path / "none")

    with pytest.raises(OptionError, match="has a profile"):
        profile("report.json")
    monkeypatch.setenv(AGAIN, "1")
    assert profile("report.json") == report
    with pytest.raises(OptionError, match="has a profile"):
        profile("none.json")


def test_foreign_interpreter() -> None:
    """py-spy is not tried on what it does not know."""
    interpreter = inspect_interpreter(HERE)
    foreign = msgspec.structs.replace(interpreter, implementation="pypy")
    with pytest.raises(ProfilerError, match="not at pypy"):
        choose_profiler("py-spy", HERE, foreign)


def test_program_quotes_paths(tmp_path: Path) -> None:
    """A folder's name is nothing to the shell."""
    seen = tmp_path / "a b;$(touch x)"
    seen.mkdir()
    text = profiled_python(Profiler("perf", "/usr/bin/perf", "6.1", 999, event="cpu-clock"), "/opt/p y", seen)
    assert f"DATA_DIR='{seen}'\n" in text
    assert "exec '/opt/p y' \"$@\"" in text


def test_maps_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written for perf since a benchmark was begun goes; what is older, another user's, or in use stays."""
    monkeypatch.setattr(profiled, "MAPS", tmp_path)
    seen = tmp_path / "nbody.seen"
    seen.mkdir()
    # No process has the numbers of the first three.
    old, new, others, own = (f"perf-{number}.map" for number in (9000001, 9000002, 9000003, os.getpid()))
    for number, name in enumerate((old, "nbody.seen/profiled-python", new, others, own, "other")):
        (tmp_path / name).write_text("x")
        os.utime(tmp_path / name, ns=(number, number))
    kept = {"nbody.seen", old, own, "other"}
    if os.geteuid() == 0:
        os.chown(tmp_path / others, 1, 1)
        kept.add(others)
    forget_maps(seen)
    assert {path.name for path in tmp_path.iterdir()} == kept
    forget_maps(tmp_path / "nothing")


#: Starts another interpreter, as many a benchmark does, and says the numbers of both.
NESTED = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "pass"])
child.wait()
print(os.getpid(), child.pid)
"""


def test_maps_of_a_killed_profile(tmp_path: Path, other_python: str) -> None:
    """Those of a benchmark's worker, and of all that it has started, go when the same profile is begun anew."""
    if version_numbers(inspect_interpreter(other_python)) < (3, 12):
        pytest.xfail(f"{other_python} writes nothing for perf")
    seen = tmp_path / "nbody.seen"
    seen.mkdir()
    worker = seen / "profiled-python"
    worker.write_text(profiled_python(Profiler("perf", "perf", "6.1", 999, event="cpu-clock"), other_python, seen))
    done = subprocess.run(["sh", worker, "-c", NESTED], capture_output=True, text=True, timeout=60, check=True)
    maps = [Path(f"/tmp/perf-{pid}.map") for pid in done.stdout.split()]  # noqa: S108
    assert [path.exists() for path in maps] == [True, True]
    forget_parts(tmp_path)
    assert [path.exists() for path in maps] == [False, False]
    assert not tmp_path.exists()
