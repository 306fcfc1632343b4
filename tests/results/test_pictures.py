"""Pictures: whole, the same for the same input, readable on light and on dark pages, and harmless."""

import gzip
import io
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from benchyard.results.compare import Comparison, compare
from benchyard.results.measured import measure
from benchyard.results.pictures.canvas import DARK, LIGHT, Palette, Style
from benchyard.results.pictures.comparison import comparison_picture
from benchyard.results.pictures.distribution import distribution_picture
from benchyard.results.pictures.scales import scale_of
from benchyard.results.pictures.series import series_picture
from benchyard.results.reading import read_suite
from benchyard.results.series import Lane, Series, Value, series_of
from benchyard.results.suites import Samples, Suite

SVG, PNG, DARK_PNG = Style(), Style("png"), Style("png", dark=True)
LANE = Lane("bench1", ("pgo",), "main", "cpython", "pyperformance", "1.14.0", "full")


def suite(factor: float, names: tuple[str, ...] = ("nbody", "go", "chaos")) -> Suite:
    """A result in which the first benchmark takes `factor` as long, and all vary by 1 %."""
    rng = np.random.default_rng(7)
    values = {name: rng.normal(1.0, 0.01, 20) * (factor if name == names[0] else 1.0) for name in names}
    found = {name: Samples(tuple(map(float, each)), "second", (1,) * 20) for name, each in values.items()}
    return Suite({}, found, ())


def comparison(style: Style, found: Comparison | None = None, base: str = "result 1", head: str = "result 2") -> bytes:
    """A picture of a comparison in which nbody is 1.25x faster."""
    return comparison_picture(found or compare(suite(1.0), suite(0.8)), base=base, head=head, style=style)


def distribution(style: Style) -> bytes:
    """A picture of both sides of nbody."""
    base, head = suite(1.0), suite(0.8)
    (change,) = [each for each in compare(base, head).benchmarks if each.name == "nbody"]
    sides = measure(base).benchmarks["nbody"], measure(head).benchmarks["nbody"]
    return distribution_picture(change, sides, base="result 1", head="result 2", style=style)


def made_series() -> list[Series]:
    """A series of two epochs that gets slower by 20 %, and faster again."""
    values = []
    for n in range(60):
        mean = (1.2 if 20 <= n < 40 else 1.0) * (1.0 + 0.002 * (n * 7 % 5))
        commit, epoch = f"{n:040x}", 1 if n < 50 else 2
        values.append(Value(n + 1, LANE, epoch, "1", "second", commit, 1.78e9 + n * 86400.0, 0.0, "nbody", mean))
    values.append(Value(99, LANE, 2, "1", "second", values[-1].commit, values[-1].committed, 1.0, "nbody", 1.05))
    return series_of(values)


def series(style: Style) -> bytes:
    """A picture of it."""
    return series_picture(made_series(), style=style)


ALL = pytest.mark.parametrize("draw", [comparison, distribution, series])


def parsed(svg: bytes | str) -> ElementTree.Element:
    """The root of a picture, which has to be whole XML."""
    return ElementTree.fromstring(svg)  # noqa: S314 (it is our own)


def words(svg: bytes) -> str:
    """All text of a picture."""
    return "\n".join("".join(each.itertext()) for each in parsed(svg).iter() if each.tag.endswith("text"))


@ALL
def test_svg_is_for_both(draw: Callable[[Style], bytes]) -> None:
    """Whole XML with a title, colours by name for both schemes, nothing behind, nothing that runs or is fetched."""
    text = draw(SVG).decode()
    root = parsed(text)
    assert root.find("{http://www.w3.org/2000/svg}title") is not None
    assert "@media(prefers-color-scheme:dark)" in text
    assert "var(--ink)" in text
    assert "#f0e1d" not in text
    assert "<script" not in text
    tags = {each.tag.rpartition("}")[2] for each in root.iter()}
    assert not tags & {"script", "image", "foreignObject", "a"}


@ALL
def test_png_is_for_one(draw: Callable[[Style], bytes]) -> None:
    """The corner is of the colour of the page that it is for, and what is drawn is not lost in it."""
    from PIL import Image

    for style, palette in ((PNG, LIGHT), (DARK_PNG, DARK)):
        image = Image.open(io.BytesIO(draw(style))).convert("RGB")
        assert image.width > 1000
        assert image.getpixel((0, 0)) == rgb(palette.page)
        colours = {colour for _, colour in image.getcolors(1 << 24) or ()}
        assert rgb(palette.ink) in colours


@ALL
def test_same_bytes(draw: Callable[[Style], bytes]) -> None:
    """The same input gives the same bytes, also in several threads at once."""
    for style in (SVG, DARK_PNG):
        once = draw(style)
        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(draw, [style] * 4)) == {once}
        assert b"<dc:date>" not in once


def test_same_bytes_in_another_process() -> None:
    """Neither the time nor the order of a process's hashes is in a picture."""
    code = "import sys, test_pictures as t; sys.stdout.buffer.write(t.comparison(t.SVG))"
    path = ":".join(filter(None, [*sys.path, str(Path(__file__).parent)]))
    other = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "1"},
        capture_output=True,
        check=True,
        timeout=120,
    )
    assert other.stdout == comparison(SVG)


def test_comparison_says_what_it_is_of() -> None:
    """What is compared, each benchmark, the believed ratios in words, and the directions."""
    said = words(comparison(SVG))
    for text in ("result 2 compared with result 1", "nbody", "go", "chaos", "1.25x faster", "← slower", "faster →"):
        assert text in said
    assert "1 faster, 0 slower, 2 without a difference" in said


def test_comparison_of_nothing() -> None:
    """Results without a benchmark in common have a picture that says so."""
    found = compare(suite(1.0, ("a",)), suite(1.0, ("b",)))
    assert "no benchmark in common" in words(comparison(SVG, found))


def test_many_benchmarks_have_room() -> None:
    """Rows of 300 do not lie on each other; what is left out is said."""
    names = tuple(f"benchmark_{n}" for n in range(300))
    found = compare(suite(1.0, names), suite(0.8, names))
    svg = comparison(SVG, found)
    height = float(str(parsed(svg).get("height")).removesuffix("pt"))
    assert height > 250 * 11
    assert "the 250 that differ most" in words(svg)


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "a & b", "$x^2$", 'quo"te', "x" * 500, "\u202e\u2066", "日本"]
)
def test_names_are_text(name: str) -> None:
    """Whatever is in a name is drawn as it is, or shortened; it is neither markup nor mathematics."""
    found = compare(suite(1.0, (name, "go")), suite(0.8, (name, "go")))
    said = words(comparison(SVG, found, base=name, head=name))
    if len(name) < 40 and name.isprintable():
        assert name in said
    assert comparison(PNG, found, base=name, head=name)


def test_series_shows_changes_and_epochs() -> None:
    """Each change with its direction, and where another epoch begins."""
    said = words(series(SVG))
    for text in ("nbody on bench1", "+20.0 %", "-16.7 %", "epoch 1", "epoch 2", "60 commits, 2 changes of the level"):
        assert text in said


def test_no_series() -> None:
    """Nothing found is a picture that says so."""
    assert "no enabled result" in words(series_picture([], style=SVG))


def test_distribution_of_what_does_not_vary() -> None:
    """Values that are all alike, and a single one, have a picture as well."""
    same = Suite({}, {"a": Samples((2.0,) * 5, "second", (1,) * 5)}, ())
    one = Suite({}, {"a": Samples((2.0,), "byte", (1,))}, ())
    for base, head in ((same, same), (one, one)):
        (change,) = compare(base, head).benchmarks
        sides = measure(base).benchmarks["a"], measure(head).benchmarks["a"]
        assert distribution_picture(change, sides, base="1", head="2", style=PNG)


def test_scales() -> None:
    """An axis has short numbers, in one unit."""
    assert scale_of(0.012, "second") == (1000.0, "milliseconds")
    assert scale_of(2.5, "second") == (1.0, "seconds")
    assert scale_of(3e6, "byte")[1] == "MiB"
    assert scale_of(0.0, "second")[1] == "nanoseconds"
    assert scale_of(5.0, "integer") == (1.0, "count")


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue of a colour."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return red, green, blue


def contrast(one: str, other: str) -> float:
    """How far two colours are apart (WCAG 2.2, contrast ratio)."""
    levels = []
    for colour in (one, other):
        parts = [part / 255.0 for part in rgb(colour)]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        levels.append(0.2126 * red + 0.7152 * green + 0.0722 * blue)
    return (max(levels) + 0.05) / (min(levels) + 0.05)


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_colours_can_be_read(palette: Palette) -> None:
    """Text has a contrast of 4.5 to 1 at least, what is only drawn one of 3 to 1."""
    for name in ("ink", "quiet", "better", "worse"):
        assert contrast(getattr(palette, name), palette.page) >= 4.5, name
    for name in ("base", "head"):
        assert contrast(getattr(palette, name), palette.page) >= 3.0, name


def test_real_results(real_results: Path) -> None:
    """Two real results with a hundred benchmarks: all of them are in the picture."""
    paths = sorted(real_results.glob("bm-*/bm-*.json.gz"))
    base, head = (read_suite(gzip.decompress(path.read_bytes())) for path in paths[2:4])
    found = compare(base, head)
    said = words(comparison(SVG, found)).split("\n")
    assert len(found.benchmarks) > 90
    assert all(any(change.name in line for line in said) for change in found.benchmarks)
