"""Users and tokens through the real client."""

from typing import TYPE_CHECKING

import msgspec
import pytest

from benchyard.client import Client, Conflict, NotFound

if TYPE_CHECKING:
    from tests.client.lab_server import LabServer


def test_me_is_the_token_s_user(client: Client, lab: "LabServer") -> None:
    """`users.me` is the user of the token, and can be changed like any other."""
    me = client.users.me
    assert (me.id, me.name, me.role, me.status, me.enabled) == ("anna", "anna", "admin", "active", True)
    assert me.modify(role="member").role == "member"
    assert lab.seen[-1].path.endswith("/users/anna")


def test_a_user_is_added_once(client: Client, lab: "LabServer") -> None:
    """add() sends the role, and a password where there is one; a name that is taken is a conflict."""
    assert client.users.add("eve", role="viewer").role == "viewer"
    assert lab.seen[-1].body == {"name": "eve", "role": "viewer"}
    client.users.add("bob", password="correct horse")
    assert lab.seen[-1].body == {"name": "bob", "role": "member", "password": "correct horse"}
    with pytest.raises(Conflict, match="is taken"):
        client.users.add("eve")


def test_a_user_is_switched_off_and_removed(client: Client, lab: "LabServer") -> None:
    """disable(), enable() and remove() do as they say."""
    client.users.add("eve")
    user = client.users.get("eve")
    assert not user.disable().enabled
    assert user.enable().enabled
    user.remove()
    with pytest.raises(NotFound):
        client.users.get("eve")


def test_a_password_is_sent_and_not_kept(client: Client, lab: "LabServer") -> None:
    """modify(password=...) sends the password; no entity holds it."""
    user = client.users.me.modify(password="correct horse")
    assert lab.seen[-1].body == {"password": "correct horse"}
    assert "correct" not in repr(user) + str(user.document)


def test_a_token_is_shown_once(client: Client, lab: "LabServer") -> None:
    """add() returns the token, which no list and no repr shows; remove() ends it."""
    tokens = client.users.me.tokens
    added = tokens.add("dashboard", expires_days=90, read_only=True)
    assert added.token == "token-1" and added.read_only and added.expires is not None
    assert lab.seen[-1].body == {"name": "dashboard", "read_only": True, "expires_days": 90}
    listed = list(tokens)
    assert [token.name for token in listed] == ["dashboard"] and "token-1" not in repr((added, listed))
    assert b"token-1" not in msgspec.json.encode(listed)
    tokens.remove(listed[0])
    tokens.add("other")
    tokens.remove(1)
    assert not list(tokens.list())


def test_a_try_secret_is_a_text(client: Client) -> None:
    """try_secret() returns the secret as text."""
    assert client.users.me.try_secret() == "try-anna"
