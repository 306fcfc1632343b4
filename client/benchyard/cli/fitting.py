"""Which columns of a table a terminal has room for, and how wide each is."""

from collections.abc import Sequence
from dataclasses import dataclass

NARROWEST = 12
"""A flexible column is not cut to less than this: what is left would tell nothing."""

GAP = 2


@dataclass(frozen=True)
class Column:
    """A column of a table.

    A flexible one is cut where the terminal is too narrow for all, at its beginning if `tail` (the end of a path tells
    more). One with a rank is left out where even that does not help, the highest rank first.
    """

    title: str
    right: bool = False
    flexible: bool = False
    rank: int = 0
    tail: bool = False


def fit(columns: Sequence[Column], lengths: Sequence[int], room: int) -> dict[int, int]:
    """Return the widths of the columns to show, by their places; `lengths` are those of the longest values."""
    whole = [max(len(column.title), length) for column, length in zip(columns, lengths, strict=True)]
    least = [
        min(width, max(len(column.title), NARROWEST)) if column.flexible else width
        for column, width in zip(columns, whole, strict=True)
    ]
    shown = list(range(len(columns)))
    while _needed([least[place] for place in shown]) > room:
        # Of those that may go, one without a value goes first.
        place = max(shown, key=lambda place: (columns[place].rank > 0 and not lengths[place], columns[place].rank))
        if not columns[place].rank:
            break
        shown.remove(place)
    widths = {place: least[place] for place in shown}
    spare = room - _needed(list(widths.values()))
    while spare > 0 and (short := [place for place in shown if widths[place] < whole[place]]):
        for place in short[:spare]:
            widths[place] += 1
        spare -= len(short[:spare])
    return widths


def cut(text: str, width: int, *, tail: bool) -> str:
    """Return the text in at most so many characters, with an ellipsis where something is left out."""
    if len(text) <= width:
        return text
    if width <= 1:
        return text[:width]
    return "…" + text[-(width - 1) :] if tail else text[: width - 1] + "…"


def _needed(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * max(0, len(widths) - 1)
