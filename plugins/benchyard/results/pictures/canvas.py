"""What all pictures have in common: colours for light and dark pages, and bytes that are the same for the same input.

An SVG has no background, and colours by CSS: it is read on a light page as on a dark one, whichever the reader's system
asks for. A PNG is for one of them. Colours are of Okabe and Ito (Color Universal Design, 2008), which people who do not
see all colours tell apart, with lighter ones of the same hues on dark; direction is told by shape as well.
"""

import io
import re
import textwrap
import warnings
from collections.abc import Callable
from html import escape
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

import msgspec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Kind = Literal["svg", "png"]

#: Dots in an inch of a PNG.
DPI = 144

# Text of all sizes can be read at the width of a page; text is kept as text, in fonts that readers have.
_SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "benchyard",
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.titlesize": 11.0,
    "axes.unicode_minus": False,
    "path.simplify": False,
    "text.parse_math": False,
}

_FONTS = "font-family: system-ui, 'Segoe UI', 'DejaVu Sans', Verdana, sans-serif"

# matplotlib's settings are those of the whole process.
_lock = Lock()


class Palette(msgspec.Struct, frozen=True):
    """A colour for each thing that is drawn; `page` is what lies behind all."""

    ink: str
    quiet: str
    grid: str
    page: str
    better: str
    worse: str
    base: str
    head: str


LIGHT = Palette("#1f2328", "#59636e", "#d1d9e0", "#ffffff", "#007a59", "#c44e00", "#0072b2", "#c27c00")
DARK = Palette("#e6edf3", "#9198a1", "#3d444d", "#0d1117", "#2fc79a", "#ff8a3d", "#56b4e9", "#e6a532")

# Stand-ins that are replaced by names of CSS; nothing else has these colours.
_NAMES = Palette.__struct_fields__
_STANDINS = Palette(*(f"#f0e1d{number}" for number in range(len(_NAMES))))


class Style(msgspec.Struct, frozen=True):
    """How a picture is made: `dark` is for PNG, as an SVG is for both."""

    kind: Kind = "svg"
    dark: bool = False


Draw = Callable[["Figure", Palette], None]


def render(draw: Draw, *, title: str, size: tuple[float, float], style: Style) -> bytes:
    """The bytes of what `draw` draws on a figure of this size, in inches; `title` is for those who cannot see it."""
    import matplotlib  # takes a while to import
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    palette = _STANDINS if style.kind == "svg" else DARK if style.dark else LIGHT
    out = io.BytesIO()
    with _lock, matplotlib.rc_context(_SETTINGS), warnings.catch_warnings():
        # An SVG has its text as text, for the reader's fonts; in a PNG there is a box then.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure = Figure(figsize=size, facecolor="none" if style.kind == "svg" else palette.page, layout="constrained")
        draw(figure, palette)
        if style.kind == "svg":
            FigureCanvasSVG(figure)
            figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
        else:
            FigureCanvasAgg(figure)
            figure.savefig(out, format="png", dpi=DPI, metadata={"Software": None}, facecolor=palette.page)
    return _for_both(out.getvalue().decode(), title) if style.kind == "svg" else out.getvalue()


def begin(figure: "Figure", palette: Palette, rows: int = 1, *, share: bool = False) -> list[Any]:
    """Plain axes, one below the other."""
    found: list[Any] = []
    for row in range(rows):
        axes = figure.add_subplot(rows, 1, row + 1, sharex=found[0] if share and found else None)
        axes.set_facecolor("none")
        axes.tick_params(colors=palette.quiet, labelcolor=palette.quiet, length=3.0)
        for side, spine in axes.spines.items():
            spine.set_visible(side in ("bottom", "left"))
            spine.set_color(palette.grid)
        axes.grid(True, color=palette.grid, linewidth=0.6)
        axes.set_axisbelow(True)
        found.append(axes)
    return found


def head_up(axes: Any, palette: Palette, title: str, below: str, *, width: int = 100) -> None:
    """A title of at most two lines, each of so many characters, and a line of what is to be said of it."""
    lines = textwrap.wrap(shortened(title, 2 * width), width, max_lines=2, placeholder=" …")
    axes.set_title("\n".join([*lines, ""]), loc="left", color=palette.ink, fontweight="bold", linespacing=1.3)
    said = shortened(below, 130)
    axes.text(0.0, 1.0, said, color=palette.quiet, transform=axes.transAxes, va="bottom", ha="left", linespacing=1.6)


def shortened(text: str, length: int) -> str:
    """Text from outside, in one line."""
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return plain if len(plain) <= length else plain[: length - 1] + "…"


def _for_both(svg: str, title: str) -> bytes:
    """Put the colours of light and dark pages into an SVG, and its title."""
    for name, standin in zip(_NAMES, msgspec.structs.astuple(_STANDINS), strict=True):
        svg = svg.replace(standin, f"var(--{name})")
    rules = [f":root{{{_variables(LIGHT)}}}", f"@media(prefers-color-scheme:dark){{:root{{{_variables(DARK)}}}}}"]
    style = f"<style>{' '.join(rules)} text{{{_FONTS} !important}}</style>"
    # Sizes stand in one word with the family, which is the reader's own.
    return re.sub(
        r"(<svg\b[^>]*)>",
        lambda found: f'{found[1]} role="img"><title>{escape(title)}</title>{style}',
        svg,
        count=1,
    ).encode()


def _variables(palette: Palette) -> str:
    return ";".join(f"--{name}:{getattr(palette, name)}" for name in _NAMES)
