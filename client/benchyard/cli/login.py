"""`benchyard login`: keep the token of a lab."""

import sys
from typing import TextIO

import click

from benchyard.cli.options import explain

LONGEST_TOKEN_FILE = 65_536


@click.command()
@click.argument("url")
@click.option("--token-file", type=click.File("r"), metavar="FILE|-", help="Read the token from a file, - for stdin.")
@click.option("--user", metavar="NAME", help="A note of whose token it is.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def login(url: str, token_file: TextIO | None, user: str | None, as_json: bool) -> None:
    """Keep a token for the lab at URL, after trying it, and make this lab the default.

    The token is asked for on the terminal, or read with --token-file; it is never an argument, since those
    can be seen by everybody on the machine. It is kept in your configuration directory, readable by you
    alone.
    """
    from benchyard.cli.output import print_json
    from benchyard.client import ClientError, save_login
    from benchyard.client.config import config_path, normal_url

    try:
        url = normal_url(url)
        token = _read_token(url, token_file)
        user = _verify(url, token) or user
        save_login(url, user, token)
    except ClientError as exc:
        raise click.ClickException(explain(exc)) from exc
    if as_json:
        print_json({"url": url, "user": user})
    else:
        click.echo(f"Logged in to {url}{f' as {user}' if user else ''}; the token is kept in {config_path()}")


def _read_token(url: str, token_file: TextIO | None) -> str:
    from benchyard.client.config import check_token

    if token_file is not None:
        try:
            text = token_file.read(LONGEST_TOKEN_FILE)
        except UnicodeDecodeError as exc:
            raise click.ClickException("the token file is not text") from exc
    elif sys.stdin.isatty():
        text = click.prompt(f"Token for {url}", hide_input=True, err=True)
    else:
        raise click.UsageError("there is no terminal to ask for the token on; use --token-file FILE or -")
    return check_token(text)


def _verify(url: str, token: str) -> str | None:
    """Ask the lab for what only a known token may see; return the user's name if it tells."""
    from benchyard.client import Client, Unauthorized

    with Client(url, token=token) as client:
        client.health()
        try:
            for _ in client.jobs.list(limit=1):
                pass
        except Unauthorized as exc:
            raise click.ClickException(f"{url} does not take this token: {exc}") from exc
        return client.health().user
