"""Flame graphs: who called whom, and how much of the time each took, as one SVG file.

It needs nothing from elsewhere and has no script in it, so that a page may show it whatever made the names in it.
Colours follow the reader's choice of light or dark.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape

from benchyard.tasks.folding import Stack

_WIDTH, _MARGIN, _ROW, _TOP = 1200, 10, 17, 48
#: Frames narrower than so many pixels cannot be seen, and are left out.
_NARROWEST = 0.3
# Pixels of a character at the size of the text, monospaced.
_CHARACTER = 6.7

_STYLE = """
svg { background: #fff; color: #1d1d1f; color-scheme: light dark; }
text { font: 11px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #1d1d1f; }
text.title { font-size: 16px; } text.note { fill: #6b6b70; }
rect { stroke: #fff; stroke-width: 0.5; }
g:hover > rect { stroke: #1d1d1f; stroke-width: 1.5; }
.c0 { fill: #f2b05e; } .c1 { fill: #f0a04b; } .c2 { fill: #ee8f4f; } .c3 { fill: #f5c16c; } .c4 { fill: #e8815a; }
.native { fill: #9cc3e6; } .root { fill: #d8d8dc; }
@media (prefers-color-scheme: dark) {
svg { background: #1b1b1e; color: #ececf0; }
text { fill: #ececf0; } text.note { fill: #a0a0a8; }
rect { stroke: #1b1b1e; }
g:hover > rect { stroke: #ececf0; }
.c0 { fill: #8a5a1e; } .c1 { fill: #94591a; } .c2 { fill: #964a1c; } .c3 { fill: #7d5f22; } .c4 { fill: #8f4327; }
.native { fill: #2f5f88; } .root { fill: #46464c; }
}
"""


@dataclass
class _Node:
    name: str
    count: int = 0
    children: dict[str, "_Node"] = field(default_factory=dict)


@dataclass(frozen=True)
class _Box:
    name: str
    count: int
    depth: int
    start: int


def draw(stacks: Mapping[Stack, int], *, title: str, note: str = "") -> str:
    """Return the SVG of folded stacks, the outermost frames on top; `note` stands below the title.

    Frames of one caller are sorted by name: the horizontal axis is no time axis. Frames without a file are native.
    """
    root = _tree(stacks)
    boxes = list(_boxes(root))
    depth = max(box.depth for box in boxes)
    height = _TOP + (depth + 1) * _ROW + _MARGIN
    scale = (_WIDTH - 2 * _MARGIN) / max(root.count, 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
        f' role="img">',
        f"<title>{_text(title)}</title>",
        f"<style>{_STYLE}</style>",
        f'<text class="title" x="{_MARGIN}" y="22">{_text(title)}</text>',
        f'<text class="note" x="{_MARGIN}" y="39">{_text(note)}</text>',
        *(_drawn(box, root.count, scale) for box in boxes if box.depth == 0 or box.count * scale >= _NARROWEST),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _tree(stacks: Mapping[Stack, int]) -> _Node:
    root = _Node("all")
    for stack, count in stacks.items():
        root.count += count
        node = root
        for frame in stack:
            node = node.children.setdefault(frame, _Node(frame))
            node.count += count
    return root


def _boxes(root: _Node) -> Iterator[_Box]:
    """All frames with their places; not by recursion, as stacks may be a thousand frames deep."""
    waiting = [(root, 0, 0)]
    while waiting:
        node, depth, start = waiting.pop()
        yield _Box(node.name, node.count, depth, start)
        for name in sorted(node.children):
            child = node.children[name]
            waiting.append((child, depth + 1, start))
            start += child.count


def _drawn(box: _Box, total: int, scale: float) -> str:
    x, y, width = _MARGIN + box.start * scale, _TOP + box.depth * _ROW, box.count * scale
    share = 100 * box.count / max(total, 1)
    shown = box.name[: max(0, int((width - 6) / _CHARACTER))]
    if len(shown) < len(box.name):
        shown = shown[:-2] + ".." if len(shown) > 3 else ""
    label = f'<text x="{x + 3:.1f}" y="{y + 12}">{_text(shown)}</text>' if shown else ""
    return (
        f"<g><title>{_text(box.name)}: {box.count} samples, {share:.2f} %</title>"
        f'<rect class="{_colour(box)}" x="{x:.1f}" y="{y}" width="{width:.2f}" height="{_ROW - 1}" rx="1"/>{label}</g>'
    )


def _colour(box: _Box) -> str:
    """The same colour for the same frame in each graph, so that two can be compared by eye."""
    if box.depth == 0:
        return "root"
    if not box.name.endswith(")"):
        return "native"
    return f"c{hashlib.sha256(box.name.encode()).digest()[0] % 5}"


def _text(text: str) -> str:
    """Text that may stand in XML, which has no place for most control characters."""
    return escape("".join(char if char.isprintable() else "?" for char in text))
