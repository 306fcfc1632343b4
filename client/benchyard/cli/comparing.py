"""How a comparison of two results is shown."""

from typing import TYPE_CHECKING

import click

from benchyard.cli.fitting import Column
from benchyard.cli.format import change_style, clean, counted, measured
from benchyard.cli.output import Cell, print_fields, print_table

if TYPE_CHECKING:
    from benchyard.client import BenchmarkResult, Comparison


def print_comparison(comparison: "Comparison") -> None:
    """Show each benchmark, the geometric mean, and what only one of the two results has."""
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
    columns = (Column("BENCHMARK", flexible=True), Column("BASE", rank=1), Column("HEAD"), Column("CHANGE"))
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
    return f"result {result.id}: {result.version or ''}{commit}{flags} on {result.host}"
