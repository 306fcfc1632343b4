"""A second host joins a lab that cannot measure by itself."""

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.conftest import LabHandle

pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]


def test_an_isolated_host_joins_and_measures(
    make_lab: "Callable[..., LabHandle]", tmp_path: "Path", python: str, wait: "Callable[..., None]"
) -> None:
    """A lab without isolated host keeps its jobs until one joins from another folder and address, then runs them."""
    lab = make_lab("--no-isolated")
    with lab.client() as client:
        job = client.jobs.add(python=python, benchmarks=["nbody"], mode="fast")
        assert job.status == "queued"
        folder = tmp_path / "elsewhere"
        out = lab.check("worker", "init", client.url, str(folder), "--name", "far", "--address", "127.0.0.9")
        assert "far" in out
        assert (folder / "secret").stat().st_mode & 0o777 == 0o600
        taken = lab.cli("worker", "init", client.url, str(tmp_path / "other"), "--name", "Far")
        assert taken.returncode == 1 and "already" in taken.stderr
        secret = (folder / "secret").read_text()
        (folder / "secret").write_text("guessed\n")
        refused = lab.cli("worker", "up", str(folder), "--detach")
        assert refused.returncode == 1 and "refuses worker far" in refused.stderr and refused.stderr.count("\n") == 1
        assert lab.cli("worker", "status", str(folder)).returncode == 1
        (folder / "secret").write_text(secret)
        assert "is connected to" in lab.check("worker", "up", str(folder), "--detach")
        try:
            wait(lambda: client.hosts.get("far").status != "offline", "the host is there")
            ended = job.wait(240)
            assert ended.status == "success", lab.log_tail()
            assert client.results.get(ended.results[0]).host == "far"
            assert json.loads(lab.check("worker", "status", str(folder), "--json"))["pid"]
        finally:
            lab.check("worker", "down", str(folder))


def test_an_interpreter_that_the_far_host_lacks_fails_the_job(
    make_lab: "Callable[..., LabHandle]", tmp_path: "Path", wait: "Callable[..., None]"
) -> None:
    """What the master cannot know at submit is told by the host that measures, in the job's error."""
    lab = make_lab("--no-isolated")
    folder = tmp_path / "elsewhere"
    with lab.client() as client:
        lab.check("worker", "init", client.url, str(folder), "--name", "far", "--address", "127.0.0.9")
        lab.check("worker", "up", str(folder), "--detach")
        try:
            job = client.jobs.add(python="/opt/lacks/python", benchmarks=["nbody"], mode="fast").wait(120)
            assert job.status == "failed"
            assert "/opt/lacks/python" in (job.error or "")
        finally:
            lab.check("worker", "down", str(folder))


def test_only_admins_add_hosts(lab: "LabHandle") -> None:
    """Without a token nobody joins."""
    environ = {**lab.environ, "BENCHYARD_CONFIG": "/nonexistent/config.toml"}
    with lab.client() as client:
        url = client.url
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "benchyard.cli", "worker", "init", url, "/nonexistent/worker"],
        env=environ, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert "log in" in done.stderr
