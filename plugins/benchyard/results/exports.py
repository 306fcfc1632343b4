"""Comparisons in the formats that other programs read: Markdown for an issue, CSV for a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Sequence

import msgspec

from benchyard.results.compare import Change, Comparison, Group
from benchyard.results.markdown import Described, code, comparison_markdown
from benchyard.results.text import overall_lines
from benchyard.results.units import format_percent

_COLUMNS = (
    *("base", "head", "benchmark", "unit", "base_mean", "base_stdev", "base_n", "head_mean", "head_stdev", "head_n"),
    *("ratio", "change", "significant", "verdict", "p", "low", "high", "noise", "base_memory", "head_memory"),
    *("differences", "counted"),
)


def comparison_csv(found: Iterable[tuple[str, str, Comparison]]) -> str:
    """A line for each benchmark of each comparison, with the names of its base and its head; numbers are whole.

    Times are in seconds, memory is in bytes. `ratio` is base over head, true between `low` and `high` with 95 %.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for base, head, comparison in found:
        for change in comparison.benchmarks:
            writer.writerow(map(csv_cell, (base, head, *_cells(change))))
    return out.getvalue()


def comparison_report(comparison: Comparison, *, base: Described, head: Described) -> str:
    """A comparison in Markdown, with what is to be said of it as a whole and of groups of benchmarks."""
    ours = overall_lines(msgspec.structs.replace(comparison, marks=()), differences=False)
    # Words of hosts and files may hold anything: what tells of these stands where nothing is markup.
    lines = [f"- {line}" for line in (*ours, *map(code, comparison.marks))]
    if comparison.memory is not None:
        memory = comparison.memory
        lines.append(f"- memory: {memory.change} (geometric mean of the peaks of {memory.n} benchmarks)")
    if comparison.assumed_noise is not None:
        lines.append(
            f"- noise: not known of all benchmarks; two runs are assumed to differ by up to "
            f"{format_percent(comparison.assumed_noise)}"
        )
    parts = [comparison_markdown(comparison, base=base, head=head).rstrip("\n")]
    parts += ["\n".join(lines)] if lines else []
    parts += ["\n".join(_group_lines(comparison.groups))] if comparison.groups else []
    return "\n\n".join(parts) + "\n"


def csv_cell(cell: object) -> object:
    """A cell whose words may come from files of anybody: spreadsheets take what begins so for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def _group_lines(groups: Sequence[Group]) -> list[str]:
    rows = [f"| {code(group.tag)} | {group.change} | {group.n} |" for group in groups]
    return ["| tag | geometric mean | benchmarks |", "| --- | ---: | ---: |", *rows]


def _cells(change: Change) -> Iterable[object]:
    base, head = change.base, change.head
    memory = (change.memory.base, change.memory.head) if change.memory is not None else (None, None)
    numbers = (base.mean, base.stdev, base.n, head.mean, head.stdev, head.n, change.ratio)
    verdict = (change.change, change.significant, change.verdict, change.p, change.low, change.high, change.noise)
    return (change.name, base.unit, *numbers, *verdict, *memory, "; ".join(change.differences), change.counted)
