"""`benchyard queue`."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Run
    from tests.client.lab_server import LabServer


def test_queues_are_listed(run: "Run", lab: "LabServer") -> None:
    """`queue list` shows the state of each queue and its jobs, the next one first; --json is the lab's."""
    lab.add_job()
    lab.add_job()
    ran = run("queue", "list")
    assert [line.split() for line in ran.out.splitlines()] == [
        ["TARGET", "STATE", "LENGTH", "JOBS"],
        ["linux-x86_64", "open", "2", "1", "2"],
    ]
    assert run("queue", "list", "--json").json == {"items": [lab.queue_now()], "next": None}


@pytest.mark.parametrize("target", [[], ["linux-x86_64"]])
def test_a_queue_is_shown(run: "Run", lab: "LabServer", target: list[str]) -> None:
    """`queue get` shows each job's place and why it waits; the target of a lab with one need not be named."""
    for _ in range(3):
        lab.add_job()
    lines = run("queue", "get", *target).out.splitlines()
    assert lines[0] == "queue linux-x86_64: 3 jobs"
    assert lines[2].split() == ["POSITION", "JOB", "STATUS", "OWNER", "REASON", "STARTS", "WHY"]
    assert lines[3].split() == ["1", "1", "queued", "admin", "2025-11-22", "or", "later", "waits"]
    assert lines[4].split() == ["2", "2", "queued", "admin", "waits"]
    part = run("queue", "get", *target, "--limit", "2", "--json").json
    assert [place["job"] for place in part["jobs"]] == [1, 2] and part["length"] == 3 and part["next"] == "2"


def test_jobs_come_and_go(run: "Run", lab: "LabServer") -> None:
    """`queue push`, `pop` and `remove` say where the job is now; --json prints what was changed."""
    lab.add_job()
    lab.add_job(status="created")
    assert run("queue", "push", "2").out == "job 2: number 2 of 2 in the queue of linux-x86_64\n"
    assert run("queue", "pop").out == "job 1: off the queue; put it back with `benchyard queue push 1`\n"
    removed = run("queue", "remove", "last", "--json").json
    assert removed["jobs"] == [] and lab.jobs[2]["status"] == "created"
    assert run("queue", "pop").err == "benchyard: the queue is empty\n"


@pytest.mark.parametrize(
    ("job", "to", "order"),
    [
        ("1", "3", [2, 3, 1, 4]),
        ("1", "+2", [2, 3, 1, 4]),
        ("3", "-1", [1, 3, 2, 4]),
        ("last", "-2", [1, 4, 2, 3]),
        ("3", "first", [3, 1, 2, 4]),
        ("2", "last", [1, 3, 4, 2]),
    ],
)
def test_jobs_are_moved(run: "Run", lab: "LabServer", job: str, to: str, order: list[int]) -> None:
    """`queue move` takes positions, steps later and earlier, first and last; -1 is no option."""
    for _ in range(4):
        lab.add_job()
    ran = run("queue", "move", job, to)
    assert ran.status == 0, ran.err
    assert lab.queued() == order
    place = order.index(4 if job == "last" else int(job)) + 1
    assert f"number {place} of 4 in the queue of linux-x86_64" in ran.out
    assert run("queue", "move", "--json", job, "--", "1").json["version"] == lab.version


@pytest.mark.parametrize("to", ["0", "-0", "+", "1.5", "--jsn", "-x", "middle", "9" * 20])
def test_what_is_no_place(run: "Run", lab: "LabServer", to: str) -> None:
    """What cannot be a place, a misspelt option among it, is wrong usage; the lab is not asked."""
    ran = run("queue", "move", "1", to)
    assert ran.status == 2 and "is no place in a queue" in ran.err and not lab.seen


def test_a_move_can_expect_a_version(run: "Run", lab: "LabServer") -> None:
    """--if-version moves only in the order that was seen, else it is one line, exit status 1."""
    lab.add_job()
    lab.add_job()
    version = run("queue", "get", "--json").json["version"]
    assert run("queue", "move", "2", "first", "--if-version", str(version)).status == 0
    ran = run("queue", "move", "2", "last", "--if-version", str(version))
    assert (ran.status, ran.err) == (1, "benchyard: it has changed since you read it\n")


def test_a_queue_is_paused(run: "Run", lab: "LabServer") -> None:
    """`queue pause` and `unpause` show the queue as it is then; pausing twice is an error."""
    paused = run("queue", "pause", "--reason", "too warm").out
    assert paused.startswith("queue linux-x86_64: 0 jobs, paused by anna since ") and paused.endswith(": too warm\n")
    assert run("queue", "pause").err == "benchyard: the queue is paused already\n"
    assert "paused" in run("queue", "list").out
    assert run("queue", "unpause", "linux-x86_64", "--json").json["paused"] is False
    assert run("queue", "pause", "vax").err == "benchyard: there is no target 'vax'\n"
    at_once = run("queue", "pause", "--now")
    assert at_once.status == 2 and "job cancel current" in at_once.err
