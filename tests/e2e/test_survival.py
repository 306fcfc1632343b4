"""What is killed around a measurement does not hurt it."""

import json
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


@pytest.mark.parametrize("victim", ["master", "workers/HOST"])
def test_a_run_survives_the_kill_of(
    fragile: "LabHandle", python: str, wait: "Callable[..., None]", victim: str
) -> None:
    """kill -9 of the master or the measuring worker in mid-run, and their restart, end in one run and one result."""
    host = next(p.stem for p in (fragile.root / "hosts.d").glob("*.toml") if not p.stem.endswith("_worker"))
    job = submit(fragile, python, "--fast")
    run = f"{job}.1"
    wait(lambda: fragile.starts(run) == 1, "the run starts", JOB_S)
    killed_folder = victim.replace("HOST", host)
    killed = fragile.program(killed_folder)
    killed.send_signal(signal.SIGKILL)
    wait(lambda: fragile.healthy() and fragile.program(killed_folder).pid != killed.pid, "it is back", 90)
    fragile.check("job", "wait", str(job), timeout_s=JOB_S)
    assert fragile.starts(run) == 1
    assert fragile.run_log()[-1][1:3] == ["END", run]
    results = json.loads(fragile.check("result", "list", "--json"))["items"]
    assert [result["job"] for result in results].count(job) == 1


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


def test_lab_down_stops_the_run_and_the_job_goes_on_after_lab_up(
    fragile: "LabHandle", python: str, wait: "Callable[..., None]"
) -> None:
    """An ordinary stop leaves nothing running; the job is measured again after the next start."""
    job = submit(fragile, python, "--fast")
    wait(lambda: fragile.starts(f"{job}.1") == 1, "the run starts", JOB_S)
    fragile.down()
    assert fragile.processes() == []
    fragile.up()
    fragile.check("job", "wait", str(job), timeout_s=JOB_S)
    assert fragile.starts(f"{job}.2") == 1
    shown = json.loads(fragile.check("job", "get", str(job), "--json"))
    assert [attempt["status"] for attempt in shown["attempts"]] == ["interrupted", "success"]
    assert len(shown["results"]) == 1


def test_a_run_whose_supervisor_is_killed_is_tried_again(
    fragile: "LabHandle", python: str, wait: "Callable[..., None]"
) -> None:
    """A lost run is measured anew, once, and no process of the first is alive then."""
    job = submit(fragile, python, "--fast")
    wait(lambda: fragile.starts(f"{job}.1") == 1, "the run starts", JOB_S)
    supervisor = int(next(line[3] for line in fragile.run_log() if line[1:3] == ["START", f"{job}.1"]))
    import os

    os.kill(supervisor, signal.SIGKILL)
    fragile.check("job", "wait", str(job), timeout_s=JOB_S)
    shown = json.loads(fragile.check("job", "get", str(job), "--json"))
    assert [attempt["status"] for attempt in shown["attempts"]] == ["lost", "success"]
