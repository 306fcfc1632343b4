"""A run that was killed takes up what it has measured, whatever the host is like by then."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pyperf
import pytest

from benchyard.tasks.benchmarks import run_benchmarks
from benchyard.tasks.errors import OptionError
from benchyard.tasks.processes import AGAIN
from benchyard.tasks.report import RunReport

LOOPS = {"json_loads": 1, "unpack_sequence": 1}

#: Measures with a guard, on the last CPU, and is killed when it says a line that begins so.
MEASURE = """\
import os, signal, sys
from pathlib import Path
from benchyard.tasks.benchmarks import run_benchmarks
from benchyard.tasks.care import Care
from benchyard.tasks.cpus import available_cpus

def say(line):
    print(line, flush=True)
    if end and line.startswith(end):
        os.kill(os.getpid(), signal.SIGKILL)

output, environments, policy, end = Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]
loops = {"json_loads": 1, "unpack_sequence": 1}
run_benchmarks(
    sys.executable, list(loops), mode="fast", loops=loops, output=output, report=output.with_name("report.json"),
    environments=environments, affinity=available_cpus()[-1:], care=Care(None, policy, 0.0), say=say,
)
"""

#: Uses the last CPU until it is killed, or its parent ends.
LOOP = """
import ctypes, os
from benchyard.tasks.cpus import available_cpus
ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
os.sched_setaffinity(0, available_cpus()[-1:])
print(flush=True)
while True:
    pass
"""


class Measuring:
    """Measures in processes of their own."""

    def __init__(self, folder: Path, environments: Path) -> None:
        self.output, self.environments = folder / "out.json", environments

    def __call__(self, policy: str, end: str = "") -> "subprocess.CompletedProcess[str]":
        """Do so once; gives how it ended."""
        argv = [sys.executable, "-c", MEASURE, str(self.output), str(self.environments), policy, end]
        return subprocess.run(argv, capture_output=True, text=True, timeout=300)

    @property
    def report(self) -> dict[str, Any]:
        """The report it has left."""
        found = json.loads(self.output.with_name("report.json").read_text())
        assert isinstance(found, dict)
        return found


@pytest.fixture
def measure(tmp_path: Path, environments: Path) -> Measuring:
    """A run of two benchmarks."""
    return Measuring(tmp_path, environments)


@contextmanager
def busy() -> Iterator[None]:
    """Somebody else uses the CPU that measures."""
    with subprocess.Popen([sys.executable, "-c", LOOP], stdout=subprocess.PIPE) as loop:
        try:
            assert loop.stdout is not None
            loop.stdout.readline()
            yield
        finally:
            loop.kill()


def test_a_run_killed_between_result_and_report(measure: Measuring) -> None:
    """The same call takes up its own result and measures nothing again; it is still nobody else's to overwrite."""
    done = measure("off", "benchyard: grade ")
    assert done.returncode == -9, done.stderr
    output, report = measure.output, measure.output.with_name("report.json")
    assert not report.exists()
    values = {bench.get_name(): bench.get_values() for bench in pyperf.BenchmarkSuite.load(str(output))}
    said: list[str] = []

    def again(loops: dict[str, int]) -> RunReport:
        return run_benchmarks(
            sys.executable,
            list(LOOPS),
            mode="fast",
            loops=loops,
            output=output,
            report=report,
            environments=measure.environments,
            say=said.append,
        )

    with pytest.raises(OptionError, match="never overwritten"):
        again({**LOOPS, "json_loads": 2})
    found = again(LOOPS)
    assert not any("Mean" in line for line in said)
    assert {bench.get_name(): bench.get_values() for bench in pyperf.BenchmarkSuite.load(str(output))} == values
    assert [outcome.name for outcome in found.benchmarks] == list(LOOPS)
    assert msgspec.json.decode(report.read_bytes(), type=RunReport) == found
    assert sorted(path.name for path in output.parent.iterdir()) == ["out.json", "report.json"]
    with pytest.raises(OptionError, match="never overwritten"):
        again(LOOPS)


def test_a_whole_run_asks_the_guard_no_more(measure: Measuring) -> None:
    """What was measured to the end on a fit host is a result, however busy that is when the run goes on."""
    done = measure("warn", "benchyard: grade ")
    assert done.returncode == -9, done.stderr
    with busy():
        done = measure("strict")
    assert done.returncode == 0, done.stderr
    assert "Mean" not in done.stdout
    assert [one["status"] for one in measure.report["benchmarks"]] == ["success", "success"]
    assert measure.report["guard"]["passed"]
    assert "nobody looked whether the host was quiet" not in measure.report["grade"]["reasons"]


def test_a_host_that_is_not_fit_any_more(measure: Measuring) -> None:
    """Nothing more is measured on it, and nothing is lost: the same call goes on with what is missing, later."""
    done = measure("warn", "benchyard: benchmark 2/2")
    assert done.returncode == -9, done.stderr
    with busy():
        done = measure("strict")
    assert "UnfitError: the host is not fit to measure" in done.stderr
    assert (measure.report["guard"]["passed"], measure.report["benchmarks"]) == (False, [])
    assert not measure.output.exists()
    done = measure("off")
    assert done.returncode == 0, done.stderr
    assert "json_loads: Mean" not in done.stdout
    assert [one["status"] for one in measure.report["benchmarks"]] == ["success", "success"]
    assert sorted(path.name for path in measure.output.parent.iterdir()) == ["out.json", "report.json"]


def test_a_command_is_told_that_it_was_killed(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """When it is started again, and not before, whatever those who attach have in their environment."""
    monkeypatch.setenv(AGAIN, "1")
    script = f'echo "again: ${AGAIN}"; [ -n "${AGAIN}" ] || kill -KILL $$'
    status, said = host.run("1.1", "sh", "-c", script, more=("--restarts", "1"))
    assert status == 0
    assert [line for line in said.splitlines() if line.startswith("again")] == ["again: ", "again: 1"]


#: Measures, and is killed the first time that it removes the pieces of its result: before or after that is done.
REMOVE = """\
import os, signal, sys
from pathlib import Path
from benchyard.tasks.benchmarks import run_benchmarks
from benchyard.tasks.parts import Parts

output, environments, first, half = *map(Path, sys.argv[1:4]), sys.argv[4]
remove = Parts.remove

def killed(parts):
    if half:
        (parts.folder / "outcomes.jsonl").unlink()
    else:
        remove(parts)
    first.touch()
    os.kill(os.getpid(), signal.SIGKILL)

if not first.exists():
    Parts.remove = killed
run_benchmarks(
    sys.executable, ["json_loads"], mode="fast", loops={"json_loads": 1}, output=output,
    report=output.with_name("report.json"), environments=environments, say=print,
)
"""


@pytest.mark.parametrize("half", ["half", ""], ids=["half removed", "removed"])
def test_a_run_killed_after_its_report(host: Any, tmp_path: Path, environments: Path, half: str) -> None:
    """Result and report are complete, and so is the run, by the very report that was there."""
    folder = tmp_path / "folder"
    output, report, first = (folder / name for name in ("out.json", "report.json", "first"))
    argv = [sys.executable, "-c", REMOVE, output, environments, first, half]
    status, said = host.run("1.1", *map(str, argv), more=("--restarts", "1"))
    assert (status, host.read("1.1")["rc"]) == (0, 0), said
    assert first.exists()
    assert said.count("json_loads: Mean") == 1
    assert pyperf.BenchmarkSuite.load(str(output)).get_benchmark_names() == ["json_loads"]
    (outcome,) = msgspec.json.decode(report.read_bytes(), type=RunReport).benchmarks
    assert outcome.status == "success"
    assert sorted(path.name for path in folder.iterdir()) == ["first", "out.json", "report.json"]
    # Nobody else's run takes that for its own.
    status, said = host.run("2.1", *map(str, argv), more=("--restarts", "1"))
    assert status == 73
    assert "never overwritten" in said
