"""Jobs through the real client, over real HTTP."""

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING

import msgspec
import pytest

from benchyard.client import (
    Client,
    ClientError,
    Conflict,
    Invalid,
    Job,
    NotFound,
    ServerError,
    Unavailable,
    WaitTimeout,
)

if TYPE_CHECKING:
    from tests.client.conftest import Clock
    from tests.client.lab_server import LabServer


def test_a_job_is_made_with_what_was_asked(client: Client, lab: "LabServer") -> None:
    """add() sends exactly what was given and returns the job that the lab made."""
    job = client.jobs.add("/opt/p", benchmarks=["nbody", "-chaos"], mode="fast", reason="why not")
    assert lab.seen[-1].body == {
        "python": "/opt/p",
        "benchmarks": ["nbody", "-chaos"],
        "mode": "fast",
        "run": True,
        "reason": "why not",
    }
    assert (job.id, job.status, job.spec.python) == (1, "queued", "/opt/p")


def test_times_are_aware(client: Client, lab: "LabServer") -> None:
    """Times of a job are moments in UTC, to the millisecond."""
    job = client.jobs.get(lab.add_job())
    assert job.created is not None and job.created.isoformat() == "2025-11-22T10:53:00.123000+00:00"
    assert job.started is None


def test_unknown_fields_are_ignored_and_kept(client: Client, lab: "LabServer") -> None:
    """A newer lab's fields do not break the client; they are in `document` alone."""
    job = client.jobs.get(lab.add_job())
    assert job.document["mood"] == {"of": "tomorrow"}
    assert "mood" not in msgspec.to_builtins(job)


def test_the_client_is_no_part_of_a_job(connect: Callable[..., Client], lab: "LabServer") -> None:
    """Jobs of two clients that say the same are equal, and neither repr nor JSON shows the client."""
    number = lab.add_job()
    one, two = connect().jobs.get(number), connect().jobs.get(number)
    assert one == two and hash(one) == hash(two)
    assert "link" not in repr(one) and b"link" not in msgspec.json.encode(one)


def test_a_job_made_by_hand_has_no_lab() -> None:
    """Asking a job that no client made is an error that says so."""
    with pytest.raises(ClientError, match="this Job did not come from a Client"):
        Job(id=1, status="queued").refresh()


def test_list_fetches_page_after_page(client: Client, lab: "LabServer") -> None:
    """list() goes through all pages, newest first, and asks for the next only when it is needed."""
    lab.page = 2
    for _ in range(5):
        lab.add_job()
    pages = client.jobs.list()
    assert [next(pages).id, next(pages).id] == [5, 4]
    assert len(lab.seen) == 1
    assert [job.id for job in pages] == [3, 2, 1]
    assert len(lab.seen) == 3 and pages.next is None


def test_list_stops_at_the_limit(client: Client, lab: "LabServer") -> None:
    """With a limit no more is asked for, and `next` is where to go on."""
    for _ in range(5):
        lab.add_job()
    pages = client.jobs.list(limit=3)
    assert [job.id for job in pages] == [5, 4, 3]
    assert [job.id for job in client.jobs.list(cursor=pages.next)] == [2, 1]


def test_list_hands_filters_on(client: Client, lab: "LabServer") -> None:
    """Filters that are given go to the lab, the others do not."""
    lab.add_job(status="failed")
    lab.add_job(status="lost")
    lab.add_job()
    assert [job.id for job in client.jobs.list(status=["failed", "lost"])] == [2, 1]
    assert set(lab.seen[-1].query) == {"status", "limit"}


def test_a_lab_that_pages_in_a_circle_is_noticed(client: Client, lab: "LabServer", server_module: ModuleType) -> None:
    """The same cursor twice ends the list with an error instead of never."""
    page = {"items": [], "next": "1"}
    lab.canned = [server_module.as_json(page), server_module.as_json(page)]
    with pytest.raises(ServerError, match="in a circle"):
        list(client.jobs.list())


def test_current_jobs(client: Client, lab: "LabServer") -> None:
    """`current` lists the jobs that the lab is busy with."""
    lab.add_job()
    lab.add_job(status="running")
    assert [job.id for job in client.jobs.current] == [2]


def test_wait_returns_the_ended_job(
    client: Client, lab: "LabServer", clock: "Clock", server_module: ModuleType
) -> None:
    """wait() tells each change once, pausing from 1 s up to 5 s, and returns the job as it ended."""
    same: list[dict[str, object]] = [{} for _ in range(12)]
    number = lab.add_job({}, {}, server_module.running(1, "nbody"), *same, server_module.ended(results=[3]))
    told: list[str] = []
    job = client.jobs.get(number).wait(on_change=lambda job: told.append(job.status))
    assert told == ["queued", "running", "success"]
    assert job.succeeded and job.ended and job.results == (3,)
    assert clock.pauses[0] == 1.0 and max(clock.pauses) == clock.pauses[-1] == 5.0
    assert clock.pauses == sorted(clock.pauses)


def test_wait_gives_up_in_time(client: Client, lab: "LabServer", clock: "Clock") -> None:
    """wait(timeout_s) raises WaitTimeout, a TimeoutError as well, when the time is over and not later."""
    job = client.jobs.get(lab.add_job())
    with pytest.raises(WaitTimeout, match="job 1 has not ended after 10 s") as caught:
        job.wait(timeout_s=10)
    assert isinstance(caught.value, TimeoutError)
    assert clock.now == 10


def test_wait_outlives_a_restart(client: Client, lab: "LabServer", clock: "Clock", server_module: ModuleType) -> None:
    """A lab that is away for a while, longer than the retries of one request, does not end the wait."""
    number = lab.add_job({}, {}, server_module.ended())
    job = client.jobs.get(number)
    watching = job.attach()
    assert next(watching).status == "queued"
    lab.canned = [server_module.Answer(503)] * 9
    assert [job.status for job in watching] == ["success"]


def test_wait_ends_with_its_patience(
    client: Client, lab: "LabServer", clock: "Clock", server_module: ModuleType
) -> None:
    """A lab that stays away ends the wait with Unavailable after some minutes."""
    watching = client.jobs.get(lab.add_job()).attach()
    next(watching)
    lab.canned = [server_module.Answer(503)] * 1000
    with pytest.raises(Unavailable):
        next(watching)
    assert 300 < clock.now < 320


def test_log_is_text(client: Client, lab: "LabServer") -> None:
    """log() yields the text; bytes that are no UTF-8 are replaced."""
    number = lab.add_job()
    lab.logs[number] = "fünf\n".encode() + b"\xff\n"
    assert "".join(client.jobs.get(number).log()) == "fünf\n\ufffd\n"


def test_a_broken_log_is_taken_up_again(client: Client, lab: "LabServer", server_module: ModuleType) -> None:
    """A followed log whose connection breaks goes on where it was, saying nothing twice."""
    number = lab.add_job(server_module.ended())
    job = client.jobs.get(number)
    lab.logs[number] = b"one\ntwo\nthree\n"
    lab.canned = [server_module.Answer(200, b"one\ntw", "text/plain", cut=True)]
    assert "".join(job.log(follow=True)) == "one\ntwo\nthree\n"
    assert lab.seen[-1].query == {"follow": ["1"]}


def test_a_log_that_breaks_for_good_is_an_error(client: Client, lab: "LabServer", server_module: ModuleType) -> None:
    """After the job's end a broken log is tried once more only."""
    number = lab.add_job(server_module.ended())
    job = client.jobs.get(number)
    cut = server_module.Answer(200, b"one", "text/plain", cut=True)
    real = server_module.as_json(lab.jobs[number])
    lab.canned = [cut, real, cut]
    with pytest.raises(Unavailable, match="broke the connection"):
        "".join(job.log(follow=True))


def test_run_and_cancel(client: Client, lab: "LabServer") -> None:
    """run() queues a job that was not, cancel() ends it; each returns the job as it is then."""
    job = client.jobs.get(lab.add_job(status="created"))
    assert job.run().status == "queued"
    assert job.cancel().status == "canceled"
    with pytest.raises(Conflict, match="job 1 has ended: canceled"):
        job.run()


def test_a_missing_job_is_not_found(client: Client) -> None:
    """get() of a number that no job has raises NotFound with the lab's own words."""
    with pytest.raises(NotFound, match=r"^job 99 does not exist$") as caught:
        client.jobs.get(99)
    assert caught.value.status == 404


def test_a_refused_field_is_named(client: Client, lab: "LabServer") -> None:
    """What the lab refuses raises Invalid with the field and the lab's words, and is asked once only."""
    with pytest.raises(Invalid, match="did you mean 'nbody'") as caught:
        client.jobs.add("/opt/p", benchmarks=["nbdoy"])
    assert caught.value.field == "benchmarks"
    assert len(lab.seen) == 1
