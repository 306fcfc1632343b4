"""A connection that is not closed but leads nowhere any more, as when a cable is pulled."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from tests.e2e.conftest import LabHandle

pytestmark = [pytest.mark.timeout(1200), pytest.mark.slow]

JOB_S = 400.0

#: Seconds within which the master must have noticed.
NOTICED_S = 180.0


class Network(NamedTuple):
    """A network namespace, the cable to it, and the address of this end."""

    namespace: str
    cable: str
    address: str

    def inside(self, *argv: str) -> list[str]:
        """The command that runs `argv` in the namespace."""
        return ["ip", "netns", "exec", self.namespace, *argv]

    def plug(self, how: str) -> None:
        """Set the cable `up` or `down`."""
        ip("link", "set", self.cable, how)


@pytest.fixture
def network() -> Iterator[Network]:
    """A namespace with one cable to this machine, and nothing else."""
    number = os.getpid() % 250
    net = Network(f"benchyard{number}", f"byard{number}", f"10.203.{number}.1")
    try:
        ip("netns", "add", net.namespace)
    except (OSError, subprocess.CalledProcessError) as exc:
        # A right that this machine withholds, not something that could be installed.
        pytest.xfail(f"network namespaces are not permitted here: {exc}")
    try:
        ip("link", "add", net.cable, "type", "veth", "peer", "name", "eth0", "netns", net.namespace)
        ip("address", "add", f"{net.address}/24", "dev", net.cable)
        net.plug("up")
        for argv in (
            ("address", "add", f"10.203.{number}.2/24", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
            ("link", "set", "lo", "up"),
        ):
            ip("-n", net.namespace, *argv)
        yield net
    finally:
        ip("netns", "delete", net.namespace)


def ip(*arguments: str) -> None:
    """Run `ip ARGUMENTS`."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=30)


def test_a_cable_pulled_in_mid_run(
    make_lab: "Callable[..., LabHandle]", network: Network, tmp_path: Path, python: str, wait: Callable[..., None]
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
