"""How comparisons are shown: one with one, one with several, and many with many."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from benchyard.cli.fitting import Column
from benchyard.cli.format import change_style, change_words, clean, counted, measured, percent
from benchyard.cli.output import Cell, print_fields, print_table, print_wrapped

if TYPE_CHECKING:
    from benchyard.client import BenchmarkResult, Comparison, Matrix
    from benchyard.client.comparisons import Change


def print_comparison(comparison: "Comparison", *, tags: bool = False) -> None:
    """Show each benchmark, what is to be said overall, and what only one of the two has; with `tags` groups as well.

    Where the noise of the head's host is known it stands beside the change, and a change within it counts for nothing.
    """
    print_fields((("base", _title(comparison, "base")), ("head", _title(comparison, "head"))))
    click.echo()
    known = any(change.noise is not None for change in comparison.benchmarks)
    between = any(change.low is not None for change in comparison.benchmarks)
    rows = (
        (
            change.name,
            measured(change.base.mean, change.base.stdev, change.base.unit),
            measured(change.head.mean, change.head.stdev, change.head.unit),
            *((_between(change),) if between else ()),
            *((percent(change.noise),) if known else ()),
            _change(change),
        )
        for change in comparison.benchmarks
    )
    columns = (
        Column("BENCHMARK", flexible=True),
        Column("BASE", rank=1),
        Column("HEAD"),
        *((Column("95 %", rank=3),) if between else ()),
        *((Column("NOISE", right=True, rank=2),) if known else ()),
        Column("CHANGE"),
    )
    print_table(columns, rows, empty="The results have no benchmark in common.")
    overall = list(_overall(comparison))
    if overall:
        click.echo()
    for line in overall:
        click.echo(clean(line))
    if tags and comparison.groups:
        click.echo()
        groups = ((group.tag, str(group.n), _styled(group.change)) for group in comparison.groups)
        print_table((Column("TAG"), Column("BENCHMARKS", right=True), Column("GEOMETRIC MEAN")), groups, empty="")
    for line in _left_out(comparison):
        print_wrapped(line)


def print_comparisons(comparison: "Comparison", *, tags: bool = False) -> None:
    """Show a base with several heads: a column for each, and what is to be said of it below; with `tags` groups."""
    if not comparison.more:
        print_comparison(comparison, tags=tags)
        return
    heads = (comparison, *comparison.more)
    print_fields(
        (("base", _title(comparison, "base")), *((f"head {n}", _title(c, "head")) for n, c in enumerate(heads, 1)))
    )
    click.echo()
    found = [{change.name: change for change in one.benchmarks} for one in heads]
    names = sorted({name for one in found for name in one})
    rows: list[tuple[str | Cell, ...]] = []
    for name in names:
        base = next(one[name].base for one in found if name in one)
        cells = [_beside(one[name]) if name in one else Cell("", "dim") for one in found]
        rows.append((name, measured(base.mean, base.stdev, base.unit), *cells))
    columns = (
        Column("BENCHMARK", flexible=True),
        Column("BASE", rank=1),
        *(Column(f"HEAD {number}") for number in range(1, len(heads) + 1)),
    )
    print_table(columns, rows, empty="The results have no benchmark in common.")
    for number, one in enumerate(heads, 1):
        click.echo()
        for line in _overall(one):
            click.echo(f"Head {number}: {clean(line)}")
        for line in _left_out(one):
            print_wrapped(f"Head {number}: {line}")
    if tags:
        _print_groups(heads)


def _print_groups(heads: "Sequence[Comparison]") -> None:
    """Show each group of benchmarks, with its geometric mean for each head and of how many benchmarks that is."""
    found = [{group.tag: group for group in one.groups} for one in heads]
    names = sorted({tag for one in found for tag in one})
    if not names:
        return
    click.echo()
    rows: list[tuple[str | Cell, ...]] = []
    for tag in names:
        cells = [
            Cell(f"{one[tag].change} ({one[tag].n})", change_style(one[tag].change)) if tag in one else ""
            for one in found
        ]
        rows.append((tag, *cells))
    print_table((Column("TAG"), *(Column(f"HEAD {number}") for number in range(1, len(heads) + 1))), rows, empty="")


def print_matrix(matrix: "Matrix", names: Sequence[str]) -> None:
    """Show each side against each other as a whole: a row for each base, a column for each head."""
    print_fields([(name, _side(side)) for name, side in zip(names, matrix.sides, strict=True)])
    click.echo()
    cells = {(cell.base, cell.head): cell for cell in matrix.cells}
    bases = sorted({base for base, _ in cells})
    heads = sorted({head for _, head in cells})
    rows: list[tuple[str | Cell, ...]] = []
    for base in bases:
        shown = []
        for head in heads:
            cell = cells.get((base, head))
            said = "" if cell is None else cell.change or ("different" if cell.differences else "nothing in common")
            shown.append(_styled(said))
        rows.append((names[base], *shown))
    columns = (Column("BASE", flexible=True), *(Column(names[head], flexible=True) for head in heads))
    print_table(columns, rows, empty="There is nothing to compare: name at least two.")
    different = {words: None for cell in matrix.cells for words in cell.differences}
    if different:
        click.echo()
        click.echo(f"Different: {clean('; '.join(different))}; --include-different counts them nevertheless")


def _overall(comparison: "Comparison") -> Iterable[str]:
    mean, reliability = comparison.geometric_mean, comparison.reliability
    if mean is not None and mean.n:
        yield f"Geometric mean: {mean.change} ({mean.n} of {counted(mean.of, 'benchmark')})"
    if reliability is not None:
        least = next(
            (f"; by {_at_least(ratio)} with {name} %" for name, ratio in _levels(comparison) if ratio is not None), ""
        )
        yield f"Overall: {reliability.change}{least}"
    if reliability is not None:
        yield _counts(comparison)
    if comparison.memory is not None:
        yield f"Memory: {comparison.memory.change} ({counted(comparison.memory.n, 'benchmark')})"
    if comparison.differences:
        verb = "counted nevertheless" if mean is not None else "nothing counts overall without --include-different"
        yield f"Different: {'; '.join(comparison.differences)}; {verb}"
    yield from (mark[:1].upper() + mark[1:] for mark in comparison.marks)
    if comparison.assumed_noise is not None:
        yield f"Noise: not known of all; two runs are taken to differ by up to {percent(comparison.assumed_noise)}"


def _levels(comparison: "Comparison") -> Iterable[tuple[str, float | None]]:
    reliability = comparison.reliability
    if reliability is not None:
        yield from (("95", reliability.at_95), ("90", reliability.at_90))


def _at_least(ratio: float) -> str:
    return f"at least {max(ratio, 1.0 / ratio):.2f}x"


def _counts(comparison: "Comparison") -> str:
    counts = comparison.counts
    counting = [change for change in comparison.benchmarks if change.counted] or comparison.benchmarks
    units = {change.head.unit for change in counting}
    better, worse = change_words(units.pop()) if len(units) == 1 else ("better", "worse")
    unknown = f", {counts.unknown} not known" if counts.unknown else ""
    return f"Benchmarks: {counts.better} {better}, {counts.worse} {worse}, {counts.same} without a difference{unknown}"


def _left_out(comparison: "Comparison") -> Iterable[str]:
    left_out = {
        "Only in base": comparison.missing,
        "Only in head": comparison.new,
        "Not comparable": comparison.incomparable,
    }
    for title, names in left_out.items():
        if names:
            yield f"{title} ({len(names)}): {', '.join(names)}"


def _change(change: "Change") -> Cell:
    different = f" ({'; '.join(change.differences)})" if change.differences else ""
    if change.significant and change.within_noise:
        return Cell(f"{change.change}, within noise{different}", "dim")
    if change.significant and change.verdict in ("same", "unknown"):
        words = "may be noise" if change.verdict == "same" else "not sure"
        return Cell(f"{change.change}, {words}{different}", "dim")
    return Cell(change.change + different, change_style(change.change))


def _beside(change: "Change") -> Cell:
    said = _change(change)
    return Cell(f"{measured(change.head.mean, None, change.head.unit)}: {said.text}", said.style)


def _styled(change: str) -> Cell:
    return Cell(change, change_style(change))


def _between(change: "Change") -> str:
    return "" if change.low is None or change.high is None else f"{change.low:.3f} to {change.high:.3f}"


def _title(comparison: "Comparison", name: str) -> str:
    result = comparison.base if name == "base" else comparison.head
    ids = comparison.base_results if name == "base" else comparison.head_results
    return _side(result, ids)


def _side(result: "BenchmarkResult", ids: Sequence[int] = ()) -> str:
    commit = f" {result.commit[:10]}" if result.commit else ""
    flags = f" {','.join(result.flags)}" if result.flags else ""
    if not result.id:
        return f"file {result.path}: {result.version or ''}{commit}{flags}"
    named = f"results {', '.join(map(str, ids))}" if len(ids) > 1 else f"result {result.id}"
    return f"{named}: {result.version or ''}{commit}{flags} on {result.host}"
