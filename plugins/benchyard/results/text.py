"""A comparison as plain text, for logs."""

from benchyard.results.compare import Change, Comparison, Summary
from benchyard.results.units import format_mean, format_percent


def comparison_text(comparison: Comparison, *, base: str, head: str) -> str:
    """Lines for each benchmark and the geometric mean; `base` and `head` say what was compared."""
    rows = [("benchmark", base, head, "change")]
    for change in comparison.benchmarks:
        rows.append((change.name, summary_text(change.base), summary_text(change.head), change_text(change)))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    mean = comparison.geometric_mean
    if mean is not None:
        lines += ["", f"geometric mean: {mean.change} ({mean.n} of {mean.of} benchmarks)"]
    for title, names in (("only in the first", comparison.missing), ("only in the second", comparison.new)):
        lines += [f"{title}: {', '.join(names)}"] if names else []
    return "\n".join(lines) + "\n"


def change_text(change: Change) -> str:
    """What is to be thought of a change: "1.05x faster", "not significant", "within noise (2.0 %)"."""
    if change.noise is not None and change.significant and change.within_noise:
        return f"within noise ({format_percent(change.noise)})"
    return change.change


def summary_text(summary: Summary) -> str:
    """Mean and standard deviation of one benchmark."""
    return format_mean(summary.mean, summary.stdev, summary.unit)
