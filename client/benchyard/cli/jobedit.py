"""The commands of `benchyard job` that make, change and remove jobs."""

from typing import Any

import click

from benchyard.cli.asking import confirm, yes_option
from benchyard.cli.options import connect, find_job, host_option, job_argument, lab_options
from benchyard.cli.submission import Submission, interpreter_path, split_selections, submission_options


@click.command("add")
@submission_options
@lab_options
def add_job(asked: Submission, no_run: bool, url: str | None, as_json: bool) -> None:
    """Make a job and queue it, unless told not to; `benchyard submit` can also watch it.

    Example: benchyard job add --python /opt/python/bin/python3 --no-run --reason "after the holidays"
    """
    from benchyard.cli.output import say
    from benchyard.cli.watch import describe

    with connect(url) as client:
        job = asked.send(client, run=not no_run)
    say(f"job {job.id}: {describe(job)}", job.document, as_json)


@click.command("modify")
@job_argument
@click.option("--reason", metavar="TEXT", help="Why, for those who see the job; at any time.")
@click.option("--python", metavar="PATH", help="The interpreter, as its path on the host.")
@click.option("--benchmarks", metavar="A,-B", multiple=True, help="Benchmarks and groups; -NAME leaves one out.")
@click.option("--mode", type=click.Choice(["default", "fast", "rigorous"]), help="How many runs.")
@click.option("--affinity", metavar="LIST", help="CPUs to measure on; '' for the host's own.")
@host_option("Measure on this host; '' for any.")
@lab_options
def modify_job(
    job: str | int,
    reason: str | None,
    python: str | None,
    benchmarks: tuple[str, ...],
    mode: str | None,
    affinity: str | None,
    host: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Change a job: its reason at any time, the rest while it is created or queued.

    Example: benchyard job modify 7 --benchmarks nbody,-chaos --mode rigorous
    """
    from benchyard.cli.output import say

    given = {
        "reason": reason,
        "python": interpreter_path(python) if python else None,
        "benchmarks": split_selections(benchmarks) or None,
        "mode": mode,
        "affinity": affinity,
        "host": host,
    }
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise click.UsageError("say what to change, like --reason TEXT")
    said = ", ".join(changes)
    # What is taken back is null for the lab.
    changes |= {name: None for name in ("affinity", "host") if changes.get(name) == ""}
    with connect(url) as client:
        found = find_job(client, job).modify(**changes)
    say(f"job {found.id}: changed ({said})", found.document, as_json)


@click.command("enable")
@job_argument
@lab_options
def enable_job(job: str | int, url: str | None, as_json: bool) -> None:
    """Let a disabled job start again.

    Example: benchyard job enable 7
    """
    from benchyard.cli.output import say
    from benchyard.cli.watch import describe

    with connect(url) as client:
        found = find_job(client, job).enable()
    say(f"job {found.id}: enabled, {describe(found)}", found.document, as_json)


@click.command("disable")
@job_argument
@lab_options
def disable_job(job: str | int, url: str | None, as_json: bool) -> None:
    """Keep a job from starting; it keeps its place in the queue.

    Example: benchyard job disable 7
    """
    from benchyard.cli.output import say
    from benchyard.cli.watch import describe

    with connect(url) as client:
        found = find_job(client, job).disable()
    say(f"job {found.id}: disabled, {describe(found)}", found.document, as_json)


@click.command("remove")
@job_argument
@yes_option
@lab_options
def remove_job(job: str | int, yes: bool, url: str | None, as_json: bool) -> None:
    """Remove a job that is not queued or has ended; its results stay.

    Example: benchyard job remove 7 --yes
    """
    from benchyard.cli.output import say

    with connect(url) as client:
        found = find_job(client, job)
        confirm(f"Remove job {found.id} ({found.status})?", yes)
        found.remove()
    say(f"job {found.id}: removed", {"id": found.id, "status": "removed"}, as_json)


COMMANDS = (add_job, modify_job, enable_job, disable_job, remove_job)
