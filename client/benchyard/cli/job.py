"""`benchyard job`: list, watch, run and cancel jobs."""

from typing import TYPE_CHECKING

import click

from benchyard.cli.options import connect, find_job, job_argument, lab_options

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchyard.client import Job
    from benchyard.client.jobs import Attempt

STATUS_STYLES = {"running": "cyan", "success": "green", "failed": "red", "lost": "red", "canceled": "yellow"}


@click.group("job")
def jobs() -> None:
    """List, watch, run and cancel jobs. A JOB is named by its number, `current` or `last`."""


@jobs.command("list")
@click.option("--status", multiple=True, metavar="STATUS", help="Jobs of this status; may be repeated.")
@click.option("--target", metavar="TARGET", help="Jobs of this target.")
@click.option("--owner", metavar="USER", help="Jobs of this user.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many, the newest first.")
@click.option("--all", "everything", is_flag=True, help="All there are.")
@click.option("--cursor", help='Go on after an earlier list, from the "next" of its JSON.')
@lab_options
def list_jobs(
    status: tuple[str, ...],
    target: str | None,
    owner: str | None,
    limit: int,
    everything: bool,
    cursor: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """List jobs, newest first."""
    from benchyard.cli.output import print_json

    with connect(url) as client:
        pages = client.jobs.list(
            status=status, target=target, owner=owner, limit=None if everything else limit, cursor=cursor
        )
        listed = list(pages)
        if as_json:
            print_json({"items": [found.document for found in listed], "next": pages.next})
            return
    _print_jobs(listed, empty="no jobs")
    if pages.next:
        click.echo(f"(the newest {len(listed)}; more with --limit N or --all)", err=True)


@jobs.command("current")
@lab_options
def current_jobs(url: str | None, as_json: bool) -> None:
    """List the jobs that the lab is busy with."""
    from benchyard.cli.output import print_json

    with connect(url) as client:
        listed = client.jobs.current
    if as_json:
        print_json({"items": [found.document for found in listed], "next": None})
    else:
        _print_jobs(listed, empty="no job is current")


@jobs.command("get")
@job_argument
@lab_options
def get_job(job: str | int, url: str | None, as_json: bool) -> None:
    """Show a job."""
    with connect(url) as client:
        found = find_job(client, job)
    _show(found, as_json)


@jobs.command("run")
@job_argument
@lab_options
def run_job(job: str | int, url: str | None, as_json: bool) -> None:
    """Queue a job that was made with --no-run."""
    with connect(url) as client:
        found = find_job(client, job).run()
    _say(found, as_json)


@jobs.command("cancel")
@job_argument
@lab_options
def cancel_job(job: str | int, url: str | None, as_json: bool) -> None:
    """Ask for the end of a job; its run is stopped on its host."""
    with connect(url) as client:
        found = find_job(client, job).cancel()
    if found.ended or as_json:
        _say(found, as_json)
    else:
        click.echo(f"job {found.id}: cancel asked for, now {found.status}")


@jobs.command("wait")
@job_argument
@click.option("--timeout", type=click.FloatRange(0), metavar="SECONDS", help="Wait no longer than this.")
@lab_options
def wait_for_job(job: str | int, timeout: float | None, url: str | None, as_json: bool) -> None:
    """Return when a job has ended; the exit status is 1 if it did not end in success."""
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
    """Print the log of a job."""
    from benchyard.cli.output import print_json

    with connect(url) as client:
        found = find_job(client, job)
        pieces = found.log(follow=follow)
        if as_json:
            print_json({"job": found.id, "log": "".join(pieces)})
            return
        for text in pieces:
            click.echo(text, nl=False)


def _print_jobs(jobs: "Iterable[Job]", *, empty: str) -> None:
    from benchyard.cli.format import local_time
    from benchyard.cli.output import Cell, Column, print_table
    from benchyard.cli.watch import time_of

    columns = (
        Column("JOB", right=True),
        Column("STATUS"),
        Column("TARGET"),
        Column("HOST", flexible=True),
        Column("PYTHON", flexible=True),
        Column("BENCHMARKS", flexible=True),
        Column("OWNER"),
        Column("CREATED"),
        Column("TIME", right=True),
    )
    rows = (
        (
            str(job.id),
            Cell(job.status, STATUS_STYLES.get(job.status, "")),
            job.target or "",
            job.place or "",
            job.spec.python,
            ",".join(job.spec.selection) or "default",
            job.owner or "",
            local_time(job.created),
            time_of(job),
        )
        for job in jobs
    )
    print_table(columns, rows, empty=empty)


def _say(job: "Job", as_json: bool) -> None:
    from benchyard.cli.output import print_json
    from benchyard.cli.watch import describe

    if as_json:
        print_json(job.document)
    else:
        click.echo(f"job {job.id}: {describe(job)}")


def _show(job: "Job", as_json: bool) -> None:
    from benchyard.cli.format import local_time
    from benchyard.cli.output import print_fields, print_json
    from benchyard.cli.watch import describe, time_of

    if as_json:
        print_json(job.document)
        return
    print_fields(
        (
            ("job", job.id),
            ("status", describe(job)),
            ("target", job.target),
            ("host", job.place),
            ("python", job.spec.python),
            ("benchmarks", ", ".join(job.spec.benchmarks)),
            ("asked for", ", ".join(job.spec.selection) or "the default benchmarks"),
            ("mode", job.spec.mode),
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


def _attempt(attempt: "Attempt") -> str:
    place = f" on {attempt.host}" if attempt.host else ""
    return f"{attempt.status}{place}" + (f": {attempt.cause}" if attempt.cause else "")


def _exit_by(job: "Job") -> None:
    if not job.succeeded:
        click.get_current_context().exit(1)
