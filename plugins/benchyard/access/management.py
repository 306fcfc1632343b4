"""Changes of users and their tokens: what may be called what, and what must never be, each in one transaction."""

import math
import re
from typing import Any

import sqlalchemy as sa

from benchyard.access.errors import AccessInvalid
from benchyard.store import users
from benchyard.store.addresses import is_address
from benchyard.store.columns import Flag
from benchyard.store.errors import Conflict, NotFound
from benchyard.store.history import record
from benchyard.store.rows import ROLES, Token, User
from benchyard.store.tables import users as table

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
NAME_RULE = "1 to 40 letters, digits, dots, dashes and underscores, the first a letter or digit"

#: What stands for somebody who is no user, wherever an owner or the author of a change is named.
RESERVED = frozenset({"me", "lab", "web", "anonymous"})

PASSWORD_LENGTH = range(8, 201)
LABEL_LENGTH = range(1, 101)

#: Days that a token may be good for, and good tokens that one user may have.
MAX_DAYS = 3650
MAX_TOKENS = 100

DAY_S = 86400.0


def check_name(name: str) -> None:
    """AccessInvalid where nobody can be called so."""
    if not NAME.fullmatch(name):
        raise AccessInvalid("name", f"{name[:60]!r} is no name for a user; use {NAME_RULE}")
    if name.lower() in RESERVED:
        raise AccessInvalid("name", f"{name!r} means something else here; choose another name")


def check_role(role: str) -> None:
    """AccessInvalid where there is no such role."""
    if role not in ROLES:
        raise AccessInvalid("role", f"{role[:60]!r} is no role; there are {', '.join(ROLES)}")


def check_password(password: str) -> None:
    """AccessInvalid where a password is too short, or too long to be hashed for strangers."""
    if len(password) not in PASSWORD_LENGTH:
        low, high = PASSWORD_LENGTH[0], PASSWORD_LENGTH[-1]
        raise AccessInvalid("password", f"a password has {low} to {high} characters, this one {len(password)}")


def check_mail(mail: str) -> None:
    """AccessInvalid where nobody can be written to there; an empty one is none."""
    if mail and not is_address(mail):
        raise AccessInvalid("mail", f"{mail[:60]!r} is no mail address, such as ada@example.org")


def check_token(label: str, expires_days: float | None) -> None:
    """AccessInvalid where a token can have no such label, or not be good for so long."""
    if len(label) not in LABEL_LENGTH or not label.isprintable():
        raise AccessInvalid("name", f"a token's name has {LABEL_LENGTH[0]} to {LABEL_LENGTH[-1]} printable characters")
    if expires_days is not None and not (math.isfinite(expires_days) and 0 < expires_days <= MAX_DAYS):
        raise AccessInvalid("expires_days", f"a token is good for more than 0 and up to {MAX_DAYS} days, or for ever")


def add_user(
    conn: sa.Connection, name: str, role: str, password_hash: str | None, mail: str = "", *, now: float, who: str
) -> User:
    """A new user; Conflict where the name is, or was, somebody's, in whatever case: `Ada` would pass for `ada`."""
    twin = conn.execute(sa.select(table.c.name).where(sa.func.lower(table.c.name) == name.lower())).scalar()
    if twin is not None and twin != name:
        raise Conflict(f"there is a user {twin!r} already; choose a name that differs by more than its case")
    return users.create_user(
        conn, now=now, who=who, name=name, password_hash=password_hash, role=role, mail=mail or None
    )


def modify_user(
    conn: sa.Connection,
    name: str,
    role: str | None,
    password_hash: str | None,
    mail: str | None = None,
    *,
    now: float,
    who: str,
    expected_changed: float | None = None,
) -> User:
    """Another role, password or mail address, as far as given; Conflict where the lab would be left without an admin.

    An empty address takes the one away that there is. Stale where `changed` is not the one that the caller expects.
    """
    if role is not None and role != "admin":
        _keep_an_admin(conn, name)
    address = ... if mail is None else mail or None
    given: dict[str, Any] = {"role": role, "password_hash": password_hash, "mail": address}
    return users.modify_user(conn, name, now=now, who=who, expected_changed=expected_changed, **given)


def enable_user(conn: sa.Connection, name: str, enabled: bool, *, now: float, who: str) -> User:
    """Let a user in again, or keep them out; Conflict for oneself and for the last enabled admin."""
    if not enabled:
        if name == who:
            raise Conflict("you cannot disable yourself; another admin can")
        _keep_an_admin(conn, name)
    return users.enable_user(conn, name, enabled, now=now, who=who)


def remove_user(conn: sa.Connection, name: str, *, now: float, who: str) -> User:
    """Remove a user for good; Conflict for the last enabled admin."""
    _keep_an_admin(conn, name)
    return users.remove_user(conn, name, now=now, who=who)


def add_token(
    conn: sa.Connection,
    name: str,
    label: str,
    token_hash: str,
    *,
    expires_days: float | None,
    read_only: bool,
    now: float,
) -> Token:
    """Keep a user's new token by its hash; Conflict where they have too many."""
    user = users.get_user(conn, name)
    good = [token for token in list_tokens(conn, name) if token.expires is None or token.expires > now]
    if len(good) >= MAX_TOKENS:
        raise Conflict(f"{name} has {MAX_TOKENS} tokens already; revoke some that are not used any more")
    return users.add_token(
        conn,
        user_id=user.id,
        name=label,
        token_hash=token_hash,
        now=now,
        expires=None if expires_days is None else now + expires_days * DAY_S,
        read_only=read_only,
    )


def list_tokens(conn: sa.Connection, name: str) -> tuple[Token, ...]:
    """A user's tokens that are not revoked, oldest first; expired ones are among them."""
    user = users.get_user(conn, name)
    return tuple(token for token in users.list_tokens(conn, user.id) if token.revoked is None)


def revoke_token(conn: sa.Connection, name: str, token_id: int, *, now: float, who: str) -> Token:
    """Make one of a user's own tokens useless; NotFound for anybody else's."""
    if token_id not in {token.id for token in users.list_tokens(conn, users.get_user(conn, name).id)}:
        raise NotFound(f"{name} has no token {token_id}")
    return users.revoke_token(conn, token_id, now=now, who=who)


def note_try_secret(conn: sa.Connection, name: str, *, now: float, who: str) -> None:
    """That a user was given a new secret for `buildbot try`."""
    if users.get_user(conn, name).status != "active":
        raise Conflict(f"user {name!r} was removed and cannot be changed any more")
    record(conn, "user", name, now=now, who=who, change={"try_secret": "changed"})


def _keep_an_admin(conn: sa.Connection, name: str) -> None:
    """Refuse to take the last admin away; the rows are held so that two admins cannot remove each other."""
    enabled = sa.and_(table.c.role == "admin", table.c.status == "active", table.c.enabled == sa.literal(True, Flag))
    names = conn.execute(sa.select(table.c.name).where(enabled).order_by(table.c.id).with_for_update()).scalars().all()
    if list(names) == [name]:
        raise Conflict(f"{name} is the last enabled admin; make another user an admin first")
