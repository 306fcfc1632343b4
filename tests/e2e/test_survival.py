"""What is killed around a measurement does not hurt it."""

import json
import os
import re
import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import LabHandle

pytestmark = pytest.mark.timeout(900)

JOB_S = 240.0


@pytest.fixture(scope="module")
def fragile(make_lab: "Callable[..., LabHandle]") -> "LabHandle":
    """A lab of its own for tests that break things."""
    return make_lab()


def submit(lab: "LabHandle", python: str, *options: str) -> int:
    """A job that measures for some seconds; its id."""
    out = lab.check("submit", "--python", python, "--benchmarks", "nbody,json_loads", *options, "--json")
    return int(json.loads(out)["id"])


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["master", "workers/HOST"])
def test_a_run_survives_the_kill_of(
    fragile: "LabHandle", python: str, wait: "Callable[..., None]", victim: str
) -> None:
    """kill -9 of the master or the measuring worker in mid-run, and their restart, end in one run and one result.

    The job's log has each line of the run once, and says where it was cut and where the part before that is.
    """
    job = submit(fragile, python, "--fast")
    run = f"{job}.1"
    wait(lambda: fragile.is_shown(job), "the run is shown", JOB_S)
    killed_folder = victim.replace("HOST", fragile.measuring_host())
    killed = fragile.program(killed_folder)
    killed.send_signal(signal.SIGKILL)
    wait(lambda: fragile.healthy() and fragile.program(killed_folder).pid != killed.pid, "it is back", 90)
    fragile.check("job", "wait", str(job), timeout_s=JOB_S)
    assert fragile.starts(run) == 1
    assert fragile.run_log()[-1][1:3] == ["END", run]
    results = json.loads(fragile.check("result", "list", "--json"))["items"]
    assert [result["job"] for result in results].count(job) == 1
    shown = fragile.check("job", "log", str(job))
    printed = (fragile.root / "state" / "runs" / run / "output.log").read_text()
    (going_on,) = re.findall(
        r"^benchyard: the run goes on; for the (\d+) lines of its log before this see .*$", shown, re.M
    )
    assert 0 < int(going_on) < len(printed.splitlines())
    before, _, after = shown.partition("benchyard: the run goes on; ")
    page = after.splitlines()[0].rpartition("#/builders/")[2]
    assert re.fullmatch(r"\d+/builds/\d+/steps/\d+/logs/stdio", page)
    assert [line for line in shown.splitlines() if line in printed.splitlines()] == printed.splitlines()
    assert before.splitlines()[-1] == printed.splitlines()[int(going_on) - 1]


@pytest.mark.slow
def test_a_run_is_attached_to_again_although_the_next_job_waits(
    fragile: "LabHandle", python: str, wait: "Callable[..., None]"
) -> None:
    """The next job, prepared ahead, must not keep the measuring job's build from the host after its worker was lost."""
    first, second = submit(fragile, python, "--fast"), submit(fragile, python, "--fast")
    wait(lambda: fragile.starts(f"{first}.1") == 1, "the run starts", JOB_S)
    wait(lambda: fragile.status(second) in ("building", "ready"), "the next job is prepared")
    killed = fragile.program(f"workers/{fragile.measuring_host()}")
    killed.send_signal(signal.SIGKILL)
    fragile.check("job", "wait", str(first), timeout_s=JOB_S)
    fragile.check("job", "wait", str(second), timeout_s=JOB_S)
    assert fragile.starts(f"{first}.1") == fragile.starts(f"{second}.1") == 1


@pytest.mark.slow
def test_cancel_while_the_worker_is_away_ends_the_run(
    fragile: "LabHandle", python: str, wait: "Callable[..., None]"
) -> None:
    """A job canceled while its host's worker is down is canceled at once; its run ends when the worker is back."""
    job = submit(fragile, python, "--rigorous")
    wait(lambda: fragile.starts(f"{job}.1") == 1, "the run starts", JOB_S)
    worker = fragile.program(f"workers/{fragile.measuring_host()}")
    worker.suspend()  # the connection is there, but nobody answers
    try:
        fragile.check("job", "cancel", str(job))
    finally:
        worker.kill()
    wait(lambda: fragile.status(job) == "canceled", "the job is canceled")
    wait(lambda: fragile.run_log()[-1][1:3] == ["END", f"{job}.1"], "the run has ended", 120)
    after = submit(fragile, python, "--fast")
    fragile.check("job", "wait", str(after), timeout_s=JOB_S)


@pytest.mark.slow
def test_a_run_survives_a_restart_of_the_whole_lab(
    fragile: "LabHandle", python: str, wait: "Callable[..., None]"
) -> None:
    """`lab down --keep-runs` and `lab up` in mid-run: the measurement goes on meanwhile, and its job finds it."""
    job = submit(fragile, python, "--fast")
    run = f"{job}.1"
    wait(lambda: fragile.starts(run) == 1, "the run starts", JOB_S)
    fragile.down("--keep-runs")
    assert fragile.run_log()[-1][1:3] == ["START", run]
    fragile.up()
    fragile.check("job", "wait", str(job), timeout_s=JOB_S)
    assert fragile.starts(run) == 1


@pytest.mark.slow
def test_lab_down_stops_the_run_and_the_job_goes_on_after_lab_up(
    fragile: "LabHandle", python: str, wait: "Callable[..., None]"
) -> None:
    """An ordinary stop leaves nothing running; the job is measured again after the next start."""
    job = submit(fragile, python, "--fast")
    wait(lambda: fragile.starts(f"{job}.1") == 1, "the run starts", JOB_S)
    fragile.down()
    assert fragile.left_running() == []
    fragile.up()
    fragile.check("job", "wait", str(job), timeout_s=JOB_S)
    assert fragile.starts(f"{job}.2") == 1
    shown = json.loads(fragile.check("job", "get", str(job), "--json"))
    assert [attempt["status"] for attempt in shown["attempts"]] == ["interrupted", "success"]
    assert len(shown["results"]) == 1


@pytest.mark.slow
def test_a_run_whose_supervisor_is_killed_is_tried_again(
    fragile: "LabHandle", python: str, wait: "Callable[..., None]"
) -> None:
    """A lost run is measured anew, once, and no process of the first is alive then."""
    job = submit(fragile, python, "--fast")
    wait(lambda: fragile.starts(f"{job}.1") == 1, "the run starts", JOB_S)
    supervisor = int(next(line[3] for line in fragile.run_log() if line[1:3] == ["START", f"{job}.1"]))
    os.kill(supervisor, signal.SIGKILL)
    fragile.check("job", "wait", str(job), timeout_s=JOB_S)
    shown = json.loads(fragile.check("job", "get", str(job), "--json"))
    assert [attempt["status"] for attempt in shown["attempts"]] == ["lost", "success"]


@pytest.mark.slow
def test_silent_worker_is_given_up(fragile: "LabHandle", python: str, wait: "Callable[..., None]") -> None:
    """A worker that says nothing, over a connection that nobody has closed, is noticed; its run goes on and counts."""
    job = submit(fragile, python, "--fast")
    wait(lambda: fragile.starts(f"{job}.1") == 1, "the run starts", JOB_S)
    name = fragile.measuring_host()
    worker = fragile.program(f"workers/{name}")
    worker.suspend()
    try:
        wait(lambda: host_status(fragile, name) == "offline", "the master has given the worker up", 180)
    finally:
        worker.resume()
    fragile.check("job", "wait", str(job), timeout_s=JOB_S)
    assert fragile.starts(f"{job}.1") == 1


def host_status(lab: "LabHandle", name: str) -> str:
    """What the lab says of a host."""
    with lab.client() as client:
        return client.hosts.get(name).status
