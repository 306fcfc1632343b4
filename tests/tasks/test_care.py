"""A host made ready for a run and put back, a guard before it and a watch during it: with real runs on this machine."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pyperf
import pytest

from benchyard.tasks.care import Care, read_care
from benchyard.tasks.cpus import format_cpu_list, online_cpus
from benchyard.tasks.host.journal import has_journal
from benchyard.tasks.host.setup import Setup, mend_host, read_setup, set_up
from benchyard.tasks.host.undo import note_paths
from benchyard.tasks.hostlock import hold_host
from benchyard.tasks.interpreter import inspect_interpreter
from benchyard.tasks.processes import kill_all
from benchyard.tasks.report import BenchmarkOutcome
from benchyard.tasks.rundir import HostOrder, RunDir
from benchyard.tasks.suite import installed_suite

KNOBS = ("proc/sys/kernel/randomize_va_space", "proc/sys/kernel/perf_event_max_sample_rate")

#: Burns a CPU by name until it is killed, or its parent ends.
LOOP = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9, 0, 0, 0); os.sched_setaffinity(0, {int(sys.argv[1])})"


@pytest.fixture
def knobs() -> Iterator[dict[str, str]]:
    """What this host's knobs hold; it must be the same afterwards."""
    if os.geteuid() != 0:
        pytest.xfail("this host's knobs cannot be set by us")
    if len(online_cpus()) < 2:
        pytest.xfail("there is one CPU for all")
    found = {name: (Path("/") / name).read_text() for name in KNOBS}
    yield found
    assert {name: (Path("/") / name).read_text() for name in KNOBS} == found


@pytest.fixture
def busy() -> Iterator[Callable[[int], "subprocess.Popen[bytes]"]]:
    """`busy(cpu)`: a process that uses a CPU until the end of the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(cpu: int) -> "subprocess.Popen[bytes]":
        argv = [sys.executable, "-c", f"{LOOP}; print(flush=True)\nwhile True: pass", str(cpu)]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout is not None
        process.stdout.readline()
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def setup_of(host: Any, run: str) -> Setup:
    return read_setup(host.state / "runs" / run / "setup.json")


def is_as_it_was(host: Any, knobs: dict[str, str]) -> bool:
    """Whether nothing of a run is left on this host."""
    same = {name: (Path("/") / name).read_text() for name in KNOBS} == knobs
    return same and not has_journal(host.state) and not note_paths(host.state)


WHERE = "import os; print('cpus', sorted(os.sched_getaffinity(0)), os.environ['BENCHYARD_SETUP'])"


def test_ready_and_back(host: Any, knobs: dict[str, str]) -> None:
    """The command keeps house while the host is tuned and its measuring CPU shielded; afterwards all is as it was."""
    status, output = host.run("1.1", sys.executable, "-c", WHERE, more=("--measuring", "auto"))
    assert status == 0
    setup = setup_of(host, "1.1")
    assert f"cpus {list(setup.shield.housekeeping)} {host.state}/runs/1.1/setup.json" in output
    assert setup.tuning is not None
    assert {knob.knob: str(knob.status) for knob in setup.tuning.knobs}["perf-rate"] in ("done", "already")
    assert setup.shield.kind in ("partition", "cpuset", "affinity")
    assert is_as_it_was(host, knobs)


def test_left_alone(host: Any, knobs: dict[str, str]) -> None:
    """What is not to be tuned or shielded is not, and the setup says so."""
    options = ("--measuring", str(online_cpus()[-1]), "--no-tune", "--no-shield")
    assert host.run("1.1", "true", more=options)[0] == 0
    setup = setup_of(host, "1.1")
    assert (setup.tuning, setup.shield.kind, setup.shield.detail) == (None, "affinity", "it was not asked for")
    assert setup.shield.measuring == online_cpus()[-1:]


@pytest.mark.parametrize("by", ["next run", "start of the worker", "attach", "attach beside a preparation"])
def test_a_killed_supervisor(
    host: Any, knobs: dict[str, str], wait_for: Any, gone: Callable[[int], bool], by: str
) -> None:
    """What a killed supervisor left, a process in the measuring group too, is ended and put back."""
    hidden = "import os; os.setsid(); print(os.getpid(), flush=True); os.execve('/bin/sleep', ['sleep', '300'], {})"
    script = (
        "import json, os, subprocess, sys\n"
        "group = json.load(open(os.environ['BENCHYARD_SETUP']))['shield']['group']\n"
        f"child = subprocess.Popen([sys.executable, '-c', {hidden!r}], stdout=subprocess.PIPE)\n"
        "pid = child.stdout.readline().decode().strip()\n"
        "if group: open(group + '/cgroup.procs', 'w').write(pid)\n"
        "print('hidden', pid, flush=True)\n"
        "child.wait()\n"
    )
    client = host.start("1.1", sys.executable, "-c", script, more=("--measuring", "auto"))
    wait_for(lambda: "hidden" in host.output("1.1"), "the hidden process")
    pid = int(host.output("1.1").split("hidden ")[1].split()[0])
    setup = setup_of(host, "1.1")
    client.kill()  # whoever is attached would put the host back
    client.wait(timeout=10)
    for one in (host.read("1.1")["supervisor"], host.read("1.1")["pid"]):
        os.kill(one, signal.SIGKILL)
        wait_for(partial(gone, one), "the supervisor and its child are gone")
    try:
        if setup.shield.group is None:
            pytest.xfail(f"no groups here: {setup.shield.detail}")
        assert not gone(pid), "without parent, session and mark it lives on"
        if by == "next run":
            assert host.run("2.1", "true")[0] == 0
        elif by.startswith("attach"):
            with hold_host(host.state) if by != "attach" else nullcontext():
                assert host.run("1.1", "true")[0] == 76
                assert is_as_it_was(host, knobs)
        else:
            wait_for(lambda: mend_host(host.state) == [], "the host is mended")
        wait_for(lambda: gone(pid), "what was left has ended")
        assert is_as_it_was(host, knobs)
        assert not Path(setup.shield.group).exists()
    finally:
        if not gone(pid):
            os.kill(pid, signal.SIGKILL)


def measure(host: Any, run: str, environments: Path, *options: str, measuring: tuple[str, ...]) -> dict[str, Any]:
    """Measure a benchmark as the lab's step does; gives the report."""
    folder = host.state / "runs" / run
    command = [sys.executable, "-m", "benchyard.cli", "task", "run-benchmarks", "--python", sys.executable]
    command += ["--benchmarks", "nbody", "--fast", "--environments", str(environments)]
    command += ["--output", str(folder / "result.json"), "--report", str(folder / "report.json"), *options]
    host.run(run, *command, more=measuring)
    report = json.loads((folder / "report.json").read_text())
    assert isinstance(report, dict)
    return report


def test_a_measurement_says_how_it_was_measured(host: Any, environments: Path, knobs: dict[str, str]) -> None:
    """pyperf's workers ran on the measuring CPU, and the file alone tells grade, reasons and conditions."""
    report = measure(
        host, "1.1", environments, "--guard", "warn", "--guard-wait", "20", measuring=("--measuring", "auto")
    )
    shield = report["setup"]["shield"]
    (outcome,) = report["benchmarks"]
    assert (outcome["status"], outcome["conditions"]["cpus"]) == ("success", len(shield["measuring"]))
    benchmark = pyperf.BenchmarkSuite.load(str(host.state / "runs/1.1/result.json")).get_benchmark("nbody")
    metadata = benchmark.get_metadata()
    assert metadata["cpu_affinity"] == format_cpu_list(shield["measuring"])
    assert metadata["benchyard_grade"] == report["grade"]["letter"]
    assert metadata["benchyard_isolation"] == shield["kind"] == report["fingerprint"]["host"]["isolation"]
    assert metadata["benchyard_kernel"].startswith(os.uname().release)
    assert "perf-rate" in metadata["benchyard_tuning"]
    assert metadata["python_executable"].endswith("/bin/python"), "the interpreter, not what put it on its CPU"
    assert is_as_it_was(host, knobs)


def test_only_values_count_as_disturbed() -> None:
    """A benchmark that failed gave none, and is not measured again: it is no reason for a worse grade."""
    loud = ("make used 1.20 s of the measuring CPUs, 40.0 %",)
    outcomes = [
        BenchmarkOutcome("json_loads", "failed", 3.0, error="timed out", disturbed=loud),
        BenchmarkOutcome("nbody", "success", 3.0, tries=2, disturbed=loud),
    ]
    found, _ = Care().end(inspect_interpreter(sys.executable), installed_suite(), outcomes)
    assert [reason for reason in found.reasons if reason.startswith("disturbed")] == [
        "disturbed, again when measured once more: nbody"
    ]


def test_the_guard_knows_the_host_by_its_state_directory(tmp_path: Path) -> None:
    """What was learnt of an idle host is where `host-check` keeps it, too, whoever's folder the environments are in."""
    run = RunDir(tmp_path / "state", "1.1")
    run.make()
    order = HostOrder(tune=False, shield=False)
    set_up(run.state_dir, order, run=run.run, note=run.setup, supervisor=os.getpid())
    care = read_care(run.setup, "warn", 0.0, watched=False)
    run.state_dir.rename(tmp_path / "away")
    run.state_dir.symlink_to(run.state_dir)  # a loop: the guard says which directory it cannot look at
    assert care.begin(tmp_path, None, lambda line: None)
    assert care.guard is not None
    found = [finding.message for finding in care.guard.findings if finding.check == "disk"]
    assert found == [f"the free disk space of {run.state_dir} cannot be read"]


@pytest.mark.slow
def test_a_busy_host_is_refused(
    host: Any, environments: Path, knobs: dict[str, str], busy: Callable[[int], Any]
) -> None:
    """With a strict guard, nothing is measured beside another's loop on the measuring CPU, which is named."""
    cpu = online_cpus()[-1]
    loop = busy(cpu)
    alone = ("--measuring", str(cpu), "--no-shield", "--no-tune")
    report = measure(host, "1.1", environments, "--guard", "strict", "--guard-wait", "1", measuring=alone)
    assert (report["guard"]["passed"], report["benchmarks"]) == (False, [])
    said = host.output("1.1")
    assert "the host is not fit to measure" in said
    assert f"(pid {loop.pid}) used" in said
    assert not (host.state / "runs/1.1/result.json").exists()
    assert host.read("1.1")["rc"] == 1


@pytest.mark.slow
def test_what_was_disturbed_is_measured_again(
    host: Any, environments: Path, knobs: dict[str, str], busy: Callable[[int], Any]
) -> None:
    """Beside a loop each benchmark is tried twice; what remains disturbed is in the file, with grade C."""
    cpu = online_cpus()[-1]
    loop = busy(cpu)
    alone = ("--measuring", str(cpu), "--no-shield", "--no-tune")
    report = measure(host, "1.1", environments, "--guard", "warn", "--guard-wait", "0", measuring=alone)
    (outcome,) = report["benchmarks"]
    assert (outcome["tries"], report["grade"]["letter"]) == (2, "C")
    assert f"(pid {loop.pid})" in outcome["disturbed"][0]
    assert outcome["conditions"]["foreign_cpu_s"] > 0.2 * outcome["conditions"]["seconds"]
    benchmark = pyperf.BenchmarkSuite.load(str(host.state / "runs/1.1/result.json")).get_benchmark("nbody")
    assert f"(pid {loop.pid})" in benchmark.get_metadata()["benchyard_disturbed"]


@pytest.mark.slow
def test_the_shield_keeps_a_loop_off(
    host: Any, environments: Path, knobs: dict[str, str], busy: Callable[[int], Any]
) -> None:
    """A loop on the measuring CPU is moved off for the time of the run, and the strict guard lets it begin."""
    loop = busy(online_cpus()[-1])
    report = measure(
        host, "1.1", environments, "--guard", "strict", "--guard-wait", "30", measuring=("--measuring", "auto")
    )
    if report["setup"]["shield"]["kind"] == "affinity":
        pytest.xfail(report["setup"]["shield"]["detail"])
    assert report["guard"]["passed"]
    (outcome,) = report["benchmarks"]
    assert not any(str(loop.pid) in text for text in outcome["disturbed"])
    assert loop.poll() is None


@pytest.mark.slow
def test_a_benchmark_that_prints_without_end(tmp_path: Path, environments: Path) -> None:
    """It is ended, and the log keeps what it printed first."""
    from spinning import write_manifest

    from benchyard.tasks.benchmarks import run_benchmarks
    from benchyard.tasks.errors import RunError
    from benchyard.tasks.suite import open_suite
    from benchyard.tasks.suitemaking import make_suite
    from benchyard.tasks.trees import TreeStore

    store = TreeStore(tmp_path / "suites")
    manifest = write_manifest(tmp_path / "own", script="while True: print('x' * 1_000_000)\n")
    suite = open_suite(store.tree(make_suite(store, work=tmp_path, manifests=[manifest]).id))
    with pytest.raises(RunError, match="spin: it printed more than 64 MiB"):
        run_benchmarks(
            sys.executable, ["spin"], suite=suite, output=tmp_path / "o.json", environments=environments, mode="fast"
        )


@pytest.mark.slow
def test_a_benchmark_that_hangs(tmp_path: Path, environments: Path) -> None:
    """One that ignores SIGTERM and SIGINT, and sleeps in a child, is ended when its time is over."""
    from spinning import write_manifest

    from benchyard.tasks.benchmarks import run_benchmarks
    from benchyard.tasks.errors import RunError
    from benchyard.tasks.suite import open_suite
    from benchyard.tasks.suitemaking import make_suite
    from benchyard.tasks.trees import TreeStore

    script = (
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "while True: time.sleep(1)\n"
    )
    store = TreeStore(tmp_path / "suites")
    manifest = write_manifest(tmp_path / "own", script=script)
    suite = open_suite(store.tree(make_suite(store, work=tmp_path, manifests=[manifest]).id))
    began = time.monotonic()
    with pytest.raises(RunError, match="spin: it took longer than its time limit of 2 s"):
        run_benchmarks(
            sys.executable,
            ["spin"],
            suite=suite,
            limits={"spin": 2.0},
            output=tmp_path / "o.json",
            environments=environments,
            mode="fast",
        )
    assert time.monotonic() - began < 120


@pytest.mark.slow
@pytest.mark.parametrize("kills", [1, 3])
def test_a_killed_run_goes_on_where_it_was(host: Any, environments: Path, wait_for: Any, kills: int) -> None:
    """What was measured stays, what was under way is begun again; what is killed each time is lost alone."""
    names = ("json_loads", "nbody", "unpack_sequence")
    folder = host.state / "runs" / "1.1"
    command = [sys.executable, "-m", "benchyard.cli", "task", "run-benchmarks", "--python", sys.executable]
    command += ["--benchmarks", ",".join(names), "--fast", "--environments", str(environments)]
    command += ["--output", str(folder / "result.json"), "--report", str(folder / "report.json")]
    client = host.start("1.1", *command, more=("--restarts", "5"))
    said = "benchyard: benchmark 2/3 nbody"
    for killed in range(min(kills, 2)):
        wait_for(partial(_has, host, said, killed + 1), "the second is under way", 120)
        os.kill(host.read("1.1")["pid"], signal.SIGKILL)
    client.communicate(timeout=200)
    assert client.returncode == 0
    report = json.loads((folder / "report.json").read_text())
    found = {outcome["name"]: outcome["error"] for outcome in report["benchmarks"]}
    lost = "the run was killed 2 times while it was measured" if kills > 2 else None
    assert found == {"json_loads": None, "nbody": lost, "unpack_sequence": None}
    measured = pyperf.BenchmarkSuite.load(str(folder / "result.json")).get_benchmark_names()
    assert measured == [name for name in names if name != "nbody" or lost is None]
    assert host.output("1.1").count("json_loads: Mean") == 1


def _has(host: Any, text: str, times: int) -> bool:
    return bool(host.output("1.1").count(text) == times)


HOG = """
held = []
while True:
    held.append(bytearray(20_000_000))
"""

#: Goes on to measure, with nowhere to print to.
MUTE = """
import os
os.close(1)
os.close(2)
import pyperf
pyperf.Runner().bench_func("spin", sum, range(1000))
"""


def suite_with(tmp_path: Path, script: str) -> Path:
    """The directory of a suite that has this script as its benchmark `spin`."""
    from spinning import write_manifest

    from benchyard.tasks.suitemaking import make_suite
    from benchyard.tasks.trees import TreeStore

    store = TreeStore(tmp_path / "suites")
    return store.tree(make_suite(store, work=tmp_path, manifests=[write_manifest(tmp_path / "own", script=script)]).id)


@pytest.fixture
def little_memory() -> Iterator[Path]:
    """A group of processes that may use 600 MB together."""
    group = Path("/sys/fs/cgroup/memory") / f"benchyard-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text("600000000")
    except OSError as exc:
        pytest.xfail(f"no group with a limit of memory can be made here: {exc}")
    try:
        yield group
    finally:
        kill_all(lambda: [int(pid) for pid in (group / "cgroup.procs").read_text().split()])
        group.rmdir()


@pytest.mark.slow
def test_a_benchmark_that_eats_all_memory(host: Any, environments: Path, tmp_path: Path, little_memory: Path) -> None:
    """The kernel ends the benchmark and not the run; the next one is measured."""
    enter = ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(little_memory)]
    folder = host.state / "runs" / "1.1"
    command = [sys.executable, "-m", "benchyard.cli", "task", "run-benchmarks", "--python", sys.executable]
    command += ["--suite", str(suite_with(tmp_path, HOG)), "--benchmarks", "spin,unpack_sequence", "--fast"]
    command += ["--environments", str(environments), "--output", str(folder / "result.json")]
    command += ["--report", str(folder / "report.json")]
    done = subprocess.run([*enter, *host.argv("1.1", *command)], capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((folder / "report.json").read_text())
    found = {outcome["name"]: outcome["error"] for outcome in report["benchmarks"]}
    assert found == {"spin": "killed by signal 9", "unpack_sequence": None}


@pytest.mark.slow
def test_a_benchmark_that_closes_its_output(tmp_path: Path, environments: Path) -> None:
    """It fails or not, in its own row; the run goes on."""
    from benchyard.tasks.benchmarks import run_benchmarks
    from benchyard.tasks.suite import open_suite

    suite = open_suite(suite_with(tmp_path, MUTE))
    report = run_benchmarks(
        sys.executable,
        ["spin", "unpack_sequence"],
        suite=suite,
        output=tmp_path / "o.json",
        environments=environments,
        mode="fast",
    )
    assert [(outcome.name, outcome.error) for outcome in report.benchmarks][1] == ("unpack_sequence", None)
