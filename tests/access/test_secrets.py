"""Passwords and tokens."""

import argon2
import pytest
import sqlalchemy as sa

from benchyard.access import secrets
from benchyard.access.secrets import (
    TOKEN_PREFIX,
    hash_password,
    hash_token,
    new_password,
    new_token,
    verify_password,
)
from benchyard.store import users
from benchyard.store.tables import tokens
from benchyard.store.tables import users as table


def test_password_verifies() -> None:
    """A password is found good against its own argon2id hash only, and the hash does not show it."""
    stored = hash_password("correct horse")
    assert stored.startswith("$argon2id$")
    assert "correct" not in stored
    assert verify_password(stored, "correct horse")
    assert not verify_password(stored, "correct horsf")
    assert not verify_password(stored, "")


def test_same_password_has_other_hashes() -> None:
    """Two people with one password have different hashes."""
    assert hash_password("x") != hash_password("x")


def test_broken_hash_is_no_way_in() -> None:
    """A hash that is none, as in a damaged row, lets nobody in and breaks nothing."""
    assert not verify_password("no hash", "x")
    assert not verify_password("$argon2id$v=19$broken", "x")


def test_unknown_user_takes_the_check_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a stored hash a password is checked all the same, so that time does not tell who exists."""
    checked: list[str] = []
    verify = argon2.PasswordHasher.verify

    def watch(self: argon2.PasswordHasher, stored: str, password: str) -> bool:
        checked.append(stored)
        return verify(self, stored, password)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", watch)
    secrets._nobody.cache_clear()
    assert not verify_password(None, "x")
    assert not verify_password(None, "x")
    assert len(checked) == 2
    assert argon2.extract_parameters(checked[0]) == argon2.extract_parameters(hash_password("x"))


def test_hash_of_nobody_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even the right password of the stand-in lets nobody in."""
    stored = hash_password("guessed")
    monkeypatch.setattr(secrets, "_nobody", lambda: stored)
    assert not verify_password(None, "guessed")


def test_tokens_are_random() -> None:
    """A token bears our prefix and 256 random bits; passwords are random as well."""
    made = {new_token() for _ in range(100)}
    assert len(made) == 100
    assert all(token.startswith(TOKEN_PREFIX) and len(token) >= len(TOKEN_PREFIX) + 43 for token in made)
    assert len({new_password() for _ in range(100)}) == 100


def test_token_is_kept_as_a_hash(conn: sa.Connection) -> None:
    """The datastore never sees a token itself, and finds its user by it."""
    token = new_token()
    user = users.create_user(conn, now=1.0, who="ada", name="ada", password_hash=None)
    users.add_token(conn, user_id=user.id, name="t", token_hash=hash_token(token), now=1.0)
    assert users.user_of_token(conn, hash_token(token), 2.0) == user
    assert users.user_of_token(conn, token, 2.0) is None
    assert token not in repr(conn.execute(sa.select(tokens)).all())


@pytest.mark.parametrize("change", [{"enabled": False}, {"status": "removed"}])
def test_token_of_somebody_who_is_out(conn: sa.Connection, change: dict[str, object]) -> None:
    """The token of a disabled or removed user is refused."""
    token = new_token()
    user = users.create_user(conn, now=1.0, who="ada", name="ada", password_hash=None)
    users.add_token(conn, user_id=user.id, name="t", token_hash=hash_token(token), now=1.0)
    conn.execute(sa.update(table).values(**change))
    assert users.user_of_token(conn, hash_token(token), 2.0) is None
