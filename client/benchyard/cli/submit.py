"""`benchyard submit`: ask for a measurement."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from benchyard.cli import complete
from benchyard.cli.options import connect, entity_name, find_result, host_option, lab_options, target_option

if TYPE_CHECKING:
    from benchyard.client import Client, Job
    from benchyard.client.jobs import Mode

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Submission:
    """A job as the options of the command line describe it."""

    python: str
    target: str | None
    host: str | None
    benchmarks: list[str]
    mode: "Mode"
    affinity: str | None
    reason: str | None

    def send(self, client: "Client", *, run: bool) -> "Job":
        """Make the job, and queue it if it is to run."""
        return client.jobs.add(
            self.python,
            target=self.target,
            host=self.host,
            benchmarks=self.benchmarks,
            mode=self.mode,
            affinity=self.affinity,
            reason=self.reason,
            run=run,
        )


def submission_options(command: F) -> F:
    """Give a command the options that describe a job, which it gets as one argument, `asked`, and --no-run."""

    @wraps(command)
    def with_submission(
        *args: Any,
        python: str,
        target: str | None,
        host: str | None,
        benchmarks: tuple[str, ...],
        fast: bool,
        rigorous: bool,
        affinity: str | None,
        reason: str | None,
        **others: Any,
    ) -> Any:
        if fast and rigorous:
            raise click.UsageError("--fast and --rigorous exclude each other")
        mode: Mode = "fast" if fast else "rigorous" if rigorous else "default"
        python, selections = interpreter_path(python), split_selections(benchmarks)
        for name, value in (("--affinity", affinity), ("--host", host), ("--target", target)):
            if value is not None and not value.strip():
                raise click.BadParameter("it is empty; leave the option out to let the lab choose", param_hint=name)
        asked = Submission(python, target, host, selections, mode, affinity, reason)
        return command(*args, asked=asked, **others)

    options = (
        click.option("--python", metavar="PATH", required=True, help="The interpreter, as its path on the host."),
        target_option("Where to measure, like linux-x86_64."),
        host_option("Measure on this host."),
        click.option(
            "--benchmarks", metavar="A,-B", multiple=True, help="Benchmarks and groups; -NAME leaves one out."
        ),
        click.option("--fast", is_flag=True, help="Fewer runs, for a first look."),
        click.option("--rigorous", is_flag=True, help="More runs."),
        click.option("--affinity", metavar="LIST", help="CPUs to measure on, like 2-3; the host's own by default."),
        click.option("--reason", metavar="TEXT", help="Why, for those who see the job."),
        click.option("--no-run", is_flag=True, help="Make the job without queueing it."),
    )
    for option in reversed(options):
        with_submission = option(with_submission)
    return cast(F, with_submission)


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
@lab_options
def submit(
    asked: Submission,
    no_run: bool,
    attached: bool,
    waited: bool,
    compare_to: str | int | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Make a job that measures an interpreter with pyperformance, and queue it.

    With --attach or --wait the exit status is 1 if the job does not end in success.

    Example: benchyard submit --python /opt/python/bin/python3 --benchmarks nbody,-chaos --fast --attach
    """
    if attached + waited + no_run > 1:
        raise click.UsageError("--attach, --wait and --no-run exclude each other")
    if compare_to is not None and not (attached or waited):
        raise click.UsageError("--compare-to goes with --attach or --wait: there is a result when the job has ended")

    from benchyard.cli.comparing import print_comparison
    from benchyard.cli.output import print_json
    from benchyard.cli.watch import attach, describe, left_running, outcome

    with connect(url) as client:
        # Looked up before there is a job: one that does not exist is told at once, and `last` is not the job's own.
        base = None if compare_to is None else find_result(client, compare_to)
        job = asked.send(client, run=not no_run)
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


def split_selections(texts: tuple[str, ...]) -> list[str]:
    """Return the selections of "A,-B" texts one by one, as the lab wants them.

    A text without any is refused: an unset variable of a script would otherwise mean hours of the whole suite.
    """
    selections = [[part.strip() for part in text.split(",") if part.strip()] for text in texts]
    if not all(selections):
        raise click.BadParameter("it names no benchmark; say `default` for the default ones", param_hint="--benchmarks")
    return [selection for parts in selections for selection in parts]


def interpreter_path(path: str) -> str:
    """Return an absolute path: a bare name would mean another interpreter on each host."""
    if os.sep not in path:
        raise click.BadParameter(f"{path!r} is not a path; give the absolute one", param_hint="--python")
    # Links stay: which interpreter they lead to is for the host to say, it may be another machine.
    return os.path.abspath(path)  # noqa: PTH100
