"""`benchyard task profile`: where an interpreter spends the time of benchmarks."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchyard.cli.output import print_json
from benchyard.cli.taskshared import (
    benchmarks_option,
    cache_folder,
    environments_option,
    interpreters_option,
    say_on,
    suite_of,
    suite_option,
    task_errors,
    wheels_option,
)

if TYPE_CHECKING:
    from benchyard.tasks.profilers import Choice


@click.command()
@click.option("--python", metavar="PATH", help="The interpreter to profile.")
@click.option("--build", metavar="ID", help="The same, as `build-cpython` has named it.")
@interpreters_option
@suite_option
@benchmarks_option
@click.option("--fast", is_flag=True, help="Some seconds of each benchmark: a quick look.")
@click.option("--rigorous", is_flag=True, help="More samples.")
@click.option(
    "--profiler",
    type=click.Choice(("auto", "perf", "py-spy")),
    default="auto",
    show_default=True,
    help="`auto` takes the one that shows more of this interpreter.",
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("profile"),
    show_default=True,
    help="The folder to write into; there must be no profile in it.",
)
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Also write the report here.")
@environments_option
@wheels_option
@click.option("--inherit-environ", multiple=True, metavar="NAMES", help="Variables the benchmarks get, too.")
@click.option(
    "--setup",
    envvar="BENCHYARD_SETUP",
    type=click.Path(dir_okay=False, path_type=Path),
    hidden=True,  # `benchyard task attach --measuring` says so by the variable
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON document.")
def profile(
    python: str | None,
    build: str | None,
    interpreters: Path | None,
    suite_folder: Path | None,
    benchmarks: tuple[str, ...],
    fast: bool,
    rigorous: bool,
    profiler: "Choice",
    output: Path,
    report: Path | None,
    environments: Path | None,
    wheels: Path | None,
    inherit_environ: tuple[str, ...],
    setup: Path | None,
    as_json: bool,
) -> None:
    """Profile an interpreter with pyperformance: folded stacks and a flame graph of each benchmark.

    It takes perf (Debian: linux-perf), where that is permitted, or py-spy (pip install 'benchyard[profile]').

    Example: benchyard task profile --python /usr/bin/python3 --benchmarks nbody --output nbody
    """
    from benchyard.tasks.care import read_care
    from benchyard.tasks.errors import RunError
    from benchyard.tasks.profiling import profile_benchmarks
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
            done = profile_benchmarks(
                build or python or "",
                benchmarks,
                mode="fast" if fast else "rigorous" if rigorous else "default",
                profiler=profiler,
                output=output,
                report=report,
                environments=environments or cache_folder("environments"),
                interpreters=TreeStore(interpreters or cache_folder("interpreters")) if build else None,
                wheels=wheels,
                suite=suite_of(suite_folder),
                care=read_care(setup, "off", 0.0),
                inherit_environ=[name for names in inherit_environ for name in names.split(",") if name],
                say=say,
            )
        except RunError as exc:
            if as_json and exc.report is not None:
                print_json(exc.report)
            raise
    if as_json:
        print_json(done)
    for graph in (file.name for file in done.attachments if file.name.endswith(".svg")):
        say(f"benchyard: {output / graph}")
    if done.failed:
        say(f"benchyard: failed: {', '.join(outcome.name for outcome in done.failed)}")


COMMANDS = (profile,)
