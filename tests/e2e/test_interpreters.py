"""Interpreters built from refs, forks, branches and patches, through a whole lab, by the doors that people use."""

import json
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from miniature import PROGRAM, Miniature
from spinning import write_manifest

from benchyard.client import Invalid, Job
from benchyard.tasks.git import git

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import LabHandle

pytestmark = pytest.mark.timeout(900)

JOB_S = 300.0


class Yard(NamedTuple):
    """A lab that builds from a repository of CPython's shape, a fork of it, and the port for tries."""

    lab: "LabHandle"
    upstream: Miniature
    fork: Miniature
    try_port: int

    def submit(self, *options: str) -> Job:
        """Submit a quick measurement, and see it through to its end."""
        said = self.lab.check(
            "submit", "--benchmarks", "nbody", "--fast", *options, "--wait", "--json", timeout_s=JOB_S
        )
        with self.lab.client() as client:
            return client.jobs.get(json.loads(said)["id"])

    def steps(self, builder: str) -> list[dict[str, Any]]:
        """All steps of all builds of a builder, oldest first."""
        import httpx

        with self.lab.client() as client:
            url, target = client.url, client.queue.target
        with httpx.Client(base_url=url, timeout=30) as web:
            builds = web.get(f"/api/v2/builders/{target}-{builder}/builds", params={"order": "buildid"}).json()[
                "builds"
            ]
            return [
                step for build in builds for step in web.get(f"/api/v2/builds/{build['buildid']}/steps").json()["steps"]
            ]

    def made(self) -> int:
        """How often anything was compiled."""
        return sum(step["name"] == "make" and step["results"] == 0 for step in self.steps("prepare"))


@pytest.fixture(scope="module")
def yard(make_lab: "Callable[..., LabHandle]", tmp_path_factory: pytest.TempPathFactory) -> Yard:
    """A lab on one host, with remotes."""
    folder = tmp_path_factory.mktemp("git")
    upstream = Miniature(folder / "upstream")
    fork = upstream.fork(folder / "ada")
    lab = make_lab(up=False)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    lab.say(
        f'\n[remotes.upstream]\nurl = "{upstream.url}"\nforks = "{folder.as_uri()}/{{owner}}"\n'
        f'\n[suites.own]\nmanifests = ["{write_manifest(folder / "manifest")}"]\n'
        '\n[pollers.watched]\nbranches = ["watched"]\nevery_s = 1.0\nbenchmarks = ["nbody"]\nmode = "fast"\n'
        f"targets = {json.dumps([target_of(lab)])}\n"
    )
    settings = lab.root / "benchyard.toml"
    allowed = f'[lab]\ntry_port = {port}\nremote_urls = ["{(folder / "allowed").as_uri()}"]\n'
    settings.write_text(settings.read_text().replace("[lab]\n", allowed, 1))
    upstream.branch("watched")
    upstream.back()
    lab.up()
    return Yard(lab, upstream, fork, port)


def target_of(lab: "LabHandle") -> str:
    found = re.search(r"\[targets\.([\w.-]+)\]", (lab.root / "benchyard.toml").read_text())
    assert found is not None
    return found[1]


@pytest.mark.slow
def test_a_ref_is_built_measured_and_known(yard: Yard) -> None:
    """A branch becomes the commit that it is now, is built, tried and measured; asked again, its result is shown."""
    import pyperf

    commit = yard.upstream.comment("known")
    job = yard.submit("--ref", "main")
    assert job.status == "success", (job.error, yard.lab.log_tail())
    assert job.spec.source is not None
    assert (job.spec.source.commit, job.spec.source.branch, job.spec.source.merge_base) == (commit, "main", commit)
    with yard.lab.client() as client:
        result = client.results.get(job.results[0])
        assert result.commit == commit
        assert result.interpreter is not None
        assert result.interpreter.id == job.interpreter
        assert (result.branch, result.interpreter.branch, result.interpreter.ref) == ("main", "main", "main")
        assert (result.interpreter.remote, result.interpreter.merge_base) == ("upstream", commit)
        assert result.interpreter.toolchain is not None
        said = pyperf.BenchmarkSuite.loads(result.read().decode()).get_metadata()
    compiler = result.interpreter.toolchain["cc_version"]
    assert said["benchyard_compiler"] == compiler
    assert {name: said[name] for name in ("commit_id", "commit_branch", "benchyard_remote", "benchyard_ref")} == {
        "commit_id": commit,
        "commit_branch": "main",
        "benchyard_remote": "upstream",
        "benchyard_ref": "main",
    }
    shown = yard.lab.check("result", "get", str(result.id))
    assert compiler in shown
    assert f"merge base  {commit}" in shown
    made = yard.made()
    again = yard.lab.cli("submit", "--ref", commit[:10], "--benchmarks", "nbody", "--fast")
    assert (again.returncode, again.stdout) == (0, "")
    assert f"job {job.id} has measured just this: result {job.results[0]}" in again.stderr
    anew = yard.submit("--ref", "main", "--again")
    assert anew.id > job.id
    assert (anew.status, anew.interpreter) == ("success", job.interpreter)
    assert yard.made() == made
    tried = [step["state_string"] for step in yard.steps("prepare") if step["name"] == "plan smoke"]
    assert tried[-1] == "all benchmarks were tried before"


@pytest.mark.slow
def test_a_branch_means_what_it_was(yard: Yard) -> None:
    """A job that waits measures the commit that its branch was when it was submitted."""
    then = yard.upstream.comment("then")
    said = json.loads(
        yard.lab.check("submit", "--branch", "main", "--benchmarks", "nbody", "--fast", "--no-run", "--json")
    )
    yard.upstream.comment("later")
    with yard.lab.client() as client:
        ended = client.jobs.get(said["id"]).run().wait(JOB_S)
    assert ended.spec.source is not None
    assert (ended.status, ended.spec.source.commit) == ("success", then)


@pytest.mark.slow
def test_two_at_once_are_built_once(yard: Yard) -> None:
    """Two jobs of one new commit, submitted at the same moment: one build, two measurements."""
    yard.upstream.comment("twice")
    made = yard.made()
    with yard.lab.client() as client:
        jobs = [client.jobs.add(ref="main", benchmarks=["nbody"], mode="fast", again=True) for _ in range(2)]
        ended = [job.wait(JOB_S) for job in jobs]
    assert [job.status for job in ended] == ["success", "success"]
    assert ended[0].interpreter == ended[1].interpreter
    assert yard.made() == made + 1


def test_a_build_failure_is_the_jobs(yard: Yard) -> None:
    """The compiler's first error is the job's error, and nothing of it is kept."""
    yard.upstream.branch("broken")
    yard.upstream.commit("Break it", **{"python.c": PROGRAM.replace("argc;", "nonsense;")})
    yard.upstream.back()
    before = sorted((yard.lab.root / "archives" / "interpreters").glob("*"))
    failed = yard.lab.cli("submit", "--ref", "broken", "--benchmarks", "nbody", "--fast", "--wait", timeout_s=JOB_S)
    assert failed.returncode == 1
    assert re.search(r"make failed: python.c:6:\d+: error: .*nonsense", failed.stdout), failed.stdout
    assert sorted((yard.lab.root / "archives" / "interpreters").glob("*")) == before


@pytest.mark.slow
def test_a_patch_with_its_base(yard: Yard, tmp_path: Path) -> None:
    """A patch is measured beside the commit it is on, and compared with that on the command line and in the build."""
    yard.upstream.comment("to be patched")
    patch = tmp_path / "idea.diff"
    patch.write_text(yard.upstream.diff(**{"python.c": PROGRAM + "/* to be patched */\n/* an idea */\n"}))
    options = ("--ref", "main", "--patch", str(patch), "--also-base", "--benchmarks", "nbody", "--fast")
    out = yard.lab.check("submit", *options, "--attach", timeout_s=2 * JOB_S)
    assert "Geometric mean:" in out
    with yard.lab.client() as client:
        head = next(iter(client.jobs.list(limit=1)))
        assert head.base_job is not None
        base = client.jobs.get(head.base_job)
    assert head.spec.source is not None and base.spec.source is not None
    assert head.spec.source.patch is not None and base.spec.source.patch is None
    assert head.spec.source.commit == base.spec.source.commit
    assert head.interpreter != base.interpreter
    compared = [step for step in yard_steps(yard, "compare") if step["results"] == 0]
    assert f"result {head.results[0]} is " in compared[-1]["state_string"]


def yard_steps(yard: Yard, name: str) -> list[dict[str, Any]]:
    """The steps of one name in the jobs' own builds."""
    import httpx

    with yard.lab.client() as client:
        url, target = client.url, client.queue.target
    with httpx.Client(base_url=url, timeout=30) as web:
        builds = web.get(f"/api/v2/builders/{target}/builds", params={"order": "buildid"}).json()["builds"]
        steps = [web.get(f"/api/v2/builds/{build['buildid']}/steps").json()["steps"] for build in builds]
    return [step for found in steps for step in found if step["name"] == name]


@pytest.mark.slow
def test_forks(yard: Yard) -> None:
    """A fork by its owner's name, and a repository by an address that is allowed; its merge base is the upstream's."""
    base = yard.upstream.git("rev-parse", "main")
    yard.fork.git("pull", "--quiet", "--ff-only", str(yard.upstream.path), "main")
    yard.fork.branch("idea")
    idea = yard.fork.comment("idea")
    with yard.lab.client() as client:
        job = client.jobs.add(remote="ada", branch="idea", benchmarks=["nbody"], mode="fast", run=False)
        assert job.spec.source is not None
        assert (job.spec.source.remote, job.spec.source.commit, job.spec.source.branch) == ("ada", idea, "idea")
        assert job.spec.source.merge_base == base
        allowed = yard.fork.fork(yard.fork.path.parent / "allowed" / "x")
        other = client.jobs.add(remote=allowed.url, ref=idea, benchmarks=["nbody"], mode="fast")
        assert other.wait(JOB_S).status == "success"


BAD: dict[str, list[dict[str, Any]]] = {
    "ref": [{"ref": "nope"}, {"ref": "-x"}, {"ref": "main~1"}, {"ref": "0" * 40}, {"ref": "deadbee"}],
    "remote": [
        {"ref": "main", "remote": "ext::sh -c id"},
        {"ref": "main", "remote": "--upload-pack=id"},
        {"ref": "main", "remote": "https://example.org/x"},
        {"ref": "main", "remote": "file:///etc"},
        {"ref": "main", "remote": "ALLOWED/../upstream"},
        {"ref": "main", "remote": "ALLOWED/%2e%2e/upstream"},
        {"ref": "main", "remote": "ALLOWED/%252e%252e/upstream"},
        {"ref": "main", "remote": "ALLOWED/x%2f..%2f..%2fupstream"},
        {"ref": "main", "remote": "ALLOWED%2f..%2fupstream"},
        {"ref": "main", "remote": "no such owner!"},
    ],
    "branch": [{"ref": "v3.11.0", "branch": "nope"}],
    "flags": [{"ref": "main", "flags": ["pgoo"]}, {"ref": "main", "flags": ["debug", "pgo"]}],
    "configure_args": [
        {"ref": "main", "configure_args": ["--prefi=/"]},
        {"ref": "main", "configure_args": ["prefix=/"]},
    ],
    "patch": [
        {"ref": "main", "patch": "no diff"},
        {"ref": "main", "patch": "--- a/../x\n+++ b/../x\n@@ -1 +1 @@\n-a\n+b\n"},
        {"ref": "main", "patch": "--- /etc/x\n+++ /etc/x\n@@ -1 +1 @@\n-a\n+b\n"},
    ],
    "also_base": [{"ref": "main", "also_base": True}],
    "python": [{}, {"ref": "main", "python": "/usr/bin/python3"}],
}


def test_bad_input_makes_no_job(yard: Yard) -> None:
    """What cannot be built is refused in one line that names the field, and no job is made."""
    allowed = (yard.upstream.path.parent / "allowed").as_uri()
    with yard.lab.client() as client:
        before = [job.id for job in client.jobs.list(limit=1)]
        for field, requests in BAD.items():
            for request in requests:
                if "remote" in request:
                    request = {**request, "remote": request["remote"].replace("ALLOWED", allowed)}
                with pytest.raises(Invalid) as refused:
                    client.jobs.add(**request)
                assert refused.value.field == field, (request, str(refused.value))
                assert "\n" not in str(refused.value)
        assert [job.id for job in client.jobs.list(limit=1)] == before


def test_only_admins_configure_freely(yard: Yard) -> None:
    """Members have flags; arguments of `configure` are for admins."""
    from benchyard.client import Client, Forbidden

    with yard.lab.client() as client:
        token = client.users.add("carl").tokens.add("test").token
        with Client(client.url, token=token) as member, pytest.raises(Forbidden, match="only admins"):
            member.jobs.add(ref="main", configure_args=["--with-x"])


@pytest.mark.slow
def test_a_try(yard: Yard, tmp_path: Path) -> None:
    """`buildbot try` from a working copy with a change: its result is the client's exit code, good or bad."""
    copy = tmp_path / "copy"
    subprocess.run(["git", "clone", "--quiet", str(yard.upstream.path), str(copy)], check=True)
    secret = yard.lab.check("user", "try-secret").strip()

    def attempt() -> "subprocess.CompletedProcess[str]":
        options = ["--connect=pb", f"--master=127.0.0.1:{yard.try_port}", "--username=admin", f"--passwd={secret}"]
        what = ["--vc=git", "--branch=origin/main", f"--builder={target_of(yard.lab)}", "--wait"]
        properties = ["--property=benchmarks=nbody", "--property=mode=fast", "--property=owner=somebody"]
        return subprocess.run(
            [str(Path(sys.executable).with_name("buildbot")), "try", *options, *what, *properties],
            cwd=copy,
            capture_output=True,
            text=True,
            timeout=JOB_S,
        )

    program = (copy / "python.c").read_text()
    (copy / "python.c").write_text(program + "/* tried */\n")
    good = attempt()
    assert good.returncode == 0, good.stdout + good.stderr
    with yard.lab.client() as client:
        job = next(iter(client.jobs.list(limit=1)))
        assert (job.origin, job.owner, job.status) == ("try", "admin", "success")
        assert job.spec.source is not None and job.spec.source.patch is not None
    # The working copy is ahead of what the remote has: the base is the remote's, and there the change does not apply.
    (copy / "python.c").write_text("/* something else */\n")
    git(["-C", str(copy), "-c", "user.name=x", "-c", "user.email=x@y", "commit", "--quiet", "-am", "local"])
    git(
        ["-C", str(copy), "update-ref", "refs/remotes/origin/main", git(["-C", str(copy), "rev-parse", "HEAD"]).strip()]
    )
    (copy / "python.c").write_text("/* something else */\n/* more */\n")
    bad = attempt()
    assert bad.returncode == 1, bad.stdout
    assert "no branch, tag or commit" in bad.stdout


def test_a_try_that_does_not_apply(yard: Yard, tmp_path: Path) -> None:
    """A patch that does not fit its commit is a failed job, with git's word on what was not found."""
    patch = yard.upstream.diff(**{"python.c": PROGRAM.replace("127", "126")})
    yard.upstream.commit("Other", **{"python.c": PROGRAM.replace("return 127", "return 1")})
    diff = tmp_path / "old.diff"
    diff.write_text(patch)
    failed = yard.lab.cli(
        *("submit", "--ref", "main", "--patch", str(diff), "--benchmarks", "nbody", "--fast", "--wait"), timeout_s=JOB_S
    )
    assert failed.returncode == 1
    assert "the patch does not apply to" in failed.stdout
    assert "python.c" in failed.stdout


def test_a_try_that_changes_a_link(yard: Yard, tmp_path: Path) -> None:
    """A patch that gives a link of the source another target is a failed job, though it does not say that it is one."""
    link = yard.upstream.path / "link"
    yard.upstream.branch("linked")
    link.symlink_to("python.c")
    yard.upstream.commit("Link")
    yard.upstream.back()
    no_end = "\\ No newline at end of file"
    diff = tmp_path / "link.diff"
    diff.write_text(f"--- a/link\n+++ b/link\n@@ -1 +1 @@\n-python.c\n{no_end}\n+/etc/passwd\n{no_end}\n")
    failed = yard.lab.cli(
        *("submit", "--ref", "linked", "--patch", str(diff), "--benchmarks", "nbody", "--fast", "--wait"),
        timeout_s=JOB_S,
    )
    assert failed.returncode == 1
    assert "it changes a symbolic link, link; only ordinary files may be changed" in failed.stdout


@pytest.mark.slow
def test_every_commit_of_a_polled_branch(yard: Yard, wait: "Callable[..., None]") -> None:
    """Three commits that come to a polled branch are three jobs, in their order."""
    yard.upstream.git("checkout", "--quiet", "watched")
    commits = [yard.upstream.comment(f"watched {number}") for number in range(3)]
    yard.upstream.back()

    def found() -> list[Job]:
        with yard.lab.client() as client:
            return [job for job in client.jobs.list(limit=20) if job.origin == "poll"][::-1]

    wait(lambda: len(found()) == 3, "the commits are jobs", 120)
    sources = [job.spec.source for job in found()]
    assert [source.commit for source in sources if source is not None] == commits
    assert {source.branch for source in sources if source is not None} == {"watched"}
    with yard.lab.client() as client:
        for job in found():
            client.jobs.get(job.id).cancel()


@pytest.mark.slow
def test_backfill(yard: Yard) -> None:
    """The commits of a range that nobody has measured are queued behind all others; known ones are not."""
    start = yard.upstream.git("rev-parse", "main")
    commits = [yard.upstream.comment(f"back {number}") for number in range(4)]
    known = yard.submit("--ref", commits[1])
    assert known.status == "success"
    with yard.lab.client() as client:
        client.queue.pause()
        try:
            asked = ("--range", f"{start}..main", "--benchmarks", "nbody", "--fast")
            dry = yard.lab.check("submit", *asked, "--dry-run")
            assert "3 commits of 4 to measure, about" in dry
            assert "1 measured or queued before" in dry
            said = json.loads(yard.lab.check("submit", *asked, "--json"))
            assert (said["missing"], said["commits"], len(said["jobs"])) == (3, 4, 3)
            later = client.jobs.add(ref="v3.11.0", benchmarks=["nbody"], mode="fast", again=True)
            queued = [place.job for place in client.queue.list()]
            assert queued == [later.id, *said["jobs"]]
            again = json.loads(yard.lab.check("submit", *asked, "--json"))
            assert (again["missing"], again["jobs"]) == (0, [])
            other = ("--range", f"{start}..main", "--benchmarks", "nbody", "--rigorous", "--every", "2")
            every = json.loads(yard.lab.check("submit", *other, "--dry-run", "--json"))
            assert every["commits"] == 2
            for job in queued:
                client.jobs.get(job).cancel()
        finally:
            client.queue.unpause()
    bad = yard.lab.cli("submit", "--range", "main..main", "--benchmarks", "nbody")
    assert bad.returncode == 1
    assert "no such commit" in bad.stderr


@pytest.mark.slow
def test_what_does_not_run_is_left_out(yard: Yard) -> None:
    """A benchmark that this Python cannot run is named and left out of the measurement; with --strict the job fails."""
    commit = yard.upstream.comment("left out")
    asked = ("--ref", commit, "--benchmarks", "async_tree_eager")
    job = yard.submit(*asked)
    assert job.status == "success"
    (failed,) = job.failed_benchmarks
    assert (failed.name, failed.error) == ("async_tree_eager", f"it needs Python >=3.12, this is {version()}")
    with yard.lab.client() as client:
        result = client.results.get(job.results[0])
    assert (result.benchmarks, [one.name for one in result.failed]) == (1, ["async_tree_eager"])
    strict = yard.lab.cli("submit", *asked, "--benchmarks", "nbody", "--fast", "--again", "--strict", "--wait")
    assert strict.returncode == 1
    assert "smoke: 1 of 2 do not run: async_tree_eager" in strict.stdout


@pytest.mark.slow
def test_a_suite_with_fixed_loops(yard: Yard) -> None:
    """A benchmark of the lab's own manifest is measured, and again with the loop counts of the first result."""
    import pyperf

    commit = yard.upstream.comment("a suite")
    asked = ("--ref", commit, "--suite", "own", "--benchmarks", "spin,-nbody")
    first = yard.submit(*asked)
    assert (first.status, first.spec.suite) == ("success", "own"), (first.error, yard.lab.log_tail())
    again = yard.submit(*asked, "--same-loops", str(first.results[0]))
    assert (again.status, again.spec.same_loops) == ("success", first.results[0])
    assert again.id > first.id, "with fixed loops it is another measurement"
    with yard.lab.client() as client:
        files = [client.results.get(job.results[0]).read() for job in (first, again)]
        with pytest.raises(Invalid, match="there is no result 999"):
            client.jobs.add(ref=commit, benchmarks=["nbody"], same_loops=999)
        with pytest.raises(Invalid, match="none of the chosen benchmarks"):
            client.jobs.add(ref=commit, benchmarks=["nbody"], same_loops=first.results[0])
        with pytest.raises(Invalid, match="no suite 'other'; benchyard.toml has own"):
            client.jobs.add(ref=commit, suite="other")
        with pytest.raises(Invalid, match="unknown benchmark 'spin'"):
            client.jobs.add(ref=commit, benchmarks=["spin"])
    spins = [pyperf.BenchmarkSuite.loads(data.decode()).get_benchmark("spin") for data in files]
    assert spins[0].get_metadata()["loops"] == spins[1].get_metadata()["loops"]
    assert spins[1].get_metadata()["performance_version"] == again.spec.suite_version
    assert [run for run in spins[1].get_runs() if not run.values] == [], "nothing was calibrated"


def version() -> str:
    """The version of the Python that the miniature becomes."""
    return ".".join(map(str, sys.version_info[:3]))
