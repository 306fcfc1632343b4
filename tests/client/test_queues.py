"""Queues through the real client."""

from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from benchyard.client import Client, ClientError, Conflict, Invalid, NotFound, Stale

if TYPE_CHECKING:
    from tests.client.lab_server import LabServer


def order(client: Client) -> list[int]:
    return [place.job for place in client.queue]


def test_the_only_target_needs_no_name(client: Client, lab: "LabServer") -> None:
    """`client.queue` is the queue of the only target, and the same as the one that is named."""
    lab.add_job()
    assert client.queue.get() == client.queue["linux-x86_64"].get() == client.queues.get("linux-x86_64")
    assert client.queue.target == "linux-x86_64" and client.queue.get().length == 1


def test_several_targets_are_named(client: Client, lab: "LabServer", server_module: ModuleType) -> None:
    """In a lab with several targets `client.queue` says which there are."""
    queues = [{"target": name} for name in ("macos-arm64", "linux-x86_64")]
    lab.canned = [server_module.as_json({"items": queues, "next": None})]
    with pytest.raises(ClientError, match=r"2 targets \(linux-x86_64, macos-arm64\); name one: client.queue\["):
        client.queue.pause()


def test_a_queue_iterates_page_by_page(client: Client, lab: "LabServer") -> None:
    """Iterating gives every place in order, whatever the size of a page."""
    lab.page = 2
    for _ in range(5):
        lab.add_job()
    assert [(place.position, place.job) for place in client.queue] == [(n, n) for n in range(1, 6)]
    assert [place.job for place in client.queue.list(limit=3)] == [1, 2, 3]
    assert next(client.queue.list()).why == "waits"


def test_jobs_are_pushed_popped_and_removed(client: Client, lab: "LabServer") -> None:
    """push() puts at the end, pop() returns the first job, remove() takes any; by job or by number."""
    job = client.jobs.get(lab.add_job(status="created"))
    lab.add_job()
    assert [place.job for place in client.queue.push(job).jobs] == [2, 1]
    popped = client.queue.pop()
    assert (popped.id, popped.status) == (2, "created")
    assert client.queue.remove(1).jobs == ()
    with pytest.raises(Conflict, match="job 1 is not in the queue"):
        client.queue.remove(job)
    with pytest.raises(Conflict, match="empty"):
        client.queue.pop()


def test_jobs_are_moved(client: Client, lab: "LabServer") -> None:
    """move() takes positions as numbers or text, steps later and earlier, first and last."""
    for _ in range(4):
        lab.add_job()
    for job, to, after in (
        (1, 3, [2, 3, 1, 4]),
        (2, "+2", [3, 1, 2, 4]),
        (4, "-1", [3, 1, 4, 2]),
        (2, "first", [2, 3, 1, 4]),
        (2, "last", [3, 1, 4, 2]),
        (2, "1", [2, 3, 1, 4]),
    ):
        client.queue.move(job, to)
        assert order(client) == after
    with pytest.raises(Invalid, match="no position 9") as caught:
        client.queue.move(1, 9)
    assert caught.value.field == "to"


@pytest.mark.parametrize("to", [0, -1])
def test_a_number_is_a_position(client: Client, lab: "LabServer", to: int) -> None:
    """A number that is no position is refused, as it could mean a step or the end; the lab is not asked."""
    with pytest.raises(Invalid, match="positions begin at 1"):
        client.queue["linux-x86_64"].move(1, to)
    assert not lab.seen


def test_a_move_can_expect_a_version(client: Client, lab: "LabServer") -> None:
    """With a version a move is made only in the order that it was meant for."""
    for _ in range(3):
        lab.add_job()
    seen = client.queue.get()
    client.queue.move(3, "first", version=seen.version)
    assert order(client) == [3, 1, 2]
    with pytest.raises(Stale):
        client.queue.move(3, "last", version=seen.version)
    assert order(client) == [3, 1, 2]


def test_a_queue_is_paused_once(client: Client) -> None:
    """pause() keeps who and why; pausing twice is a conflict; unpause() ends it."""
    paused = client.queue.pause("too warm")
    assert (paused.paused, paused.paused_by, paused.reason) == (True, "anna", "too warm")
    with pytest.raises(Conflict, match="paused already"):
        client.queue.pause()
    assert not client.queue.unpause().paused


def test_a_missing_target_is_not_found(client: Client) -> None:
    """A target that the lab does not have raises NotFound with its name."""
    with pytest.raises(NotFound, match="'vax'"):
        client.queues.get("vax")
