"""A comparison as plain text, for logs."""

from collections.abc import Sequence

from benchyard.results.compare import Change, Comparison, Summary
from benchyard.results.units import change_words, format_mean, format_percent


def comparison_text(comparison: Comparison, *, base: str, head: str) -> str:
    """Lines for each benchmark and the geometric mean; `base` and `head` say what was compared."""
    rows = [("benchmark", base, head, "change")]
    for change in comparison.benchmarks:
        rows.append((change.name, summary_text(change.base), summary_text(change.head), change_text(change)))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines += ["", *overall_lines(comparison)] if comparison.benchmarks else []
    for title, names in (("only in the first", comparison.missing), ("only in the second", comparison.new)):
        lines += [f"{title}: {', '.join(names)}"] if names else []
    return "\n".join(lines) + "\n"


def overall_lines(comparison: Comparison, *, differences: bool = True) -> list[str]:
    """What is to be said of the results as wholes; `differences` are said elsewhere if not here."""
    mean, lines = comparison.geometric_mean, []
    if mean is not None:
        lines.append(f"geometric mean: {mean.change} ({mean.n} of {mean.of} benchmarks)")
    if comparison.reliability is not None:
        lines += [f"overall: {comparison.reliability.change}", counts_text(comparison)]
    if differences and comparison.differences:
        verb = "count nevertheless" if mean is not None else "no benchmark counts overall"
        lines.append(f"different: {'; '.join(comparison.differences)} ({verb})")
    return [*lines, *comparison.marks]


def counts_text(comparison: Comparison) -> str:
    """How many benchmarks are better, worse, or neither."""
    better, worse = words_of(comparison.benchmarks)
    counts = comparison.counts
    unknown = f", {counts.unknown} not known" if counts.unknown else ""
    return f"{counts.better} {better}, {counts.worse} {worse}, {counts.same} without a difference{unknown}"


def words_of(changes: Sequence[Change]) -> tuple[str, str]:
    """What better and worse are called of these: in the words of their unit, if all that count have the same."""
    units = {change.head.unit for change in changes if change.counted} or {change.head.unit for change in changes}
    return change_words(units.pop()) if len(units) == 1 else ("better", "worse")


def change_text(change: Change) -> str:
    """What is to be thought of a change: "1.05x faster", "not significant", "within noise (2.0 %)".

    What pyperf calls significant, and is not sure after all benchmarks were looked at, "may be noise".
    """
    different = f" ({'; '.join(change.differences)})" if change.differences else ""
    if change.is_believed or not change.significant:
        return change.change + different
    if change.noise is not None and change.within_noise:
        return f"within noise ({format_percent(change.noise)}){different}"
    return f"{change.change}, {'may be noise' if change.verdict == 'same' else 'not sure'}{different}"


def summary_text(summary: Summary) -> str:
    """Mean and standard deviation of one benchmark."""
    return format_mean(summary.mean, summary.stdev, summary.unit)
