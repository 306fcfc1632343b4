"""A connection that is not closed but leads nowhere any more, as when a cable is pulled."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from network import Network
    from tests.e2e.conftest import LabHandle

pytestmark = [pytest.mark.timeout(1200), pytest.mark.slow]

JOB_S = 400.0

#: Seconds within which the master must have noticed.
NOTICED_S = 180.0


def test_a_cable_pulled_in_mid_run(
    make_lab: "Callable[..., LabHandle]", network: "Network", tmp_path: Path, python: str, wait: Callable[..., None]
) -> None:
    """No FIN and no RST ever comes: the host is offline within three minutes; its run goes on, is found and counts."""
    lab = make_lab("--no-isolated", "--listen", network.address)
    folder = tmp_path / "elsewhere"

    def inside(*arguments: str) -> None:
        command = network.inside(sys.executable, "-m", "benchyard.cli", *arguments)
        done = subprocess.run(command, env=lab.environ, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr

    with lab.client() as client:
        inside("worker", "init", client.url, str(folder), "--name", "far")
        # Nothing can be installed in there, so the environment is made out here, by measuring once.
        once = ("--python", python, "--benchmarks", "nbody", "--fast", "--output", str(tmp_path / "once.json"))
        environments = ("--environments", str(folder / "state" / "environments"))
        lab.check("task", "run-benchmarks", *once, *environments, timeout_s=JOB_S)
        inside("worker", "up", str(folder), "--detach")
        try:
            job = client.jobs.add(python=python, benchmarks=["nbody", "json_loads"], mode="fast")
            log = folder / "state" / "runs" / "runs.log"
            wait(lambda: log.exists() and " START " in log.read_text(), "the run starts", JOB_S)
            network.plug("down")
            wait(lambda: client.hosts.get("far").status == "offline", "the host is offline", NOTICED_S)
            assert client.jobs.get(job.id).status == "running"
            network.plug("up")
            ended = job.wait(JOB_S)
            assert ended.status == "success", lab.log_tail()
            assert (len(ended.results), len(ended.attempts)) == (1, 1)
            assert [line.split()[1:3] for line in log.read_text().splitlines()] == [
                ["START", f"{job.id}.1"],
                ["END", f"{job.id}.1"],
            ]
        finally:
            inside("worker", "down", str(folder))
