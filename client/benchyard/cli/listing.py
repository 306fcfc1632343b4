"""Lists on the command line: how many, from where, in which columns; as a table or as the lab's JSON."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import click

from benchyard.cli.options import lab_options

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from benchyard.cli.output import Cell
    from benchyard.client import Client
    from benchyard.client.entities import Document
    from benchyard.client.paging import Pages

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T", bound="Document")

PAGE = 20


@dataclass(frozen=True)
class Field(Generic[T]):
    """A column that a list can have; an `extra` one is shown only where --columns names it.

    `rank` and `tail` are those of fitting.Column: what a narrow terminal leaves out, and what it cuts.
    """

    name: str
    show: "Callable[[T], str | Cell | None]"
    right: bool = False
    flexible: bool = False
    extra: bool = False
    rank: int = 0
    tail: bool = False


@dataclass(frozen=True)
class Listing:
    """What was asked of a list: where, how many, from which cursor on, in which columns, or as JSON."""

    url: str | None
    limit: int | None
    cursor: str | None
    columns: str | None
    as_json: bool

    def connect(self) -> "AbstractContextManager[Client]":
        """Connect to the lab, see options.connect()."""
        from benchyard.cli.options import connect

        return connect(self.url)

    def show(self, pages: "Pages[T]", fields: Sequence[Field[T]], *, empty: str) -> None:
        """Print the items as a table, or as JSON the way the lab's own lists are."""
        from benchyard.cli.output import print_json

        chosen = self.chosen(fields)
        listed = list(pages)
        if self.as_json:
            print_json({"items": [found.document for found in listed], "next": pages.next})
            return
        self.print_table(listed, chosen, empty=empty)
        if pages.next:
            click.echo(f"(the first {len(listed)}; more with --limit N or --all)", err=True)

    def chosen(self, fields: Sequence[Field[T]]) -> list[Field[T]]:
        """Return the columns that were asked for, in that order; wrong usage if one is none of `fields`."""
        if not self.columns:
            return [field for field in fields if not field.extra]
        known = {field.name: field for field in fields}
        names = [name.strip().lower() for name in self.columns.split(",") if name.strip()]
        if "id" not in known:
            known["id"] = fields[0]  # what the first column of each list shows is the id, as JSON calls it
        for name in names:
            if name not in known:
                raise click.BadParameter(
                    f"there is no column {name!r}; there are {', '.join(known)}", param_hint="--columns"
                )
        return [known[name] for name in names]

    def print_table(self, listed: Sequence[T], fields: Sequence[Field[T]], *, empty: str) -> None:
        """Print a table of these columns, or the sentence `empty`."""
        from benchyard.cli.fitting import Column
        from benchyard.cli.output import print_table

        # Who names columns wants them all.
        columns = [
            Column(field.name.upper(), field.right, field.flexible, 0 if self.columns else field.rank, field.tail)
            for field in fields
        ]
        hidden = print_table(columns, ([field.show(found) or "" for field in fields] for found in listed), empty=empty)
        if hidden:
            click.echo(f"(no room for {', '.join(hidden).lower()}; --columns chooses)", err=True)


def moment(text: str) -> datetime:
    """Read a time of --since or --until: a date, or date and time, of the local zone unless it names one."""
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError) as exc:
        raise click.BadParameter(f"{text!r} is not a time; write 2026-11-22 or 2026-11-22T10:53") from exc


def since_option(command: F) -> F:
    """Give a command the option --since."""
    return click.option("--since", metavar="TIME", type=moment, help="Made at this time or later.")(command)


def until_option(command: F) -> F:
    """Give a command the option --until."""
    return click.option("--until", metavar="TIME", type=moment, help="Made at this time or earlier.")(command)


def columns_option(command: F) -> F:
    """Give a command the option --columns."""
    return click.option("--columns", metavar="A,B,...", help="These columns of the table, in this order.")(command)


def whole_list_options(command: F) -> F:
    """Give a command the options of a list that is short enough to be shown whole, as one argument, `how`."""

    @wraps(command)
    def with_listing(*args: Any, columns: str | None, url: str | None, as_json: bool, **others: Any) -> Any:
        return command(*args, how=Listing(url, None, None, columns, as_json), **others)

    return cast(F, columns_option(lab_options(with_listing)))


def list_options(command: F) -> F:
    """Give a command the options of a list, which it gets as one argument, `how`."""

    @wraps(command)
    def with_listing(
        *args: Any,
        limit: int,
        everything: bool,
        cursor: str | None,
        columns: str | None,
        url: str | None,
        as_json: bool,
        **others: Any,
    ) -> Any:
        how = Listing(url, None if everything else limit, cursor, columns, as_json)
        return command(*args, how=how, **others)

    options = (
        click.option("--limit", type=click.IntRange(1), default=PAGE, show_default=True, help="How many."),
        click.option("--all", "everything", is_flag=True, help="All there are."),
        click.option("--cursor", help='Go on after an earlier list, from the "next" of its JSON.'),
        columns_option,
    )
    with_listing = lab_options(with_listing)
    for option in reversed(options):
        with_listing = option(with_listing)
    return cast(F, with_listing)
