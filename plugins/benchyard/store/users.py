"""Users and their tokens. Passwords and tokens come here as hashes; they are made and checked elsewhere."""

from typing import Any

import sqlalchemy as sa

from benchyard.store.columns import Flag
from benchyard.store.errors import Conflict, StoreError
from benchyard.store.history import record
from benchyard.store.rows import ROLES, Token, User
from benchyard.store.sql import insert_once, require, to_row
from benchyard.store.tables import tokens, users


def create_user(
    conn: sa.Connection,
    *,
    now: float,
    who: str,
    name: str,
    password_hash: str | None,
    role: str = "member",
) -> User:
    """Make a user; Conflict where the name is taken."""
    if role not in ROLES:
        raise StoreError(f"unknown role {role!r}; known are {', '.join(ROLES)}")
    values: dict[str, Any] = {
        "name": name,
        "password_hash": password_hash,
        "role": role,
        "status": "active",
        "enabled": True,
        "created": now,
        "changed": now,
        "changed_by": who,
    }
    if not insert_once(conn, users, values, unique=["name"]):
        raise Conflict(f"there is a user {name!r} already")
    record(conn, "user", name, now=now, who=who, change={"role": role, "status": "active", "enabled": True})
    return get_user(conn, name)


def get_user(conn: sa.Connection, name: str) -> User:
    """Return a user; NotFound where there is none."""
    row = conn.execute(sa.select(users).where(users.c.name == name)).mappings().first()
    return to_row(User, require(row, f"user {name!r}"))


def set_password(conn: sa.Connection, name: str, password_hash: str | None, *, now: float, who: str) -> User:
    """Give a user another password, by its hash; None takes it away. History never holds a hash."""
    values = {"password_hash": password_hash, "changed": now, "changed_by": who}
    found = conn.execute(sa.update(users).where(users.c.name == name).values(**values)).rowcount
    user = get_user(conn, name)
    if found:
        record(conn, "user", name, now=now, who=who, change={"password": "changed"})
    return user


def list_users(conn: sa.Connection) -> tuple[User, ...]:
    """Return all users by name."""
    rows = conn.execute(sa.select(users).order_by(users.c.name)).mappings()
    return tuple(to_row(User, row) for row in rows)


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
    """Keep a user's new token by its hash, until `expires` or for ever; Conflict for a known hash."""
    owner = conn.execute(sa.select(users.c.name).where(users.c.id == user_id)).scalar_one_or_none()
    require(owner, f"user with id {user_id}")
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
    row = conn.execute(sa.select(tokens).where(tokens.c.token_hash == token_hash)).mappings().one()
    token = to_row(Token, row)
    change = {"user": owner, "name": name, "expires": expires, "read_only": read_only}
    record(conn, "token", token.id, now=now, who=str(owner), change=change)
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


def user_of_token(conn: sa.Connection, token_hash: str, now: float) -> User | None:
    """Return whose token this is; None unless user and token are good at `now`."""
    row = conn.execute(sa.select(users).join(tokens).where(_good(token_hash, now))).mappings().first()
    return None if row is None else to_row(User, row)


def token_of_hash(conn: sa.Connection, token_hash: str, now: float) -> Token | None:
    """Return the token itself, for its `read_only`; None unless user and token are good at `now`."""
    row = conn.execute(sa.select(tokens).join(users).where(_good(token_hash, now))).mappings().first()
    return None if row is None else to_row(Token, row)


def _good(token_hash: str, now: float) -> sa.ColumnElement[bool]:
    return sa.and_(
        tokens.c.token_hash == token_hash,
        tokens.c.revoked.is_(None),
        sa.or_(tokens.c.expires.is_(None), tokens.c.expires > now),
        users.c.enabled == sa.literal(True, Flag),
        users.c.status == "active",
    )
