"""Users over REST."""

from typing import Annotated, Literal

import msgspec

from benchyard.access.roles import Role
from benchyard.queueing import trying
from benchyard.results.patterns import END
from benchyard.store.rows import User
from benchyard.web.calls import Call, Nothing, Paged, Reply, Route, entity_tag
from benchyard.web.problems import Problem
from benchyard.web.views import Page, SecretView, UserView, user_view

UserName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}" + END)]
Password = Annotated[str, msgspec.Meta(min_length=8, max_length=200)]
RoleName = Literal["viewer", "member", "admin"]
Mail = Annotated[str, msgspec.Meta(max_length=254)]

#: The name by which callers may mean themselves.
ME = "me"


class UserFilter(Paged, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which users."""

    role: RoleName | None = None
    status: Literal["active", "removed"] | None = None


class NewUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A user; one without a password can only use tokens."""

    name: UserName
    role: RoleName = "member"
    password: Password | None = None
    mail: Mail = ""


class UserChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is to be otherwise of a user; an empty mail address is none."""

    role: RoleName | None = None
    password: Password | None = None
    mail: Mail | None = None


async def list_users(call: Call) -> Page[UserView]:
    """All users by name."""
    query: UserFilter = call.query
    users = await call.services.access.list_users()
    wanted = [u for u in users if query.role in (None, u.role) and query.status in (None, u.status)]
    first = query.cursor or 0
    following = str(first + query.limit) if len(wanted) > first + query.limit else None
    return Page(tuple(user_view(user) for user in wanted[first : first + query.limit]), following)


async def get_user(call: Call, name: str) -> Reply:
    """One user; all but admins see themselves only."""
    return _reply(await find_user(call, name))


async def add_user(call: Call) -> Reply:
    """Make a user."""
    new: NewUser = call.body
    return _reply(await call.services.access.add_user(new.name, new.role, new.password, new.mail, who=call.caller.name))


async def modify_user(call: Call, name: str) -> Reply:
    """Change a user's role (admins), password or mail address (admins, and users their own)."""
    user = await find_user(call, name)
    change: UserChange = call.body
    if change.role is not None and call.caller.role < Role.ADMIN:
        raise Problem(403, "only admins change roles", "role")
    seen = call.must_match("user", user.changed)
    return _reply(
        await call.services.access.modify_user(
            *(user.name, change.role, change.password, change.mail), who=call.caller.name, expected_changed=seen
        )
    )


async def remove_user(call: Call, name: str) -> Reply:
    """Remove a user; their jobs stay, and so does their name."""
    user = await find_user(call, name)
    call.must_match("user", user.changed)
    return _reply(await call.services.access.remove(user.name, who=call.caller.name))


async def enable_user(call: Call, name: str) -> Reply:
    """Let a disabled user in again."""
    return _reply(await call.services.access.enable((await find_user(call, name)).name, True, who=call.caller.name))


async def disable_user(call: Call, name: str) -> Reply:
    """Keep a user out, at once; passwords and tokens are of no use meanwhile."""
    user = await find_user(call, name)
    if user.name == call.caller.name:
        raise Problem(409, "you cannot disable yourself; another admin can")
    return _reply(await call.services.access.enable(user.name, False, who=call.caller.name))


async def new_try_secret(call: Call, name: str) -> SecretView:
    """A new secret for `buildbot try`, shown once."""
    user = await find_user(call, name)
    secret = await call.services.access.new_try_secret(user.name)
    await trying.take_over(call.services.master)
    return SecretView(secret)


async def find_user(call: Call, name: str) -> User:
    """The user of this name, if the caller may see them; `me` is the caller."""
    if not call.caller.name:
        raise Problem(401, "log in first: users are shown to themselves and to admins")
    wanted = call.caller.name if name == ME else name
    if call.caller.role < Role.ADMIN and wanted != call.caller.name:
        raise Problem(403, "only admins see other users")
    user: User = await call.services.access.get_user(wanted)
    return user


def _reply(user: User) -> Reply:
    return Reply(user_view(user), tag=entity_tag("user", user.changed))


ROUTES = (
    Route("GET", "/users", Role.ADMIN, list_users, Page[UserView], query=UserFilter),
    Route("POST", "/users", Role.ADMIN, add_user, UserView, body=NewUser, status=201),
    Route("GET", "/users/<name>", Role.VIEWER, get_user, UserView),
    Route("PATCH", "/users/<name>", Role.VIEWER, modify_user, UserView, body=UserChange),
    Route("DELETE", "/users/<name>", Role.ADMIN, remove_user, UserView),
    Route("POST", "/users/<name>/enable", Role.ADMIN, enable_user, UserView, body=Nothing),
    Route("POST", "/users/<name>/disable", Role.ADMIN, disable_user, UserView, body=Nothing),
    Route("POST", "/users/<name>/try-secret", Role.MEMBER, new_try_secret, SecretView, body=Nothing, secret=True),
)
