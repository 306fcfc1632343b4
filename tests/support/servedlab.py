"""A real master of a lab with many rows, without workers, for benchmarks of what it answers."""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import httpx

from benchyard.daemon.workerdir import twistd_program
from benchyard.lab.init import LabOptions, init_lab

API = "plugins/benchyard/api/v1"
START_S = 120.0

#: Fills the database of a lab whose target is named with so many rows.
Fill = Callable[[str, str, int], None]


class Server(NamedTuple):
    """A running master with `rows` jobs and results."""

    rows: int
    client: httpx.Client

    def ask(self, path: str) -> float:
        """Seconds from a request to the end of its answer."""
        begun = time.perf_counter()
        answer = self.client.get(path)
        took = time.perf_counter() - begun
        assert answer.status_code == 200, f"{path}: {answer.text}"
        return took


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def served(folder: Path, rows: int, fill: Fill) -> Iterator[tuple[Server, str]]:
    """A master with so many rows while it runs, and its target."""
    new = init_lab(folder, LabOptions(http_port=free_port(), worker_port=free_port()))
    program = twistd_program("master", folder / "master", folder / "run" / "master.log")
    with program.log.open("wb") as log, running(program.argv, program.cwd, log.fileno()) as master:
        headers = {"Authorization": f"Bearer {new.token}"}
        with httpx.Client(base_url=f"{new.url}{API}/", headers=headers, timeout=30) as client:
            deadline = time.monotonic() + START_S
            while not up(client):
                assert master.poll() is None, f"the master did not start; see {program.log}"
                assert time.monotonic() < deadline, "the master does not come up"
                time.sleep(0.2)
            # Buildbot makes its own tables at the first start, so rows come after it.
            fill(f"sqlite:///{folder}/master/state.sqlite", new.target, rows)
            yield Server(rows, client), new.target


@contextlib.contextmanager
def running(argv: Sequence[str], cwd: Path, log: int) -> Iterator["subprocess.Popen[bytes]"]:
    """A process, ended at the end."""
    process = subprocess.Popen(argv, cwd=cwd, env=dict(os.environ), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def up(client: httpx.Client) -> bool:
    """Whether the master answers."""
    try:
        return client.get("health").status_code == 200
    except httpx.TransportError:
        return False
