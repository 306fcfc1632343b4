"""Users and their tokens, as the access service changes them."""

import stat
from collections.abc import Callable
from typing import Any

import pytest

from benchyard.access.errors import AccessInvalid, TooManyLogins
from benchyard.access.failures import ALLOWED
from benchyard.access.identity import Identity
from benchyard.access.management import MAX_TOKENS
from benchyard.access.roles import Role
from benchyard.store import history
from benchyard.store.errors import Conflict, NotFound

Spin = Callable[..., Any]

PASSWORD = "correct horse"


def test_new_user_comes_in(access: Any, spin: Spin) -> None:
    """A new user is known by their password at once, and by no other."""
    user = spin(access.add_user("bob.smith-2", "member", "battery staple", who="admin"))
    assert (user.name, user.role, user.status, user.enabled, user.changed_by) == (
        "bob.smith-2", "member", "active", True, "admin",
    )  # fmt: skip
    assert spin(access.user_with_password("bob.smith-2", "battery staple")) == user
    assert spin(access.user_with_password("bob.smith-2", PASSWORD)) is None
    assert access.role_of(access.session_info(user)) is Role.MEMBER


def test_mail_address(access: Any, spin: Spin) -> None:
    """It is set, changed and taken away; what is none is refused, above all what would be another line of a mail."""
    user = spin(access.add_user("bob", "member", mail="bob@example.org", who="admin"))
    assert user.mail == "bob@example.org"
    assert spin(access.modify_user("bob", role="viewer", who="admin")).mail == "bob@example.org"
    assert spin(access.modify_user("bob", mail="b@x.example", who="bob")).mail == "b@x.example"
    assert spin(access.modify_user("bob", mail="", who="bob")).mail is None
    for wrong in (
        "bob",
        "bob@",
        "bob@localhost",
        "b\nc@x.example",
        "b c@x.example",
        "Bob <b@x.example>",
        "ö@x.example",
    ):
        with pytest.raises(AccessInvalid, match="is no mail address") as refused:
            spin(access.modify_user("bob", mail=wrong, who="bob"))
        assert refused.value.field == "mail"


def test_user_without_password(access: Any, spin: Spin) -> None:
    """A user without a password comes in by token only; no password is theirs, not even none."""
    spin(access.add_user("robot", "member", who="admin"))
    assert spin(access.user_with_password("robot", "")) is None
    _token, secret = spin(access.add_token("robot", "ci", who="admin"))
    assert spin(access.identify(secret)) == Identity("robot", Role.MEMBER, False)


@pytest.mark.parametrize(
    "name", ["", "me", "ME", "lab", "web", "anonymous", "-x", ".x", "a b", "a/b", "a:b", "é", "x" * 41, "x\n", "../x"]
)
def test_bad_name(access: Any, spin: Spin, name: str) -> None:
    """A name that is none, or that stands for something else, is refused by its field."""
    with pytest.raises(AccessInvalid) as caught:
        spin(access.add_user(name, "member", who="admin"))
    assert caught.value.field == "name"


@pytest.mark.parametrize(("field", "role", "password"), [
    ("role", "root", None), ("role", "", None), ("password", "member", "1234567"), ("password", "member", "x" * 201),
])  # fmt: skip
def test_bad_field(access: Any, spin: Spin, field: str, role: str, password: str | None) -> None:
    """Roles are the three there are, passwords have 8 to 200 characters, for new users and for others."""
    for change in (access.add_user("bob", role, password, who="admin"),
                   access.modify_user("ada", role, password, who="admin")):  # fmt: skip
        with pytest.raises(AccessInvalid) as caught:
            spin(change)
        assert caught.value.field == field


def test_name_is_taken(access: Any, spin: Spin) -> None:
    """A name is one person's for ever, in whatever case, even after they were removed."""
    for name in ("ada", "Ada", "ADA"):
        with pytest.raises(Conflict):
            spin(access.add_user(name, "member", who="admin"))
    spin(access.remove("ada", who="admin"))
    for name in ("ada", "Ada"):
        with pytest.raises(Conflict):
            spin(access.add_user(name, "admin", who="admin"))


def test_role_counts_at_once(access: Any, spin: Spin) -> None:
    """Another role holds from the next request on, in sessions that have begun as well."""
    session = access.session_info(spin(access.get_user("vic")))
    assert access.role_of(session) is Role.VIEWER
    spin(access.modify_user("vic", role="admin", who="admin"))
    assert access.role_of(session) is Role.ADMIN


def test_password_ends_sessions(access: Any, spin: Spin) -> None:
    """Another password ends the sessions that were begun with the old one; tokens stay."""
    session = access.session_info(spin(access.get_user("ada")))
    _token, secret = spin(access.add_token("ada", "t", who="ada"))
    user = spin(access.modify_user("ada", password="battery staple", who="ada"))
    assert access.role_of(session) is Role.ANYONE
    assert access.role_of(access.session_info(user)) is Role.MEMBER
    assert spin(access.user_with_password("ada", PASSWORD)) is None
    assert spin(access.identify(secret)) == Identity("ada", Role.MEMBER, False)


@pytest.mark.parametrize("way", ["disable", "remove"])
def test_out_at_once(access: Any, spin: Spin, way: str) -> None:
    """Who is disabled or removed comes in no more, by password, token or session."""
    session = access.session_info(spin(access.get_user("ada")))
    _token, secret = spin(access.add_token("ada", "t", who="ada"))
    spin(access.enable("ada", False, who="admin") if way == "disable" else access.remove("ada", who="admin"))
    assert spin(access.user_with_password("ada", PASSWORD)) is None
    assert spin(access.user_named("ada")) is None
    assert spin(access.identify(secret)) is None
    assert access.role_of(session) is Role.ANYONE
    if way == "disable":
        spin(access.enable("ada", True, who="admin"))
        assert spin(access.identify(secret)) is not None
        assert access.role_of(session) is Role.MEMBER


def test_removed_stays_removed(access: Any, spin: Spin) -> None:
    """Who was removed is still there to be named, and cannot be changed any more."""
    assert spin(access.remove("ada", who="admin")).status == "removed"
    assert "ada" in [user.name for user in spin(access.list_users())]
    for change in (
        access.enable("ada", True, who="admin"),
        access.modify_user("ada", password=PASSWORD, who="admin"),
        access.add_token("ada", "t", who="admin"),
        access.new_try_secret("ada"),
    ):
        with pytest.raises(Conflict):
            spin(change)


def test_last_admin(access: Any, spin: Spin) -> None:
    """The lab never loses its last enabled admin, be it by disabling, removing or another role."""
    spin(access.add_user("second", "admin", PASSWORD, who="admin"))
    spin(access.enable("second", False, who="admin"))
    for change in (
        access.enable("admin", False, who="second"),
        access.remove("admin", who="second"),
        access.modify_user("admin", role="member", who="admin"),
    ):
        with pytest.raises(Conflict, match="admin is the last enabled admin"):
            spin(change)
    spin(access.enable("second", True, who="admin"))
    assert spin(access.modify_user("admin", role="member", who="admin")).role == "member"


def test_nobody_disables_themselves(access: Any, spin: Spin) -> None:
    """An admin cannot lock themselves out by a slip, even if there is another."""
    spin(access.add_user("second", "admin", PASSWORD, who="admin"))
    with pytest.raises(Conflict, match="yourself"):
        spin(access.enable("admin", False, who="admin"))


def test_unknown_user(access: Any, spin: Spin) -> None:
    """Who never was there is not found, whatever is asked."""
    for change in (
        access.get_user("x"),
        access.modify_user("x", role="admin", who="admin"),
        access.enable("x", False, who="admin"),
        access.remove("x", who="admin"),
        access.add_token("x", "t", who="admin"),
        access.tokens("x"),
        access.revoke_token("x", 1, who="admin"),
        access.new_try_secret("x"),
    ):
        with pytest.raises(NotFound):
            spin(change)


def test_read_only_token(access: Any, spin: Spin) -> None:
    """By a read-only token everybody is a viewer at most, and is seen to come by one."""
    for name in ("admin", "vic"):
        _token, secret = spin(access.add_token(name, "t", read_only=True, who=name))
        assert spin(access.identify(secret)) == Identity(name, Role.VIEWER, True)


def test_token_expires(access: Any, spin: Spin, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token is good until it expires, and is listed after that."""
    token, secret = spin(access.add_token("ada", "t", expires_days=0.5, who="ada"))
    assert token.expires == pytest.approx(token.created + 43_200)
    assert spin(access.identify(secret)) is not None
    monkeypatch.setattr("benchyard.access.service.time.time", lambda: token.expires + 0.001)
    assert spin(access.identify(secret)) is None
    assert spin(access.tokens("ada")) == (token,)


def test_revoked_token(access: Any, spin: Spin) -> None:
    """A user revokes their own token, not anybody else's; it is useless at once and not listed any more."""
    token, secret = spin(access.add_token("ada", "t", who="ada"))
    with pytest.raises(NotFound):
        spin(access.revoke_token("vic", token.id, who="vic"))
    assert spin(access.identify(secret)) is not None
    assert spin(access.revoke_token("ada", token.id, who="ada")).revoked is not None
    assert spin(access.identify(secret)) is None
    assert spin(access.tokens("ada")) == ()


@pytest.mark.parametrize(
    ("field", "label", "days"),
    [("name", "", None), ("name", "x" * 101, None), ("name", "a\nb", None)]
    + [("expires_days", "t", days) for days in (0, -1, 3651, float("nan"), float("inf"))],
)
def test_bad_token(access: Any, spin: Spin, field: str, label: str, days: float | None) -> None:
    """A token needs a name that can be shown, and a time that can be written down."""
    with pytest.raises(AccessInvalid) as caught:
        spin(access.add_token("ada", label, expires_days=days, who="ada"))
    assert caught.value.field == field


def test_too_many_tokens(access: Any, spin: Spin) -> None:
    """Tokens of one user are bounded; revoking one makes room."""
    made = [spin(access.add_token("ada", f"t{n}", who="ada"))[0] for n in range(MAX_TOKENS)]
    with pytest.raises(Conflict, match="100 tokens"):
        spin(access.add_token("ada", "one more", who="ada"))
    spin(access.revoke_token("ada", made[0].id, who="ada"))
    spin(access.add_token("ada", "one more", who="ada"))


def test_secrets_are_shown_once(access: Any, spin: Spin) -> None:
    """What is kept of tokens and passwords, and what history says of them, does not tell them."""
    token, secret = spin(access.add_token("ada", "t", who="ada"))
    spin(access.modify_user("ada", password="battery staple", who="ada"))
    kept = [
        spin(access._db(history.history_of, "user", "ada")),
        spin(access._db(history.history_of, "token", token.id)),
    ]
    assert secret not in repr([token, spin(access.tokens("ada")), access.__dict__, kept])
    assert "battery staple" not in repr([spin(access.get_user("ada")), access.__dict__, kept])
    assert "argon2" not in repr(kept)


def test_try_secret(access: Any, spin: Spin) -> None:
    """A user's secret for `buildbot try` is a file for the master's eyes only; a new one replaces it."""
    first, second = spin(access.new_try_secret("ada")), spin(access.new_try_secret("ada", who="admin"))
    path = access.secrets_dir / "try-ada"
    assert first != second
    assert path.read_text() == second + "\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in access.secrets_dir.iterdir()] == ["try-ada"]
    spin(access.remove("ada", who="admin"))
    assert not path.exists()


def test_guessing(access: Any, spin: Spin) -> None:
    """After ten wrong passwords within a minute not even the right one is looked at, of that name or address."""
    for _ in range(ALLOWED + 1):
        assert spin(access.log_in("ada", "wrong password", "192.0.2.1")) is None
    for name, address in (("ada", "192.0.2.2"), ("vic", "192.0.2.1"), ("ada", None)):
        with pytest.raises(TooManyLogins) as caught:
            spin(access.log_in(name, PASSWORD, address))
        assert 1 <= caught.value.wait_s <= 60
    assert spin(access.log_in("vic", PASSWORD, "192.0.2.2")).name == "vic"


def test_guessing_at_once(access: Any, spin: Spin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guesses that are sent all at the same time are counted before any of them is hashed."""
    from twisted.internet import defer

    hashed: list[str] = []

    def verify(_stored: str, tried: str) -> bool:
        hashed.append(tried)
        return False

    monkeypatch.setattr("benchyard.access.service.verify_password", verify)

    async def guess() -> list[Any]:
        guesses = [access.log_in("ada", f"guess {n:05}", None) for n in range(100)]
        return list(await defer.DeferredList(guesses, consumeErrors=True))

    outcomes = spin(guess())
    assert len(hashed) == ALLOWED + 1
    assert sum(not good for good, _ in outcomes) == 100 - ALLOWED - 1


def test_good_logins_are_not_counted(access: Any, spin: Spin) -> None:
    """Who knows the password logs in as often as they like."""
    for _ in range(ALLOWED + 5):
        assert spin(access.log_in("ada", PASSWORD, "192.0.2.1")) is not None


def test_endless_password(access: Any, spin: Spin, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password longer than any can be is wrong without being hashed."""
    monkeypatch.setattr("benchyard.access.service.verify_password", lambda *_: pytest.fail("hashed"))
    assert spin(access.log_in("ada", "x" * 1_000_000, None)) is None


def test_two_hashes_at_once(access: Any, spin: Spin, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than two passwords are hashed at the same time."""
    import threading

    from twisted.internet import defer

    from benchyard.access import secrets

    running, most, lock = [0], [0], threading.Lock()
    verify = secrets.verify_password

    def watched(stored: str | None, password: str) -> bool:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        try:
            return verify(stored, password)
        finally:
            with lock:
                running[0] -= 1

    monkeypatch.setattr("benchyard.access.service.verify_password", watched)

    async def many() -> None:
        await defer.gatherResults([access.user_with_password("ada", PASSWORD) for _ in range(8)])

    spin(many())
    assert most == [2]


def test_other_masters_hear_of_it(access: Any, spin: Spin) -> None:
    """A master whose lab-mate changed a user reads users again."""
    from twisted.internet import reactor, task

    session = access.session_info(spin(access.get_user("vic")))

    async def elsewhere() -> None:
        from benchyard.access import management

        await access._db(management.modify_user, "vic", "member", None, now=2.0, who="admin")
        assert access.role_of(session) is Role.VIEWER
        access.master.mq.produce(("benchyard", "users", "changed"), {})
        for _ in range(500):
            if access.role_of(session) is Role.MEMBER:
                return
            await task.deferLater(reactor, 0.01)

    spin(elsewhere())
    assert access.role_of(session) is Role.MEMBER
