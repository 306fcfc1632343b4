"""One host measures one thing at a time."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchyard.tasks.errors import HostBusyError
from benchyard.tasks.hostlock import GOING_ON, WAITING, hold_host
from benchyard.tasks.processes import MARK, marked, marked_by_others
from benchyard.tasks.runner import active_runs, list_runs, stop


def _overlaps(lines: list[list[str]]) -> int:
    """Return how many runs started between another's START and END."""
    open_runs: set[str] = set()
    overlaps = 0
    for _, word, run, _, _ in lines:
        if word == "START":
            overlaps += bool(open_runs)
            open_runs.add(run)
        else:
            open_runs.discard(run)
    return overlaps


def test_runs_of_one_host_never_overlap(host: Any) -> None:
    """Six runs asked for at once are executed one after the other."""
    clients = [host.start(f"{job}.1", "sleep", "0.2") for job in range(1, 7)]
    for client in clients:
        client.communicate(timeout=100)
        assert client.returncode == 0
    assert len(host.log()) == 12
    assert _overlaps(host.log()) == 0


def test_a_shared_hold_makes_a_run_wait(host: Any, wait_for: Any) -> None:
    """While something is prepared on the host, a run waits, and it starts when that is over."""
    with hold_host(host.state, shared=True):
        client = host.start("1.1", "echo", "hello")
        wait_for(lambda: host.read("1.1").get("state") == "waiting", "the waiting run")
        assert active_runs(host.state) == ("1.1",)
        # Others that prepare do not overtake a run that waits.
        wait_for(lambda: _busy(host.state), "the turn taken")
        assert host.starts("1.1") == 0
    client.communicate(timeout=60)
    assert client.returncode == 0
    assert host.starts("1.1") == 1


def _busy(state: Path) -> bool:
    try:
        with hold_host(state, shared=True, timeout_s=0.3):
            return False
    except HostBusyError:
        return True


def test_a_run_makes_preparing_wait(host: Any, wait_for: Any) -> None:
    """While a run lasts, nobody gets the host, and who waits says so and gives up at the limit."""
    client = host.start("1.1", "sleep", "600")
    wait_for(lambda: host.read("1.1").get("pid"), "the run")
    said: list[str] = []
    with (
        pytest.raises(HostBusyError, match=r"host\.lock is held"),
        hold_host(host.state, timeout_s=0.5, say=said.append),
    ):
        pass
    assert said
    assert said[0].startswith(WAITING)
    command = [
        sys.executable,
        "-m",
        "benchyard.cli",
        "task",
        "check-interpreter",
        sys.executable,
        "--state",
        host.state,
    ]
    checking = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert checking.stderr is not None
    assert checking.stderr.readline().startswith(WAITING.encode())
    stop("1.1", state=host.state)
    found, errors = checking.communicate(timeout=60)
    assert b"executable" in found
    assert errors == GOING_ON.encode() + b"\n"
    assert checking.returncode == 0
    client.communicate(timeout=60)


def test_several_may_prepare_at_once(tmp_path: Path) -> None:
    """Shared holds do not exclude each other; an exclusive one excludes them."""
    with hold_host(tmp_path, shared=True), hold_host(tmp_path, shared=True, timeout_s=5.0):
        pass
    with hold_host(tmp_path, shared=False):
        assert _busy(tmp_path)
    assert not _busy(tmp_path)


def test_a_waiting_run_can_be_stopped(host: Any, wait_for: Any) -> None:
    """A run stopped while it waits for the host is canceled and never starts."""
    with hold_host(host.state, shared=True):
        client = host.start("1.1", "echo", "hello")
        wait_for(lambda: host.read("1.1").get("state") == "waiting", "the waiting run")
        assert stop("1.1", state=host.state).state == "canceled"
        client.communicate(timeout=60)
        assert client.returncode == 74
    assert host.log() == []


def _processes(argument: str) -> list[int]:
    """Return the processes with this argument in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                arguments = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if argument.encode() in arguments:
                found.append(int(entry.name))
    return found


def test_no_run_starts_beside_an_orphan_of_pyperf(host: Any, tmp_path: Path, wait_for: Any, gone: Any) -> None:
    """After kill -9 of a supervisor and of pyperf's parent process, the next run first ends pyperf's living worker.

    pyperf closes inherited descriptors and filters its workers' variables: the worker holds no lock, only the mark
    that --inherit-environ passes on tells of it.
    """
    script = tmp_path / "bench_forever.py"
    script.write_text(
        "import pyperf, signal, time\n"
        "def forever():\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    while True: time.sleep(0.1)\n"
        "pyperf.Runner().bench_func('forever', forever)\n"
    )
    client = host.start("1.1", sys.executable, str(script), "--inherit-environ", MARK)
    worker = wait_for(
        lambda: [pid for pid in _processes("--worker") if pid in _processes(str(script))], "pyperf's worker"
    )
    state = wait_for(lambda: host.read("1.1").get("pid") and host.read("1.1"), "the command")
    # Whoever is attached would clean up: this is a host where nobody is.
    client.kill()
    client.wait(timeout=10)
    os.kill(state["supervisor"], signal.SIGKILL)
    wait_for(lambda: gone(state["pid"]), "pyperf's parent killed with its supervisor")
    assert not gone(worker[0])
    # The second run looks itself; a zombie, not yet collected by the host's init, does not run.
    check = f"grep -s '^State:' /proc/{worker[0]}/status || echo State: gone"
    status, output = host.run("2.1", "sh", "-c", check)
    assert status == 0
    assert output.split()[1] in ("gone", "Z", "X")
    assert gone(worker[0])
    assert host.read("1.1")["state"] == "lost"
    assert _overlaps(host.log()) == 0
    assert [words[1:3] for words in host.log()] == [["START", "1.1"], ["END", "1.1"], ["START", "2.1"], ["END", "2.1"]]


def test_no_run_starts_beside_an_orphan_of_the_suite(
    host: Any, environments: Path, tmp_path: Path, wait_for: Any, gone: Any
) -> None:
    """After kill -9 of a supervisor and of a benchmark's script, the next run first ends the suite's living worker.

    This is a real measurement with the command line, which passes the mark on by itself.
    """
    command = [sys.executable, "-m", "benchyard.cli", "task", "run-benchmarks", "--python", sys.executable]
    command += ["--benchmarks", "nbody", "--output", str(tmp_path / "out.json"), "--environments", str(environments)]
    client = host.start("1.1", *command)
    mark = Path(os.path.realpath(host.state)) / "runs" / "1.1"

    def stopped_worker() -> int | None:
        """Return a worker, stopped so that it does not end by itself before its parents are killed."""
        for pid in set(_processes("--worker")) & set(marked(mark)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                return None if gone(pid) else pid
        return None

    orphan = wait_for(stopped_worker, "pyperf's worker", 120)
    client.kill()
    client.wait(timeout=10)
    os.kill(host.read("1.1")["supervisor"], signal.SIGKILL)
    for pid in set(marked(mark)) - {orphan}:
        os.kill(pid, signal.SIGKILL)
    assert not gone(orphan)
    status, output = host.run(
        "2.1", "sh", "-c", "cat /proc/[0-9]*/cmdline 2> /dev/null | tr '\\0' ' '; echo; echo looked"
    )
    assert status == 0
    assert "looked" in output
    assert str(environments) not in output
    assert gone(orphan)
    assert [words[1:3] for words in host.log()] == [["START", "1.1"], ["END", "1.1"], ["START", "2.1"], ["END", "2.1"]]
    assert host.read("1.1")["state"] == "lost"


def test_what_a_finished_run_left_is_ended_before_the_next(host: Any, wait_for: Any, gone: Any) -> None:
    """A process with the mark of a run that has its final state, too, is ended before the next run starts."""
    assert host.run("1.1", "true")[0] == 0
    mark = Path(os.path.realpath(host.state)) / "runs" / "1.1"
    process = subprocess.Popen(["sleep", "600"], env={**os.environ, MARK: str(mark)})
    try:
        wait_for(lambda: process.pid in marked(mark), "the marked process")
        assert host.run("2.1", "true")[0] == 0
        assert gone(process.pid)
    finally:
        process.kill()
        process.wait()


def test_processes_of_another_lab_are_left_alone(tmp_path: Path, wait_for: Any, gone: Any) -> None:
    """A process with the mark of an equally named run in another state directory survives."""
    other = tmp_path / "other" / "runs" / "1.1"
    process = subprocess.Popen(["sleep", "600"], env={**os.environ, MARK: str(other)})
    try:
        wait_for(lambda: process.pid in marked(other), "the marked process")
        assert marked_by_others(tmp_path / "state" / "runs", tmp_path / "state" / "runs" / "2.1") == []
        assert marked(tmp_path / "state" / "runs" / "1.1") == []
        assert marked_by_others(tmp_path / "other" / "runs", other) == []
        assert marked_by_others(tmp_path / "other" / "runs", other.with_name("1.2")) == [process.pid]
    finally:
        process.kill()
        process.wait()


def test_a_damaged_state_of_another_run_stops_nothing(host: Any) -> None:
    """A run starts although the state file of an earlier one is damaged."""
    assert host.run("1.1", "true")[0] == 0
    (host.state / "runs" / "1.1" / "state.json").write_text("{")
    assert host.run("1.2", "true")[0] == 0
    assert [(run.run, run.state) for run in list_runs(host.state)] == [("1.1", "lost"), ("1.2", "done")]
