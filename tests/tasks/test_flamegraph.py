"""Flame graphs: a valid SVG by itself, whatever the names in it are."""

import re
from xml.etree import ElementTree

import pytest

from benchyard.tasks.flamegraph import draw

SVG = "{http://www.w3.org/2000/svg}"


def boxes(text: str) -> dict[str, tuple[float, float, float]]:
    """(x, y, width) of each frame, by its name as it is shown when pointed at."""
    found = {}
    for group in ElementTree.fromstring(text).iter(f"{SVG}g"):  # noqa: S314 (our own)
        title, rect = group.find(f"{SVG}title"), group.find(f"{SVG}rect")
        assert title is not None and title.text is not None and rect is not None
        found[title.text] = (float(rect.get("x", "")), float(rect.get("y", "")), float(rect.get("width", "")))
    return found


def test_frames_are_as_wide_as_their_share() -> None:
    """A frame stands below its caller, as wide as its part of all samples, and says how many these are."""
    found = boxes(draw({("main (a.py:1)", "f"): 75, ("main (a.py:1)",): 20, ("g",): 5}, title="t"))
    whole, main = found["all: 100 samples, 100.00 %"], found["main (a.py:1): 95 samples, 95.00 %"]
    inner, other = found["f: 75 samples, 75.00 %"], found["g: 5 samples, 5.00 %"]
    assert whole[2] == pytest.approx(1180)
    assert main[2] == pytest.approx(0.95 * 1180, abs=0.1)
    assert inner[0] == main[0]
    assert inner[1] > main[1] > whole[1]
    assert other[0] == pytest.approx(whole[0]) and main[0] == pytest.approx(other[0] + other[2], abs=0.1)


def test_hostile_names() -> None:
    """Names cannot become markup, scripts or what XML has no place for; nothing in the file is fetched or run."""
    name = "<script>alert('x')</script>\x00\x1b[31m\"&"
    text = draw({(name, "]]>"): 3}, title=name, note=name)
    assert "<script" not in text
    assert any("<script>" in shown for shown in boxes(text))
    assert not re.search(r"href|src=|url\(|@import|javascript:|\bon\w+=", text)


def test_light_and_dark() -> None:
    """The reader's choice is in the style, with a colour of its own for each class."""
    style = ElementTree.fromstring(draw({("a",): 1}, title="t")).find(f"{SVG}style")  # noqa: S314 (our own)
    assert style is not None and style.text is not None
    light, _media, dark = style.text.partition("@media (prefers-color-scheme: dark)")
    classes = set(re.findall(r"\.(\w+) { fill", light))
    assert {"c0", "c1", "c2", "c3", "c4", "native", "root"} <= classes
    assert set(re.findall(r"\.(\w+) { fill", dark)) == classes


def test_what_cannot_be_seen_is_left_out() -> None:
    """A hundred thousand rare frames make no large file."""
    stacks: dict[tuple[str, ...], int] = {("main", f"f{number}"): 1 for number in range(100_000)}
    stacks["main", "hot"] = 100_000
    text = draw(stacks, title="t")
    assert len(boxes(text)) == 3
    assert len(text) < 10_000


def test_deep_stack() -> None:
    """A stack deeper than Python's own is drawn."""
    assert len(boxes(draw({tuple(f"f{number}" for number in range(3000)): 1}, title="t"))) == 3001


def test_nothing_seen() -> None:
    """No samples make an empty graph, and no error."""
    assert list(boxes(draw({}, title="t"))) == ["all: 0 samples, 0.00 %"]
