"""Questions on the terminal: whether to remove something, and secrets, which are never arguments.

Arguments can be seen by everybody on the machine, and stay in the shell's history.
"""

import sys
from collections.abc import Callable
from typing import Any, TextIO, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

LONGEST_SECRET_FILE = 65_536
"""Characters; a file that is longer was named by mistake."""


def yes_option(command: F) -> F:
    """Give a command that destroys something the option --yes."""
    return click.option("-y", "--yes", is_flag=True, help="Do not ask.")(command)


def confirm(question: str, yes: bool) -> None:
    """Ask on a terminal, unless it was said already; a no ends the command. A script knows what it does."""
    if not yes and sys.stdin.isatty() and not click.confirm(question, err=True):
        raise click.ClickException("nothing was done")


def password_file_option(command: F) -> F:
    """Give a command the option --password-file."""
    return click.option(
        "--password-file", type=click.File("r"), metavar="FILE|-", help="Read the password from a file, - for stdin."
    )(command)


def read_secret(prompt: str, file: TextIO | None, option: str, *, twice: bool = False) -> str:
    """Return the first line of a file, or what was typed on the terminal, without echo, if there is no file.

    UsageError, naming the option, where there is neither.
    """
    if file is not None:
        try:
            text = file.read(LONGEST_SECRET_FILE)
        except UnicodeDecodeError as exc:
            raise click.ClickException(f"what {option} names is not text") from exc
        text = text.partition("\n")[0].removesuffix("\r")
    elif sys.stdin.isatty():
        text = click.prompt(prompt, hide_input=True, err=True, confirmation_prompt=twice)
    else:
        raise click.UsageError(f"there is no terminal to ask on; use {option} FILE or -")
    if not text:
        raise click.ClickException(f"what {option} names is empty")
    return text
