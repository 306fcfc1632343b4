"""The commands by which a host is made steady for measuring, and put back; `benchyard task` has them.

Nothing of `benchyard.tasks` is imported before a command runs.
"""

from pathlib import Path

import click

from benchyard.cli.fitness import print_knobs
from benchyard.cli.output import print_json
from benchyard.cli.taskshared import cache_folder, split_of, state_option, task_errors

_root_option = click.option(
    "--root",
    hidden=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path("/"),
    help="Where the host's /sys and /proc are.",
)


@click.command("host-tune")
@state_option(required=False)
@click.option("--cpus", metavar="LIST", help="The CPUs to measure on, like 2-3,5 (default: the last ones).")
@click.option("--smt", is_flag=True, help="Also take the siblings of these CPUs offline.")
@click.option("--skip", multiple=True, metavar="KNOB", help="Leave this knob as it is.")
@_root_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def host_tune(
    state: Path | None, cpus: str | None, smt: bool, skip: tuple[str, ...], root: Path, as_json: bool
) -> None:
    """Set what moves measurements on this host: clocks, interrupts, memory. `host-restore` puts it back.

    Needs root; what is not permitted stays as it is. The status is 1 if a knob failed.

    Example: benchyard task host-tune --cpus 3
    """
    from benchyard.tasks.host.tuning import tune

    with task_errors():
        split = split_of(cpus, root)
        report = tune(
            state or cache_folder("host"),
            measuring=split.measuring,
            housekeeping=split.housekeeping,
            root=root,
            smt=smt,
            skip=skip,
        )
    if as_json:
        print_json(report)
    else:
        if report.earlier is not None:
            click.echo("benchyard: an earlier tuning had not been put back; that was done first", err=True)
        print_knobs(report.knobs, empty="no knob was to be set")
    if report.failed:
        click.get_current_context().exit(1)


@click.command("host-restore")
@state_option(required=False)
@_root_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def host_restore(state: Path | None, root: Path, as_json: bool) -> None:
    """Put back what `host-tune` has found, also after it was killed; what others have changed since is left alone.

    The status is 1 if something could not be put back; then it can be tried again.

    Example: benchyard task host-restore
    """
    from benchyard.tasks.host.tuning import restore

    with task_errors():
        report = restore(state or cache_folder("host"), root=root)
    if as_json:
        print_json(report)
    elif report.rebooted:
        click.echo("the host has been started since it was tuned, which has put everything back")
    else:
        print_knobs(report.knobs, empty="nothing is to be put back")
    if report.left:
        click.get_current_context().exit(1)


COMMANDS = (host_tune, host_restore)
