"""Lanes in which nothing happens any more: a target whose jobs wait, a schedule or a branch that gives no results.

Nobody misses what does not come, so the lab looks by itself. A stretch of silence has one key, and is told once.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
import sqlalchemy as sa
from croniter import croniter

from benchyard.publish.notices.words import Draft, count, draft, moment, stretch
from benchyard.store import hosts, lanes, notices, queues, users

#: Doors by which the jobs of schedules come, and what these give as the reason.
ORIGIN, REASON = "nightly", "schedule {name}"

DAY_S = 86400.0


class TargetLane(msgspec.Struct, frozen=True):
    """A target and its isolated hosts."""

    target: str
    hosts: tuple[str, ...]


class ScheduleLane(msgspec.Struct, frozen=True):
    """A schedule, its cron line in the master's time zone, and its targets."""

    name: str
    cron: str
    targets: tuple[str, ...]


class BranchLane(msgspec.Struct, frozen=True):
    """A branch whose commits a poller brings to a target, with a result each `expected_s` seconds as a rule.

    `fork` is whose it is, None for upstream's.
    """

    target: str
    branch: str
    poller: str
    expected_s: float
    fork: str | None = None


class View(NamedTuple):
    """What it is looked at with: the time, after how long a lane is stale, and which hosts are connected."""

    now: float
    stale_s: float
    connected: Mapping[str, bool]
    link: str


def stale_targets(conn: sa.Connection, found: Sequence[TargetLane], view: View) -> list[Draft]:
    """A notice for each target whose jobs wait while none of them has begun for too long."""
    made = (_stale_target(conn, lane, view) for lane in found)
    return [draft for draft in made if draft is not None]


def _stale_target(conn: sa.Connection, lane: TargetLane, view: View) -> Draft | None:
    waits = lanes.waiting(conn, lane.target)
    if waits is None or lanes.is_measuring(conn, lane.target):
        return None
    begun, unpaused = lanes.last_begun(conn, lane.target), lanes.last_unpaused(conn, lane.target)
    since = max(waits.since, begun or 0.0, unpaused or 0.0)
    if view.now - since <= view.stale_s:
        return None
    queue = queues.get_queue(conn, lane.target)
    jobs, idle = count(waits.jobs, "job"), stretch(view.now - since)
    what = f"{lane.target}: {jobs} wait{'s' if waits.jobs == 1 else ''}, and nothing has begun for {idle}"
    lines = [f"{what}, since {moment(since)}."]
    lines.append(f"The last measurement began {moment(begun)}." if begun else "Nothing was ever measured there.")
    if queue.paused and queue.paused_at is not None:
        why = f": {queue.reason}" if queue.reason else ""
        lines.append(f"The queue is paused since {moment(queue.paused_at)}, by {queue.paused_by}{why}.")
        lines.append(f"To let it go on: benchyard queue unpause {lane.target}")
        what += ", as the queue is paused"
    lines += ["", *_hosts(conn, lane, view)]
    lines += ["", f"Why each waits: benchyard queue get {lane.target}", view.link]
    return draft(
        "lane_stale",
        f"lane_stale:{lane.target}:{int(since)}" + (":paused" if queue.paused else ""),
        what,
        lines,
        time=view.now,
        target=lane.target,
        users=users.admins(conn),
        since=since,
        waiting=waits.jobs,
        paused=queue.paused,
    )


def _hosts(conn: sa.Connection, lane: TargetLane, view: View) -> list[str]:
    if not lane.hosts:
        return ["The target has no isolated host."]
    lines = []
    for name in lane.hosts:
        row = hosts.find_host(conn, name)
        state = "connected" if view.connected.get(name) else "not connected"
        if row is not None and not row.enabled:
            state += f", disabled by {row.changed_by}" + (f": {row.reason}" if row.reason else "")
        lines.append(f"host {name}: {state}")
    return lines


def stale_schedules(conn: sa.Connection, found: Sequence[ScheduleLane], view: View) -> list[Draft]:
    """A notice for each target of a schedule without a result of a time that was due and is long over."""
    made = (_stale_schedule(conn, lane, target, view) for lane in found for target in lane.targets)
    return [draft for draft in made if draft is not None]


def _stale_schedule(conn: sa.Connection, lane: ScheduleLane, target: str, view: View) -> Draft | None:
    # Before the lab had it, it was not due.
    known = notices.watch(conn, f"schedule:{lane.name}:{target}", now=view.now).since
    due = _last_due(lane.cron, view.now - min(view.stale_s, 2.0 * _longest_interval(lane.cron, view.now)))
    if due < known:
        return None
    reason = REASON.format(name=lane.name)
    good = lanes.newest_job(conn, target=target, origin=ORIGIN, reason=reason, status="success")
    last = good.finished if good is not None else None
    if last is not None and last >= due:
        return None
    newest = lanes.newest_job(conn, target=target, origin=ORIGIN, reason=reason)
    what = f"schedule {lane.name} on {target}: no result since {moment(last if last is not None else known)}"
    lines = [f"{what}; one was due at {moment(due)}."]
    if newest is None or newest.created < due:
        lines.append("No job was made at that time.")
    else:
        lines.append(f"Its last job is {newest.id}: {newest.status}" + (f": {newest.error}" if newest.error else ""))
    return draft(
        "lane_stale",
        f"lane_stale:{target}:{lane.name}:{good.id if good is not None else 0}",
        what,
        [*lines, "", view.link],
        time=view.now,
        target=target,
        users=users.admins(conn),
        schedule=lane.name,
        since=last if last is not None else known,
        job=newest.id if newest is not None else None,
    )


def stale_branches(conn: sa.Connection, found: Sequence[BranchLane], view: View) -> list[Draft]:
    """A notice for each branch of which nothing new was stored in twice the time that is expected."""
    made = (_stale_branch(conn, lane, view) for lane in found)
    return [draft for draft in made if draft is not None]


def _stale_branch(conn: sa.Connection, lane: BranchLane, view: View) -> Draft | None:
    # Before the lab had it, nothing was expected.
    known = notices.watch(conn, f"branch:{lane.poller}:{lane.target}:{lane.branch}", now=view.now).since
    last = lanes.newest_stored(conn, target=lane.target, branch=lane.branch, fork=lane.fork)
    since = max(known, last or 0.0)
    if view.now - since <= 2.0 * lane.expected_s:
        return None
    name = lane.branch if lane.fork is None else f"{lane.fork}/{lane.branch}"
    what = f"branch {name} on {lane.target}: nothing new was stored for {stretch(view.now - since)}"
    lines = [
        f"{what}, since {moment(since)}; a result is expected every {stretch(lane.expected_s)}.",
        f"The last one is of {moment(last)}." if last is not None else "There was never a result of it.",
        f"Either no commit comes there, or the poller {lane.poller} does not see it, or its jobs fail.",
        "",
        # By their owner: what fails has no result, and so is of no branch.
        f"Its jobs: benchyard job list --target {lane.target} --user lab --columns job,status,python,reason,error",
        view.link,
    ]
    return draft(
        "lane_stale",
        f"lane_stale:{lane.target}:branch {name}:{int(since)}",
        what,
        lines,
        time=view.now,
        target=lane.target,
        users=users.admins(conn),
        branch=lane.branch,
        poller=lane.poller,
        since=since,
        expected_s=lane.expected_s,
    )


def _longest_interval(cron: str, now: float) -> float:
    """The most seconds between two times of a cron line, from the last one to the first of more than a day ahead.

    The next two alone say little: of 2 and 3 o'clock each night they are an hour apart for an hour.
    """
    longest, last = 0.0, _last_due(cron, now)
    times = croniter(cron, datetime.fromtimestamp(last))
    while last <= now + DAY_S:
        following = times.get_next(datetime).timestamp()
        longest, last = max(longest, following - last), following
    return longest


def _last_due(cron: str, now: float) -> float:
    """The last time of a cron line until `now`, as the master's own clock shows it."""
    due: datetime = croniter(cron, datetime.fromtimestamp(now)).get_prev(datetime)
    return due.timestamp()
