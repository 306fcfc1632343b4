"""`benchyard submit`: ask for a measurement."""

import os

import click

from benchyard.cli.options import connect, lab_options


@click.command()
@click.option("--python", metavar="PATH", required=True, help="The interpreter, as its path on the host.")
@click.option("--target", metavar="TARGET", help="Where to measure, like linux-x86_64.")
@click.option("--host", metavar="HOST", help="Measure on this host.")
@click.option("--benchmarks", metavar="A,-B", multiple=True, help="Benchmarks and groups; -NAME leaves one out.")
@click.option("--fast", is_flag=True, help="Fewer runs, for a first look.")
@click.option("--rigorous", is_flag=True, help="More runs.")
@click.option("--affinity", metavar="LIST", help="CPUs to measure on, like 2-3; the host's own by default.")
@click.option("--reason", metavar="TEXT", help="Why, for those who see the job.")
@click.option("--no-run", is_flag=True, help="Make the job without queueing it.")
@click.option("--attach", "attached", is_flag=True, help="Watch the job up to its end.")
@click.option("--wait", "waited", is_flag=True, help="Return when the job has ended.")
@lab_options
def submit(
    python: str,
    target: str | None,
    host: str | None,
    benchmarks: tuple[str, ...],
    fast: bool,
    rigorous: bool,
    affinity: str | None,
    reason: str | None,
    no_run: bool,
    attached: bool,
    waited: bool,
    url: str | None,
    as_json: bool,
) -> None:
    """Make a job that measures an interpreter with pyperformance, and queue it.

    With --attach or --wait the exit status is 1 if the job does not end in success.
    """
    if fast and rigorous:
        raise click.UsageError("--fast and --rigorous exclude each other")
    if attached + waited + no_run > 1:
        raise click.UsageError("--attach, --wait and --no-run exclude each other")
    python = _interpreter_path(python)

    from benchyard.cli.output import print_json
    from benchyard.cli.watch import attach, describe, left_running, outcome

    with connect(url) as client:
        job = client.jobs.add(
            python,
            target=target,
            host=host,
            benchmarks=split_selections(benchmarks),
            mode="fast" if fast else "rigorous" if rigorous else "default",
            affinity=affinity,
            reason=reason,
            run=not no_run,
        )
        if attached:
            job = attach(client, job, err=as_json)
        elif not as_json:
            click.echo(f"job {job.id}: {describe(job)}")
            if not (waited or no_run):
                click.echo(f"Watch it with `benchyard job attach {job.id}`.")
        else:
            click.echo(f"job {job.id}: {describe(job)}", err=True)
        if waited:
            with left_running(job):
                job = job.wait()
            if not as_json:
                click.echo(f"job {job.id}: {outcome(job)}")
    if as_json:
        print_json(job.document)
    if (attached or waited) and not job.succeeded:
        click.get_current_context().exit(1)


def split_selections(texts: tuple[str, ...]) -> list[str]:
    """Return the selections of "A,-B" texts one by one, as the lab wants them."""
    return [part.strip() for text in texts for part in text.split(",") if part.strip()]


def _interpreter_path(path: str) -> str:
    """Return an absolute path: a bare name would mean another interpreter on each host."""
    if os.sep not in path:
        raise click.BadParameter(f"{path!r} is not a path; give the absolute one", param_hint="--python")
    # Links stay: which interpreter they lead to is for the host to say, it may be another machine.
    return os.path.abspath(path)  # noqa: PTH100
