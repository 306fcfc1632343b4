"""`benchyard user token`: the tokens with which programs act as a user."""

from typing import TYPE_CHECKING

import click

from benchyard.cli.asking import confirm, yes_option
from benchyard.cli.complete import users as complete_users
from benchyard.cli.format import local_time
from benchyard.cli.listing import Field, Listing, whole_list_options
from benchyard.cli.options import connect, lab_options, own_user_argument

if TYPE_CHECKING:
    from benchyard.client import Token


@click.group("token")
def tokens() -> None:
    """List, make and end tokens: yours, or as an admin those of a user."""


@tokens.command("list")
@own_user_argument
@whole_list_options
def list_tokens(user: str, how: Listing) -> None:
    """List tokens; what they are is not kept anywhere.

    Example: benchyard user token list
    """
    with how.connect() as client:
        how.show(client.users.get(user).tokens.list(), FIELDS, empty="no tokens")


@tokens.command("add")
@click.argument("name")
@click.option("--user", metavar="USER", default="me", shell_complete=complete_users, help="Whose (default: yours).")
@click.option("--expires-days", metavar="DAYS", type=click.IntRange(1), help="It ends after so many days.")
@click.option("--read-only", is_flag=True, help="It can read, and change nothing.")
@lab_options
def add_token(name: str, user: str, expires_days: int | None, read_only: bool, url: str | None, as_json: bool) -> None:
    """Make a token and show it once; NAME says what it is for.

    Example: benchyard user token add dashboard --read-only --expires-days 90
    """
    from benchyard.cli.output import print_json

    with connect(url) as client:
        added = client.users.get(user).tokens.add(name, expires_days=expires_days, read_only=read_only)
    if as_json:
        print_json(added.document)
        return
    # The token alone goes to stdout, so that it can be put where it belongs without being on the screen.
    ends = f", which ends {added.expires:%Y-%m-%d}" if added.expires else ""
    click.echo(f"token {added.id} ({added.name}){ends}; it is not shown again:", err=True)
    click.echo(added.token)


@tokens.command("remove")
@click.argument("token", metavar="TOKEN", type=click.IntRange(1))
@click.option("--user", metavar="USER", default="me", shell_complete=complete_users, help="Whose (default: yours).")
@yes_option
@lab_options
def remove_token(token: int, user: str, yes: bool, url: str | None, as_json: bool) -> None:
    """End a token at once; TOKEN is its number in `benchyard user token list`.

    Example: benchyard user token remove 4 --yes
    """
    from benchyard.cli.output import say

    with connect(url) as client:
        owner = client.users.get(user)
        confirm(f"End token {token} of {owner.name}?", yes)
        owner.tokens.remove(token)
    say(f"token {token}: removed", {"id": token, "status": "removed"}, as_json)


FIELDS: "tuple[Field[Token], ...]" = (
    Field("token", lambda token: str(token.id), right=True),
    Field("name", lambda token: token.name, flexible=True),
    Field("scope", lambda token: "read-only" if token.read_only else "all"),
    Field("created", lambda token: local_time(token.created)),
    Field("expires", lambda token: local_time(token.expires) or "never"),
    Field("revoked", lambda token: local_time(token.revoked), extra=True),
)
