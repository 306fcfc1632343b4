"""How commands print: one JSON document, tables that fit the terminal, and lists of names and values."""

import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
import msgspec

from benchyard.cli.fitting import GAP, Column, cut, fit
from benchyard.cli.format import clean

if TYPE_CHECKING:
    from rich.console import Console

UNBOUNDED = 10_000
"""Columns of an output that is not a terminal: a program that reads it wants whole values."""


@dataclass(frozen=True)
class Cell:
    """A cell with a colour of its own."""

    text: str
    style: str = ""


def print_json(document: object) -> None:
    """Print one JSON document, indented, as the server sent it."""
    click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2))


def say(text: str, document: object, as_json: bool) -> None:
    """Print what a command has done: one line, or the JSON of what it has changed."""
    if as_json:
        print_json(document)
    else:
        click.echo(clean(text))


def make_console(*, err: bool = False) -> "Console":
    """Make a rich console on stdout or stderr that takes text as it is, without markup."""
    from rich.console import Console

    console = Console(stderr=err, markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console = Console(stderr=err, markup=False, highlight=False, emoji=False, width=UNBOUNDED)
    return console


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[str | Cell]], *, empty: str) -> list[str]:
    """Print a table, or the sentence `empty` if it has no row; return the titles for which there was no room."""
    cleaned = [[Cell(clean(cell.text), cell.style) for cell in map(_cell, row)] for row in rows]
    if not cleaned:
        click.echo(empty)
        return []
    lengths = [max(len(row[place].text) for row in cleaned) for place in range(len(columns))]
    widths = fit(columns, lengths, _width())
    titles = [Cell(column.title, "bold") for column in columns]
    for row in (titles, *cleaned):
        last = max((place for place in widths if row[place].text), default=-1)
        shown = [_padded(row[place], columns[place], width, place == last) for place, width in widths.items()]
        click.echo((" " * GAP).join(shown[: list(widths).index(last) + 1] if last >= 0 else ()))
    return [column.title for place, column in enumerate(columns) if place not in widths]


def print_wrapped(text: str) -> None:
    """Print a list of names in as many lines as the terminal needs, the further ones indented."""
    wrapper = textwrap.TextWrapper(_width(), subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    click.echo(wrapper.fill(clean(text)))


def _width() -> int:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else UNBOUNDED


def _padded(cell: Cell, column: Column, width: int, is_last: bool) -> str:
    """A cell as wide as its column, in its colour; nothing comes after the last of a line."""
    text = cut(cell.text, width, tail=column.tail)
    space = " " * (width - len(text))
    if cell.style and not os.environ.get("NO_COLOR"):
        known = {"bold": {"bold": True}, "dim": {"dim": True}}
        text = click.style(text, **known.get(cell.style, {"fg": cell.style}))
    return space + text if column.right else text + ("" if is_last else space)


def _cell(value: str | Cell) -> Cell:
    return value if isinstance(value, Cell) else Cell(value)


def print_fields(fields: Iterable[tuple[str, Any]]) -> None:
    """Print names and values, one a line, leaving out what is empty."""
    known = [(name, clean(str(value))) for name, value in fields if value not in (None, "", ())]
    width = max((len(name) for name, _ in known), default=0)
    for name, value in known:
        click.echo(f"{name:<{width}}  {value}")
