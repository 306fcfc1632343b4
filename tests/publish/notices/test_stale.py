"""Lanes in which nothing happens any more, by a clock that stands where the test wants it."""

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa
from measuredlab import MeasuredLab, around

from benchyard.cli.job import FIELDS, list_jobs
from benchyard.cli.listing import Listing
from benchyard.publish.notices.stale import (
    BranchLane,
    ScheduleLane,
    TargetLane,
    View,
    stale_branches,
    stale_schedules,
    stale_targets,
)
from benchyard.publish.notices.words import moment
from benchyard.store import attempts, hosts, jobs, notices, queues, results, trashed, users

HOUR = 3600.0
LANES = (TargetLane("linux", ("bench", "spare")),)
NIGHTLY = (ScheduleLane("nightly", "30 2 * * *", ("linux",)),)


def view(now: float, **connected: bool) -> View:
    return View(now=now, stale_s=12 * HOUR, connected=connected, link="http://lab.example/")


@pytest.fixture(autouse=True)
def _admin(conn: sa.Connection) -> None:
    users.create_user(conn, now=1.0, who="x", name="max", password_hash=None, role="admin")


def at(day: int, hour: int, minute: int = 0) -> float:
    """A time by the master's own clock."""
    return datetime(2026, 11, day, hour, minute).timestamp()


def test_a_queue_that_moves(conn: sa.Connection, lab: MeasuredLab) -> None:
    """Nothing waits, nothing has waited for long, or a job is measured: nothing is stale."""
    assert stale_targets(conn, LANES, view(100 * HOUR)) == []
    job = lab.job(conn, now=0.0)
    assert stale_targets(conn, LANES, view(12 * HOUR)) == []
    jobs.enable_job(conn, job.id, False, now=0.0, who="ada")
    assert stale_targets(conn, LANES, view(100 * HOUR)) == []
    running = lab.job(conn, now=0.0)
    lab.job(conn, now=0.0)
    attempts.new_attempt(conn, running.id, now=1.0)
    attempts.place_attempt(conn, running.id, 1, host="bench", now=1.0)
    jobs.set_status(conn, running.id, "running", now=1.0, who="lab")
    assert stale_targets(conn, LANES, view(100 * HOUR)) == []


def test_a_queue_that_stands(conn: sa.Connection, lab: MeasuredLab) -> None:
    """The admins are told how many wait, since when, and what its hosts do; the same stretch has one key."""
    lab.measured(conn, {"a": around(1.0)}, now=0.0)
    lab.job(conn, now=HOUR)
    lab.job(conn, now=2 * HOUR)
    hosts.ensure_host(conn, "bench", now=1.0, who="lab")
    hosts.enable_host(conn, "bench", False, now=2.0, who="max", reason="new fan")
    (notice,) = stale_targets(conn, LANES, view(14 * HOUR, spare=False))
    assert notice.subject == "linux: 2 jobs wait, and nothing has begun for 13 h"
    assert (notice.kind, notice.target, notice.users) == ("lane_stale", "linux", ("max",))
    assert "host bench: not connected, disabled by max: new fan\nhost spare: not connected\n" in notice.body
    (later,) = stale_targets(conn, LANES, view(40 * HOUR, spare=True))
    assert later.key == notice.key
    assert "nothing has begun for 39 h" in later.subject and "host spare: connected\n" in later.body


def test_the_next_stretch(conn: sa.Connection, lab: MeasuredLab) -> None:
    """Once something has begun, silence is counted anew."""
    lab.job(conn, now=0.0)
    (first,) = stale_targets(conn, LANES, view(13 * HOUR))
    lab.measured(conn, {"a": around(1.0)}, now=13 * HOUR)
    assert stale_targets(conn, LANES, view(20 * HOUR)) == []
    (second,) = stale_targets(conn, LANES, view(26 * HOUR))
    assert first.key != second.key


def test_a_pause_that_lasts(conn: sa.Connection, lab: MeasuredLab) -> None:
    """It is told with who has paused it and why; after its end the jobs have their time again."""
    lab.job(conn, now=0.0)
    queues.pause(conn, "linux", now=HOUR, who="max", reason="new kernel")
    (notice,) = stale_targets(conn, LANES, view(14 * HOUR))
    assert notice.subject.endswith("nothing has begun for 14 h, as the queue is paused")
    assert "by max: new kernel.\nTo let it go on: benchyard queue unpause linux\n" in notice.body
    queues.unpause(conn, "linux", now=15 * HOUR, who="max")
    assert stale_targets(conn, LANES, view(16 * HOUR)) == []
    (after,) = stale_targets(conn, LANES, view(28 * HOUR))
    assert after.key != notice.key


def test_a_schedule_without_results(conn: sa.Connection, lab: MeasuredLab) -> None:
    """What was due and long over without a result is told, with what became of its job, once until the next result."""
    how: dict[str, Any] = {"origin": "nightly", "reason": "schedule nightly", "owner": "lab"}
    assert stale_schedules(conn, NIGHTLY, view(at(10, 12))) == []  # the lab has it since now
    good = lab.measured(conn, {"a": around(1.0)}, now=at(11, 2, 30), **how)
    assert stale_schedules(conn, NIGHTLY, view(at(11, 23))) == []
    failed = lab.job(conn, now=at(12, 2, 30), **how)
    jobs.set_status(conn, failed.id, "failed", now=at(12, 2, 40), who="lab", error="make failed")
    assert stale_schedules(conn, NIGHTLY, view(at(12, 14, 29))) == []
    (notice,) = stale_schedules(conn, NIGHTLY, view(at(12, 14, 31)))
    assert notice.subject.startswith("schedule nightly on linux: no result since 2026-11-11 ")
    assert f"Its last job is {failed.id}: failed: make failed\n" in notice.body
    assert notice.data["job"] == failed.id
    (third,) = stale_schedules(conn, NIGHTLY, view(at(13, 15)))
    assert (third.key, "No job was made at that time." in third.body) == (notice.key, True)
    lab.measured(conn, {"a": around(1.0)}, now=at(14, 2, 30), **how)
    assert stale_schedules(conn, NIGHTLY, view(at(14, 23))) == []
    (fourth,) = stale_schedules(conn, NIGHTLY, view(at(16, 23)))
    assert fourth.key != notice.key
    assert good.id


def test_a_new_schedule(conn: sa.Connection) -> None:
    """What was due before the lab had it was not missed; the first time that is, is told."""
    assert stale_schedules(conn, NIGHTLY, view(at(10, 20))) == []
    assert notices.find_watch(conn, "schedule:nightly:linux") is not None
    assert stale_schedules(conn, NIGHTLY, view(at(11, 14))) == []
    (notice,) = stale_schedules(conn, NIGHTLY, view(at(11, 15)))
    assert "No job was made at that time." in notice.body


@pytest.fixture(params=["UTC", "Asia/Tokyo"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The master's time zone."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def test_an_hourly_schedule(conn: sa.Connection, lab: MeasuredLab, zone: str) -> None:
    """Where less lies between two of its times than half the hours of stale lanes, twice that is waited, anywhere."""
    hourly = (ScheduleLane("often", "0 * * * *", ("linux",)),)
    assert stale_schedules(conn, hourly, view(at(3, 0, 30))) == []
    assert stale_schedules(conn, hourly, view(at(3, 2, 10))) == []  # the first run may take more than an hour
    lab.measured(conn, {"a": around(1.0)}, now=at(3, 1), origin="nightly", reason="schedule often")
    assert stale_schedules(conn, hourly, view(at(3, 3, 59))) == []
    (notice,) = stale_schedules(conn, hourly, view(at(3, 4, 1)))
    assert f"one was due at {moment(at(3, 2))}." in notice.body


@pytest.mark.parametrize("cron", ["0 2,3 * * *", "*/5 2 * * *", "0,30 2 * * 2"])
def test_times_that_are_near_one_another(conn: sa.Connection, lab: MeasuredLab, cron: str) -> None:
    """How near its times of one night are does not matter: the longest time between two of its times counts."""
    nightly = (ScheduleLane("pairs", cron, ("linux",)),)
    assert stale_schedules(conn, nightly, view(at(2, 23))) == []
    for minutes in range(0, 12 * 60, 20):
        assert stale_schedules(conn, nightly, view(at(3, 2) + 60.0 * minutes)) == []
    (notice,) = stale_schedules(conn, nightly, view(at(3, 16)))
    assert "one was due at" in notice.body


def test_a_branch(conn: sa.Connection, lab: MeasuredLab) -> None:
    """Of a poller's branch: nothing new in twice the expected time is told, once; a new result begins anew."""
    lanes = (BranchLane("linux", "main", "polled", 24 * HOUR), BranchLane("linux", "3.14", "polled", 1000 * HOUR))
    begun = at(3, 0)
    assert stale_branches(conn, lanes, view(begun)) == []
    assert stale_branches(conn, lanes, view(begun + 48 * HOUR)) == []
    (notice,) = stale_branches(conn, lanes, view(begun + 49 * HOUR))
    assert notice.subject == "branch main on linux: nothing new was stored for 2 days"
    assert "There was never a result of it." in notice.body
    assert "a result is expected every 24 h" in notice.body
    assert (notice.kind, notice.users, notice.data["branch"]) == ("lane_stale", ("max",), "main")
    (again,) = stale_branches(conn, lanes, view(begun + 60 * HOUR))
    assert again.key == notice.key
    lab.measured(conn, {"a": around(1.0)}, now=begun + 61 * HOUR, branch="3.14")
    assert stale_branches(conn, lanes, view(begun + 62 * HOUR)) != []
    lab.measured(conn, {"a": around(1.0)}, now=begun + 63 * HOUR, branch="main")
    assert stale_branches(conn, lanes, view(begun + 64 * HOUR)) == []
    (later,) = stale_branches(conn, lanes, view(begun + 120 * HOUR))
    assert later.key != notice.key
    assert "The last one is of" in later.body


def test_jobs_of_a_branch(conn: sa.Connection, lab: MeasuredLab) -> None:
    """The command in the notice shows the poller's jobs, those that failed as well, and why."""
    lanes = (BranchLane("linux", "main", "polled", 24 * HOUR),)
    assert stale_branches(conn, lanes, view(at(3, 0))) == []
    failed = lab.job(conn, now=at(4, 0), owner="lab", origin="poll", reason="new on main")
    jobs.set_status(conn, failed.id, "failed", now=at(4, 1), who="lab", error="make failed")
    lab.job(conn, now=at(4, 0))
    (notice,) = stale_branches(conn, lanes, view(at(6, 0)))
    (command,) = [line for line in notice.body.splitlines() if line.startswith("Its jobs: benchyard job list ")]
    asked = list_jobs.make_context("list", command.split(" list ")[1].split()).params
    shown = Listing(None, None, None, asked["columns"], False).chosen(FIELDS)
    assert {"status", "reason", "error"} <= {field.name for field in shown}
    by = {"target": asked["target"], "owner": asked["user"], "branch": asked["branch"]}
    assert [job.id for job in jobs.list_jobs(conn, **by)] == [failed.id]


def test_a_branch_by_what_counts(conn: sa.Connection, lab: MeasuredLab) -> None:
    """An old result that is imported does not make a branch stale, nor is its silence told anew by one; what is in the
    trash, disabled or has no values is nothing new.
    """
    lanes = (BranchLane("linux", "main", "polled", 24 * HOUR),)
    begun = at(3, 0)
    assert stale_branches(conn, lanes, view(begun)) == []
    good = lab.measured(conn, {"a": around(1.0)}, now=begun + 60 * HOUR)
    lab.measured(conn, {"a": around(1.0)}, now=begun - 9000 * HOUR)  # as imported files are, later and of before
    assert stale_branches(conn, lanes, view(begun + 61 * HOUR)) == []
    (notice,) = stale_branches(conn, lanes, view(begun + 120 * HOUR))
    assert notice.data["since"] == good.created
    others = [
        lab.measured(conn, {"a": around(1.0)}, now=begun + 119 * HOUR, **given)
        for given in ({}, {}, {"kind": "profile"})
    ]
    trashed.trash_result(conn, others[0].id, now=begun + 119 * HOUR, who="max")
    results.enable_result(conn, others[1].id, False, now=begun + 119 * HOUR, who="max")
    (again,) = stale_branches(conn, lanes, view(begun + 121 * HOUR))
    assert again.key == notice.key
