"""Preparing, disturbed: by killed workers and masters, full disks, what a build leaves running, and measurements."""

import contextlib
import hashlib
import re
import signal
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest
from miniature import MAKEFILE, PROGRAM, Miniature
from smalldisk import small_disk

from benchyard.client import Job
from benchyard.tasks.hostlock import hold_host

if TYPE_CHECKING:
    from tests.e2e.conftest import LabHandle

pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]

JOB_S = 300.0

COMPILE = "\t@CC@ @CFLAGS@ -o python python.c\n"
FINISH = "\techo data > $(DESTDIR)@prefix@/lib/data.txt\n"


class Bench:
    """A lab on one host, and the repository that it builds from."""

    def __init__(self, lab: "LabHandle", source: Miniature) -> None:
        self.lab, self.source = lab, source
        (self.target,) = re.findall(r"\[targets\.([\w.-]+)\]", (lab.root / "benchyard.toml").read_text())
        self.worker = next(path.stem for path in (lab.root / "hosts.d").glob("*_worker.toml"))
        self.archives = lab.root / "archives" / "interpreters"

    @property
    def folder(self) -> Path:
        """Where the regular worker builds."""
        return self.lab.root / "workers" / self.worker / f"{self.target}-prepare"

    def commit(self, name: str, compile: str = COMPILE, finish: str = FINISH) -> str:
        """A commit whose program has its name in it, which is compiled and installed as it says."""
        program = PROGRAM.replace("return 127;", f'return puts("commit {name}");')
        makefile = MAKEFILE.replace(COMPILE, compile).replace(FINISH, finish)
        files = {"python.c": "#include <stdio.h>\n" + program, "Makefile.in": makefile}
        return self.source.commit(f"Say {name}", **files)

    def submit(self, ref: str, *benchmarks: str) -> Job:
        """A quick measurement, queued."""
        with self.lab.client() as client:
            return client.jobs.add(ref=ref, benchmarks=benchmarks or ("nbody",), mode="fast")

    def ended(self, job: Job) -> Job:
        """The job at its end."""
        with self.lab.client() as client:
            return client.jobs.get(job.id).wait(JOB_S)

    def well(self, job: Job) -> Job:
        """The job at its end, which must be good."""
        ended = self.ended(job)
        assert ended.status == "success", (ended.error, self.lab.log_tail())
        return ended

    def steps(self, job: Job) -> list[dict[str, Any]]:
        """The steps of all builds that prepared a job, oldest first."""
        with self.lab.client() as client, httpx.Client(base_url=client.url, timeout=30) as web:
            path = f"/api/v2/builders/{self.target}-prepare/builds"
            builds = web.get(path, params={"order": "buildid", "property": "*"}).json()["builds"]
            assert job.spec.source is not None
            commit = [job.spec.source.commit, "Build"]
            own = [build for build in builds if build["properties"].get("revision") == commit]
            return [
                step for build in own for step in web.get(f"/api/v2/builds/{build['buildid']}/steps").json()["steps"]
            ]

    def archive(self, job: Job) -> Path:
        """The only archive of a job's interpreter, with nothing half beside it."""
        (found,) = (path for path in self.archives.glob(f"*{job.interpreter}*") if path.suffix != ".sha256")
        return found

    def program(self, job: Job) -> bytes:
        """The program that the lab keeps for a job's interpreter."""
        with tarfile.open(self.archive(job)) as tar:
            file = tar.extractfile("./bin/python3.11")
            assert file is not None
            return file.read()

    def kill(self, name: str) -> None:
        """kill -9 one of the lab's programs; the lab starts it again."""
        self.lab.program(name).send_signal(signal.SIGKILL)


@pytest.fixture(scope="module")
def make_bench(make_lab: "Callable[..., LabHandle]", tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Bench]:
    """`make_bench(settings)`: a lab on one host with these settings of its target."""

    def make(settings: str = "") -> Bench:
        source = Miniature(tmp_path_factory.mktemp("git") / "source")
        lab = make_lab(up=False)
        lab.say(f'\n[remotes.upstream]\nurl = "{source.url}"\n')
        bench = Bench(lab, source)
        path = lab.root / "benchyard.toml"
        table = f"[targets.{bench.target}]\n"
        path.write_text(path.read_text().replace(table, table + settings, 1))
        lab.up()
        return bench

    return make


@pytest.fixture(scope="module")
def bench(make_bench: Callable[..., Bench]) -> Bench:
    """The lab that these tests share."""
    return make_bench()


def test_a_worker_killed_while_it_builds(bench: Bench, wait: "Callable[..., None]") -> None:
    """What a killed worker was building does not go into what is built next in its place, which is another commit."""
    begun, compiled = bench.folder.parent / "begun", bench.folder.parent / "compiled"
    late = f"\ttext=$$(cat python.c); touch {begun}; until [ -e {compiled} ]; do sleep 0.1; done; "
    late += "printf '%s\\n' \"$$text\" | @CC@ @CFLAGS@ -I. -x c -o python -; touch late\n"
    first = bench.submit(bench.commit("killed", late))
    wait(begun.exists, "the first is being made", JOB_S)
    bench.kill(f"workers/{bench.worker}")
    with bench.lab.client() as client:
        client.jobs.get(first.id).cancel()
    # It leaves the other time to spoil what it has compiled.
    patient = f"{COMPILE}\ttouch {compiled}; n=0; while [ ! -e late -a $$n -lt 50 ]; do sleep 0.1; n=$$((n+1)); done\n"
    second = bench.well(bench.submit(bench.commit("right", patient)))
    assert bench.ended(first).status == "canceled"
    program = bench.program(second)
    assert b"commit right" in program
    assert b"commit killed" not in program


def test_what_a_build_leaves_running(bench: Bench, wait: "Callable[..., None]") -> None:
    """A process in the background neither keeps its measurement waiting nor survives its build, cancelled or not."""
    pid = bench.folder.parent / "left"
    leave = f"{COMPILE}\tsetsid sh -c 'echo $$$$ > {pid}; exec sleep 600' > /dev/null 2>&1 &\n"
    leave += f"\tuntil [ -s {pid} ]; do sleep 0.1; done\n"
    bench.well(bench.submit(bench.commit("leaves", leave)))
    assert not psutil.pid_exists(int(pid.read_text()))
    pid.unlink()
    canceled = bench.submit(bench.commit("hangs", leave + "\tsleep 600\n"))
    wait(lambda: pid.exists() and pid.read_text(), "the build hangs", JOB_S)
    with bench.lab.client() as client:
        client.jobs.get(canceled.id).cancel()
    assert bench.ended(canceled).status == "canceled"
    wait(lambda: not psutil.pid_exists(int(pid.read_text())), "its process is gone", 30)
    bench.well(bench.submit(bench.commit("after")))


def test_nothing_is_prepared_during_a_measurement(bench: Bench, wait: "Callable[..., None]") -> None:
    """On one host a job is prepared when the one before it is measured, and its step says for what it waits."""
    first = bench.submit(bench.commit("first"), "json_loads", "nbody", "pickle_pure_python")
    run = f"{first.id}.1"
    wait(lambda: bench.lab.starts(run) == 1, "the first is measured", JOB_S)
    second = bench.submit(bench.commit("second"))
    said: set[str] = set()

    def measured() -> bool:
        said.update(step["state_string"] for step in bench.steps(second))
        return any(line[1:3] == ["END", run] for line in bench.lab.run_log())

    wait(measured, "the measurement's end", JOB_S)
    bench.well(second)
    (end,) = [line[0] for line in bench.lab.run_log() if line[1:3] == ["END", run]]
    steps = [step for step in bench.steps(second) if step["results"] == 0]
    assert {"tools", "fetch source", "checkout", "make", "keep", "smoke"} <= {step["name"] for step in steps}
    early = [step for step in steps if step["complete_at"] < int(datetime.fromisoformat(end).timestamp())]
    assert {step["name"] for step in early} <= {"worker_preparation"}
    assert any("waits while this host measures" in text for text in said), said
    assert not any("waits while this host measures" in step["state_string"] for step in steps)


#: 60 MB that cannot be compressed take seconds to pack, and to bring to the lab.
LARGE = "\thead -c 60000000 /dev/urandom > $(DESTDIR)@prefix@/lib/data.bin\n"


@contextlib.contextmanager
def measuring(bench: Bench, while_: Callable[[], object], wait: "Callable[..., None]") -> Iterator[None]:
    """Have the host alone, as a measurement has, from the end of the part of a preparation that runs at this moment.

    Whoever waits for the host takes its turn first: no later part is before us.
    """
    wait(while_, "the part of the preparation", JOB_S)
    with hold_host(bench.lab.root / "state", shared=False, timeout_s=JOB_S):
        yield


def test_no_archive_comes_or_goes_during_a_measurement(bench: Bench, wait: "Callable[..., None]") -> None:
    """What was packed before a measurement goes to the lab after it; so does what is brought from there.

    Who cancels the job while it waits need not wait for that.
    """
    commit = bench.commit("moved", finish=FINISH + LARGE)
    job = bench.submit(commit)

    def waits(name: str) -> bool:
        return any(
            step["name"] == name and "waits while this host measures" in step["state_string"]
            for step in bench.steps(job)
        )

    def is_on_its_way(folder: Path) -> bool:
        """Whether anything of an archive has come here."""
        with contextlib.suppress(FileNotFoundError):
            return any(path.stat().st_size for path in [*folder.glob(".*.part"), *folder.glob("incoming-*")])
        return False

    state = bench.lab.root / "state"
    with measuring(bench, lambda: is_on_its_way(bench.folder), wait):
        wait(lambda: waits("keep"), "the step that waits says so", JOB_S)
        assert not is_on_its_way(bench.archives)
    with measuring(bench, lambda: is_on_its_way(bench.archives), wait):
        wait(lambda: waits("fetch"), "the step that waits says so", JOB_S)
        assert not is_on_its_way(state)
        with bench.lab.client() as client:
            client.jobs.get(job.id).cancel()
        wait(lambda: all(step["complete_at"] for step in bench.steps(job)), "the step that waits has ended", 60)
        assert bench.ended(job).status == "canceled"
    bench.well(bench.submit(commit))
    assert not is_on_its_way(state)


@pytest.mark.parametrize("victim", ["worker", "master"])
def test_killed_while_it_keeps(bench: Bench, wait: "Callable[..., None]", victim: str) -> None:
    """kill -9 of the worker that packs, or of the master that takes the archive over: one archive in the end, whole."""
    where = bench.folder if victim == "worker" else bench.archives
    job = bench.submit(bench.commit(f"kept by the {victim}", finish=FINISH + LARGE))
    wait(lambda: any(where.glob(".*.part")), "the archive is on its way", JOB_S)
    bench.kill("master" if victim == "master" else f"workers/{bench.worker}")
    wait(bench.lab.healthy, "the lab is well again", 120)
    ended = bench.well(job)
    assert not list(bench.archives.glob(".*"))
    assert f"commit kept by the {victim}".encode() in bench.program(ended)
    with tarfile.open(bench.archive(ended)) as tar:
        assert tar.getmember("./lib/data.bin").size == 60_000_000
    kept = bench.lab.root / "state" / "interpreters" / str(ended.interpreter) / "lib" / "data.bin"
    with kept.open("rb") as file, tarfile.open(bench.archive(ended)) as tar:
        packed = tar.extractfile("./lib/data.bin")
        assert packed is not None
        assert hashlib.file_digest(file, "sha256").digest() == hashlib.sha256(packed.read()).digest()


FILL = "\thead -c {} /dev/urandom > {}\n"


@pytest.mark.parametrize(
    ("where", "steps", "why"),
    [
        ("make", {"compile": COMPILE + FILL.format(8_000_000, "big")}, r"^make failed: .*No space left on device"),
        (
            "keep",
            {"finish": FINISH + FILL.format(4_000_000, "$(DESTDIR)@prefix@/lib/data.bin")},
            r"/interpreter.tar.gz cannot be made: No space left on device$",
        ),
    ],
    ids=["make", "keep"],
)
def test_disk_full(bench: Bench, where: str, steps: dict[str, str], why: str) -> None:
    """A build that finds no room fails in one line and leaves no half archive; with room again the same is built."""
    commit = bench.commit(f"no room to {where}", **steps)
    before = sorted(bench.archives.iterdir())
    with small_disk(bench.folder, "6m"):
        failed = bench.ended(bench.submit(commit))
        assert failed.status == "failed"
        assert re.search(why, failed.error or ""), failed.error
        assert "\n" not in (failed.error or "")
        assert sorted(bench.archives.iterdir()) == before
        assert not list(bench.folder.rglob("*.part"))
        subprocess.run(["mount", "-o", "remount,size=64m", str(bench.folder)], check=True)
        again = bench.well(bench.submit(commit))
        assert f"commit no room to {where}".encode() in bench.program(again)


def test_built_where_it_is_measured(make_bench: Callable[..., Bench]) -> None:
    """With build_on = "isolated" the host that measures builds as well, and the regular worker does nothing."""
    bench = make_bench('build_on = "isolated"\n')
    job = bench.well(bench.submit(bench.commit("isolated")))
    assert b"commit isolated" in bench.program(job)
    (host,) = {attempt.host for attempt in job.attempts}
    assert (bench.lab.root / "workers" / str(host) / f"{bench.target}-prepare" / "source" / "python.c").exists()
    assert not bench.folder.exists()
