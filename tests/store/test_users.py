"""Users and tokens, as far as the store knows them: by hash."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from benchyard.store import users
from benchyard.store.errors import Conflict, NotFound, Stale, StoreError
from benchyard.store.history import history_of
from benchyard.store.rows import User
from benchyard.store.tables import users as users_table


@pytest.fixture
def ada(conn: sa.Connection) -> User:
    """A member."""
    return users.create_user(conn, now=1.0, who="root", name="ada", password_hash="$argon2id$first")


def test_created_user(conn: sa.Connection, ada: User) -> None:
    """A user is found by name, active and enabled."""
    assert users.get_user(conn, "ada") == ada
    assert (ada.role, ada.status, ada.enabled, ada.created, ada.changed_by) == (
        "member",
        "active",
        True,
        1.0,
        "root",
    )
    with pytest.raises(NotFound, match=r"^there is no user 'eve'$"):
        users.get_user(conn, "eve")


def test_names_are_unique(conn: sa.Connection, ada: User) -> None:
    """A taken name is refused, and the transaction goes on."""
    with pytest.raises(Conflict, match=r"^there is a user 'ada' already$"):
        users.create_user(conn, now=2.0, who="root", name="ada", password_hash=None, role="admin")
    users.create_user(conn, now=2.0, who="root", name="Ada", password_hash=None, role="admin")
    assert sorted(user.name for user in users.list_users(conn)) == ["Ada", "ada"]


def test_unknown_role(conn: sa.Connection) -> None:
    """A misspelt role makes no user."""
    with pytest.raises(StoreError, match="unknown role 'amdin'; known are viewer, member, admin"):
        users.create_user(conn, now=1.0, who="root", name="x", password_hash=None, role="amdin")


def test_mail_addresses(conn: sa.Connection, ada: User) -> None:
    """Those of users who are let in are found by their names; history never has one, nor has who was removed."""
    assert ada.mail is None
    assert users.modify_user(conn, "ada", now=2.0, who="ada", mail="ada@example.org").mail == "ada@example.org"
    users.create_user(conn, now=1.0, who="x", name="bob", password_hash=None, mail="bob@example.org")
    users.create_user(conn, now=1.0, who="x", name="eve", password_hash=None)
    assert users.addresses_of(conn, ["bob", "ada", "eve", "nobody"]) == ("ada@example.org", "bob@example.org")
    assert users.modify_user(conn, "ada", now=3.0, who="ada", role="admin").mail == "ada@example.org"
    assert users.admins(conn) == ("ada",)
    users.enable_user(conn, "ada", False, now=4.0, who="x")
    assert users.addresses_of(conn, ["ada"]) == users.admins(conn) == ()
    assert users.remove_user(conn, "bob", now=5.0, who="x").mail is None
    assert "example.org" not in repr(history_of(conn, "user", "ada") + history_of(conn, "user", "bob"))


def test_history_never_holds_a_secret(conn: sa.Connection, ada: User) -> None:
    """A changed password and a new token are in the history; their hashes are not."""
    changed = users.set_password(conn, "ada", "$argon2id$second", now=2.0, who="ada")
    assert changed.password_hash == "$argon2id$second"
    token = users.add_token(conn, user_id=ada.id, name="laptop", token_hash="f00d", now=3.0)
    changes = history_of(conn, "user", "ada") + history_of(conn, "token", token.id)
    assert len(changes) == 3
    assert not any(secret in repr(changes) for secret in ("argon2", "f00d"))
    with pytest.raises(NotFound):
        users.set_password(conn, "eve", None, now=2.0, who="ada")


def test_good_token(conn: sa.Connection, ada: User) -> None:
    """A token leads to its user and to its own rights."""
    token = users.add_token(conn, user_id=ada.id, name="ci", token_hash="f00d", now=3.0, read_only=True)
    assert users.user_of_token(conn, "f00d", 4.0) == ada
    assert users.token_of_hash(conn, "f00d", 4.0) == token
    assert token.read_only
    assert users.user_of_token(conn, "beef", 4.0) is None
    assert users.list_tokens(conn, ada.id) == (token,)


def test_expired_token(conn: sa.Connection, ada: User) -> None:
    """A token is good before its end, not at it."""
    users.add_token(conn, user_id=ada.id, name="ci", token_hash="f00d", now=3.0, expires=10.0)
    assert users.user_of_token(conn, "f00d", 9.9) == ada
    assert users.user_of_token(conn, "f00d", 10.0) is None
    assert users.token_of_hash(conn, "f00d", 10.0) is None


def test_revoked_token(conn: sa.Connection, ada: User) -> None:
    """A revoked token is useless; revoking again keeps the first time."""
    token = users.add_token(conn, user_id=ada.id, name="ci", token_hash="f00d", now=3.0)
    assert users.revoke_token(conn, token.id, now=4.0, who="root").revoked == 4.0
    assert users.revoke_token(conn, token.id, now=5.0, who="root").revoked == 4.0
    assert users.user_of_token(conn, "f00d", 4.5) is None
    with pytest.raises(NotFound):
        users.revoke_token(conn, 99, now=4.0, who="root")


@pytest.mark.parametrize("change", [{"enabled": False}, {"status": "removed"}])
def test_token_of_a_stopped_user(conn: sa.Connection, ada: User, change: dict[str, object]) -> None:
    """Tokens of a disabled or removed user open nothing."""
    users.add_token(conn, user_id=ada.id, name="ci", token_hash="f00d", now=3.0)
    conn.execute(sa.update(users_table).values(**change))
    assert users.user_of_token(conn, "f00d", 4.0) is None
    assert users.token_of_hash(conn, "f00d", 4.0) is None


def test_tokens_are_unique(conn: sa.Connection, ada: User) -> None:
    """A hash is of one token only, and a token is of a known user."""
    users.add_token(conn, user_id=ada.id, name="ci", token_hash="f00d", now=3.0)
    with pytest.raises(Conflict, match=r"^the token 'other' is known already"):
        users.add_token(conn, user_id=ada.id, name="other", token_hash="f00d", now=3.0)
    with pytest.raises(NotFound, match=r"^there is no user with id 99$"):
        users.add_token(conn, user_id=99, name="other", token_hash="beef", now=3.0)


def test_modified_user(conn: sa.Connection, ada: User) -> None:
    """Role and password change where given, and what is the same already is no change."""
    changed = users.modify_user(conn, "ada", now=2.0, who="root", role="admin", password_hash="$argon2id$second")
    assert (changed.role, changed.password_hash, changed.changed, changed.changed_by) == (
        "admin",
        "$argon2id$second",
        2.0,
        "root",
    )
    assert users.modify_user(conn, "ada", now=3.0, who="root", role="admin") == changed
    assert history_of(conn, "user", "ada")[-1].change == {"role": "admin", "password": "changed"}
    with pytest.raises(StoreError, match="unknown role 'boss'"):
        users.modify_user(conn, "ada", now=3.0, who="root", role="boss")


def test_user_changed_meanwhile(conn: sa.Connection, ada: User) -> None:
    """Who changes what they read before somebody else's change is told so, and nothing is changed."""
    users.enable_user(conn, "ada", False, now=2.0, who="root")
    with pytest.raises(Stale, match=r"^user 'ada' was changed by root: read it again$"):
        users.modify_user(conn, "ada", now=3.0, who="bob", role="admin", expected_changed=ada.changed)
    assert users.get_user(conn, "ada").role == "member"
    assert users.modify_user(conn, "ada", now=3.0, who="bob", role="admin", expected_changed=2.0).role == "admin"


def test_disabled_user(conn: sa.Connection, ada: User) -> None:
    """A token is identified with its user, not while the user is disabled, and again afterwards."""
    token = users.add_token(conn, user_id=ada.id, name="ci", token_hash="f00d", now=3.0, read_only=True)
    assert users.identify(conn, "f00d", 4.0) == (ada, token)
    assert not users.enable_user(conn, "ada", False, now=5.0, who="root").enabled
    assert users.identify(conn, "f00d", 6.0) is None
    enabled = users.enable_user(conn, "ada", True, now=7.0, who="root")
    assert users.enable_user(conn, "ada", True, now=8.0, who="eve") == enabled
    assert users.identify(conn, "f00d", 9.0) == (enabled, token)
    assert users.identify(conn, "beef", 9.0) is None


def test_tombstone(conn: sa.Connection, ada: User) -> None:
    """A removed user stays as a row without password and tokens; the name is not given again, nothing changes it."""
    users.add_token(conn, user_id=ada.id, name="ci", token_hash="f00d", now=3.0)
    gone = users.remove_user(conn, "ada", now=4.0, who="root")
    assert (gone.status, gone.enabled, gone.password_hash, gone.id) == ("removed", False, None, ada.id)
    assert users.remove_user(conn, "ada", now=5.0, who="eve") == gone
    assert users.identify(conn, "f00d", 4.0) is None
    assert [token.revoked for token in users.list_tokens(conn, ada.id)] == [4.0]
    with pytest.raises(Conflict, match=r"^there was a user 'ada', take another name$"):
        users.create_user(conn, now=6.0, who="root", name="ada", password_hash=None)
    calls: list[Callable[[], object]] = [
        lambda: users.modify_user(conn, "ada", now=6.0, who="root", role="admin"),
        lambda: users.enable_user(conn, "ada", True, now=6.0, who="root"),
        lambda: users.set_password(conn, "ada", "$argon2id$third", now=6.0, who="root"),
        lambda: users.add_token(conn, user_id=ada.id, name="ci", token_hash="beef", now=6.0),
    ]
    for call in calls:
        with pytest.raises(Conflict, match=r"^user 'ada' was removed"):
            call()
    assert users.get_user(conn, "ada") == gone
    with pytest.raises(NotFound, match=r"^there is no user 'eve'$"):
        users.remove_user(conn, "eve", now=6.0, who="root")


def test_lists(conn: sa.Connection, ada: User) -> None:
    """Users are listed by name, by role and status where given, and paged by name."""
    for name, role in (("cy", "viewer"), ("bob", "member"), ("dee", "admin")):
        users.create_user(conn, now=1.0, who="root", name=name, password_hash=None, role=role)
    users.remove_user(conn, "bob", now=2.0, who="root")

    def listed(**filters: Any) -> list[str]:
        return [user.name for user in users.list_users(conn, **filters)]

    assert listed() == ["ada", "bob", "cy", "dee"]
    assert listed(role="member") == ["ada", "bob"]
    assert listed(status="active") == ["ada", "cy", "dee"]
    assert listed(status="removed") == ["bob"]
    assert listed(after="ada", limit=2) == ["bob", "cy"]
