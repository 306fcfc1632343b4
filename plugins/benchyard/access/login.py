"""Buildbot's login page and its question for roles, answered from the lab's users."""

from collections.abc import Mapping
from typing import Any

from buildbot.util.twisted import async_to_deferred
from buildbot.www import auth, resource
from buildbot.www.authz.roles import RolesFromBase, RolesFromOwner

from benchyard.access.errors import TooManyLogins
from benchyard.access.origin import client_address
from benchyard.access.roles import Role
from benchyard.access.service import find_access

#: What a member is, for Buildbot's rules, to jobs of their own.
OWNER = "owner"

CHALLENGE = b'Basic realm="benchyard", charset="UTF-8"'


class LabAuth(auth.AuthBase):
    """Login with the lab's users; `anonymous_read` says whether strangers may look at the lab."""

    def __init__(self, *, anonymous_read: bool) -> None:
        super().__init__()
        self.anonymous_read = anonymous_read

    def getLoginResource(self) -> Any:
        return LoginPage(self.master)

    def may_read(self, user_info: Mapping[str, Any]) -> bool:
        """Whether who has this session may look at the lab."""
        access = find_access(self.master)
        return self.anonymous_read or (access is not None and access.role_of(user_info) >= Role.VIEWER)


class LoginPage(auth.LoginResource):
    """Asks for name and password by the browser's own form (HTTP Basic), begins a session, and goes to the lab."""

    @async_to_deferred
    async def renderLogin(self, request: Any) -> bytes:
        request.setHeader(b"Cache-Control", b"no-store")
        access = find_access(self.master)
        if access is None:
            return _refusal(request, 503, "the lab is starting; try again in a moment")
        name, password = (part.decode("utf-8", "replace") for part in (request.getUser(), request.getPassword()))
        if not name:
            return _challenge(request, "log in with your name and password")
        try:
            user = await access.log_in(name, password, client_address(request))
        except TooManyLogins as exc:
            request.setHeader(b"Retry-After", str(int(exc.wait_s)).encode())
            return _refusal(request, 429, str(exc))
        if user is None:
            return _challenge(request, "name or password is wrong")
        session = request.getSession()
        session.user_info = access.session_info(user)
        session.updateSession(request)
        page = request.args.get(b"redirect", [b"/"])[0].decode("utf-8", "replace")
        raise resource.Redirect(f"{self.master.config.buildbotURL}#{page}")


class RolesOfUsers(RolesFromBase):
    """Gives Buildbot's rules the roles of a user as they are now."""

    def getRolesFromUser(self, userDetails: Mapping[str, Any]) -> list[str]:
        return _role(self.master, userDetails).includes()


class RolesOfOwners(RolesFromOwner):
    """Gives Buildbot's rules the role `owner`, to members, for what is their own."""

    def __init__(self) -> None:
        super().__init__(OWNER)

    def getRolesFromUser(self, userDetails: Mapping[str, Any], owner: str | None = None) -> list[str]:
        own = owner is not None and owner == userDetails.get("username")
        return [self.role] if own and _role(self.master, userDetails) >= Role.MEMBER else []


def _role(master: Any, user_info: Mapping[str, Any]) -> Role:
    access = find_access(master)
    return access.role_of(user_info) if access is not None else Role.ANYONE


def _challenge(request: Any, text: str) -> bytes:
    request.setHeader(b"WWW-Authenticate", CHALLENGE)
    return _refusal(request, 401, text)


def _refusal(request: Any, status: int, text: str) -> bytes:
    request.setResponseCode(status)
    request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
    return text.encode() + b"\n"
