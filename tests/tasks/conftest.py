"""Interpreters, state directories and commands that the tests of the tasks share."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from miniature import Miniature

from benchyard.tasks.host.setup import mend_host
from benchyard.tasks.processes import kill_all, marked_by_others
from benchyard.tasks.runner import active_runs, stop

Wait = Callable[..., Any]


@pytest.fixture
def wait_for() -> Wait:
    """Return a function that waits until a condition gives something true, and returns that."""

    def wait(condition: Callable[[], Any], what: str, limit_s: float = 60.0) -> Any:
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            result = condition()
            if result:
                return result
            time.sleep(0.05)
        raise AssertionError(f"not within {limit_s:g} s: {what}")

    return wait


class Host:
    """A state directory with the command line on it, as the lab's steps use it."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.clients: list[subprocess.Popen[bytes]] = []

    def argv(
        self, run: str, *command: str, limit: float | None = None, cpus: str | None = None, more: tuple[str, ...] = ()
    ) -> list[str]:
        options = [*more, *([] if limit is None else ["--limit", str(limit)])]
        options += [] if cpus is None else ["--cpus", cpus]
        program = [sys.executable, "-m", "benchyard.cli", "task", "attach"]
        return [*program, run, "--state", str(self.state), *options, "--", *command]

    def start(self, run: str, *command: str, **options: Any) -> "subprocess.Popen[bytes]":
        """Attach in a process of its own, whose output goes to a pipe."""
        argv = self.argv(run, *command, **options)
        client = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.clients.append(client)
        return client

    def run(self, run: str, *command: str, **options: Any) -> tuple[int, str]:
        """Attach to the end; returns the exit code and what was printed."""
        client = self.start(run, *command, **options)
        output, _ = client.communicate(timeout=120)
        return client.returncode, output.decode()

    def read(self, run: str) -> dict[str, Any]:
        """Return the state of a run as it is on disk, {} before there is one."""
        try:
            state = json.loads((self.state / "runs" / run / "state.json").read_text())
        except FileNotFoundError:
            return {}
        assert isinstance(state, dict)
        return state

    def output(self, run: str) -> str:
        """Return what a run has printed so far."""
        try:
            return (self.state / "runs" / run / "output.log").read_text()
        except FileNotFoundError:
            return ""

    def log(self) -> list[list[str]]:
        """Return the lines of runs.log, as words."""
        try:
            lines = (self.state / "runs" / "runs.log").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [line.split() for line in lines]

    def starts(self, run: str) -> int:
        """Return how often a run was started."""
        return sum(words[1:3] == ["START", run] for words in self.log())


def gone(pid: int) -> bool:
    """Whether a process has ended (a zombie has)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] in "ZX"


@pytest.fixture(name="gone")
def gone_fixture() -> Callable[[int], bool]:
    """Return a function that says whether a process has ended."""
    return gone


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """Return a host of its own; whatever a test leaves running is ended."""
    host = Host(tmp_path / "state")
    yield host
    for client in host.clients:
        if client.poll() is None:
            client.send_signal(signal.SIGKILL)
        client.wait(timeout=10)
        if client.stdout:
            client.stdout.close()
    for run in active_runs(host.state):
        stop(run, state=host.state)
    runs = Path(os.path.realpath(host.state)) / "runs"
    assert not kill_all(lambda: marked_by_others(runs, runs / "none"))
    mend_host(host.state)


@pytest.fixture(scope="session")
def other_python() -> str:
    """Return another interpreter that can run the suite, from pyenv; sys.executable where there is none."""
    versions = sorted((Path.home() / ".pyenv" / "versions").glob("3.1[0-9].*/bin/python"))
    here = os.path.realpath(sys.executable)
    others = [str(python) for python in versions if os.path.realpath(python) != here]
    return others[-1] if others else sys.executable


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of environments that the tests share, as making one takes seconds."""
    return tmp_path_factory.mktemp("environments")


@pytest.fixture
def repository(tmp_path: Path) -> Miniature:
    """Return a repository of CPython's shape that builds in a second."""
    return Miniature(tmp_path / "repository")
