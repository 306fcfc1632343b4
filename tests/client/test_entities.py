"""What all entities share: changing them without overwriting what somebody else has changed."""

from collections.abc import Callable
from datetime import UTC, datetime
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from benchyard.client import Client, Stale

if TYPE_CHECKING:
    from tests.client.lab_server import LabServer


def patches(lab: "LabServer") -> list[str | None]:
    """The If-Match of each PATCH that the lab saw."""
    return [seen.headers.get("if-match") for seen in lab.seen if seen.method == "PATCH"]


def test_a_job_is_changed(client: Client, lab: "LabServer") -> None:
    """modify() sends what was given alone, with the state last seen, and returns the job as it is then."""
    job = client.jobs.get(lab.add_job())
    seen = job.etag
    changed = job.modify(benchmarks=["nbody"], mode="rigorous", affinity=None)
    assert lab.seen[-1].body == {"benchmarks": ["nbody"], "mode": "rigorous", "affinity": None}
    assert changed.spec.selection == ("nbody",) and job.spec.selection == ("nbody", "fannkuch")
    assert patches(lab) == [seen] != [None] and len(lab.seen) == 2
    assert job.etag == changed.etag != seen


def test_own_changes_are_not_somebody_else_s(client: Client, lab: "LabServer") -> None:
    """One entity can be changed again and again, keeping what its methods return or not."""
    job = client.jobs.get(lab.add_job())
    job.disable()
    job.modify(reason="one")
    job.modify(reason="two")
    assert job.enable().reason == "two"
    assert len(patches(lab)) == 2 and len(lab.seen) == 5


def test_another_s_change_is_not_overwritten(client: Client, connect: Callable[..., Client], lab: "LabServer") -> None:
    """modify() raises Stale if the same field was changed since it was seen; after refresh() it goes through."""
    number = lab.add_job(reason="mine")
    job = client.jobs.get(number)
    connect().jobs.get(number).modify(reason="theirs")
    with pytest.raises(Stale, match="reason of this Job was changed meanwhile"):
        job.modify(reason="mine again")
    assert lab.jobs[number]["reason"] == "theirs"
    assert job.refresh().reason == "theirs"
    assert job.modify(reason="mine again").reason == "mine again"


def test_another_change_does_no_harm(client: Client, lab: "LabServer") -> None:
    """A job that has gone on meanwhile can be changed: its progress is not what the change is about."""
    job = client.jobs.get(lab.add_job())
    lab.jobs[1]["status"] = "running"
    changed = job.modify(reason="why not")
    assert (changed.status, changed.reason) == ("running", "why not")
    assert len(patches(lab)) == 2 and None not in patches(lab)


def test_a_change_can_be_forced(client: Client, connect: Callable[..., Client], lab: "LabServer") -> None:
    """With expect=False the change is made whatever the state is, and no state is named."""
    job = client.jobs.get(lab.add_job())
    connect().jobs.get(1).modify(reason="theirs")
    assert job.modify(reason="mine", expect=False).reason == "mine"
    assert patches(lab)[-1] is None


def test_an_entity_of_a_list_is_protected_too(client: Client, connect: Callable[..., Client], lab: "LabServer") -> None:
    """A list tells no etags; modify() of one of its entities still notices another's change."""
    lab.add_job()
    job = next(client.jobs.list())
    assert job.etag is None
    assert job.modify(reason="one").reason == "one"
    other = next(client.jobs.list())
    connect().jobs.get(1).modify(reason="theirs")
    with pytest.raises(Stale):
        other.modify(reason="mine")


def test_a_change_whose_answer_was_lost_is_done(client: Client, lab: "LabServer") -> None:
    """A PATCH that is repeated meets its own change and is taken as done."""
    job = client.jobs.get(lab.add_job())
    lab.lost = 1
    assert job.modify(reason="once").reason == "once"


def test_a_job_that_never_rests_is_given_up(client: Client, lab: "LabServer", server_module: ModuleType) -> None:
    """After three tries a change that always comes too late is a Stale."""
    job = client.jobs.get(lab.add_job())
    refusal = server_module.Answer(412, b'{"detail": "it has changed"}', "application/problem+json")
    present = server_module.as_json(lab.jobs[1], headers={"ETag": '"x"'})
    lab.canned = [refusal, present] * 9
    with pytest.raises(Stale, match="it has changed"):
        job.modify(reason="why")
    assert len(patches(lab)) == 3


def test_collections_iterate(client: Client, lab: "LabServer", server_module: ModuleType) -> None:
    """Iterating over a collection gives all of it, page by page."""
    lab.page = 2
    for _ in range(3):
        lab.add_job()
        lab.add_result()
    lab.hosts["quiet-1"] = server_module.a_host("quiet-1")
    assert [job.id for job in client.jobs] == [result.id for result in client.results] == [3, 2, 1]
    assert [host.name for host in client.hosts] == ["quiet-1"]
    assert [user.name for user in client.users] == ["anna"]


def test_times_of_filters_have_a_zone(client: Client, lab: "LabServer") -> None:
    """A filter takes a datetime and sends it with its zone, or the text that it was given."""
    list(client.jobs.list(since=datetime(2026, 11, 22, tzinfo=UTC), until="2026-11-23T00:00:00Z", commit="1a2b"))
    query = lab.seen[-1].query
    assert datetime.fromisoformat(query["since"][0]) == datetime(2026, 11, 22, tzinfo=UTC)
    assert query["until"] == ["2026-11-23T00:00:00Z"] and query["commit"] == ["1a2b"]
