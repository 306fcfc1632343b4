"""The command that says whether this host is fit to measure now; `benchyard task` has it.

Nothing of `benchyard.tasks` is imported before the command runs.
"""

from pathlib import Path

import click

from benchyard.cli.fitness import print_findings
from benchyard.cli.output import print_json
from benchyard.cli.taskshared import say_on, split_of, state_option, task_errors


@click.command("host-check")
@state_option(required=False)
@click.option("--cpus", metavar="LIST", help="The measuring CPUs, like 2-3,5 (default: those the lab would take).")
@click.option("--policy", type=click.Choice(["strict", "warn"]), default="strict", show_default=True)
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="Look again until the host is fit, for so long.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def host_check(
    context: click.Context, state: Path | None, cpus: str | None, policy: str, wait: float, as_json: bool
) -> None:
    """Say whether this host is fit to measure now.

    The policy `warn` doubts, and never refuses. The temperature at idle and the free disk are looked at where the
    state directory is known. Status: 0 fit, 1 not fit.

    Example: benchyard task host-check --state ~/worker/state --cpus 2-3 --wait 60
    """
    import os

    from benchyard.tasks.host.checks import CHECKS
    from benchyard.tasks.host.guard import look, wait_until_fit

    with task_errors():
        measuring = split_of(cpus).measuring
    report = wait_until_fit(
        lambda: look(measuring, state_dir=state, own_pids=[os.getpid()]),
        policy="warn" if policy == "warn" else "strict",
        wait_s=wait,
        say=say_on(err=True),
    )
    if as_json:
        print_json(report)
    else:
        print_findings(report.findings, tuple(CHECKS))
        click.echo("this host is fit to measure" if report.passed else "this host is not fit to measure", err=True)
    context.exit(0 if report.passed else 1)


COMMANDS = (host_check,)
