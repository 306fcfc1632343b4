"""The order of measurements is the order asked for, by the runner's own word."""

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    from tests.e2e.conftest import LabHandle

    from benchyard.client import Job

pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]

JOB_S = 240.0


def test_starts_follow_the_queue(
    lab: "LabHandle",
    browser: "httpx.Client",
    python: str,
    force: "Callable[..., httpx.Response]",
    newest: "Callable[..., Job]",
) -> None:
    """Jobs of several doors, moved, taken off, disabled and canceled while the queue is paused, start as it says."""

    def submit() -> int:
        out = lab.check("submit", "--python", python, "--benchmarks", "nbody", "--fast", "--json")
        return int(json.loads(out)["id"])

    with lab.client() as client:
        client.queue.pause("sorting")
        one, two, three = submit(), submit(), submit()
        assert force(browser, python=python, benchmarks="nbody", mode="fast", reason="form").status_code == 200
        forced = newest(client, three).id
        taken, canceled = submit(), submit()
        lab.check("queue", "move", str(forced), "first")
        lab.check("queue", "move", str(one), "+2")
        lab.check("queue", "remove", str(taken))
        lab.check("job", "cancel", str(canceled))
        client.jobs.get(two).disable()
        assert [place.job for place in client.queue] == [forced, two, three, one]
        assert client.queue.get().jobs[0].why == "the queue is paused"
        assert not any(line[2].partition(".")[0] == str(forced) for line in lab.run_log())
        client.queue.unpause()
        for job in (forced, three, one):
            assert client.jobs.get(job).wait(JOB_S).status == "success", lab.log_tail()
        assert client.jobs.get(two).status == "queued"
        client.jobs.get(two).enable()
        assert client.jobs.get(two).wait(JOB_S).status == "success"
        assert client.jobs.get(taken).status == "created"
        assert client.jobs.get(canceled).status == "canceled"
    mine = {f"{job}.1" for job in (one, two, three, forced, taken, canceled)}
    happened = [(what, run) for _time, what, run, *_rest in lab.run_log() if run in mine]
    order = [f"{job}.1" for job in (forced, three, one, two)]
    assert happened == [(what, run) for run in order for what in ("START", "END")]


def test_expected_start_is_learned(lab: "LabHandle", python: str) -> None:
    """Behind jobs of a shape that was measured before, a range is told; while the queue is paused, none."""
    with lab.client() as client:
        submitted = client.jobs.add(python=python, benchmarks=["nbody"], mode="fast")
        assert submitted.wait(JOB_S).status == "success"
        client.queue.pause("to look at it")
        waiting = [client.jobs.add(python=python, benchmarks=["nbody"], mode="fast") for _ in range(2)]
        assert [place.expected for place in client.queue] == [None, None]
        client.queue.unpause()
        expected = client.queue.get().jobs[-1].expected
        assert expected is not None
        assert expected.latest is not None
        assert expected.earliest <= expected.latest
        for job in waiting:
            job.cancel()
            assert job.wait(JOB_S).status == "canceled"
