"""`benchyard login`: keep the token of a lab."""

from typing import TextIO

import click

from benchyard.cli.asking import read_secret
from benchyard.cli.options import explain


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

    Example: benchyard login http://lab.example:8010
    """
    from benchyard.cli.output import print_json
    from benchyard.client import ClientError, save_login
    from benchyard.client.config import check_token, config_path, normal_url

    try:
        url = normal_url(url)
        token = check_token(read_secret(f"Token for {url}", token_file, "--token-file"))
        user = _verify(url, token) or user
        save_login(url, user, token)
    except ClientError as exc:
        raise click.ClickException(explain(exc)) from exc
    if as_json:
        print_json({"url": url, "user": user})
    else:
        click.echo(f"Logged in to {url}{f' as {user}' if user else ''}; the token is kept in {config_path()}")


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
