"""The commands of `benchyard task` that make sure of a measurement before it starts: wheels, and smoke.

Nothing of `benchyard.tasks` is imported before a command runs.
"""

from pathlib import Path

import click

from benchyard.cli.output import print_json
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


@click.command("make-wheels")
@click.option("--python", metavar="PATH", help="The interpreter that the wheels are for.")
@click.option("--build", metavar="ID", help="The same, as `build-cpython` has named it.")
@interpreters_option
@suite_option
@benchmarks_option
@click.option(
    "--wheelhouses",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where wheelhouses are kept (default: in $BENCHYARD_STATE, else in your cache directory).",
)
@state_option(required=False)
@click.option(
    "--archive", type=click.Path(path_type=Path), help="Pack the wheelhouse into this folder, named by its id."
)
@click.option("--limit", type=int, help="Bytes of wheelhouses to keep; those used least recently go.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Also write what is printed here.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, on one line.")
def make_wheels(
    python: str | None,
    build: str | None,
    interpreters: Path | None,
    suite_folder: Path | None,
    benchmarks: tuple[str, ...],
    wheelhouses: Path | None,
    state: Path | None,
    archive: Path | None,
    limit: int | None,
    report: Path | None,
    as_json: bool,
) -> None:
    """Make the wheels that benchmarks need, so that they can be measured where there is no network.

    Example: benchyard task make-wheels --python /usr/bin/python3 --benchmarks html5lib
    """
    import msgspec

    from benchyard.tasks.archive import pack
    from benchyard.tasks.environment import telling_line
    from benchyard.tasks.files import write_atomically
    from benchyard.tasks.interpreters import use_interpreter
    from benchyard.tasks.preparing import preparing
    from benchyard.tasks.trees import TreeStore
    from benchyard.tasks.wheels import RECORD, drop_old_wheelhouses, wheelhouse_name
    from benchyard.tasks.wheels import make_wheels as make

    if (python is None) == (build is None):
        raise click.UsageError("say which interpreter: --python PATH, or --build ID")
    store = TreeStore(interpreters or cache_folder("interpreters"))
    say = say_on(err=True)
    with task_errors(), preparing(state, say), use_interpreter(build or python or "", store) as (path, interpreter):
        suite = suite_of(suite_folder)
        folder = (wheelhouses or cache_folder("wheelhouses")) / wheelhouse_name(interpreter, suite)
        found = make(path, benchmarks, output=folder, suite=suite, say=say)
        packed = None
        if archive is not None:
            names = {RECORD, *found.files}
            packed = pack(folder, archive / f"{found.id}.tar.gz", leave_out=lambda name: name not in names)
        if limit is not None:
            drop_old_wheelhouses(folder.parent, limit, keep=folder.name)
    said = {"id": found.id, "folder": str(folder), "files": len(found.files), "failed": found.failed}
    if packed is not None:
        said |= {"sha256": packed.sha256, "size": packed.size}
    if report is not None:
        report.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(report, msgspec.json.encode(said))
    if as_json:
        click.echo(msgspec.json.encode(said).decode())
    else:
        click.echo(f"benchyard: {len(found.files)} wheels in {folder}")
        for name, output in found.failed.items():
            click.echo(f"benchyard: the requirements of {name} cannot be had: {telling_line(output)}")


@click.command()
@click.option("--python", metavar="PATH", help="The interpreter to try.")
@click.option("--build", metavar="ID", help="The same, as `build-cpython` has named it.")
@interpreters_option
@suite_option
@benchmarks_option
@environments_option
@wheels_option
@state_option(required=False)
@click.option("--commit", metavar="SHA", help="The commit that the interpreter must be made from.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Also write the report here.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON document.")
def smoke(
    python: str | None,
    build: str | None,
    interpreters: Path | None,
    suite_folder: Path | None,
    benchmarks: tuple[str, ...],
    environments: Path | None,
    wheels: Path | None,
    state: Path | None,
    commit: str | None,
    report: Path | None,
    as_json: bool,
) -> None:
    """Run each benchmark for a single value: what fails now would fail when it is measured.

    Example: benchyard task smoke --python /usr/bin/python3 --benchmarks default
    """
    import msgspec

    from benchyard.tasks.files import write_atomically
    from benchyard.tasks.preparing import preparing
    from benchyard.tasks.smoke import smoke as run
    from benchyard.tasks.trees import TreeStore

    if (python is None) == (build is None):
        raise click.UsageError("say which interpreter: --python PATH, or --build ID")
    say = say_on(err=as_json)
    if report is not None:
        report.parent.mkdir(parents=True, exist_ok=True)
        report.unlink(missing_ok=True)
    with task_errors(), preparing(state, say):
        found = run(
            build or python or "",
            benchmarks,
            environments=environments or cache_folder("environments"),
            wheels=wheels,
            interpreters=TreeStore(interpreters or cache_folder("interpreters")),
            commit=commit,
            suite=suite_of(suite_folder),
            say=say,
        )
    if report is not None:
        write_atomically(report, msgspec.json.encode(found))
    if as_json:
        print_json(found)
    good = len(found.benchmarks) - len(found.failed)
    say(f"benchyard: {good} of {len(found.benchmarks)} benchmarks run")
    if not good:
        first = found.benchmarks[0]
        raise click.ClickException(f"no benchmark runs; {first.name}: {first.error}")


COMMANDS = (make_wheels, smoke)
