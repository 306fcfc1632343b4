"""`benchyard task`: measure on this host, no lab needed; the lab's own steps call the same commands.

Nothing of `benchyard.tasks` is imported before a command runs.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchyard.cli.fitting import Column
from benchyard.cli.output import print_fields, print_json, print_table
from benchyard.cli.taskbuild import COMMANDS as BUILD_COMMANDS
from benchyard.cli.taskcheck import COMMANDS as CHECK_COMMANDS
from benchyard.cli.taskhost import COMMANDS as HOST_COMMANDS
from benchyard.cli.taskkept import COMMANDS as KEPT_COMMANDS
from benchyard.cli.taskmaintain import COMMANDS as MAINTAIN_COMMANDS
from benchyard.cli.taskprofile import COMMANDS as PROFILE_COMMANDS
from benchyard.cli.taskshared import (
    benchmarks_option,
    cache_folder,
    environments_option,
    interpreters_option,
    say_on,
    state_option,
    suite_of,
    suite_option,
    task_errors,
    wheels_option,
)
from benchyard.cli.tasksmoke import COMMANDS as SMOKE_COMMANDS
from benchyard.cli.tasksuite import COMMANDS as SUITE_COMMANDS

if TYPE_CHECKING:
    from benchyard.tasks.host.guard import Policy


def _parse_metadata(context: click.Context, parameter: click.Parameter, values: Sequence[str]) -> dict[str, str]:
    metadata = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not equals:
            raise click.BadParameter(f"{value!r} is not KEY=VALUE", ctx=context, param=parameter)
        metadata[key] = text
    return metadata


def _parse_counts(context: click.Context, parameter: click.Parameter, values: Sequence[str]) -> dict[str, int]:
    loops = {}
    for value in (part for text in values for part in text.split(",") if part):
        name, _equals, text = value.partition("=")
        if not name or not text.isascii() or not text.isdigit() or not 0 < int(text) < 2**62:
            raise click.BadParameter(f"{value[:80]!r} is not BENCHMARK=NUMBER", ctx=context, param=parameter)
        loops[name] = int(text)
    return loops


@click.group()
def task() -> None:
    """Measure on this host, no lab needed."""


@task.command("check-interpreter")
@click.argument("path")
@state_option(required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def check_interpreter(path: str, state: Path | None, as_json: bool) -> None:
    """Say what the Python at PATH is.

    With a state directory, not while this host measures.

    Example: benchyard task check-interpreter /usr/bin/python3
    """
    from benchyard.tasks.interpreter import inspect_interpreter
    from benchyard.tasks.preparing import preparing

    with task_errors(), preparing(state, say_on(err=True)):
        interpreter = inspect_interpreter(path)
    if as_json:
        print_json(interpreter)
        return
    print_fields(
        [
            ("id", interpreter.id),
            ("executable", interpreter.executable),
            ("implementation", interpreter.implementation),
            ("version", interpreter.version),
            ("commit", interpreter.commit),
            ("branch", interpreter.branch),
            ("built", interpreter.build_date),
            ("flags", ",".join(interpreter.flags)),
            ("configure", interpreter.configure_args),
            ("compiler", interpreter.compiler),
            ("machine", f"{interpreter.system}-{interpreter.machine}"),
        ]
    )


@task.command("run-benchmarks")
@click.option("--python", metavar="PATH", help="The interpreter to measure.")
@click.option("--build", metavar="ID", help="The interpreter to measure, as `build-cpython` has named it.")
@interpreters_option
@suite_option
@benchmarks_option
@click.option("--fast", is_flag=True, help="Fewer values: a quick look, not a result.")
@click.option("--rigorous", is_flag=True, help="More values.")
@click.option("--affinity", metavar="LIST", help="The CPUs to measure on, like 2-3,5.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("benchmarks.json"),
    show_default=True,
    help="The pyperf file to write; it must not exist.",
)
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Also write the report here.")
@environments_option
@wheels_option
@click.option("--metadata", multiple=True, metavar="K=V", callback=_parse_metadata, help="Added to the file.")
@click.option("--inherit-environ", multiple=True, metavar="NAMES", help="Variables the benchmarks get, too.")
@click.option(
    "--loops", multiple=True, metavar="NAME=N,...", callback=_parse_counts, help="Fixed loop counts of benchmarks."
)
@click.option(
    "--limits",
    multiple=True,
    metavar="NAME=SECONDS,...",
    callback=_parse_counts,
    help="When benchmarks are taken for hung and ended.",
)
@click.option("--track-memory", is_flag=True, help="Measure the peak of each benchmark's memory instead of its time.")
@click.option(
    "--guard",
    type=click.Choice(("strict", "warn", "off")),
    default="off",
    show_default=True,
    help="Wait until the host is fit; `strict` refuses one that is not.",
)
@click.option("--guard-wait", type=float, default=60.0, show_default=True, metavar="SECONDS", help="At most so long.")
@click.option(
    "--setup",
    envvar="BENCHYARD_SETUP",
    type=click.Path(dir_okay=False, path_type=Path),
    hidden=True,  # `benchyard task attach --measuring` says so by the variable
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON document.")
def run_benchmarks(
    python: str | None,
    build: str | None,
    interpreters: Path | None,
    suite_folder: Path | None,
    benchmarks: tuple[str, ...],
    fast: bool,
    rigorous: bool,
    affinity: str | None,
    output: Path,
    report: Path | None,
    environments: Path | None,
    wheels: Path | None,
    metadata: dict[str, str],
    inherit_environ: tuple[str, ...],
    loops: dict[str, int],
    limits: dict[str, int],
    track_memory: bool,
    guard: "Policy",
    guard_wait: float,
    setup: Path | None,
    as_json: bool,
) -> None:
    """Measure an interpreter with pyperformance and write one pyperf file.

    The status is 0 if any benchmark gave a value; those that did not are named at the end.

    Example: benchyard task run-benchmarks --python /usr/bin/python3 --benchmarks nbody --fast --output nbody.json
    """
    from benchyard.tasks.benchmarks import run_benchmarks as run
    from benchyard.tasks.care import read_care
    from benchyard.tasks.cpus import parse_cpu_list
    from benchyard.tasks.errors import RunError
    from benchyard.tasks.trees import TreeStore, is_id

    if (python is None) == (build is None):
        raise click.UsageError("say which interpreter: --python PATH, or --build ID")
    if fast and rigorous:
        raise click.UsageError("--fast and --rigorous exclude each other")
    if build is not None and not is_id(build):
        raise click.UsageError(f"--build {build[:80]!r} is no build's id: 64 digits from 0 to f")
    say = say_on(err=as_json)
    with task_errors():
        try:
            done = run(
                build or python or "",
                benchmarks,
                mode="fast" if fast else "rigorous" if rigorous else "default",
                affinity=None if affinity is None else parse_cpu_list(affinity),
                output=output,
                report=report,
                environments=environments or cache_folder("environments"),
                metadata=metadata,
                inherit_environ=[name for names in inherit_environ for name in names.split(",") if name],
                interpreters=TreeStore(interpreters or cache_folder("interpreters")) if build else None,
                wheels=wheels,
                suite=suite_of(suite_folder),
                loops=loops,
                limits=limits,
                track_memory=track_memory,
                care=read_care(setup, guard, guard_wait, watched=not track_memory),
                say=say,
            )
        except RunError as exc:
            if as_json and exc.report is not None:
                print_json(exc.report)
            raise
    if as_json:
        print_json(done)
    good = len(done.benchmarks) - len(done.failed)
    say(f"benchyard: {good} of {len(done.benchmarks)} benchmarks measured: {output}")
    if done.failed:
        say(f"benchyard: failed: {', '.join(outcome.name for outcome in done.failed)}")


@task.command()
@click.argument("run")
@state_option(required=True)
@click.option("--limit", type=float, metavar="SECONDS", help="End the command after this time.")
@click.option("--cpus", metavar="LIST", help="The CPUs the command runs on, like 2-3,5.")
@click.option(
    "--measuring",
    metavar="LIST",
    help="Make the host ready to measure on these CPUs, or on those that `auto` finds; the command runs on the others.",
)
@click.option("--restarts", type=click.IntRange(0, 100), default=0, help="Start the command again if it is killed.")
@click.option("--no-tune", is_flag=True, help="With --measuring: leave the host's knobs as they are.")
@click.option("--no-shield", is_flag=True, help="With --measuring: do not keep others off these CPUs.")
@click.option(
    "--seen",
    type=click.IntRange(min=0),
    metavar="N",
    help="Show the output line by line, without the first N lines: whoever attached before has shown them.",
)
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def attach(
    context: click.Context,
    run: str,
    state: Path,
    limit: float | None,
    cpus: str | None,
    measuring: str | None,
    restarts: int,
    no_tune: bool,
    no_shield: bool,
    seen: int | None,
    argv: tuple[str, ...],
) -> None:
    """Start RUN with the command ARGV, or attach to it, and show its output to its end.

    A run is started once; ending this command does not end it. Status: 0 done, 73 done but the command failed,
    74 canceled, 75 over its time limit, 76 lost, 77 interrupted.

    Example: benchyard task attach 7.1 --state ~/worker/state --limit 3600 -- make test
    """
    from benchyard.tasks.cpus import parse_cpu_list
    from benchyard.tasks.rundir import HostOrder
    from benchyard.tasks.runner import attach as attach_run

    if cpus is not None and measuring is not None:
        raise click.UsageError("--cpus and --measuring exclude each other")
    with task_errors():
        host = None
        if measuring is not None:
            asked = None if measuring == "auto" else parse_cpu_list(measuring)
            host = HostOrder(cpus=asked, tune=not no_tune, shield=not no_shield)
        outcome = attach_run(
            run,
            argv,
            state=state,
            limit_s=limit,
            cpus=None if cpus is None else parse_cpu_list(cpus),
            host=host,
            restarts=restarts,
            seen=seen,
            out=sys.stdout.buffer,
        )
    click.echo(f"benchyard: run {run} is {_describe(outcome)}", err=True)
    click.get_current_context().exit(outcome.exit_code)


@task.command()
@click.argument("run")
@state_option(required=True)
@click.option("--interrupted", is_flag=True, help="The lab shuts down; nobody canceled the run.")
def stop(run: str, state: Path, interrupted: bool) -> None:
    """End RUN with all its processes; one that has not started never will.

    Example: benchyard task stop 7.1 --state ~/worker/state
    """
    from benchyard.tasks.runner import stop as stop_run

    with task_errors():
        outcome = stop_run(run, state=state, outcome="interrupted" if interrupted else "canceled")
    click.echo(f"benchyard: run {run} is {_describe(outcome)}", err=True)


@task.command()
@state_option(required=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def runs(state: Path, as_json: bool) -> None:
    """List the runs this host knows.

    Example: benchyard task runs --state ~/worker/state
    """
    from benchyard.tasks.runner import list_runs

    with task_errors():
        found = list_runs(state)
    if as_json:
        print_json({"items": found, "next": None})
        return
    print_table(
        [Column("RUN"), Column("STATE"), Column("SUPERVISOR", right=True)],
        [(run.run, _describe(run), str(run.supervisor or "")) for run in found],
        empty="this host has had no run yet",
    )


def _describe(outcome: Any) -> str:
    text = str(outcome.state)
    if outcome.rc is not None:
        text += f", exit status {outcome.rc}" if outcome.rc >= 0 else f", killed by signal {-outcome.rc}"
    return f"{text} ({outcome.reason})" if outcome.reason else text


for command in (
    *BUILD_COMMANDS,
    *CHECK_COMMANDS,
    *HOST_COMMANDS,
    *KEPT_COMMANDS,
    *MAINTAIN_COMMANDS,
    *PROFILE_COMMANDS,
    *SMOKE_COMMANDS,
    *SUITE_COMMANDS,
):
    task.add_command(command)
