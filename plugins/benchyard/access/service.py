"""Who is who: the master's service for users, their passwords and tokens."""

import hashlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from buildbot.util.service import BuildbotService
from buildbot.util.twisted import async_to_deferred
from twisted.internet import defer, threads
from twisted.python import log

from benchyard.access import management
from benchyard.access.errors import AccessInvalid, TooManyLogins
from benchyard.access.failures import FailedLogins
from benchyard.access.identity import Identity
from benchyard.access.roles import Role
from benchyard.access.secrets import hash_password, hash_token, new_secret, new_token, verify_password, write_secret
from benchyard.store import users
from benchyard.store.errors import NotFound
from benchyard.store.migrate import migrate
from benchyard.store.rows import Token, User
from benchyard.store.transactions import in_transaction

SERVICE = "benchyard-access"

#: Passwords that are hashed at once: each takes a CPU and 64 MB for a moment.
HASHES_AT_ONCE = 2

#: What masters of one lab tell each other after each change of a user.
CHANGED = ("benchyard", "users", "changed")

T = TypeVar("T")


class _Known(NamedTuple):
    """What must be known of a user without asking the datastore."""

    role: Role
    stamp: str


class AccessService(BuildbotService):
    """Finds users by token, password and browser session, and changes them.

    `secrets_dir` is the lab's folder of secrets. Buildbot's rules cannot wait for the datastore, so the roles of all
    users who may come in are kept in memory, and read again after each change.
    """

    name = SERVICE

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.failed_logins = FailedLogins()
        self._known: dict[str, _Known] = {}
        self._hashing = defer.DeferredSemaphore(HASHES_AT_ONCE)
        self._consumer: Any = None

    def checkConfig(self, *, secrets_dir: str = "") -> None:
        super().checkConfig()

    @async_to_deferred
    async def reconfigService(self, *, secrets_dir: str = "") -> None:
        await super().reconfigService()
        self.secrets_dir = Path(secrets_dir) if secrets_dir else None

    @async_to_deferred
    async def startService(self) -> None:
        await self.master.db.pool.do_with_engine(migrate)
        await self.refresh()
        await super().startService()
        self._consumer = await self.master.mq.startConsuming(self._on_changed, CHANGED)

    @async_to_deferred
    async def stopService(self) -> None:
        if self._consumer is not None:
            self._consumer.stopConsuming()  # gives no Deferred
        await super().stopService()

    # Who somebody is.

    @async_to_deferred
    async def identify(self, token: str) -> Identity | None:
        """Who comes with this token; None where it is not good, or not any more."""
        found = await self._db(users.identify, hash_token(token), time.time())
        if found is None:
            return None
        user, token_row = found
        role = Role.named(user.role)
        return Identity(user.name, min(role, Role.VIEWER) if token_row.read_only else role, token_row.read_only)

    @async_to_deferred
    async def user_named(self, name: str) -> User | None:
        """The enabled user of this name."""
        try:
            user = await self._db(users.get_user, name)
        except NotFound:
            return None
        return user if _may_enter(user) else None

    @async_to_deferred
    async def user_with_password(self, name: str, password: str) -> User | None:
        """The user of this name, if it is their password; takes as long for a name that nobody has."""
        user = await self.user_named(name)
        stored = user.password_hash if user is not None else None
        good = await self._hashing.run(threads.deferToThread, verify_password, stored, password)
        return user if good else None

    @async_to_deferred
    async def log_in(self, name: str, password: str, address: str | None) -> User | None:
        """The same for people who may be guessing: TooManyLogins where they have failed too often."""
        wait_s = self.failed_logins.check(address, name)
        if wait_s is not None:
            raise TooManyLogins(wait_s)
        # Counted before it is checked, so that a thousand guesses at the same time are no way around.
        self.failed_logins.note(address, name)
        user = None
        if len(password) <= management.PASSWORD_LENGTH[-1]:
            user = await self.user_with_password(name, password)
        if user is not None:
            self.failed_logins.forget(address, name)
        return user

    def session_info(self, user: User) -> dict[str, Any]:
        """What a browser's session keeps of a user who has logged in: no role, that is looked up at each request."""
        return {
            "username": user.name,
            "full_name": user.name,
            "email": user.name,
            "stamp": _stamp(user),
        }

    def role_of(self, user_info: Mapping[str, Any]) -> Role:
        """The role of whom a session is for, as it is now; ANYONE where it is nobody's, or not any more.

        A session ends with the password it was begun with.
        """
        if "token_role" in user_info:  # made for this request alone, by the site
            return Role(user_info["token_role"])
        known = self._known.get(user_info.get("username", ""))
        return known.role if known is not None and known.stamp == user_info.get("stamp") else Role.ANYONE

    @async_to_deferred
    async def refresh(self) -> None:
        """Take over what the datastore has of users; to be called after each change that was not made here."""
        rows = await self._db(users.list_users)
        self._known = {user.name: _Known(Role.named(user.role), _stamp(user)) for user in rows if _may_enter(user)}

    # Users and their tokens, as admins and they themselves change them.

    @async_to_deferred
    async def list_users(self) -> tuple[User, ...]:
        """All users by name, removed ones as well."""
        return await self._db(users.list_users)

    @async_to_deferred
    async def get_user(self, name: str) -> User:
        """One user, whatever their status; NotFound where there never was one."""
        return await self._db(users.get_user, name)

    @async_to_deferred
    async def add_user(self, name: str, role: str, password: str | None = None, mail: str = "", *, who: str) -> User:
        """A new user; AccessInvalid names a bad field, Conflict says that the name is taken."""
        management.check_name(name)
        management.check_role(role)
        management.check_mail(mail)
        return await self._change(management.add_user, name, role, await self._hashed(password), mail, who=who)

    @async_to_deferred
    async def modify_user(
        self,
        name: str,
        role: str | None = None,
        password: str | None = None,
        mail: str | None = None,
        *,
        who: str,
        expected_changed: float | None = None,
    ) -> User:
        """Another role, mail address, or password, which ends the sessions begun with the old one.

        Stale where the user's `changed` is not the one that the caller expects.
        """
        if role is not None:
            management.check_role(role)
        management.check_mail(mail or "")
        given = (name, role, await self._hashed(password), mail)
        return await self._change(management.modify_user, *given, who=who, expected_changed=expected_changed)

    @async_to_deferred
    async def enable(self, name: str, enabled: bool, *, who: str) -> User:
        """Let a user in again, or keep them out at once."""
        return await self._change(management.enable_user, name, enabled, who=who)

    @async_to_deferred
    async def remove(self, name: str, *, who: str) -> User:
        """Remove a user for good, with tokens and secret; their name stays taken."""
        user = await self._change(management.remove_user, name, who=who)
        if self.secrets_dir is not None:
            (self.secrets_dir / f"try-{user.name}").unlink(missing_ok=True)
        return user

    @async_to_deferred
    async def add_token(
        self, name: str, label: str, *, expires_days: float | None = None, read_only: bool = False, who: str
    ) -> tuple[Token, str]:
        """A new token of a user, and the secret itself, which nobody can find out again."""
        management.check_token(label, expires_days)
        secret = new_token()
        token = await self._change(
            management.add_token, name, label, hash_token(secret), expires_days=expires_days, read_only=read_only
        )
        return token, secret

    @async_to_deferred
    async def tokens(self, name: str) -> tuple[Token, ...]:
        """A user's tokens that are not revoked."""
        return await self._db(management.list_tokens, name)

    @async_to_deferred
    async def revoke_token(self, name: str, token_id: int, *, who: str) -> Token:
        """Make a token useless at once; NotFound where it is not this user's."""
        return await self._change(management.revoke_token, name, token_id, who=who)

    @async_to_deferred
    async def new_try_secret(self, name: str, *, who: str | None = None) -> str:
        """A new secret for `buildbot try` in the place of the old one, kept as `try-NAME` among the lab's secrets."""
        if self.secrets_dir is None:
            raise AccessInvalid("name", "this lab keeps no secrets for `buildbot try`")
        management.check_name(name)
        await self._change(management.note_try_secret, name, who=who or name)
        secret = new_secret()
        await threads.deferToThread(write_secret, self.secrets_dir / f"try-{name}", secret)
        return secret

    async def _hashed(self, password: str | None) -> str | None:
        if password is None:
            return None
        management.check_password(password)
        hashed: str = await self._hashing.run(threads.deferToThread, hash_password, password)
        return hashed

    async def _change(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Make a change, and let this master and the others know."""
        value = await self._db(function, *args, now=time.time(), **kwargs)
        await self.refresh()
        self.master.mq.produce(CHANGED, {})
        return value

    async def _db(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        value, error = await self.master.db.pool.do(in_transaction, function, args, kwargs)
        if error is not None:
            raise error
        return value

    def _on_changed(self, _key: Any, _msg: Any) -> None:
        self.refresh().addErrback(log.err, "benchyard: while users were read again")


def _may_enter(user: User) -> bool:
    return user.enabled and user.status == "active"


def _stamp(user: User) -> str:
    """What a session bears to end with the password; a short digest of a salted hash says nothing about either."""
    return hashlib.sha256((user.password_hash or "").encode()).hexdigest()[:12]


def find_access(master: Any) -> AccessService | None:
    """The access service of a running master."""
    return master.service_manager.namedServices.get(SERVICE)
