"""The values of one benchmark on both sides of a comparison, one by one and as a density."""

import math
from typing import Any

import numpy as np

from benchyard.results.arrays import Array
from benchyard.results.compare import Change
from benchyard.results.measured import Measured
from benchyard.results.overall import thinned
from benchyard.results.pictures.canvas import Palette, Style, begin, head_up, render
from benchyard.results.pictures.scales import scale_of
from benchyard.results.text import change_text
from benchyard.results.units import format_mean

# Points of a density, and the least width of its bells relative to the mean.
_POINTS, _LEAST_WIDTH = 200, 1e-4


def distribution_picture(
    change: Change, sides: tuple[Measured, Measured], *, base: str, head: str, style: Style
) -> bytes:
    """What the processes of a benchmark gave on both sides: means of processes, which vary independently."""
    title = f"{change.name}: {head} compared with {base}"

    def draw(figure: Any, palette: Palette) -> None:
        factor, unit = scale_of(sides[0].summary.mean, change.base.unit)
        axes_of = begin(figure, palette, 2, share=True)
        head_up(axes_of[0], palette, title, _below(change))
        every = np.concatenate([side.units for side in sides]) * factor
        low, high = float(every.min()), float(every.max())
        margin = max((high - low) * 0.08, abs(high) * 1e-3)
        for axes, side, colour, name in zip(
            axes_of, sides, (palette.base, palette.head), (f"base: {base}", f"head: {head}"), strict=True
        ):
            _side(axes, palette, side, factor, colour, (low - margin, high + margin))
            axes.set_ylabel(name.partition(":")[0], color=colour, fontweight="bold")
        axes_of[0].tick_params(labelbottom=False)
        axes_of[-1].set_xlabel(f"{unit}; a dot for each process, a line at the mean", color=palette.quiet)

    return render(draw, title=title, size=(8.0, 4.2), style=style)


def _below(change: Change) -> str:
    values = f"{format_mean(change.base.mean, change.base.stdev, change.base.unit)} -> "
    values += format_mean(change.head.mean, change.head.stdev, change.head.unit)
    between = f" (95 %: {change.low:.3f} to {change.high:.3f})" if change.low and change.high else ""
    return f"{values}: {change_text(change)}{between}"


def _side(axes: Any, palette: Palette, side: Measured, factor: float, colour: str, limits: tuple[float, float]) -> None:
    values = thinned(side.units) * factor
    places = np.linspace(*limits, _POINTS)
    density = _density(values, places)
    axes.fill_between(places, 0.0, density, color=colour, alpha=0.25, linewidth=0.0)
    axes.plot(places, density, color=colour, linewidth=1.2)
    # Dots do not lie on each other: they are spread by their order, the same way each time.
    heights = -0.12 - 0.28 * ((np.arange(len(values)) * 0.618034) % 1.0)
    axes.plot(values, heights, "o", color=colour, markersize=3.6, markeredgewidth=0.0, alpha=0.8)
    axes.axvline(side.summary.mean * factor, color=palette.ink, linewidth=1.2)
    axes.set_ylim(-0.5, 1.1)
    axes.set_xlim(*limits)
    axes.set_yticks([])
    axes.grid(False, axis="y")


def _density(values: Array, places: Array) -> Array:
    """A kernel density, 1 at its highest, with Silverman's width (Density Estimation, 1986, 3.31)."""
    spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    low, high = np.quantile(values, (0.25, 0.75))
    usual = min(filter(None, (spread, float(high - low) / 1.349)), default=0.0)
    width = max(0.9 * usual * len(values) ** -0.2, abs(float(values.mean())) * _LEAST_WIDTH)
    bells = np.exp(-0.5 * ((places[:, None] - values[None, :]) / width) ** 2).sum(axis=1)
    top = float(bells.max())
    scaled: Array = bells / top if top > 0.0 and math.isfinite(top) else bells
    return scaled
