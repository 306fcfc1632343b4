"""Users and their tokens. Passwords and tokens come here as hashes; they are made and checked elsewhere."""

from collections.abc import Sequence
from types import EllipsisType
from typing import Any

import sqlalchemy as sa

from benchyard.store.errors import Conflict, Stale, StoreError
from benchyard.store.history import record
from benchyard.store.rows import ROLES, Token, User
from benchyard.store.sql import insert_once, locked_row, page_size, require, to_row
from benchyard.store.tables import tokens, users


def create_user(
    conn: sa.Connection,
    *,
    now: float,
    who: str,
    name: str,
    password_hash: str | None,
    role: str = "member",
    mail: str | None = None,
) -> User:
    """Make a user; Conflict where the name is taken, be it by a user that was removed."""
    _check_role(role)
    values: dict[str, Any] = {
        "name": name,
        "password_hash": password_hash,
        "role": role,
        "status": "active",
        "enabled": True,
        "created": now,
        "changed": now,
        "changed_by": who,
        "mail": mail,
    }
    if not insert_once(conn, users, values, unique=["name"]):
        removed = get_user(conn, name).status == "removed"
        raise Conflict(
            f"there was a user {name!r}, take another name" if removed else f"there is a user {name!r} already"
        )
    record(conn, "user", name, now=now, who=who, change={"role": role, "status": "active", "enabled": True})
    return get_user(conn, name)


def get_user(conn: sa.Connection, name: str) -> User:
    """Return a user, be it one that was removed; NotFound where there is none."""
    row = conn.execute(sa.select(users).where(users.c.name == name)).mappings().first()
    return to_row(User, require(row, f"user {name!r}"))


def set_password(conn: sa.Connection, name: str, password_hash: str | None, *, now: float, who: str) -> User:
    """Give a user another password, by its hash; None takes it away. History never holds a hash."""
    _lock(conn, name)
    values = {"password_hash": password_hash}
    return _change(conn, name, values, now=now, who=who, change={"password": "changed"})


def modify_user(
    conn: sa.Connection,
    name: str,
    *,
    now: float,
    who: str,
    role: str | None = None,
    password_hash: str | None = None,
    mail: str | EllipsisType | None = ...,
    expected_changed: float | None = None,
) -> User:
    """Give a user another role, password or mail address, where given; Conflict for one that was removed.

    Stale where the user's `changed` is not the one that the caller expects. History never holds a hash or an address.
    """
    user = _lock(conn, name)
    if expected_changed is not None and user.changed != expected_changed:
        raise Stale(f"user {name!r} was changed by {user.changed_by}: read it again")
    values: dict[str, Any] = {}
    change: dict[str, Any] = {}
    if role is not None and role != user.role:
        _check_role(role)
        values["role"] = change["role"] = role
    if password_hash is not None:
        values["password_hash"], change["password"] = password_hash, "changed"
    if mail is not ... and mail != user.mail:
        values["mail"], change["mail"] = mail, "changed"
    return _change(conn, name, values, now=now, who=who, change=change) if values else user


def enable_user(conn: sa.Connection, name: str, enabled: bool, *, now: float, who: str) -> User:
    """Let a user in or not; from then on neither password nor tokens of a disabled one open anything."""
    user = _lock(conn, name)
    if user.enabled == enabled:
        return user
    values = {"enabled": enabled}
    return _change(conn, name, values, now=now, who=who, change=values)


def remove_user(conn: sa.Connection, name: str, *, now: float, who: str) -> User:
    """Make a user a tombstone and return it: without password and address, tokens revoked, the name taken for ever.

    What was done under the name keeps it. One that was removed already stays as it is.
    """
    user = get_user(conn, name)
    if user.status == "removed":
        return user
    user = _lock(conn, name)
    for token in list_tokens(conn, user.id):
        revoke_token(conn, token.id, now=now, who=who)
    values = {"status": "removed", "enabled": False, "password_hash": None, "mail": None}
    return _change(conn, name, values, now=now, who=who, change={"status": "removed", "enabled": False})


def addresses_of(conn: sa.Connection, names: Sequence[str]) -> tuple[str, ...]:
    """Return the mail addresses of those of these users who are let in and have one, by name."""
    let_in = (users.c.status == "active", users.c.enabled == sa.literal(True, users.c.enabled.type))
    where = (users.c.name.in_(names), users.c.mail.is_not(None), *let_in)
    return tuple(conn.execute(sa.select(users.c.mail).where(*where).order_by(users.c.name)).scalars())


def admins(conn: sa.Connection) -> tuple[str, ...]:
    """Return the names of the admins who are let in."""
    let_in = (users.c.status == "active", users.c.enabled == sa.literal(True, users.c.enabled.type))
    statement = sa.select(users.c.name).where(users.c.role == "admin", *let_in).order_by(users.c.name)
    return tuple(conn.execute(statement).scalars())


def list_users(
    conn: sa.Connection,
    *,
    role: str | None = None,
    status: str | None = None,
    after: str | None = None,
    limit: int | None = None,
) -> tuple[User, ...]:
    """Return users by name, the removed ones with them unless a status is given, from the name after `after` on."""
    statement = sa.select(users).order_by(users.c.name)
    if role is not None:
        statement = statement.where(users.c.role == role)
    if status is not None:
        statement = statement.where(users.c.status == status)
    if after is not None:
        statement = statement.where(users.c.name > after)
    if limit is not None:
        statement = statement.limit(page_size(limit))
    return tuple(to_row(User, row) for row in conn.execute(statement).mappings())


def add_token(
    conn: sa.Connection,
    *,
    user_id: int,
    name: str,
    token_hash: str,
    now: float,
    expires: float | None = None,
    read_only: bool = False,
) -> Token:
    """Keep a user's new token by its hash, until `expires` or for ever.

    Conflict for a known hash, and for a user that was removed.
    """
    row = require(locked_row(conn, users, users.c.id == user_id), f"user with id {user_id}")
    owner = _present(to_row(User, row)).name
    values: dict[str, Any] = {
        "user_id": user_id,
        "name": name,
        "token_hash": token_hash,
        "created": now,
        "expires": expires,
        "read_only": read_only,
    }
    if not insert_once(conn, tokens, values, unique=["token_hash"]):
        raise Conflict(f"the token {name!r} is known already: make another one")
    made = conn.execute(sa.select(tokens).where(tokens.c.token_hash == token_hash)).mappings().one()
    token = to_row(Token, made)
    change = {"user": owner, "name": name, "expires": expires, "read_only": read_only}
    record(conn, "token", token.id, now=now, who=owner, change=change)
    return token


def list_tokens(conn: sa.Connection, user_id: int) -> tuple[Token, ...]:
    """Return a user's tokens, oldest first, with the expired and revoked ones."""
    rows = conn.execute(sa.select(tokens).where(tokens.c.user_id == user_id).order_by(tokens.c.id)).mappings()
    return tuple(to_row(Token, row) for row in rows)


def revoke_token(conn: sa.Connection, token_id: int, *, now: float, who: str) -> Token:
    """Make a token useless from `now` on; one that is revoked already stays as it is."""
    where = sa.and_(tokens.c.id == token_id, tokens.c.revoked.is_(None))
    if conn.execute(sa.update(tokens).where(where).values(revoked=now)).rowcount:
        record(conn, "token", token_id, now=now, who=who, change={"revoked": now})
    row = conn.execute(sa.select(tokens).where(tokens.c.id == token_id)).mappings().first()
    return to_row(Token, require(row, f"token {token_id}"))


def identify(conn: sa.Connection, token_hash: str, now: float) -> tuple[User, Token] | None:
    """Return whose token this is, and the token for its rights; None unless both are good at `now`."""
    good = sa.and_(
        tokens.c.token_hash == token_hash,
        tokens.c.revoked.is_(None),
        sa.or_(tokens.c.expires.is_(None), tokens.c.expires > now),
    )
    both = sa.select(*users.c, *(column.label(f"token_{column.name}") for column in tokens.c))
    row = conn.execute(both.join_from(tokens, users, users.c.id == tokens.c.user_id).where(good)).mappings().first()
    if row is None:
        return None
    user = to_row(User, row)
    token = to_row(Token, {column.name: row[f"token_{column.name}"] for column in tokens.c})
    return (user, token) if user.enabled and user.status == "active" else None


def user_of_token(conn: sa.Connection, token_hash: str, now: float) -> User | None:
    """Return whose token this is; None unless user and token are good at `now`."""
    found = identify(conn, token_hash, now)
    return None if found is None else found[0]


def token_of_hash(conn: sa.Connection, token_hash: str, now: float) -> Token | None:
    """Return the token itself, for its `read_only`; None unless user and token are good at `now`."""
    found = identify(conn, token_hash, now)
    return None if found is None else found[1]


def _lock(conn: sa.Connection, name: str) -> User:
    row = locked_row(conn, users, users.c.name == name)
    return _present(to_row(User, require(row, f"user {name!r}")))


def _present(user: User) -> User:
    if user.status == "removed":
        raise Conflict(f"user {user.name!r} was removed and cannot be changed any more")
    return user


def _change(
    conn: sa.Connection, name: str, values: dict[str, Any], *, now: float, who: str, change: dict[str, Any]
) -> User:
    conn.execute(sa.update(users).where(users.c.name == name).values(**values, changed=now, changed_by=who))
    record(conn, "user", name, now=now, who=who, change=change)
    return get_user(conn, name)


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise StoreError(f"unknown role {role!r}; known are {', '.join(ROLES)}")
