"""`benchyard result`: list, read and compare results."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchyard.cli.options import connect, find_result, lab_options, result_argument

if TYPE_CHECKING:
    from benchyard.client import BenchmarkResult, Comparison


@click.group("result")
def results() -> None:
    """List, read and compare results. A RESULT is named by its number or `last`."""


@results.command("list")
@click.option("--job", type=click.IntRange(1), metavar="JOB", help="Results of this job.")
@click.option("--host", metavar="HOST", help="Results of this host.")
@click.option("--target", metavar="TARGET", help="Results of this target.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many, the newest first.")
@click.option("--all", "everything", is_flag=True, help="All there are.")
@click.option("--cursor", help='Go on after an earlier list, from the "next" of its JSON.')
@lab_options
def list_results(
    job: int | None,
    host: str | None,
    target: str | None,
    limit: int,
    everything: bool,
    cursor: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """List results, newest first."""
    from benchyard.cli.format import local_time
    from benchyard.cli.output import Column, print_json, print_table

    with connect(url) as client:
        pages = client.results.list(
            job=job, host=host, target=target, limit=None if everything else limit, cursor=cursor
        )
        listed = list(pages)
    if as_json:
        print_json({"items": [found.document for found in listed], "next": pages.next})
        return
    columns = (
        Column("RESULT", right=True),
        Column("JOB", right=True),
        Column("HOST", flexible=True),
        Column("TARGET"),
        Column("VERSION"),
        Column("COMMIT"),
        Column("FLAGS", flexible=True),
        Column("MODE"),
        Column("BENCHMARKS", right=True),
        Column("CREATED"),
    )
    rows = (
        (
            str(found.id),
            str(found.job or ""),
            found.host,
            found.target,
            found.version,
            (found.commit or "")[:10],
            ",".join(found.flags),
            found.mode,
            _benchmarks(found),
            local_time(found.created),
        )
        for found in listed
    )
    print_table(columns, rows, empty="no results")
    if pages.next:
        click.echo(f"(the newest {len(listed)}; more with --limit N or --all)", err=True)


@results.command("get")
@result_argument()
@lab_options
def get_result(result: str | int, url: str | None, as_json: bool) -> None:
    """Show a result."""
    from benchyard.cli.format import local_time
    from benchyard.cli.output import print_fields, print_json

    with connect(url) as client:
        found = find_result(client, result)
    if as_json:
        print_json(found.document)
        return
    print_fields(
        (
            ("result", found.id),
            ("status", found.status),
            ("job", f"{found.job}, attempt {found.attempt}" if found.job else None),
            ("host", found.host),
            ("target", found.target),
            ("version", found.version),
            ("commit", found.commit),
            ("branch", found.branch),
            ("flags", ", ".join(found.flags)),
            ("python", found.interpreter.executable),
            ("compiler", found.interpreter.compiler),
            ("suite", f"{found.suite} {found.suite_version}".strip()),
            ("mode", found.mode),
            ("benchmarks", _benchmarks(found)),
            *((f"failed {failed.name}", failed.error) for failed in found.failed),
            ("created", local_time(found.created)),
            ("file", found.path),
            ("size", f"{found.size} bytes"),
            ("sha256", found.sha256),
        )
    )


@results.command("read")
@result_argument()
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write to this file instead of stdout.",
)
@lab_options
def read_result(result: str | int, output: Path | None, url: str | None, as_json: bool) -> None:
    """Write the pyperf JSON file of a result, byte for byte (--json changes nothing: it is JSON)."""
    with connect(url) as client:
        data = find_result(client, result).read()
    if output is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        output.write_bytes(data)
    except OSError as exc:
        raise click.ClickException(f"{output} cannot be written: {exc.strerror}") from exc


@results.command("compare")
@result_argument("base")
@result_argument("head")
@lab_options
def compare_results(base: str | int, head: str | int, url: str | None, as_json: bool) -> None:
    """Compare two results, benchmark by benchmark: is HEAD faster than BASE?"""
    from benchyard.cli.output import print_json

    with connect(url) as client:
        numbers = [name if isinstance(name, int) else find_result(client, name).id for name in (base, head)]
        comparison = client.results.compare(*numbers)
    if as_json:
        print_json(comparison.document)
    else:
        _print_comparison(comparison)


def _print_comparison(comparison: "Comparison") -> None:
    from benchyard.cli.format import change_style, clean, counted, measured
    from benchyard.cli.output import Cell, Column, print_fields, print_table

    print_fields((("base", _title(comparison.base)), ("head", _title(comparison.head))))
    click.echo()
    rows = (
        (
            change.name,
            measured(change.base.mean, change.base.stdev, change.base.unit),
            measured(change.head.mean, change.head.stdev, change.head.unit),
            Cell(change.change, change_style(change.change)),
        )
        for change in comparison.benchmarks
    )
    columns = (Column("BENCHMARK", flexible=True), Column("BASE"), Column("HEAD"), Column("CHANGE"))
    print_table(columns, rows, empty="The results have no benchmark in common.")
    mean = comparison.geometric_mean
    if mean is not None and mean.n:
        click.echo()
        click.echo(f"Geometric mean: {clean(mean.change)} ({mean.n} of {counted(mean.of, 'benchmark')})")
    left_out = {
        "Only in base": comparison.missing,
        "Only in head": comparison.new,
        "Not comparable": comparison.incomparable,
    }
    for title, names in left_out.items():
        if names:
            click.echo(f"{title} ({len(names)}): {clean(', '.join(names))}")


def _title(result: "BenchmarkResult") -> str:
    commit = f" {result.commit[:10]}" if result.commit else ""
    flags = f" {','.join(result.flags)}" if result.flags else ""
    return f"result {result.id}: {result.version}{commit}{flags} on {result.host}"


def _benchmarks(result: "BenchmarkResult") -> str:
    return str(result.benchmarks) + (f" ({len(result.failed)} failed)" if result.failed else "")
