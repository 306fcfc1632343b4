"""How a comparison of two results is shown."""

from typing import TYPE_CHECKING

import click

from benchyard.cli.fitting import Column
from benchyard.cli.format import change_style, clean, counted, measured, percent
from benchyard.cli.output import Cell, print_fields, print_table

if TYPE_CHECKING:
    from benchyard.client import BenchmarkResult, Comparison
    from benchyard.client.results import Change


def print_comparison(comparison: "Comparison") -> None:
    """Show each benchmark, the geometric mean, and what only one of the two results has.

    Where the noise of the head's host is known it stands beside the change, and a change within it counts for nothing.
    """
    print_fields((("base", _title(comparison.base)), ("head", _title(comparison.head))))
    click.echo()
    known = any(change.noise is not None for change in comparison.benchmarks)
    rows = (
        (
            change.name,
            measured(change.base.mean, change.base.stdev, change.base.unit),
            measured(change.head.mean, change.head.stdev, change.head.unit),
            *((percent(change.noise),) if known else ()),
            _change(change),
        )
        for change in comparison.benchmarks
    )
    columns = (
        Column("BENCHMARK", flexible=True),
        Column("BASE", rank=1),
        Column("HEAD"),
        *((Column("NOISE", right=True, rank=2),) if known else ()),
        Column("CHANGE"),
    )
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


def _change(change: "Change") -> Cell:
    if change.significant and change.within_noise:
        return Cell(f"{change.change}, within noise", "dim")
    return Cell(change.change, change_style(change.change))


def _title(result: "BenchmarkResult") -> str:
    commit = f" {result.commit[:10]}" if result.commit else ""
    flags = f" {','.join(result.flags)}" if result.flags else ""
    return f"result {result.id}: {result.version or ''}{commit}{flags} on {result.host}"
