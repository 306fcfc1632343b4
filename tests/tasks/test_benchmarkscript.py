"""One benchmark's script, and what it leaves behind."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from spinning import write_manifest

from benchyard.tasks.benchmarkscript import measure_benchmark, pyperf_options
from benchyard.tasks.environment import Environment
from benchyard.tasks.host.shield import Shield
from benchyard.tasks.interpreter import inspect_interpreter
from benchyard.tasks.processes import kill_all
from benchyard.tasks.report import BenchmarkOutcome
from benchyard.tasks.suite import open_suite
from benchyard.tasks.suitemaking import make_suite
from benchyard.tasks.trees import TreeStore

#: Leaves a busy child behind, which has said that it is there.
LEAVES = """\
import os, subprocess, sys
import pyperf

if "--worker" in sys.argv:
    code = {code!r} + "; print(os.getpid(), flush=True)\\nwhile True: pass"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, {options})
    with open({pids!r}, "ab") as file:
        file.write(child.stdout.readline())
pyperf.Runner().bench_func("spin", sum, [1])
"""


def measure(script: str, tmp_path: Path, shield: Shield | None = None) -> BenchmarkOutcome:
    """Measure a script as the benchmark `spin`, as quickly as can be."""
    manifest = write_manifest(tmp_path / "own", script=script)
    store = TreeStore(tmp_path / "suites")
    suite = open_suite(store.tree(make_suite(store, work=tmp_path, manifests=[manifest]).id))
    (benchmark,) = suite.load(["spin"])
    environment = Environment(sys.prefix, sys.executable, {}, False, 0, 0.0)
    options = {**pyperf_options("default", None, ()), "--processes": "1", "--values": "1", "--loops": "1"}
    interpreter = inspect_interpreter(sys.executable)
    outcome, _ = measure_benchmark(benchmark, interpreter, suite, environment, options, tmp_path, set(), shield=shield)
    return outcome


@pytest.fixture
def pids(tmp_path: Path, gone: Callable[[int], bool]) -> Iterator[Path]:
    """The file that says which processes were left behind; none of them outlives the test."""
    path = tmp_path / "pids"
    yield path
    left = [int(pid) for pid in path.read_text().split()]
    kill_all(lambda: [pid for pid in left if not gone(pid)], grace_s=0.0)


@pytest.mark.parametrize("options", ["", "start_new_session=True"])
def test_what_a_benchmark_leaves_is_ended(
    tmp_path: Path, pids: Path, gone: Callable[[int], bool], options: str
) -> None:
    """A child that burns a CPU is gone before the next benchmark starts, also one in a session of its own."""
    script = LEAVES.format(code="import os", options=options, pids=str(pids))
    assert measure(script, tmp_path).error is None
    (pid,) = pids.read_text().split()
    assert gone(int(pid))


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group with no controller that matters: it stands for the measuring one."""
    path = Path("/sys/fs/cgroup/pids") / f"benchyard-test-{os.getpid()}"
    if not path.parent.is_dir():
        path = Path("/sys/fs/cgroup") / path.name
    try:
        path.mkdir()
    except OSError as exc:
        pytest.xfail(f"no control group can be made here: {exc}")
    yield path
    kill_all(lambda: [int(pid) for pid in (path / "cgroup.procs").read_text().split()])
    path.rmdir()


def test_what_hides_is_ended(tmp_path: Path, pids: Path, group: Path, gone: Callable[[int], bool]) -> None:
    """So is one that bears no mark any more, by the group that only what is measured is in."""
    code = f"import os; os.setsid(); open({str(group / 'cgroup.procs')!r}, 'w').write(str(os.getpid()))"
    script = LEAVES.format(code=code, options="env={}", pids=str(pids))
    shield = Shield("1.1", "cpuset", "", (1,), (0,), group=str(group))
    assert measure(script, tmp_path, shield).error is None
    (pid,) = pids.read_text().split()
    assert gone(int(pid))
