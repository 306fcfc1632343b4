"""`benchyard user`: who may use a lab."""

import sys
from typing import TYPE_CHECKING, Literal, TextIO

import click

from benchyard.cli.asking import confirm, password_file_option, read_secret, yes_option
from benchyard.cli.format import local_time
from benchyard.cli.listing import Field, Listing, list_options
from benchyard.cli.options import connect, lab_options, own_user_argument, user_argument
from benchyard.cli.token import tokens

if TYPE_CHECKING:
    from benchyard.client import User

ROLES = click.Choice(["viewer", "member", "admin"])
UserRole = Literal["viewer", "member", "admin"]


@click.group("user")
def users() -> None:
    """List, add and change users. Where a USER may be left out it is yourself."""


users.add_command(tokens)


@users.command("list")
@click.option("--role", type=ROLES, help="Users of this role.")
@click.option("--status", type=click.Choice(["active", "removed"]), help="Users of this status.")
@list_options
def list_users(role: str | None, status: str | None, how: Listing) -> None:
    """List users (as an admin).

    Example: benchyard user list --role admin
    """
    with how.connect() as client:
        how.show(
            client.users.list(role=role, status=status, limit=how.limit, cursor=how.cursor), FIELDS, empty="no users"
        )


@users.command("get")
@own_user_argument
@lab_options
def get_user(user: str, url: str | None, as_json: bool) -> None:
    """Show a user.

    Example: benchyard user get
    """
    from benchyard.cli.output import print_fields, print_json

    with connect(url) as client:
        found = client.users.get(user)
    if as_json:
        print_json(found.document)
        return
    print_fields(
        (
            ("user", found.name),
            ("status", _status(found)),
            ("role", found.role),
            ("mail", found.mail),
            ("created", local_time(found.created)),
            ("changed", f"{local_time(found.changed)} by {found.changed_by}" if found.changed_by else None),
        )
    )


@users.command("add")
@click.argument("user")
@click.option("--role", type=ROLES, default="member", show_default=True, help="What the user may do.")
@password_file_option
@click.option("--no-password", is_flag=True, help="Do not ask for one: the user has tokens only.")
@click.option("--mail", metavar="ADDRESS", help="Where notices for the user are sent to.")
@lab_options
def add_user(
    user: str,
    role: UserRole,
    password_file: TextIO | None,
    no_password: bool,
    mail: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Add a user (as an admin). A viewer reads, a member has jobs too, an admin may do everything.

    The password is asked for on the terminal, or read with --password-file. Where there is neither, the user has
    none: no login in the browser, but tokens.

    Example: benchyard user add anna --role member
    """
    from benchyard.cli.output import say

    password = None
    if password_file is not None or (sys.stdin.isatty() and not no_password):
        password = read_secret(f"Password for {user}", password_file, "--password-file", twice=True)
    with connect(url) as client:
        found = client.users.add(user, role=role, password=password, mail=mail)
    say(f"user {found.name}: added as {found.role}", found.document, as_json)


@users.command("modify")
@own_user_argument
@click.option("--role", type=ROLES, help="What the user may do (as an admin).")
@click.option("--mail", metavar="ADDRESS", help="Where notices for the user are sent to.")
@click.option("--no-mail", is_flag=True, help="Send the user no mail any more.")
@lab_options
def modify_user(
    user: str, role: UserRole | None, mail: str | None, no_mail: bool, url: str | None, as_json: bool
) -> None:
    """Change a user's role (as an admin), or the mail address of yourself or a user.

    Example: benchyard user modify --mail anna@example.org
    """
    import msgspec

    from benchyard.cli.output import say

    if mail is not None and no_mail:
        raise click.UsageError("--mail and --no-mail exclude each other")
    if role is None and mail is None and not no_mail:
        raise click.UsageError("say what to change: --role, --mail or --no-mail")
    address = "" if no_mail else mail
    with connect(url) as client:
        found = client.users.get(user).modify(
            role=msgspec.UNSET if role is None else role, mail=msgspec.UNSET if address is None else address
        )
    said = [found.role] if role is not None else []
    if address is not None:
        said.append(f"mail to {found.mail}" if found.mail else "no mail")
    say(f"user {found.name}: {', '.join(said)}", found.document, as_json)


@users.command("passwd")
@own_user_argument
@password_file_option
@lab_options
def change_password(user: str, password_file: TextIO | None, url: str | None, as_json: bool) -> None:
    """Change the password of yourself, or of a user (as an admin).

    It is asked for on the terminal, or read with --password-file; it is never an argument, since those can be seen
    by everybody on the machine.

    Example: benchyard user passwd
    """
    from benchyard.cli.output import say

    password = read_secret("New password", password_file, "--password-file", twice=True)
    with connect(url) as client:
        found = client.users.get(user).modify(password=password)
    say(f"user {found.name}: the password is changed", found.document, as_json)


@users.command("enable")
@user_argument
@lab_options
def enable_user(user: str, url: str | None, as_json: bool) -> None:
    """Let a disabled user log in again (as an admin).

    Example: benchyard user enable anna
    """
    _switch(user, True, url, as_json)


@users.command("disable")
@user_argument
@lab_options
def disable_user(user: str, url: str | None, as_json: bool) -> None:
    """Keep a user from logging in and using tokens, at once (as an admin).

    Example: benchyard user disable anna
    """
    _switch(user, False, url, as_json)


@users.command("remove")
@user_argument
@yes_option
@lab_options
def remove_user(user: str, yes: bool, url: str | None, as_json: bool) -> None:
    """Remove a user (as an admin); their jobs and results stay theirs, and nobody else can take the name.

    Example: benchyard user remove anna --yes
    """
    from benchyard.cli.output import say

    with connect(url) as client:
        found = client.users.get(user)
        confirm(f"Remove user {found.name} ({found.role}) for good?", yes)
        found.remove()
    say(f"user {found.name}: removed", {"id": found.name, "status": "removed"}, as_json)


@users.command("try-secret")
@own_user_argument
@lab_options
def make_try_secret(user: str, url: str | None, as_json: bool) -> None:
    """Make a new secret for `buildbot try` and show it once; the one before it ends.

    Example: benchyard user try-secret
    """
    from benchyard.cli.output import print_json

    with connect(url) as client:
        found = client.users.get(user)
        secret = found.try_secret()
    if as_json:
        print_json({"user": found.name, "secret": secret})
        return
    click.echo(f"The secret of {found.name} for `buildbot try`, which is not shown again:", err=True)
    click.echo(secret)


def _switch(user: str, enabled: bool, url: str | None, as_json: bool) -> None:
    from benchyard.cli.output import say

    with connect(url) as client:
        found = client.users.get(user)
        found = found.enable() if enabled else found.disable()
    say(f"user {found.name}: {'enabled' if found.enabled else 'disabled'}", found.document, as_json)


def _status(user: "User") -> str:
    return user.status if user.enabled else f"{user.status}, disabled"


FIELDS: "tuple[Field[User], ...]" = (
    Field("user", lambda user: user.name),
    Field("status", _status),
    Field("role", lambda user: user.role),
    Field("created", lambda user: local_time(user.created)),
    Field("mail", lambda user: user.mail, extra=True),
    Field("changed", lambda user: local_time(user.changed), extra=True),
    Field("by", lambda user: user.changed_by, extra=True),
)
