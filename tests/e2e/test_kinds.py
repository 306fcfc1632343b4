"""Jobs of other kinds than a measurement of times, each through a real lab."""

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import httpx
import pytest

from benchyard.client import Conflict, Invalid, NotFound

if TYPE_CHECKING:
    from tests.e2e.conftest import LabHandle

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

JOB_S = 400.0


@pytest.fixture(scope="module")
def lab(make_lab: "Callable[..., LabHandle]") -> "Iterator[LabHandle]":
    """A lab whose target has a pinned interpreter."""
    made = make_lab(up=False)
    path = made.root / "benchyard.toml"
    head, table, rest = path.read_text().partition("[targets.linux-x86_64]\n")
    pinned = 'calibration = {python = "/usr/bin/python3", benchmarks = ["nbody"], mode = "fast"}\n'
    path.write_text(head + table + pinned + rest)
    made.up()
    yield made
    made.down()


def test_profile(lab: "LabHandle", python: str) -> None:
    """A profile leaves a flame graph and stacks: listed, read back, linked from the job's page, and not compared."""
    with lab.client() as client:
        job = client.jobs.add(python, kind="profile", benchmarks=["nbody"], mode="fast").wait(JOB_S)
        assert job.status == "success", (job, lab.log_tail())
        assert job.kind == "profile"
        assert [one.id for one in client.jobs.list(kind="profile")] == [job.id]
        result = client.results.get(job.results[0])
        assert (result.benchmarks, result.mode) == (1, "fast")
        names = {file.name: file for file in result.attachments()}
        assert sorted(names) == ["nbody.folded", "nbody.svg"]
        graph = result.attachment("nbody.svg")
        assert ElementTree.fromstring(graph).tag.endswith("svg")  # noqa: S314 (our own)
        assert "bench_nbody" in graph.decode()
        assert len(graph) == names["nbody.svg"].size
        profile = json.loads(result.read())
        (said,) = profile["benchmarks"]
        assert {file["name"]: file["sha256"] for file in said["files"]} == {n: f.sha256 for n, f in names.items()}
        with pytest.raises(NotFound, match="no attachment of this name"):
            result.attachment("nbody.txt")
        with pytest.raises(Conflict, match=f"result {result.id} is a profile: it has no values to compare"):
            client.results.compare(result.id, result.id)
        url = client.url
    answer = httpx.get(f"{url.rstrip('/')}/plugins/benchyard/api/v1/results/{result.id}/attachments/nbody.svg")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert job.url is not None
    request = job.url.rpartition("/")[2]
    builds = httpx.get(f"{url.rstrip('/')}/api/v2/buildrequests/{request}/builds").json()["builds"]
    steps = httpx.get(f"{url.rstrip('/')}/api/v2/builds/{builds[-1]['buildid']}/steps").json()["steps"]
    (store,) = (step for step in steps if step["name"] == "store")
    assert [link["url"] for link in store["urls"]] == [str(answer.url)]
    shown = lab.check("result", "get", str(result.id))
    assert "nbody.svg" in shown
    out = lab.root / "graph.svg"
    lab.check("result", "read", str(result.id), "--attachment", "nbody.svg", "-o", str(out))
    assert out.read_bytes() == graph
    lab.check("result", "remove", str(result.id), "--yes")
    assert not list((lab.root / "results").glob("bm-*/*.profile*"))


def test_memory(lab: "LabHandle", python: str) -> None:
    """Memory is measured in bytes on a host that is left as it is, and compares with memory only."""
    with lab.client() as client:
        found = []
        for _ in range(2):
            job = client.jobs.add(python, kind="memory", benchmarks=["nbody"], mode="fast").wait(JOB_S)
            assert job.status == "success", (job, lab.log_tail())
            found.append(client.results.get(job.results[0]))
        metadata = json.loads(found[0].read())["metadata"]
        assert metadata["unit"] == "byte"
        assert metadata["benchyard_grade"] in ("A", "B")
        (change,) = client.results.compare(found[0].id, found[1].id).benchmarks
        assert change.base.unit == "byte"
        assert 2**20 < change.base.mean < 2**30
        assert change.ratio == pytest.approx(1.0, abs=0.3)
    report = json.loads((lab.root / "state" / "runs" / f"{job.id}.1" / "report.json").read_text())
    assert report["setup"]["tuning"] is None
    assert report["setup"]["shield"]["kind"] == "affinity"


def test_calibrate(
    lab: "LabHandle",
    browser: httpx.Client,
    force: Callable[..., httpx.Response],
    newest: Callable[..., object],
) -> None:
    """Calibration needs no interpreter, is measured again each time, and comes by Buildbot's doors as well."""
    said = json.loads(lab.check("submit", "--kind", "calibrate", "--wait", "--json", timeout_s=JOB_S))
    assert (said["kind"], said["spec"]["python"], said["spec"]["mode"]) == ("calibrate", "/usr/bin/python3", "fast")
    assert said["status"] == "success", (said, lab.log_tail())
    with lab.client() as client:
        again = client.jobs.add(kind="calibrate", host=said["attempts"][0]["host"], run=False)
        assert again.id != said["id"]
        assert force(browser, kind="calibrate").status_code == 200
        forced = newest(client, again.id)
        assert forced.kind == "calibrate"  # type: ignore[attr-defined]
        assert forced.wait(JOB_S).status == "success"  # type: ignore[attr-defined]
        with pytest.raises(Invalid, match="measures the target's calibration, /usr/bin/python3, and nothing else"):
            client.jobs.add("/usr/bin/python3.11", kind="calibrate")
        with pytest.raises(Invalid, match="did you mean 'profile'"):
            client.jobs.add("/usr/bin/python3", kind="profil")
