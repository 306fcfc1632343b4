"""A whole lab that publishes at a real codespeed, by the doors that people use, also while its master is killed."""

import json
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import codespeed
import httpx
import pyperf
import pytest
from meddling import Deed, Meddler, meddling
from miniature import Miniature

from benchyard.client import Job, Upload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.conftest import LabHandle

pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]

PASSWORD = "correct horse"

JOB_S = 300.0


class Publishing(NamedTuple):
    """A lab that builds from a repository, and publishes at a codespeed with a meddler before it."""

    lab: "LabHandle"
    upstream: Miniature
    server: codespeed.Server
    meddler: Meddler

    def measure(self, *options: str) -> Job:
        """Measure a commit of the test's own, through to its end."""
        self.upstream.comment(f"measured with {options}")
        said = self.lab.check(
            *("submit", "--ref", "main", "--benchmarks", "nbody,json_loads", "--fast", "--wait", "--json", *options),
            timeout_s=JOB_S,
        )
        with self.lab.client() as client:
            job = client.jobs.get(json.loads(said)["id"])
        assert job.status == "success", (job.error, self.lab.log_tail())
        return job

    def sent(self, job: Job, *, limit_s: float = 120.0) -> Upload:
        """The upload of a job's result, once it is not pending any more."""
        with self.lab.client() as client:
            (result,) = job.results
            found = client.uploads.wait(client.uploads.list(result=result), timeout_s=limit_s)
            (upload,) = found
            return upload

    def arrived(self, job: Job) -> None:
        """Codespeed has each value of a job's result once, and as pyperf reads it from the lab's own file."""
        with self.lab.client() as client:
            result = client.results.get(job.results[0])
            benchmarks = pyperf.BenchmarkSuite.loads(result.read().decode()).get_benchmarks()
        rows = self.server.of(str(result.commit))
        assert sorted(row["benchmark"] for row in rows) == sorted(bench.get_name() for bench in benchmarks)
        for row in rows:
            (bench,) = (bench for bench in benchmarks if bench.get_name() == row["benchmark"])
            values = bench.get_values()
            found = [row[name] for name in ("value", "std_dev", "val_min", "val_max")]
            assert found == pytest.approx([bench.mean(), bench.stdev(), min(values), max(values)], rel=1e-12)
            assert (row["environment"], row["branch"], row["executable"]) == ("the bench", "main", "cpython")

    def step(self, job: Job) -> dict[str, Any]:
        """The step of a job's build that uploads."""
        with self.lab.client() as client:
            url, target = client.url, client.queue.target
        with httpx.Client(base_url=url, timeout=30) as web:
            builds = web.get(f"/api/v2/builders/{target}/builds", params={"property": "*"}).json()["builds"]
            ours = [b for b in builds if b["properties"].get("job", [None])[0] == job.id]
            steps = web.get(f"/api/v2/builds/{ours[-1]['buildid']}/steps").json()["steps"]
        (step,) = (step for step in steps if step["name"] == "publish: speed")
        return dict(step)


@pytest.fixture(scope="module")
def publishing(
    make_lab: "Callable[..., LabHandle]", tmp_path_factory: pytest.TempPathFactory
) -> "Iterator[Publishing]":
    """A lab with all the settings that it takes to publish there."""
    upstream = Miniature(tmp_path_factory.mktemp("git") / "upstream")
    site: dict[str, Any] = {"environments": ("the bench",), "users": {"lab": PASSWORD}}
    with (
        codespeed.running(anonymous=False, secure_auth=False, **site) as server,
        meddling(server.port) as meddler,
    ):
        lab = make_lab(up=False)
        host = next(path.stem for path in (lab.root / "hosts.d").glob("*.toml") if "isolated" in path.read_text())
        lab.say(
            f'\n[remotes.upstream]\nurl = "{upstream.url}"\n'
            f'\n[publish.speed]\nkind = "codespeed"\nurl = "{meddler.url}"\ngrades = []\nuser = "lab"\n'
            f'environments = {{{host} = "the bench"}}\n'
        )
        secret = lab.root / "secrets" / "publish-speed"
        secret.touch(mode=0o600)
        secret.write_text(PASSWORD)
        lab.up()
        yield Publishing(lab, upstream, server, meddler)


def test_measured_and_uploaded(publishing: Publishing, wait: "Callable[..., None]") -> None:
    """What a job has measured is at codespeed when the job ends, and its step shows what codespeed said."""
    job = publishing.measure()
    upload = publishing.sent(job)
    assert (upload.state, upload.words) == ("sent", "codespeed has saved 2 values")
    publishing.arrived(job)
    wait(lambda: publishing.step(job)["results"] is not None, "the step has ended", 30)
    step = publishing.step(job)
    assert (step["state_string"], step["results"]) == ("codespeed has saved 2 values", 0)
    assert upload.address == f"{publishing.meddler.url}/timeline/"
    assert [url["url"] for url in step["urls"]] == [upload.address]


def test_master_killed_between_saved_and_noted(publishing: Publishing, wait: "Callable[..., None]") -> None:
    """The master is killed after codespeed has saved a result and before the lab knows: it is sent again, and there
    once, equal to what was measured.
    """
    before = len(publishing.meddler.answered)
    killed = threading.Event()

    def kill() -> None:
        publishing.lab.program("master").send_signal(signal.SIGKILL)
        killed.set()

    publishing.meddler.deeds.append(Deed(meanwhile=kill, answer="none"))
    publishing.upstream.comment("killed")
    said = publishing.lab.check(
        *("submit", "--ref", "main", "--benchmarks", "nbody,json_loads", "--fast", "--json"), timeout_s=JOB_S
    )
    assert killed.wait(JOB_S), publishing.lab.log_tail()
    wait(publishing.lab.healthy, "the lab is well again", 120)
    publishing.lab.check("job", "wait", str(json.loads(said)["id"]), timeout_s=JOB_S)
    with publishing.lab.client() as client:
        job = client.jobs.get(json.loads(said)["id"])
    assert publishing.sent(job).state == "sent"
    assert publishing.meddler.answered[before:] == [202, 202]
    publishing.arrived(job)


def test_refused_is_told(publishing: Publishing) -> None:
    """A wrong password is told on the command line; with the right one, asked again, the result is sent."""
    with publishing.lab.client() as client:
        result = next(iter(client.results.list(limit=1)))
    secret = publishing.lab.root / "secrets" / "publish-speed"
    secret.write_text("wrong")
    asked = publishing.lab.cli("result", "upload", str(result.id), "--again", "--wait")
    assert asked.returncode == 1
    assert "the user 'lab' with the password in the secret publish-speed" in asked.stdout
    assert "refused" in publishing.lab.check("result", "uploads")
    secret.write_text(PASSWORD)
    assert "codespeed has saved 2 values" in publishing.lab.check("result", "upload", "--retry", "--wait")


def test_secret_is_nowhere(publishing: Publishing) -> None:
    """The password is in its file and in no log, database, property or list of processes."""
    words = PASSWORD.encode()
    files = [path for path in publishing.lab.root.rglob("*") if path.is_file() and path.name != "publish-speed"]
    assert len(files) > 10
    assert not [path for path in files if words in path.read_bytes()]
    assert not [line for process in publishing.lab.processes() for line in process.cmdline() if PASSWORD in line]


def test_trouble_without_end(publishing: Publishing) -> None:
    """Results that are measured while codespeed is cut, down, locked and confused are each there once in the end."""
    troubles = [
        [Deed(answer="none"), Deed(status=500)],
        [Deed(request="half"), Deed(status=200, body=b"hello"), Deed(answer="half")],
    ]
    jobs = []
    for deeds in troubles:
        publishing.meddler.deeds += deeds
        jobs.append(publishing.measure())
    publishing.server.stop(signal.SIGKILL)
    jobs.append(publishing.measure())
    publishing.server.start()
    for job in jobs:
        publishing.lab.check("result", "upload", str(job.results[0]), "--again", "--wait", timeout_s=JOB_S)
        publishing.arrived(job)
    assert [path for path in Path(publishing.lab.root / "incoming").iterdir() if path.is_file()] == []
