"""`benchyard queue`: what waits for each target, in which order, and whether it may start."""

import re
from typing import TYPE_CHECKING

import click

from benchyard.cli.format import counted, local_time
from benchyard.cli.listing import Field, Listing, list_options
from benchyard.cli.options import connect, find_job, job_argument, lab_options, target_argument

if TYPE_CHECKING:
    from benchyard.client import Client, Job, Queue, QueuedJob, TargetQueue

PLACE = re.compile(r"[1-9][0-9]{0,8}|[+-][1-9][0-9]{0,8}|first|last")


@click.group("queue")
def queues() -> None:
    """Show and change what waits for each target. A JOB is named by its number, `current` or `last`.

    A TARGET may be left out in a lab that has one only.
    """


@queues.command("list")
@list_options
def list_queues(how: Listing) -> None:
    """List the queues, the next job of each first.

    Example: benchyard queue list
    """
    with how.connect() as client:
        how.show(client.queues.list(limit=how.limit, cursor=how.cursor), QUEUE_FIELDS, empty="no queues")


@queues.command("get")
@target_argument
@list_options
def get_queue(target: str | None, how: Listing) -> None:
    """Show the jobs of a queue in their order, and why each is not running.

    Example: benchyard queue get linux-x86_64 --limit 5
    """
    from benchyard.cli.output import print_json

    with how.connect() as client:
        columns = how.chosen(PLACE_FIELDS)
        handle = _queue(client, target)
        queue, pages = handle.get(), handle.list(limit=how.limit, cursor=how.cursor)
        listed = list(pages)
    if how.as_json:
        print_json({**queue.document, "jobs": [found.document for found in listed], "next": pages.next})
        return
    click.echo(_head(queue))
    if listed:
        click.echo()
        how.print_table(listed, columns, empty="")
    if pages.next:
        click.echo(f"(the first {len(listed)}; more with --limit N or --all)", err=True)


@queues.command("push")
@job_argument
@lab_options
def push_job(job: str | int, url: str | None, as_json: bool) -> None:
    """Put a job that is not queued at the end of its target's queue.

    Example: benchyard queue push 7
    """
    with connect(url) as client:
        found = find_job(client, job)
        queue = _queue(client, found.target).push(found)
    _say_place(found, queue, as_json)


@queues.command("pop")
@target_argument
@lab_options
def pop_job(target: str | None, url: str | None, as_json: bool) -> None:
    """Take the first job off a queue; its status is `created` again.

    Example: benchyard queue pop linux-x86_64
    """
    from benchyard.cli.output import say

    with connect(url) as client:
        job = _queue(client, target).pop()
    say(f"job {job.id}: off the queue; put it back with `benchyard queue push {job.id}`", job.document, as_json)


def _place(value: str) -> str:
    if not PLACE.fullmatch(value):
        raise click.BadParameter(f"{value!r} is no place in a queue; say 3, +2 (later), -1 (earlier), first or last")
    return value


# "-1" would be taken for an option; what is no option of this command reaches TO, where it is looked at.
@queues.command("move", context_settings={"ignore_unknown_options": True})
@job_argument
@click.argument("to", metavar="TO", type=_place)
@click.option("--if-version", metavar="N", type=click.IntRange(0), help="Only if the queue is as `queue get` saw it.")
@lab_options
def move_job(job: str | int, to: str, if_version: int | None, url: str | None, as_json: bool) -> None:
    """Move a job within its queue: TO is a position (1 is next), +N (later), -N (earlier), first or last.

    Example: benchyard queue move 7 -1
    """
    with connect(url) as client:
        found = find_job(client, job)
        queue = _queue(client, found.target).move(found, to, version=if_version)
    _say_place(found, queue, as_json)


@queues.command("remove")
@job_argument
@lab_options
def remove_job(job: str | int, url: str | None, as_json: bool) -> None:
    """Take a job off its queue; its status is `created` again, nothing of it is lost.

    Example: benchyard queue remove 7
    """
    from benchyard.cli.output import say

    with connect(url) as client:
        found = find_job(client, job)
        queue = _queue(client, found.target).remove(found)
    put_back = f"put it back with `benchyard queue push {found.id}`"
    say(f"job {found.id}: off the queue of {queue.target}; {put_back}", queue.document, as_json)


@queues.command("pause")
@target_argument
@click.option("--reason", metavar="TEXT", help="Why, for those who see the queue.")
@click.option("--now", is_flag=True, help="Refused: to end what runs, use `benchyard job cancel current`.")
@lab_options
def pause_queue(target: str | None, reason: str | None, now: bool, url: str | None, as_json: bool) -> None:
    """Let no more jobs of a queue start; the running one ends.

    Example: benchyard queue pause linux-x86_64 --reason "the room is too warm"
    """
    from benchyard.cli.output import say

    if now:
        raise click.UsageError(
            "a pause lets the measurement that runs come to its end; to end it at once: `benchyard job cancel current`"
        )
    with connect(url) as client:
        queue = _queue(client, target).pause(reason)
    say(_head(queue), queue.document, as_json)


@queues.command("unpause")
@target_argument
@lab_options
def unpause_queue(target: str | None, url: str | None, as_json: bool) -> None:
    """Let jobs of a queue start again.

    Example: benchyard queue unpause linux-x86_64
    """
    from benchyard.cli.output import say

    with connect(url) as client:
        queue = _queue(client, target).unpause()
    say(_head(queue), queue.document, as_json)


def _queue(client: "Client", target: str | None) -> "TargetQueue":
    return client.queue if target is None else client.queue[target]


def _head(queue: "Queue") -> str:
    from benchyard.cli.format import clean

    text = f"queue {queue.target}: {counted(queue.length, 'job')}"
    if queue.paused:
        since = f" since {local_time(queue.paused_at)}" if queue.paused_at else ""
        text += f", paused by {queue.paused_by}{since}" + (f": {queue.reason}" if queue.reason else "")
    return clean(text)


def _say_place(job: "Job", queue: "Queue", as_json: bool) -> None:
    from benchyard.cli.output import say

    place = next((each.position for each in queue.jobs if each.job == job.id), None)
    position = f"number {place} of {queue.length}" if place else "queued"
    paused = ", which is paused" if queue.paused else ""
    say(f"job {job.id}: {position} in the queue of {queue.target}{paused}", queue.document, as_json)


def _starts(place: "QueuedJob") -> str:
    """When it may be expected to start: "11:03 to 11:20", or "11:03 or later"."""
    if place.expected is None:
        return ""
    earliest = local_time(place.expected.earliest)
    latest = local_time(place.expected.latest)
    if not latest:
        return f"{earliest} or later"
    return earliest if latest == earliest else f"{earliest} to {latest}"


QUEUE_FIELDS: "tuple[Field[Queue], ...]" = (
    Field("target", lambda queue: queue.target),
    Field("state", lambda queue: "paused" if queue.paused else "open"),
    Field("length", lambda queue: str(queue.length), right=True),
    Field("jobs", lambda queue: " ".join(str(each.job) for each in queue.jobs), flexible=True),
    Field("reason", lambda queue: queue.reason, flexible=True, extra=True),
    Field("by", lambda queue: queue.paused_by, extra=True),
    Field("since", lambda queue: local_time(queue.paused_at), extra=True),
    Field("version", lambda queue: str(queue.version), right=True, extra=True),
)

PLACE_FIELDS: "tuple[Field[QueuedJob], ...]" = (
    Field("position", lambda place: str(place.position), right=True),
    Field("job", lambda place: str(place.job), right=True),
    Field("status", lambda place: place.status),
    Field("owner", lambda place: place.owner, rank=2),
    Field("reason", lambda place: place.reason, flexible=True, rank=1),
    Field("starts", lambda place: _starts(place), rank=3),
    Field("why", lambda place: place.why, flexible=True),
)
