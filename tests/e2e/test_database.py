"""A lab whose datastore is a PostgreSQL server."""

import json
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

import postgresql
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


def test_a_database_that_goes_away(
    make_lab: "Callable[..., LabHandle]", python: str, wait: "Callable[..., None]"
) -> None:
    """The server is killed in mid-run and comes back after the run's end: the lab waits, and nothing is lost."""
    with postgresql.running(durable=True) as server:
        lab = make_lab("--db-url", server.new_database())
        try:
            with lab.client() as client:
                first, second = (client.jobs.add(python=python, benchmarks=["nbody"], mode="fast") for _ in range(2))
            wait(lambda: lab.starts(f"{first.id}.1") == 1, "the run starts", JOB_S)
            server.stop()
            wait(lambda: lab.run_log()[-1][1:3] == ["END", f"{first.id}.1"], "the run has ended", JOB_S)
            server.start()
            for job in (first, second):
                lab.check("job", "wait", str(job.id), timeout_s=JOB_S)
            assert [line[1:3] for line in lab.run_log()] == [
                [what, f"{job.id}.1"] for job in (first, second) for what in ("START", "END")
            ]
            results = json.loads(lab.check("result", "list", "--json"))["items"]
            assert [result["job"] for result in results] == [second.id, first.id]
        finally:
            lab.down()
        server.stop()
        refused = lab.cli("lab", "up", str(lab.root), "--detach")
        assert refused.returncode == 1 and refused.stderr.count("\n") == 1
        assert refused.stderr.startswith("benchyard: the database cannot be reached: ")
        server.start()
