"""Runs where nothing can outlive its client: the same interface, and the run says so."""

import io
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from benchyard.tasks import runner
from benchyard.tasks.attached import outlives
from benchyard.tasks.hostlock import try_lock
from benchyard.tasks.runner import attach, list_runs, stop


@pytest.fixture(autouse=True)
def attached(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this system be one without /proc."""
    monkeypatch.setattr(runner, "outlives", lambda: False)


def test_this_system_and_another(tmp_path: Path) -> None:
    """Linux has /proc, and what has not is told by that."""
    assert outlives()
    assert not outlives(tmp_path)


def test_a_run(host: Any) -> None:
    """It runs once, is logged, and its output says that it would not outlive its client."""
    out = io.BytesIO()
    outcome = attach("1.1", ["sh", "-c", "echo out; exit 3"], state=host.state, out=out)
    assert (outcome.state, outcome.rc, outcome.exit_code) == ("done", 3, 73)
    assert b"does not outlive" in out.getvalue() and b"out\n" in out.getvalue()
    assert [words[1:3] for words in host.log()] == [["START", "1.1"], ["END", "1.1"]]
    assert attach("1.1", ["false"], state=host.state, out=io.BytesIO()).rc == 3


def test_the_host_is_held(host: Any) -> None:
    """Nothing else measures meanwhile, and afterwards the host is free."""
    told: list[bytes] = []
    script = f"import fcntl; fcntl.flock(open({str(host.state / 'host.lock')!r}), fcntl.LOCK_SH | fcntl.LOCK_NB)"
    out = io.BytesIO()
    outcome = attach("1.1", [sys.executable, "-c", script], state=host.state, out=out)
    told.append(out.getvalue())
    assert outcome.rc == 1 and b"BlockingIOError" in told[0]
    fd = try_lock(host.state / "host.lock")
    assert fd is not None
    os.close(fd)


def test_a_strict_guard(host: Any) -> None:
    """Such a host is not made ready, so a strict guard knows no CPUs to look at; what is refused has its remedy."""
    argv = [sys.executable, "-m", "benchyard.cli", "task", "run-benchmarks", "--python", sys.executable]
    argv += ["--benchmarks", "nbody", "--output", str(host.state / "out.json"), "--guard", "strict"]
    out = io.BytesIO()
    outcome = attach("1.1", argv, state=host.state, out=out)
    assert outcome.rc == 2
    assert b"`benchyard host modify HOST --guard warn`" in out.getvalue()


def test_the_time_limit(host: Any) -> None:
    """A command that ignores SIGTERM is ended with its children."""
    began = time.monotonic()
    argv = ["sh", "-c", "trap '' TERM; sleep 300 & while :; do sleep 1; done"]
    outcome = attach("1.1", argv, state=host.state, limit_s=0.5, out=io.BytesIO())
    assert outcome.state == "timeout"
    assert time.monotonic() - began < 60


def test_stop(host: Any, wait_for: Any) -> None:
    """Stopped from elsewhere it is canceled, and one that waits for the host never starts."""
    results: dict[str, str] = {}

    def follow(run: str) -> None:
        results[run] = attach(run, ["sleep", "300"], state=host.state, out=io.BytesIO()).state

    threads = [threading.Thread(target=follow, args=(run,)) for run in ("1.1", "2.1")]
    threads[0].start()
    wait_for(lambda: host.starts("1.1") == 1, "the first has started")
    threads[1].start()
    wait_for(lambda: host.read("2.1").get("state") == "waiting", "the second waits")
    for run in ("2.1", "1.1"):
        assert stop(run, state=host.state).state == "canceled"
    for thread in threads:
        thread.join(30)
    assert results == {"1.1": "canceled", "2.1": "canceled"}
    assert {outcome.state for outcome in list_runs(host.state)} == {"canceled"}
    assert host.starts("2.1") == 0


ATTACH = """\
import sys
from benchyard.tasks import runner
runner.outlives = lambda: False
runner.attach("1.1", ["sh", "-c", "sleep 300 & echo $!; wait"], state=sys.argv[1], out=sys.stdout.buffer)
"""


def test_it_ends_with_who_attached(host: Any, wait_for: Any, gone: Any) -> None:
    """After kill -9 of that process nothing of the run goes on, and whoever looks next finds it lost."""
    client = subprocess.Popen([sys.executable, "-c", ATTACH, host.state], stdout=subprocess.DEVNULL)
    child = int(wait_for(lambda: host.output("1.1").splitlines()[1:], "the command's child")[0])
    command = wait_for(lambda: host.read("1.1").get("pid"), "the command")
    client.kill()
    client.wait(timeout=10)
    wait_for(lambda: gone(command) and gone(child), "the end of the command")
    assert attach("1.1", ["true"], state=host.state, out=io.BytesIO()).state == "lost"


def test_a_command_that_is_not_there(host: Any) -> None:
    """It is named."""
    out = io.BytesIO()
    assert attach("1.1", ["/no/such/program"], state=host.state, out=out).rc == 127
    assert b"cannot run '/no/such/program'" in out.getvalue()
