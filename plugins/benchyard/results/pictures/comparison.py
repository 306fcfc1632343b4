"""A comparison benchmark by benchmark: by how much each differs, between what, and whether to believe it."""

import math
from collections.abc import Sequence
from typing import Any

from benchyard.results.compare import Change, Comparison
from benchyard.results.pictures.canvas import Palette, Style, begin, head_up, render, shortened
from benchyard.results.text import counts_text, words_of
from benchyard.results.units import format_change

#: Inches of a row, of what is above and below all, and of the width.
ROW, REST, WIDTH = 0.165, 1.5, 9.0

#: Benchmarks that are drawn; of more, those that differ least are left out.
MOST = 250

# Ratios that the axis may have ticks at.
_TICKS = (1.01, 1.02, 1.05, 1.1, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0)

# Beyond this ratio a bar ends in an arrow.
_FURTHEST = 20.0

_SHAPES = {"better": "^", "worse": "v", "same": "o", "unknown": "o"}


def comparison_picture(comparison: Comparison, *, base: str, head: str, style: Style) -> bytes:
    """The ratios of a comparison with their intervals, the best first; those that are believed have a colour.

    `base` and `head` say what was compared. Right of 1 head is faster (or smaller).
    """
    changes = sorted(comparison.benchmarks, key=lambda change: abs(math.log(change.ratio)), reverse=True)[:MOST]
    changes.sort(key=lambda change: (change.ratio, change.name))
    title = f"{head} compared with {base}"

    def draw(figure: Any, palette: Palette) -> None:
        (axes,) = begin(figure, palette)
        head_up(axes, palette, title, _below(comparison, len(changes)), width=72)
        _rows(axes, palette, changes)
        _scale(axes, palette, changes, comparison)

    return render(draw, title=title, size=(WIDTH, REST + ROW * max(4, len(changes))), style=style)


def _below(comparison: Comparison, shown: int) -> str:
    mean = comparison.geometric_mean
    said = [f"geometric mean: {mean.change} ({mean.n} of {mean.of} benchmarks)"] if mean is not None else []
    said += [counts_text(comparison)] if comparison.benchmarks else ["no benchmark in common"]
    said += [f"the {shown} that differ most"] if shown < len(comparison.benchmarks) else []
    return "; ".join(said)


def _rows(axes: Any, palette: Palette, changes: Sequence[Change]) -> None:
    """Intervals, marks and words; many of one kind are drawn at once, which takes half the time."""
    limit = math.log(_reach(changes))
    known: list[tuple[int, float, float, str]] = []
    marks: dict[tuple[str, str, float], list[tuple[float, int]]] = {}
    for row, change in enumerate(changes):
        colour = {"better": palette.better, "worse": palette.worse}.get(change.verdict, palette.quiet)
        if change.low is not None and change.high is not None:
            low, high = (_within(math.log(max(end, 1e-9)), limit) for end in (change.low, change.high))
            known.append((row, low, high, colour))
        key = (_SHAPES[change.verdict], colour, 5.0 if change.is_believed else 3.2)
        marks.setdefault(key, []).append((_within(math.log(change.ratio), limit), row))
        ink = palette.ink if change.is_believed else palette.quiet
        beside = {"va": "center", "transform": axes.get_yaxis_transform(), "fontsize": 7.5}
        axes.text(-0.01, row, shortened(change.name, 44), color=ink, ha="right", **beside)
        if change.is_believed:
            axes.text(1.01, row, format_change(change.ratio, change.head.unit), color=colour, **beside)
    if known:
        rows, lows, highs, inks = zip(*known, strict=True)
        axes.hlines(rows, lows, highs, colors=inks, linewidth=1.4, capstyle="butt", alpha=0.75)
    for (shape, colour, size), places in marks.items():
        axes.plot(*zip(*places, strict=True), shape, color=colour, markersize=size, markeredgewidth=0.0)
    axes.set_yticks([])
    axes.set_ylim(-0.8, max(len(changes), 4) - 0.2)
    axes.grid(False, axis="y")


def _scale(axes: Any, palette: Palette, changes: Sequence[Change], comparison: Comparison) -> None:
    reach = _reach(changes)
    ticks = _ticks(math.log(reach))
    places = sorted({*ticks, *(-tick for tick in ticks)})
    axes.set_xticks(places, [_tick(place) for place in places])
    limit = math.log(reach) * 1.04
    axes.set_xlim(-limit, limit)
    axes.axvline(0.0, color=palette.quiet, linewidth=1.0)
    mean = comparison.geometric_mean
    if mean is not None and abs(math.log(mean.ratio)) < limit:
        axes.axvline(math.log(mean.ratio), color=palette.head, linewidth=1.2, linestyle=(0, (4, 2)))
    better, worse = words_of(changes)
    label = f"← {worse}      base / head, with 95 % intervals; dashed: geometric mean      {better} →"
    axes.set_xlabel(label, color=palette.quiet)


def _reach(changes: Sequence[Change]) -> float:
    """The ratio up to which the axis goes, on both sides alike."""
    ratios = [max(change.ratio, 1.0 / change.ratio) for change in changes]
    ends = [
        max(end, 1.0 / end)
        for change in changes
        for end in (change.low, change.high)
        if end is not None and end > 0.0 and change.is_believed
    ]
    return min(_FURTHEST, max([1.02, *(ratio * 1.01 for ratio in ratios), *ends]))


def _within(place: float, limit: float) -> float:
    return max(-limit, min(limit, place))


def _ticks(limit: float) -> list[float]:
    """Where ticks stand on one side, the furthest first, with room for their words."""
    found = [0.0]
    for place in (math.log(tick) for tick in reversed(_TICKS)):
        if 0.14 * limit <= place <= limit and all(abs(place - other) >= 0.14 * limit for other in found):
            found.append(place)
    return found


def _tick(place: float) -> str:
    """A ratio; on which side it stands says in which direction."""
    return f"{math.exp(abs(place)):.2f}".rstrip("0").rstrip(".") + "x"
