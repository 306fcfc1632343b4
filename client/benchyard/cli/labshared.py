"""What the commands of `benchyard lab` share: the lab's folder, --json, errors, and words beside the output."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, one document.")
DIR = click.argument("directory", metavar="[DIR]", type=click.Path(path_type=Path), default=Path("lab"))


@contextmanager
def lab_errors() -> Iterator[None]:
    """Turn the errors of a lab into the command line's."""
    from benchyard.lab.errors import LabError

    try:
        yield
    except LabError as exc:
        raise click.ClickException(str(exc)) from exc


def aside(text: str) -> None:
    """Tell how far something is, beside what the command prints."""
    click.echo(text, err=True)
