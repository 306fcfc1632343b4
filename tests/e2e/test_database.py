"""A lab whose datastore is a PostgreSQL server."""

import json
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.conftest import LabHandle

pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]

JOB_S = 240.0


def test_a_lab_on_postgresql(
    make_lab: "Callable[..., LabHandle]", new_database: Callable[[], str], python: str, wait: "Callable[..., None]"
) -> None:
    """It measures what is asked in the order asked for, each once, also when its master is killed in mid-run."""
    lab = make_lab("--db-url", new_database())
    assert not (lab.root / "master" / "state.sqlite").exists()
    with lab.client() as client:
        first, second, third = (client.jobs.add(python=python, benchmarks=["nbody"], mode="fast") for _ in range(3))
        client.queue.move(third, "-1")
        wait(lambda: lab.starts(f"{first.id}.1") == 1, "the run starts", JOB_S)
        killed = lab.program("master")
        killed.send_signal(signal.SIGKILL)
        wait(lambda: lab.healthy() and lab.program("master").pid != killed.pid, "it is back", 90)
    for job in (first, second, third):
        lab.check("job", "wait", str(job.id), timeout_s=JOB_S)
    order = [line[2] for line in lab.run_log() if line[1] == "START"]
    assert order == [f"{job.id}.1" for job in (first, third, second)]
    lab.down()
    lab.up()
    results = json.loads(lab.check("result", "list", "--json"))["items"]
    assert [result["job"] for result in results] == [second.id, third.id, first.id]
