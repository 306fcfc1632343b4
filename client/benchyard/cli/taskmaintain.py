"""The commands by which the lab looks after a host; `benchyard task` has them.

Nothing of `benchyard.tasks` is imported before a command runs.
"""

import sys
from pathlib import Path

import click

from benchyard.cli.fitness import LOOKED_AT, print_findings, print_knobs
from benchyard.cli.output import print_json
from benchyard.cli.taskshared import say_on, split_of, state_option, task_errors


@click.command("host-report")
@state_option(required=False)
@click.option("--cpus", metavar="LIST", help="The measuring CPUs, like 2-3,5 (default: those the lab would take).")
@click.option("--wait", type=click.FloatRange(min=0), default=0.0, metavar="SECONDS", help="Wait for a quiet host.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Also write the report here, as JSON.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def host_report(state: Path | None, cpus: str | None, wait: float, output: Path | None, as_json: bool) -> None:
    """Look this host over: whether it is fit to measure, how its knobs are set, and what is installed.

    With a state directory, not while this host measures or prepares. Nothing of the host is changed.

    Example: benchyard task host-report --state ~/worker/state --cpus 2-3
    """
    import msgspec

    from benchyard.tasks.files import write_atomically
    from benchyard.tasks.host.lookover import look_over
    from benchyard.tasks.preparing import preparing

    say = say_on(err=True)
    with task_errors(), preparing(state, say, shared=False):
        report = look_over(split_of(cpus or None), state=state, wait_s=wait, say=say)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(output, msgspec.json.encode(report))
    if as_json:
        print_json(report)
        return
    print_findings(report.guard.findings, report.checks)
    click.echo()
    print_knobs(report.knobs, empty="no knob is there", titles=LOOKED_AT)
    click.echo()
    click.echo(", ".join(f"{name} {version}" for name, version in report.versions.items()))


@click.command("playbook")
@click.argument("name", metavar="PLAYBOOK")
@click.option("--host", required=True, help="The host in the inventory, which is read from the standard input.")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), help="Where the playbooks are.")
@click.option(
    "--variables", type=click.Path(file_okay=False, path_type=Path), help="Where group_vars and host_vars are, if any."
)
@state_option(required=False)
@click.option("--check", is_flag=True, help="Change nothing, show what would change.")
@click.option("--reboot", is_flag=True, help="Start the host again if that is needed.")
def playbook(
    name: str,
    host: str,
    folder: Path | None,
    variables: Path | None,
    state: Path | None,
    check: bool,
    reboot: bool,
) -> None:
    """Run one of the lab's playbooks for a host, with the inventory on the standard input.

    With a state directory, the host is this machine: not while it measures. The status is that of ansible-playbook, or
    69 where it could not be started.

    Example: benchyard task playbook configure --host quiet-1 --check < inventory.json
    """
    from benchyard.tasks.errors import AnsibleError
    from benchyard.tasks.playbooks import NOT_BEGUN, run_playbook

    how = {"folder": folder, "variables": variables, "state": state, "check": check, "reboot": reboot}
    try:
        with task_errors():
            status = run_playbook(name, sys.stdin.read(), host, say=say_on(err=True), **how)  # type: ignore[arg-type]
    except click.ClickException as exc:
        if not isinstance(exc.__cause__, AnsibleError):
            raise
        click.echo(f"benchyard: {exc.message}", err=True)
        status = NOT_BEGUN
    click.get_current_context().exit(status)


COMMANDS = (host_report, playbook)
