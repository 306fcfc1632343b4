"""Series from commit to commit: points, the levels between changes, and the epochs of the host."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from statistics import median
from typing import Any

from benchyard.results.pictures.canvas import Palette, Style, begin, head_up, render
from benchyard.results.pictures.scales import scale_of
from benchyard.results.series import Series, Stretch
from benchyard.results.units import format_percent

#: Lanes that are drawn, one below the other.
MOST = 4

# Stretches are told apart by their points' shape.
_SHAPES = "osD^vP"


def series_picture(found: Sequence[Series], *, style: Style) -> bytes:
    """The first few of these series, over the time of their commits; what has become worse or better is marked."""
    shown = list(found)[:MOST]
    title = (
        f"{shown[0].benchmark or 'geometric mean of all benchmarks'} from commit to commit" if shown else "no series"
    )

    def draw(figure: Any, palette: Palette) -> None:
        if not shown:
            (axes,) = begin(figure, palette)
            head_up(axes, palette, "no enabled result of a commit with that", "")
            axes.set_axis_off()
            return
        for series, axes in zip(shown, begin(figure, palette, len(shown), share=True), strict=True):
            _lane(axes, palette, series)
        axes.set_xlabel("time of the commit", color=palette.quiet)

    return render(draw, title=title, size=(9.0, 0.8 + 3.0 * max(1, len(shown))), style=style)


def _lane(axes: Any, palette: Palette, series: Series) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    values = [point.value for stretch in series.stretches for point in stretch.points]
    factor, unit = scale_of(max(values), series.unit) if series.unit else (1.0, "relative to the first")
    head_up(axes, palette, f"{series.benchmark or 'geometric mean'} on {series.lane.host}", _below(series))
    many = len(series.stretches) > 1
    for number, stretch in enumerate(series.stretches):
        _points(axes, palette, stretch, factor, _SHAPES[number % len(_SHAPES)])
        _levels(axes, palette, stretch, factor)
        if many:
            name = "epoch unknown" if stretch.epoch is None else f"epoch {stretch.epoch}"
            start = _date(stretch.points[0].time)
            axes.axvline(start, color=palette.quiet, linewidth=0.9, linestyle=(0, (1, 2)))
            axes.text(
                *(start, 0.02, f" {name}"),
                color=palette.quiet,
                fontsize=7.5,
                transform=axes.get_xaxis_transform(),
                va="bottom",
            )
    low, high = min(values) * factor, max(values) * factor
    margin = max((high - low) * 0.18, high * 0.01)
    axes.set_ylim(low - margin, high + margin)
    axes.set_ylabel(f"{unit}\n(less is better)", color=palette.quiet)
    locator = AutoDateLocator(minticks=3, maxticks=9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.xaxis.get_offset_text().set_color(palette.quiet)


def _points(axes: Any, palette: Palette, stretch: Stretch, factor: float, shape: str) -> None:
    dates = [_date(point.time) for point in stretch.points]
    values = [point.value * factor for point in stretch.points]
    size = 3.6 if len(values) < 150 else 2.2
    axes.plot(dates, values, "-", color=palette.base, linewidth=0.7, alpha=0.45)
    axes.plot(dates, values, shape, color=palette.base, markersize=size, markeredgewidth=0.0)
    for date, point in zip(dates, stretch.points, strict=True):
        if point.high > point.low:
            axes.plot([date, date], [point.low * factor, point.high * factor], color=palette.base, linewidth=0.9)


def _levels(axes: Any, palette: Palette, stretch: Stretch, factor: float) -> None:
    """The level between changes as a line, at the median, and each change with its size."""
    from matplotlib.dates import date2num

    points = stretch.points
    edges = [0, *(change.index for change in stretch.changes), len(points)]
    for begin_at, end in pairwise(edges):
        level = median(point.value for point in points[begin_at:end]) * factor
        span = [_date(points[begin_at].time), _date(points[end - 1].time)]
        axes.plot(span, [level, level], color=palette.head, linewidth=1.8, solid_capstyle="butt")
    for change in stretch.changes:
        worse = change.step > 0.0
        colour, shape = (palette.worse, "v") if worse else (palette.better, "^")
        date = _date(points[change.index].time)
        axes.axvline(date, color=colour, linewidth=1.1, alpha=0.8)
        axes.plot([date], [0.95], shape, color=colour, markersize=6.0, transform=axes.get_xaxis_transform())
        axes.annotate(
            format_percent(change.step, sign=True),
            (date2num(date), 0.95),
            xycoords=axes.get_xaxis_transform(),
            xytext=(6.0, 0.0),
            textcoords="offset points",
            color=colour,
            fontsize=8.0,
            fontweight="bold",
            va="center",
        )


def _below(series: Series) -> str:
    lane = series.lane
    suite = " ".join(word for word in (lane.suite, lane.suite_version) if word and word != "unknown")
    words = (lane.branch, ",".join(lane.flags), lane.implementation, suite, lane.mode)
    said = ", ".join(word for word in words if word and word != "unknown")
    number = sum(len(stretch.changes) for stretch in series.stretches)
    changes = f"{number} change{'s' if number != 1 else ''} of the level" if number else "no change of the level"
    return f"{said}; {series.points} commits, {changes}"


def _date(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
