"""`benchyard submit`: ask for a measurement."""

from typing import TYPE_CHECKING, Any

import click

from benchyard.cli import complete
from benchyard.cli.options import connect, entity_name, find_result, lab_options
from benchyard.cli.submission import Submission, submission_options

if TYPE_CHECKING:
    from benchyard.client import BenchmarkResult, Client


@click.command()
@submission_options
@click.option("--attach", "attached", is_flag=True, help="Watch the job up to its end.")
@click.option("--wait", "waited", is_flag=True, help="Return when the job has ended.")
@click.option(
    "--compare-to",
    metavar="RESULT",
    type=entity_name("result", ("last",)),
    shell_complete=complete.results,
    help="When the job has ended, compare its result with this one, as the base.",
)
@click.option(
    "--range", "commits", metavar="A..B", help="Queue the commits after A up to B that were not measured yet."
)
@click.option("--every", metavar="N", type=click.IntRange(1), help="Of a range: every N-th, counted from its end.")
@click.option("--weekly", is_flag=True, help="Of a range: the last of each week.")
@click.option("--tags", metavar="PATTERN", help="Of a range: those with a tag like v3.14.*.")
@click.option("--dry-run", is_flag=True, help="Of a range: only say how many, and how long.")
@lab_options
def submit(
    asked: Submission,
    no_run: bool,
    attached: bool,
    waited: bool,
    compare_to: str | int | None,
    commits: str | None,
    every: int | None,
    weekly: bool,
    tags: str | None,
    dry_run: bool,
    url: str | None,
    as_json: bool,
) -> None:
    """Make a job that measures an interpreter with pyperformance, and queue it.

    The interpreter is installed on the host (--python), or built from a commit as it is now (--ref and others). What
    was measured already is shown instead, unless --again. With --attach or --wait the exit status is 1 if the job does
    not end in success.

    Example: benchyard submit --ref main --flag pgo,lto --benchmarks nbody,-chaos --fast --attach
    """
    if attached + waited + no_run > 1:
        raise click.UsageError("--attach, --wait and --no-run exclude each other")
    if commits is None and (every or weekly or tags or dry_run):
        raise click.UsageError("--every, --weekly, --tags and --dry-run go with --range A..B")
    if commits is not None:
        if attached or waited or no_run or compare_to is not None:
            raise click.UsageError("a range is many jobs: watch them with `benchyard queue list`")
        chosen = {"every": every or 1, "weekly": weekly, "tags": tags, "dry_run": dry_run}
        _backfill(asked, commits, chosen, url, as_json)
        return
    if compare_to is not None and not (attached or waited):
        raise click.UsageError("--compare-to goes with --attach or --wait: there is a result when the job has ended")

    from benchyard.cli.comparing import print_comparison
    from benchyard.cli.format import clean
    from benchyard.cli.output import print_json
    from benchyard.cli.resultupload import told
    from benchyard.cli.watch import attach, describe, left_running, outcome

    with connect(url) as client:
        # Looked up before there is a job: one that does not exist is told at once, and `last` is not the job's own.
        base = None if compare_to is None else find_result(client, compare_to)
        job = asked.send(client, run=not no_run)
        known = job.ended and bool(job.results)
        if known:
            without = ", ".join(one.name for one in job.failed_benchmarks)
            lacks = f", without {without}" if without else ""
            click.echo(
                f"job {job.id} has measured just this: result {job.results[-1]}{lacks}; --again measures it anew",
                err=True,
            )
            if asked.arguments["upload"]:
                for upload in client.results.get(job.results[-1]).upload():
                    click.echo(clean(told(upload)), err=True)
        elif attached:
            job = attach(client, job, err=as_json)
        elif not as_json:
            click.echo(f"job {job.id}: {describe(job)}")
            if not (waited or no_run):
                click.echo(f"Watch it with `benchyard job attach {job.id}`.")
        else:
            click.echo(f"job {job.id}: {describe(job)}", err=True)
        if waited and not known:
            with left_running(job):
                job = job.wait()
            if not as_json:
                click.echo(f"job {job.id}: {outcome(job)}")
        if base is None and job.base_job is not None and (attached or waited) and job.results:
            base = _result_of(client, job.base_job)
        compared = base.compare(job.results[0]) if base is not None and job.results else None
    if as_json and base is not None:
        print_json({**job.document, "comparison": None if compared is None else compared.document})
    elif as_json:
        print_json(job.document)
    elif compared is not None:
        click.echo()
        print_comparison(compared)
    if (attached or waited) and not job.succeeded:
        click.get_current_context().exit(1)


def _result_of(client: "Client", job_id: int) -> "BenchmarkResult | None":
    """The result of the job that another is compared with, once that has ended."""
    ended = client.jobs.get(job_id).wait()
    if ended.results:
        return client.results.get(ended.results[0])
    click.echo(f"job {job_id}, to compare with, is {ended.status}: {ended.error or 'it has no result'}", err=True)
    return None


def _backfill(asked: Submission, commits: str, chosen: dict[str, Any], url: str | None, as_json: bool) -> None:
    from benchyard.cli.format import counted, duration
    from benchyard.cli.output import say

    first, dots, last = commits.partition("..")
    if not (first and dots and last):
        raise click.BadParameter(f"{commits!r} is not A..B, two branches, tags or commits", param_hint="--range")
    job = {name: value for name, value in asked.arguments.items() if value not in (None, [], False)}
    with connect(url) as client:
        made = client.jobs.backfill(first, last, **chosen, **job)
    long = f", about {duration(made.seconds)} of measuring" if made.seconds else ""
    known = made.commits - made.missing
    text = f"{counted(made.missing, 'commit')} of {made.commits} to measure{long}; {known} measured or queued before"
    if made.jobs:
        text += f"\njobs {made.jobs[0]} to {made.jobs[-1]} are queued, behind all others"
    say(text, made.document, as_json)
