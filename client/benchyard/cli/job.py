"""`benchyard job`: list, watch, make, change, run and cancel jobs."""

from contextlib import nullcontext
from datetime import datetime
from typing import TYPE_CHECKING

import click

from benchyard.cli import complete, jobedit
from benchyard.cli.format import local_time
from benchyard.cli.listing import Field, Listing, list_options, since_option, until_option, whole_list_options
from benchyard.cli.options import connect, find_job, host_option, job_argument, lab_options, target_option

if TYPE_CHECKING:
    from benchyard.cli.output import Cell
    from benchyard.client import Job
    from benchyard.client.jobs import Attempt

STATUS_STYLES = {"running": "cyan", "success": "green", "failed": "red", "lost": "red", "canceled": "yellow"}


@click.group("job")
def jobs() -> None:
    """List, watch, make, change, run and cancel jobs. A JOB is named by its number, `current` or `last`."""


for command in jobedit.COMMANDS:
    jobs.add_command(command)


@jobs.command("list")
@click.option("--status", multiple=True, metavar="STATUS", help="Jobs of this status; may be repeated.")
@click.option("--kind", metavar="KIND", help="Jobs of this kind, like profile.")
@target_option("Jobs of this target.")
@host_option("Jobs for this host, or that were measured there.")
@click.option("--user", "--owner", "user", metavar="USER", shell_complete=complete.users, help="Jobs of this user.")
@click.option("--commit", metavar="COMMIT", help="Jobs with a result of this commit.")
@click.option("--branch", metavar="BRANCH", help="Jobs with a result of this branch.")
@since_option
@until_option
@list_options
def list_jobs(
    status: tuple[str, ...],
    kind: str | None,
    target: str | None,
    host: str | None,
    user: str | None,
    commit: str | None,
    branch: str | None,
    since: datetime | None,
    until: datetime | None,
    how: Listing,
) -> None:
    """List jobs, newest first.

    Example: benchyard job list --status failed,lost --since 2026-11-01 --columns job,owner,reason
    """
    with how.connect() as client:
        filters = {"kind": kind, "target": target, "host": host, "user": user, "commit": commit, "branch": branch}
        pages = client.jobs.list(status=status, **filters, since=since, until=until, limit=how.limit, cursor=how.cursor)
        how.show(pages, FIELDS, empty="no jobs")


@jobs.command("current")
@whole_list_options
def current_jobs(how: Listing) -> None:
    """List the jobs that the lab is busy with.

    Example: benchyard job current
    """
    from benchyard.cli.output import print_json

    chosen = how.chosen(FIELDS)
    with how.connect() as client:
        listed = client.jobs.current
    if how.as_json:
        print_json({"items": [found.document for found in listed], "next": None})
    else:
        how.print_table(listed, chosen, empty="no job is current")


@jobs.command("get")
@job_argument
@lab_options
def get_job(job: str | int, url: str | None, as_json: bool) -> None:
    """Show a job.

    Example: benchyard job get last
    """
    with connect(url) as client:
        found = find_job(client, job)
    _show(found, as_json)


@jobs.command("run")
@job_argument
@lab_options
def run_job(job: str | int, url: str | None, as_json: bool) -> None:
    """Queue a job that was made with --no-run.

    Example: benchyard job run 7
    """
    with connect(url) as client:
        found = find_job(client, job).run()
    _say(found, as_json)


@jobs.command("cancel")
@job_argument
@lab_options
def cancel_job(job: str | int, url: str | None, as_json: bool) -> None:
    """Ask for the end of a job; its run is stopped on its host, and what it has measured is not kept.

    Example: benchyard job cancel current
    """
    with connect(url) as client:
        found = find_job(client, job).cancel()
    if found.ended or as_json:
        _say(found, as_json)
    else:
        at_work = found.status in ("building", "running", "storing") and found.place
        stopping = f"it is being stopped on {found.place}" if at_work else f"it is still {found.status}"
        click.echo(f"job {found.id}: cancel asked for, {stopping}; see the end with `benchyard job wait {found.id}`")


@jobs.command("wait")
@job_argument
@click.option("--timeout", type=click.FloatRange(0), metavar="SECONDS", help="Wait no longer than this.")
@lab_options
def wait_for_job(job: str | int, timeout: float | None, url: str | None, as_json: bool) -> None:
    """Return when a job has ended; the exit status is 1 if it did not end in success.

    Example: benchyard job wait 7 --timeout 3600 && echo measured
    """
    from benchyard.cli.watch import describe, left_running

    with connect(url) as client:
        found = find_job(client, job)
        if found.status == "created":
            click.echo(f"job {found.id}: {describe(found)}", err=True)
        with left_running(found):
            found = found.wait(timeout)
    _say(found, as_json)
    _exit_by(found)


@jobs.command("attach")
@job_argument
@click.option("--timeout", type=click.FloatRange(0), metavar="SECONDS", help="Watch no longer than this.")
@lab_options
def attach_job(job: str | int, timeout: float | None, url: str | None, as_json: bool) -> None:
    """Watch a job up to its end; Ctrl-C leaves it running.

    The exit status is 1 if the job does not end in success.

    Example: benchyard job attach last
    """
    from benchyard.cli.output import print_json
    from benchyard.cli.watch import attach

    with connect(url) as client:
        found = attach(client, find_job(client, job), timeout_s=timeout, err=as_json)
    if as_json:
        print_json(found.document)
    _exit_by(found)


@jobs.command("log")
@job_argument
@click.option("-f", "--follow", is_flag=True, help="Go on as the log is written, up to the job's end.")
@lab_options
def job_log(job: str | int, follow: bool, url: str | None, as_json: bool) -> None:
    """Print the log of a job: what its stages printed. Ctrl-C leaves the job running.

    Example: benchyard job log 7 --follow
    """
    from benchyard.cli.output import print_json
    from benchyard.cli.watch import left_running

    with connect(url) as client:
        found = find_job(client, job)
        pieces = found.log(follow=follow)
        if as_json:
            print_json({"job": found.id, "log": "".join(pieces)})
            return
        empty = True
        with left_running(found) if follow else nullcontext():
            for text in pieces:
                empty = False
                click.echo(text, nl=False)
        if empty:
            yet = "" if found.ended else " yet"
            click.echo(f"job {found.id} is {found.status}; it has no log{yet}", err=True)


def _status(job: "Job") -> "Cell":
    from benchyard.cli.output import Cell

    return Cell(job.status if job.enabled else f"{job.status}, disabled", STATUS_STYLES.get(job.status, ""))


def _what(job: "Job") -> str:
    """What a job measures; of one that looks after a host, its kind."""
    if job.is_maintenance:
        return f"({job.kind}, only shown)" if job.spec.check else f"({job.kind})"
    return ",".join(job.spec.selection) or "default"


def _time(job: "Job") -> str:
    from benchyard.cli.watch import time_of

    return time_of(job)


FIELDS: "tuple[Field[Job], ...]" = (
    Field("job", lambda job: str(job.id), right=True),
    Field("status", _status),
    Field("target", lambda job: job.target, rank=4),
    Field("host", lambda job: job.place, flexible=True, rank=2),
    Field("python", lambda job: job.spec.interpreter, flexible=True, tail=True),
    Field("benchmarks", _what, flexible=True),
    Field("owner", lambda job: job.owner, rank=3),
    Field("created", lambda job: local_time(job.created), rank=1),
    Field("time", _time, right=True),
    Field("kind", lambda job: job.kind, extra=True),
    Field("mode", lambda job: job.spec.mode, extra=True),
    Field("affinity", lambda job: job.spec.affinity, extra=True),
    Field("origin", lambda job: job.origin, extra=True),
    Field("reason", lambda job: job.reason, flexible=True, extra=True),
    Field("results", lambda job: ",".join(map(str, job.results)), extra=True),
    Field("error", lambda job: job.error, flexible=True, extra=True),
    Field("attempts", lambda job: str(len(job.attempts)), right=True, extra=True),
    Field("queued", lambda job: local_time(job.queued), extra=True),
    Field("started", lambda job: local_time(job.started), extra=True),
    Field("finished", lambda job: local_time(job.finished), extra=True),
    Field("changed", lambda job: local_time(job.changed), extra=True),
    Field("by", lambda job: job.changed_by, extra=True),
)


def _say(job: "Job", as_json: bool) -> None:
    from benchyard.cli.output import print_json
    from benchyard.cli.watch import describe

    if as_json:
        print_json(job.document)
    else:
        click.echo(f"job {job.id}: {describe(job)}")


def _show(job: "Job", as_json: bool) -> None:
    from benchyard.cli.output import print_fields, print_json
    from benchyard.cli.watch import describe, time_of

    if as_json:
        print_json(job.document)
        return
    print_fields(
        (
            ("job", job.id),
            ("status", describe(job)),
            ("disabled", None if job.enabled else f"by {job.changed_by}: it keeps its place and does not start"),
            ("kind", job.kind),
            ("target", job.target),
            ("host", job.place),
            ("python", job.spec.interpreter),
            ("benchmarks", ", ".join(job.spec.benchmarks)),
            *(() if job.is_maintenance else _asked_for(job)),
            ("suite", f"{job.spec.suite} {job.spec.suite_version}".strip() or None),
            ("loops of", f"result {job.spec.same_loops}" if job.spec.same_loops is not None else None),
            ("CPUs", job.spec.affinity),
            ("owner", job.owner),
            ("origin", job.origin),
            ("reason", job.reason),
            ("created", local_time(job.created)),
            ("queued", local_time(job.queued)),
            ("started", local_time(job.started)),
            ("finished", local_time(job.finished)),
            ("time", time_of(job)),
            *((f"attempt {tried.number}", _attempt(tried)) for tried in job.attempts),
            ("results", ", ".join(map(str, job.results))),
            *((f"failed {failed.name}", failed.error) for failed in job.failed_benchmarks),
            ("page", job.url),
        )
    )


def _asked_for(job: "Job") -> tuple[tuple[str, str], ...]:
    selection = ", ".join(job.spec.selection) or "the default benchmarks"
    return (("asked for", selection), ("mode", job.spec.mode))


def _attempt(attempt: "Attempt") -> str:
    place = f" on {attempt.host}" if attempt.host else ""
    return f"{attempt.status}{place}" + (f": {attempt.cause}" if attempt.cause else "")


def _exit_by(job: "Job") -> None:
    if not job.succeeded:
        click.get_current_context().exit(1)
