"""`benchyard login`: keep the token of a lab."""

from typing import TextIO

import click

from benchyard.cli.asking import password_file_option, read_secret
from benchyard.cli.options import explain


@click.command()
@click.argument("url")
@click.option("--token-file", type=click.File("r"), metavar="FILE|-", help="Read the token from a file, - for stdin.")
@click.option("--user", metavar="NAME", help="Log in by name and password; the lab makes a token.")
@password_file_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def login(url: str, token_file: TextIO | None, user: str | None, password_file: TextIO | None, as_json: bool) -> None:
    """Keep a token for the lab at URL, after trying it, and make this lab the default.

    With --user the password is asked for, and the lab makes a token; else a token is asked for. Either may be
    read from a file, and neither is ever an argument, since those can be seen by everybody on the machine.
    The token is kept in your configuration directory, readable by you alone.

    Example: benchyard login http://lab.example:8010 --user anna
    """
    from benchyard.cli.output import print_json
    from benchyard.client import ClientError, save_login
    from benchyard.client.config import check_token, config_path, normal_url

    if user is None and password_file is not None:
        raise click.UsageError("a password is somebody's: name them with --user")
    if user is not None and token_file is not None:
        raise click.UsageError("a token tells whose it is: leave out --user")
    try:
        url = normal_url(url)
        if user is not None:
            password = read_secret(f"Password of {user} for {url}", password_file, "--password-file")
            token = _new_token(url, user, password)
        else:
            token = check_token(read_secret(f"Token for {url}", token_file, "--token-file"))
        user = _verify(url, token) or user
        save_login(url, user, token)
    except ClientError as exc:
        raise click.ClickException(explain(exc)) from exc
    if as_json:
        print_json({"url": url, "user": user})
    else:
        click.echo(f"Logged in to {url}{f' as {user}' if user else ''}; the token is kept in {config_path()}")


def _new_token(url: str, user: str, password: str) -> str:
    """A token of the user's own, named after this machine."""
    import platform

    from benchyard.client import Client, Config, Unauthorized

    try:
        with Client(url, Config(None, {})) as client:
            return client.log_in(user, password, name=f"login on {platform.node() or 'some machine'}"[:100]).token
    except Unauthorized as exc:
        raise click.ClickException(f"{url} does not know this name with this password") from exc


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
