"""What was made for jobs and is gone, damaged, or could not be had for a while: later jobs do not suffer from it."""

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from miniature import Miniature
from spinning import write_manifest

from benchyard.client import Job

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import LabHandle

pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]

JOB_S = 300.0

#: Nothing listens there: the package index is away.
AWAY = "[global]\nproxy = http://127.0.0.1:9\nretries = 1\ntimeout = 2\n"


class Place(NamedTuple):
    """A lab that builds from a repository of CPython's shape, and a file with pip's settings there."""

    lab: "LabHandle"
    upstream: Miniature
    pip: Path

    def submit(self, *options: str) -> Job:
        """Submit a quick measurement, and see it through to its end."""
        said = self.lab.check("submit", "--fast", *options, "--json")
        with self.lab.client() as client:
            return client.jobs.get(json.loads(said)["id"]).wait(JOB_S)

    def good(self, *options: str) -> Job:
        """The same, and it must be a success."""
        job = self.submit(*options)
        assert job.status == "success", (job.error, self.lab.log_tail())
        return job

    def prepared(self, job: Job) -> dict[str, Any]:
        """What was made for a job, as the datastore has it."""
        import sqlite3

        with sqlite3.connect(f"file:{self.lab.root}/master/state.sqlite?mode=ro", uri=True) as database:
            row = database.execute("select prepared from benchyard_jobs where id = ?", (job.id,)).fetchone()
        return dict(json.loads(row[0]))


@pytest.fixture(scope="module")
def place(make_lab: "Callable[..., LabHandle]", tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A lab on one host, with room for everything."""
    return make_place(make_lab, tmp_path_factory.mktemp("place"), interpreters_gb=20.0)


def make_place(make_lab: "Callable[..., LabHandle]", folder: Path, *, interpreters_gb: float) -> Place:
    upstream = Miniature(folder / "upstream")
    lab = make_lab(up=False)
    manifest = write_manifest(folder / "manifest")
    lab.say(f'\n[remotes.upstream]\nurl = "{upstream.url}"\n\n[suites.own]\nmanifests = ["{manifest}"]\n')
    settings = lab.root / "benchyard.toml"
    settings.write_text(settings.read_text().replace("[lab]\n", f"[lab]\ninterpreters_gb = {interpreters_gb}\n", 1))
    pip = folder / "pip.conf"
    pip.write_text("")
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX"):
        lab.environ.pop(name, None)
    lab.environ["PIP_CONFIG_FILE"] = str(pip)
    lab.up()
    return Place(lab, upstream, pip)


def damage(archive: Path) -> None:
    """Change one byte in the middle."""
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 0xFF
    archive.write_bytes(data)


def test_a_passing_trouble_is_forgotten(place: Place) -> None:
    """While the index is away a benchmark is left out, with pip's word; the next job tries it again and measures it."""
    commit = place.upstream.comment("trouble")
    asked = ("--ref", commit, "--benchmarks", "nbody,html5lib")
    place.good("--ref", commit, "--benchmarks", "nbody")
    place.pip.write_text(AWAY)
    try:
        job = place.good(*asked)
    finally:
        place.pip.write_text("")
    (left_out,) = job.failed_benchmarks
    assert left_out.name == "html5lib"
    assert left_out.error is not None
    assert left_out.error.startswith("its requirements could not be had: ")
    assert left_out.error.endswith("(the package index does not answer)")
    offered = place.lab.cli("submit", "--fast", *asked)
    assert f"result {job.results[0]}, without html5lib; --again measures it anew" in offered.stderr
    again = place.good(*asked, "--strict")
    assert again.id > job.id, "an incomplete result is not what a strict request asks for"
    assert again.failed_benchmarks == ()
    known = place.lab.cli("submit", "--fast", *asked, "--strict")
    assert f"job {again.id} has measured just this" in known.stderr


@pytest.mark.parametrize("kind", ["interpreters", "wheels", "suites"])
def test_a_damaged_archive_is_made_again(place: Place, kind: str) -> None:
    """The host refuses a damaged archive; the lab sees that its own is not what it was, and makes it again."""
    commit = place.upstream.comment(f"damaged {kind}")
    asked = ("--ref", commit, "--suite", "own", "--benchmarks", "spin")
    first = place.good(*asked)
    prepared = place.prepared(first)
    ids = {"interpreters": prepared["interpreter"], "wheels": prepared["wheels"]}
    (suite,) = (place.lab.root / "archives" / "suites").glob("*.tar.gz")
    ids["suites"] = suite.name.removesuffix(".tar.gz")
    archive = place.lab.root / "archives" / kind / f"{ids[kind]}.tar.gz"
    damage(archive)
    shutil.rmtree(place.lab.root / "state" / kind / ids[kind])
    again = place.good(*asked, "--again")
    assert again.interpreter == first.interpreter
    assert len(again.attempts) == 2, "the first has found what is damaged"
    assert (place.lab.root / "state" / kind / ids[kind]).is_dir()
    assert [path.name for path in (place.lab.root / "state" / "outgoing").glob("*.tar.gz")] == []


def test_a_release_is_what_its_tag_says(place: Place) -> None:
    """An interpreter of a tag vX.Y.Z that says that it is another release is not measured."""
    right, wrong = ".".join(map(str, sys.version_info[:3])), "3.11.99"
    place.upstream.comment("released")
    for version in (right, wrong):
        place.upstream.git("tag", f"v{version}")
    place.good("--ref", f"v{right}", "--benchmarks", "nbody")
    failed = place.submit("--ref", f"v{wrong}", "--benchmarks", "nbody", "--again")
    assert failed.status == "failed"
    assert failed.error == f"the interpreter says that it is {right}, not {wrong} as the tag v{wrong} of upstream does"


def test_pushed_again_after_its_archive_went(
    make_lab: "Callable[..., LabHandle]", tmp_path: Path, wait: "Callable[..., None]"
) -> None:
    """A job is taken off the queue once it is ready; what it was to be measured with makes room; it is made again."""
    place = make_place(make_lab, tmp_path, interpreters_gb=1e-9)
    commits = [place.upstream.comment(text) for text in ("first", "second")]
    archives = place.lab.root / "archives"
    with place.lab.client() as client:
        first = client.jobs.add(ref=commits[0], benchmarks=["nbody"], mode="fast")
        wait(lambda: client.jobs.get(first.id).status == "building", "it is being prepared", JOB_S)
        client.queue.pause()
        wait(lambda: client.jobs.get(first.id).status == "ready", "it is ready", JOB_S)
        made = place.prepared(first)["interpreter"]
        assert (archives / "interpreters" / f"{made}.tar.gz").is_file()
        client.queue.remove(first.id)
        client.queue.unpause()
        second = client.jobs.add(ref=commits[1], benchmarks=["nbody"], mode="fast").wait(JOB_S)
        assert second.status == "success", (second.error, place.lab.log_tail())
        assert not (archives / "interpreters" / f"{made}.tar.gz").exists()
        client.queue.push(first.id)
        ended = client.jobs.get(first.id).wait(JOB_S)
    assert (ended.status, ended.interpreter) == ("success", made), (ended.error, place.lab.log_tail())
    assert [attempt.status for attempt in ended.attempts] == ["interrupted", "success"]


def test_backfill_by_the_rules_of_what_is_offered(place: Place) -> None:
    """A removed result is missing again; with --again so is what was measured, but not what waits already."""
    start = place.upstream.git("rev-parse", "main")
    commit = place.upstream.comment("backfill")
    job = place.good("--ref", commit, "--benchmarks", "nbody")
    asked = ("submit", "--range", f"{start}..main", "--benchmarks", "nbody", "--fast", "--dry-run")
    assert "0 commits of 1 to measure" in place.lab.check(*asked)
    assert "1 commit of 1 to measure" in place.lab.check(*asked, "--again")
    with place.lab.client() as client:
        client.results.get(job.results[0]).disable()
        assert "1 commit of 1 to measure" in place.lab.check(*asked)
        client.results.get(job.results[0]).enable()
        assert "0 commits of 1 to measure" in place.lab.check(*asked)
        client.results.get(job.results[0]).remove()
        assert "1 commit of 1 to measure" in place.lab.check(*asked)
        client.queue.pause()
        try:
            waiting = client.jobs.add(ref=commit, benchmarks=["nbody"], mode="fast")
            assert "0 commits of 1 to measure" in place.lab.check(*asked, "--again")
            client.jobs.get(waiting.id).cancel()
        finally:
            client.queue.unpause()
