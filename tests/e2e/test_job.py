"""The way of a job, from `submit` to a stored result and a comparison."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchyard.client import Client, Invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.conftest import LabHandle

pytestmark = pytest.mark.timeout(900)

QUICK = ("json_loads", "nbody")
JOB_S = 240.0


@pytest.fixture(scope="module")
def client(lab: "LabHandle") -> "Iterator[Client]":
    with lab.client() as client:
        yield client


@pytest.fixture(scope="module")
def two_jobs(lab: "LabHandle", client: Client) -> tuple[Any, Any]:
    """The same interpreter measured twice."""
    python = str(Path(sys.executable).resolve())
    first = client.jobs.add(python=python, benchmarks=list(QUICK), mode="fast")
    seen: list[str] = []
    first = first.wait(JOB_S, on_change=lambda job: seen.append(job.status))
    assert first.status == "success", (first, lab.log_tail())
    assert "running" in seen
    second = client.jobs.add(python=python, benchmarks=list(QUICK), mode="fast").wait(JOB_S)
    assert second.status == "success", (second, lab.log_tail())
    return first, second


def test_a_job_ends_in_a_result_that_pyperf_reads(lab: "LabHandle", two_jobs: tuple[Any, Any]) -> None:
    """The stored file holds all benchmarks of the job, measured on the host's measuring CPU, and pyperf shows it."""
    with lab.client() as client:
        result = client.results.get(two_jobs[0].results[0])
        data = result.read()
    assert result.path is not None
    path = lab.root / "results" / result.path
    assert path.read_bytes() == data
    shown = subprocess.run(
        [sys.executable, "-m", "pyperf", "show", "--quiet", str(path)], capture_output=True, text=True, check=True
    )
    assert all(name in shown.stdout for name in QUICK)
    metadata = json.loads(data)["metadata"]
    host = tomllib.loads((lab.root / "hosts.d" / f"{result.host}.toml").read_text())
    assert metadata["cpu_affinity"] == host["cpus"]


def test_the_second_run_installs_nothing(lab: "LabHandle", two_jobs: tuple[Any, Any]) -> None:
    """The environment is made once per interpreter and suite version."""
    reports = [
        json.loads((lab.root / "state" / "runs" / f"{job.id}.1" / "report.json").read_text()) for job in two_jobs
    ]
    assert reports[0]["environment"] == reports[1]["environment"]
    assert reports[1]["pip_calls"] == 0


def test_both_results_of_one_interpreter_are_kept(lab: "LabHandle", two_jobs: tuple[Any, Any]) -> None:
    """A rerun adds a file; it never replaces the one before."""
    with lab.client() as client:
        paths = {str(client.results.get(job.results[0]).path) for job in two_jobs}
    assert len(paths) == 2
    assert all((lab.root / "results" / path).is_file() for path in paths)


def test_results_are_compared(lab: "LabHandle", two_jobs: tuple[Any, Any]) -> None:
    """`result compare` shows each benchmark of both and the geometric mean, the same number as pyperf's."""
    ids = [str(job.results[0]) for job in two_jobs]
    # On a machine that is busy with others the two may be of different grades.
    table = lab.check("result", "compare", *ids, "--include-different")
    assert all(name in table for name in QUICK)
    assert "Geometric mean" in table
    comparison = json.loads(lab.check("result", "compare", *ids, "--include-different", "--json"))
    ratios = [row["ratio"] for row in comparison["benchmarks"]]
    assert comparison["geometric_mean"]["ratio"] == pytest.approx((ratios[0] * ratios[1]) ** 0.5)


def test_a_result_says_how_far_it_can_be_trusted(lab: "LabHandle", client: Client, two_jobs: tuple[Any, Any]) -> None:
    """It has a grade with reasons and says what it was measured on, in the file as in the index; nothing has changed
    between the two, so both are in the host's first epoch.
    """
    found = [client.results.get(job.results[0]) for job in two_jobs]
    for result in found:
        metadata = json.loads(result.read())["metadata"]
        assert result.grade == metadata["benchyard_grade"]
        assert result.grade in ("A", "B", "C")
        assert (result.grade == "A") == (result.grade_reasons == ())
        assert result.fingerprint_id == metadata["benchyard_fingerprint"]
        assert result.fingerprint is not None
        assert result.fingerprint.host.kernel == metadata["benchyard_kernel"]
        assert (result.epoch, result.kind) == (1, "benchmarks")
        shown = lab.check("result", "get", str(result.id))
        assert f"1 of {result.host}" in shown
        assert all(reason in shown for reason in result.grade_reasons)
    host = client.hosts.get(str(found[0].host))
    assert (host.epoch, host.calibrated, host.noise_floor) == (1, None, None)
    assert host.epoch_since is not None and host.epoch_since < two_jobs[0].finished
    assert re.search(r"^epoch +1 since ", lab.check("host", "get", host.name), re.MULTILINE)
    assert client.hosts.get(host.name).noise().benchmarks == ()


def test_the_log_tells_what_was_done(lab: "LabHandle", two_jobs: tuple[Any, Any]) -> None:
    """`job log` has what the run printed, each benchmark by name."""
    log = lab.check("job", "log", str(two_jobs[0].id))
    assert all(name in log for name in QUICK)


def test_everything_of_ours_keeps_off_the_measuring_cpu(lab: "LabHandle", two_jobs: tuple[Any, Any]) -> None:
    """Where there are two CPUs or more, master and workers may not run on the one that measures."""
    import os

    if len(os.sched_getaffinity(0)) == 1:
        return
    measuring = max(os.sched_getaffinity(0))
    for process in lab.processes():
        assert measuring not in process.cpu_affinity(), process.cmdline()


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"benchmarks": ["nbdy"]}, "benchmarks"),
        ({"python": "/does/not/exist"}, "python"),
        ({"python": "/bin/ls"}, "python"),
        ({"python": "relative/python"}, "python"),
        ({"affinity": "1-"}, "affinity"),
        ({"affinity": "100000"}, "affinity"),
        ({"target": "vax-vms"}, "target"),
        ({"host": "nowhere"}, "host"),
    ],
)
def test_bad_input_is_refused_and_leaves_no_job(client: Client, python: str, wrong: dict[str, Any], field: str) -> None:
    """A request that cannot work is refused at submit with one line that names the field."""
    before = [job.id for job in client.jobs.list()]
    with pytest.raises(Invalid) as refused:
        client.jobs.add(**{"python": python, "benchmarks": ["nbody"], **wrong})
    assert refused.value.field == field
    assert "\n" not in str(refused.value)
    assert [job.id for job in client.jobs.list()] == before


@pytest.mark.slow
def test_three_jobs_at_once_never_measure_together(lab: "LabHandle", client: Client, python: str) -> None:
    """Whatever is submitted at once runs one after the other, in the order of the queue, by the host's own record."""
    jobs = [client.jobs.add(python=python, benchmarks=["nbody"], mode="fast") for _ in range(3)]
    ended = [job.wait(JOB_S) for job in jobs]
    assert [job.status for job in ended] == ["success"] * 3
    running: set[str] = set()
    started = []
    for _time, event, run, *_ in lab.run_log():
        if event == "START":
            running.add(run)
            started.append(run)
        else:
            running.discard(run)
        assert len(running) <= 1, lab.run_log()
    assert started[-3:] == [f"{job.id}.1" for job in jobs]


@pytest.mark.slow
def test_a_benchmark_that_fails_is_named_and_the_others_are_stored(
    lab: "LabHandle", client: Client, python: str
) -> None:
    """One failing benchmark leaves the job a success; if all fail the job has failed and says why."""
    jobs = client.jobs
    assert jobs.add(python=python, benchmarks=["html5lib"], mode="fast").wait(JOB_S).status == "success"
    packages = list((lab.root / "state" / "environments").glob("*/lib/python*/site-packages/html5lib/__init__.py"))
    assert packages
    for package in packages:
        package.write_text("raise ImportError('broken on purpose')\n")
    some = jobs.add(python=python, benchmarks=["html5lib", "nbody"], mode="fast").wait(JOB_S)
    assert some.status == "success"
    assert [failed.name for failed in some.failed_benchmarks] == ["html5lib"]
    assert "broken on purpose" in (some.failed_benchmarks[0].log_tail or "")
    assert client.results.get(some.results[0]).benchmarks == 1
    none = jobs.add(python=python, benchmarks=["html5lib"], mode="fast").wait(JOB_S)
    assert none.status == "failed"
    assert "html5lib" in (none.error or "")
    assert none.results == ()


def test_an_interpreter_that_crashes_fails_its_job(
    lab: "LabHandle", client: Client, python: str, two_jobs: tuple[Any, Any]
) -> None:
    """An interpreter that dies of a signal in the run makes a `failed` job that says so."""
    (packages,) = (lab.root / "state" / "environments").glob("*/lib/python*/site-packages")
    crash = packages / "sitecustomize.py"
    crash.write_text("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)\n")
    try:
        job = client.jobs.add(python=python, benchmarks=["nbody"], mode="fast").wait(JOB_S)
    finally:
        crash.unlink()
    assert job.status == "failed"
    assert "signal 11" in (job.error or "")


def test_cancel_of_a_running_job_leaves_nothing_running(
    lab: "LabHandle", client: Client, python: str, wait: "Callable[..., None]"
) -> None:
    """A canceled measurement ends on the host with its whole process tree, and the next job runs."""
    job = client.jobs.add(python=python, benchmarks=["nbody"], mode="rigorous")
    wait(lambda: lab.starts(f"{job.id}.1") == 1, "the run starts", JOB_S)
    queued = client.jobs.add(python=python, benchmarks=["nbody"], mode="fast")
    queued.cancel()
    job.cancel()
    assert job.wait(60).status == "canceled"
    assert queued.wait(60).status == "canceled"
    wait(lambda: not lab.marked(f"{job.id}.1"), "the run's processes are gone", 60)
    assert lab.starts(f"{queued.id}.1") == 0
    after = client.jobs.add(python=python, benchmarks=["nbody"], mode="fast").wait(JOB_S)
    assert after.status == "success"
