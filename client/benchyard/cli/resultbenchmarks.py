"""What each benchmark of a result gave, as `benchyard result get --benchmarks` shows it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from benchyard.cli.fitting import Column
from benchyard.cli.format import measured
from benchyard.cli.output import print_table

if TYPE_CHECKING:
    from benchyard.client.measured import Measurement


def print_measurements(found: "Iterable[Measurement]") -> None:
    """Show the benchmarks of a result, one a line; the memory is the most that a process had."""
    rows = (
        (
            each.name,
            str(each.n),
            measured(each.mean, each.stdev, each.unit),
            *(measured(value, None, each.unit) for value in (each.median, each.minimum, each.maximum)),
            "" if each.memory is None else measured(each.memory, None, "byte"),
        )
        for each in found
    )
    columns = (
        Column("BENCHMARK", flexible=True),
        Column("N", right=True, rank=1),
        Column("MEAN"),
        Column("MEDIAN", right=True),
        Column("MIN", right=True, rank=3),
        Column("MAX", right=True, rank=4),
        Column("MEMORY", right=True, rank=2),
    )
    print_table(columns, rows, empty="Nothing is known of its benchmarks.")
