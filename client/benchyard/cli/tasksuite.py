"""`benchyard task make-suite`: another set of benchmarks than the installed pyperformance's.

Nothing of `benchyard.tasks` is imported before a command runs.
"""

from pathlib import Path

import click

from benchyard.cli.output import print_json
from benchyard.cli.taskshared import cache_folder, say_on, task_errors


@click.command("make-suite")
@click.option("--version", metavar="VERSION", help="This release of pyperformance.")
@click.option("--repository", metavar="URL", help="A git repository of pyperformance; with --ref.")
@click.option("--ref", metavar="REF", help="What to take from the repository: a branch, tag or commit.")
@click.option(
    "--manifest",
    "manifests",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, resolve_path=True, path_type=Path),
    help="A manifest with more benchmarks; all of its directory comes along.",
)
@click.option(
    "--suites",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where suites are kept (default: in $BENCHYARD_STATE, else in your cache directory).",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def make_suite(
    version: str | None,
    repository: str | None,
    ref: str | None,
    manifests: tuple[Path, ...],
    suites: Path | None,
    as_json: bool,
) -> None:
    """Make a suite of benchmarks, and print its directory; without --version and --repository of what is installed.

    Measure with it by `benchyard task run-benchmarks --suite DIR`.

    Example: benchyard task make-suite --version 1.13.0 --manifest ~/benchmarks/MANIFEST
    """
    from benchyard.tasks.suitemaking import make_suite as make
    from benchyard.tasks.trees import TreeStore

    store = TreeStore(suites or cache_folder("suites"))
    with task_errors():
        made = make(
            store,
            work=cache_folder("source"),
            version=version,
            repository=repository,
            ref=ref,
            manifests=manifests,
            say=say_on(err=True),
        )
    if as_json:
        print_json(made)
    else:
        click.echo(store.tree(made.id))


COMMANDS = (make_suite,)
