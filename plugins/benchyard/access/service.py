"""Who is who: the master's service for users, and Buildbot's own login on top of it."""

import time
from typing import Any

import msgspec
from buildbot.util.service import BuildbotService
from buildbot.util.twisted import async_to_deferred
from buildbot.www.auth import TwistedICredAuthBase, UserInfoProviderBase
from buildbot.www.authz.roles import RolesFromBase
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet import threads
from twisted.web.guard import BasicCredentialFactory
from zope.interface import implementer

from benchyard.access.roles import Role
from benchyard.access.secrets import hash_token, verify_password
from benchyard.store import users
from benchyard.store.errors import NotFound
from benchyard.store.migrate import migrate
from benchyard.store.rows import User

SERVICE = "benchyard-access"


class AccessService(BuildbotService):
    """Finds users by token, by password and by browser session; the datastore is asked each time."""

    name = SERVICE

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        #: Roles by user name, for Buildbot's rules, which cannot wait for the datastore.
        self.roles: dict[str, Role] = {}

    @async_to_deferred
    async def startService(self) -> None:
        await self.master.db.pool.do_with_engine(migrate)
        await self.refresh()
        await super().startService()

    @async_to_deferred
    async def refresh(self) -> None:
        """Take over the users' roles; to be called after each change of users."""
        rows = await self.master.db.pool.do(users.list_users)
        self.roles = {user.name: Role.named(user.role) for user in rows if user.enabled and user.status == "active"}

    @async_to_deferred
    async def user_of_token(self, token: str) -> User | None:
        """The user whose valid token this is; by a read-only one everybody is a viewer."""
        return await self.master.db.pool.do(_user_of_token, hash_token(token), time.time())

    @async_to_deferred
    async def user_named(self, name: str) -> User | None:
        """The enabled user of this name."""
        user = await self.master.db.pool.do(_user_or_none, name)
        return user if user is not None and user.enabled and user.status == "active" else None

    @async_to_deferred
    async def user_with_password(self, name: str, password: str) -> User | None:
        """The user of this name, if it is their password; hashing runs beside the reactor."""
        user = await self.user_named(name)
        stored = user.password_hash if user is not None else None
        good = await threads.deferToThread(verify_password, stored, password)
        return user if good else None


def _user_of_token(conn: Any, token_hash: str, now: float) -> User | None:
    user, token = users.user_of_token(conn, token_hash, now), users.token_of_hash(conn, token_hash, now)
    if user is None or token is None:
        return None
    return msgspec.structs.replace(user, role="viewer") if token.read_only else user


def _user_or_none(conn: Any, name: str) -> User | None:
    """The user's row; an exception would be logged as fatal by Buildbot's pool."""
    try:
        return users.get_user(conn, name)
    except NotFound:
        return None


def find_access(master: Any) -> AccessService | None:
    """The access service of a running master."""
    return master.service_manager.namedServices.get(SERVICE)


@implementer(ICredentialsChecker)
class LabAuth(TwistedICredAuthBase):
    """Buildbot's login page on the lab's users."""

    credentialInterfaces = (IUsernamePassword,)

    def __init__(self) -> None:
        super().__init__([BasicCredentialFactory(b"benchyard")], [self], userInfoProvider=_UserInfo())

    @async_to_deferred
    async def requestAvatarId(self, credentials: Any) -> bytes:
        access = find_access(self.master)
        name = credentials.username.decode("utf-8", "replace")
        password = credentials.password.decode("utf-8", "replace")
        user = await access.user_with_password(name, password) if access is not None else None
        if user is None:
            raise UnauthorizedLogin
        return user.name.encode()


class _UserInfo(UserInfoProviderBase):
    """What the session keeps of a user; roles are not among it, they are looked up at each check."""

    name = "benchyard"

    @async_to_deferred
    async def getUserInfo(self, username: str) -> dict[str, str]:
        return {"username": username, "full_name": username, "email": username}


class RolesOfUsers(RolesFromBase):
    """Gives Buildbot's rules the roles of a logged-in user as they are now."""

    def getRolesFromUser(self, userDetails: dict[str, Any]) -> list[str]:
        access = find_access(self.master)
        role = access.roles.get(userDetails.get("username", "")) if access is not None else None
        return role.includes() if role is not None else []
