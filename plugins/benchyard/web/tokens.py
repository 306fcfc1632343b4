"""Tokens of users over REST."""

from typing import Annotated

import msgspec

from benchyard.access.origin import client_address
from benchyard.access.roles import Role
from benchyard.results.patterns import PRINTABLE
from benchyard.web.calls import Call, Reply, Route
from benchyard.web.problems import Problem
from benchyard.web.users import UserName, find_user
from benchyard.web.views import Page, TokenView, token_view


class NewToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A token by the name under which its user will know it."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=PRINTABLE)]
    expires_days: Annotated[float, msgspec.Meta(gt=0, le=3650)] | None = None
    read_only: bool = False


class Login(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who somebody is, and how they will know the token that they get."""

    user: UserName
    password: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=PRINTABLE)] = "login"
    expires_days: Annotated[float, msgspec.Meta(gt=0, le=3650)] | None = None


async def log_in(call: Call) -> Reply:
    """Make a token for a name and its password."""
    login: Login = call.body
    user = await call.services.access.log_in(login.user, login.password, client_address(call.request))
    if user is None:
        raise Problem(401, "the name or the password is wrong")
    token, secret = await call.services.access.add_token(
        user.name, login.name, expires_days=login.expires_days, read_only=False, who=user.name
    )
    return Reply(token_view(token, secret))


async def list_tokens(call: Call, name: str) -> Page[TokenView]:
    """A user's tokens, without what they are."""
    user = await find_user(call, name)
    return Page(tuple(token_view(token) for token in await call.services.access.tokens(user.name)))


async def add_token(call: Call, name: str) -> Reply:
    """Make a token; the answer has it, and it is never shown again."""
    user, new = await find_user(call, name), call.body
    token, secret = await call.services.access.add_token(
        user.name, new.name, expires_days=new.expires_days, read_only=new.read_only, who=call.caller.name
    )
    return Reply(token_view(token, secret))


async def revoke_token(call: Call, name: str, token_id: int) -> Reply:
    """Make a token useless, at once."""
    user = await find_user(call, name)
    return Reply(token_view(await call.services.access.revoke_token(user.name, token_id, who=call.caller.name)))


ROUTES = (
    Route("POST", "/login", Role.ANYONE, log_in, TokenView, body=Login, status=201, secret=True),
    Route("GET", "/users/<name>/tokens", Role.VIEWER, list_tokens, Page[TokenView]),
    Route("POST", "/users/<name>/tokens", Role.VIEWER, add_token, TokenView, body=NewToken, status=201, secret=True),
    Route("DELETE", "/users/<name>/tokens/<int:token_id>", Role.VIEWER, revoke_token, TokenView),
)
