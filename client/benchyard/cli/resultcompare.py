"""`benchyard result compare`: results, interpreters and files, one with one, with several, or many with many."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import click

from benchyard.cli import complete
from benchyard.cli.options import connect, lab_options

if TYPE_CHECKING:
    from benchyard.client import Comparison

Format = Literal["table", "markdown", "csv", "json"]

_ENDS = (".json", ".json.gz")


@click.command("compare")
@click.argument("base", metavar="BASE", shell_complete=complete.selectors)
@click.argument("heads", metavar="HEAD...", nargs=-1, required=True, shell_complete=complete.selectors)
@click.option("--matrix", is_flag=True, help="Each with each other, as wholes.")
@click.option("--single", is_flag=True, help="The newest result of an interpreter, not all of them together.")
@click.option("--include-different", is_flag=True, help="Count what differs in more than the interpreter.")
@click.option("--tags", is_flag=True, help="The geometric mean of each group of benchmarks, too.")
@click.option("--format", "form", type=click.Choice(get_args(Format)), default="table", help="How to print it (table).")
@click.option(
    "--fail-if-worse",
    is_flag=True,
    help="Exit with 1 if a benchmark or the whole got worse, or nothing could be compared.",
)
@lab_options
def compare_results(
    base: str,
    heads: tuple[str, ...],
    matrix: bool,
    single: bool,
    include_different: bool,
    tags: bool,
    form: Format,
    fail_if_worse: bool,
    url: str | None,
    as_json: bool,
) -> None:
    """Compare results, benchmark by benchmark: is HEAD faster than BASE?

    Each is the number of a result, `last`, the path of a pyperf file, or an interpreter: a commit's beginning, a tag, a
    branch, or python:3.14, meaning all its enabled results on one host; narrow it by @HOST and +FLAG, as in
    main@quiet-1+jit, or +none for no such flag.

    Example: benchyard result compare v3.14.0 main main+jit --format markdown
    """
    from benchyard.cli.comparing import print_comparisons, print_matrix
    from benchyard.cli.format import clean
    from benchyard.cli.output import print_json

    form = "json" if as_json else form
    if matrix and (form in ("markdown", "csv") or fail_if_worse or tags):
        raise click.UsageError("--matrix is printed as table or json, and goes with neither --tags nor --fail-if-worse")
    if (fail_if_worse or tags) and form in ("markdown", "csv"):
        raise click.UsageError("--tags and --fail-if-worse go with --format table and json")
    try:
        sides = [as_file(name) or name for name in (base, *heads)]
        with connect(url) as client:
            if matrix:
                crossed = client.results.matrix(*sides, single=single, include_different=include_different)
            elif form == "markdown" or form == "csv":
                text = client.results.compare_as(form, *sides, single=single, include_different=include_different)
            else:
                comparison = client.results.compare(*sides, single=single, include_different=include_different)
    except OSError as exc:
        raise click.ClickException(f"{exc.filename} cannot be read: {exc.strerror}") from exc
    if form in ("markdown", "csv"):
        click.echo(text, nl=False)
        return
    if matrix:
        if form == "json":
            print_json(crossed.document)
        else:
            print_matrix(crossed, list(dict.fromkeys((base, *heads))))
        return
    if form == "json":
        print_json(comparison.document)
    else:
        print_comparisons(comparison, tags=tags)
    if fail_if_worse:
        compared = (comparison, *comparison.more)
        unknown = {number: why for number, one in enumerate(compared, 1) if (why := why_nothing_counts(one))}
        if unknown:
            told = [f"head {number}: {why}" for number, why in unknown.items()] if comparison.more else unknown.values()
            raise click.ClickException(clean(f"nothing could be compared; {'; '.join(told)}"))
        if any(map(is_worse, compared)):
            click.get_current_context().exit(1)


def as_file(name: str) -> Path | None:
    """The path that a name is meant for: what ends as pyperf's files do, or leads somewhere."""
    path = Path(name)
    return path if (os.sep in name and path.is_file()) or name.endswith(_ENDS) else None


def is_worse(comparison: "Comparison") -> bool:
    """Whether a benchmark that counts is worse, or all of them are with a reliability of 95 %."""
    overall = comparison.reliability
    return comparison.counts.worse > 0 or (overall is not None and overall.faster <= 0.05)


def why_nothing_counts(comparison: "Comparison") -> str | None:
    """Why nothing can be said of whether head is worse; None if something can."""
    counts = comparison.counts
    if counts.better or counts.worse or counts.same:
        return None
    if counts.unknown:
        return "of no benchmark is it known how far its values vary"
    different = comparison.differences or sorted({text for one in comparison.benchmarks for text in one.differences})
    if different and comparison.benchmarks:
        return f"different: {', '.join(different)} (--include-different counts them nevertheless)"
    if comparison.incomparable:
        return "what they have in common is measured in different units"
    return "they have no benchmark in common"
