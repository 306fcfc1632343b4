"""CPython's real source, built and measured through a whole lab whose isolated host has no way to anywhere else."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cpython import VARIABLE, CPython, source_archive

if TYPE_CHECKING:
    from collections.abc import Callable

    from network import Network
    from tests.e2e.conftest import LabHandle

pytestmark = [pytest.mark.timeout(3000), pytest.mark.slow]

#: Seconds for a build without optimization on one CPU of a slow machine, and its measurement.
JOB_S = 1500.0


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> CPython:
    """The repository."""
    archive = source_archive()
    if archive is None:
        pytest.skip(f"set {VARIABLE} to a folder with the source archive of a Python, python3.X_*.orig.tar.gz")
    return CPython(tmp_path_factory.mktemp("source") / "cpython", archive)


def test_the_slower_commit_is_slower(
    make_lab: "Callable[..., LabHandle]",
    network: "Network",
    source: CPython,
    tmp_path: Path,
    wait: "Callable[..., None]",
) -> None:
    """Two commits are built on the regular worker and measured where there is no network; the slower one is slower.

    Killing the worker in the middle of a build costs time and nothing else.
    """
    lab = make_lab("--no-isolated", "--listen", network.address, up=False)
    lab.say(f'compiler = {{CFLAGS = "-O0"}}\n\n[remotes.upstream]\nurl = "{source.url}"\n')
    lab.up()
    folder = tmp_path / "far"

    def inside(*arguments: str) -> None:
        command = network.inside(sys.executable, "-m", "benchyard.cli", *arguments)
        done = subprocess.run(command, env=lab.environ, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr

    with lab.client() as client:
        inside("worker", "init", client.url, str(folder), "--name", "far")
        inside("worker", "up", str(folder), "--detach")
        try:
            wait(lambda: client.hosts.get("far").status != "offline", "the host is there")
            asked = {"benchmarks": ["nbody", "html5lib"], "mode": "fast"}
            base = client.jobs.add(ref="release", **asked)  # type: ignore[arg-type]
            log = lab.root / "master" / "twistd.log"
            wait(lambda: "'make', '-j" in log.read_text(errors="replace"), "make has begun", JOB_S)
            worker = next(path.name for path in (lab.root / "workers").iterdir())
            os.kill(lab.program(f"workers/{worker}").pid, signal.SIGKILL)
            ended = base.wait(JOB_S)
            assert ended.status == "success", (ended.error, lab.log_tail())
            assert ended.failed_benchmarks == ()
            head = client.jobs.add(ref="main", **asked).wait(JOB_S)  # type: ignore[arg-type]
            assert head.status == "success", (head.error, lab.log_tail())
            results = [client.results.get(job.results[0]) for job in (ended, head)]
            assert [result.commit for result in results] == [source.release, source.slower]
            assert {result.host for result in results} == {"far"}
            compared = {change.name: change.ratio for change in results[0].compare(results[1]).benchmarks}
            # A busy machine may make all slower, but not by as much as a hundred rounds in every product.
            assert (compared["nbody"] or 1.0) < 0.8, compared
            check_record(lab, str(head.interpreter))
            lines = (folder / "state" / "runs" / "runs.log").read_text().splitlines()
            assert [line.split()[1] for line in lines] == ["START", "END"] * 2
        finally:
            inside("worker", "down", str(folder))


def check_record(lab: "LabHandle", interpreter: str) -> None:
    """What was built says of itself how."""
    import tarfile

    with tarfile.open(lab.root / "archives" / "interpreters" / f"{interpreter}.tar.gz") as tar:
        file = tar.extractfile("./interpreter.json")
        assert file is not None
        record = json.loads(file.read())
    assert record["id"] == interpreter
    assert "-O0" in record["sysconfig"]["CONFIGURE_CFLAGS"]
    assert record["toolchain"]["cc_version"]
