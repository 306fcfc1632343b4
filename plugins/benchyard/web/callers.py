"""Who calls: by bearer token, else by Buildbot's browser session."""

from typing import Any

from benchyard.access.origin import client_address, is_same_site
from benchyard.access.roles import Role
from benchyard.web.calls import Caller, Services
from benchyard.web.problems import Problem

SAFE_METHODS = (b"GET", b"HEAD")


async def find_caller(request: Any, services: Services) -> Caller:
    """The caller of a request; a token that is not good is never taken for nobody."""
    scheme, _, token = (request.getHeader(b"authorization") or b"").decode("latin-1").partition(" ")
    # A browser that has logged in sends Basic with everything, whoever made it send it: it says nothing here.
    if scheme.lower() not in ("", "basic"):
        return await _by_token(token.strip() if scheme.lower() == "bearer" else "", request, services)
    info = services.master.www.getUserInfos(request)
    role = services.access.role_of(info)
    if role is Role.ANYONE:
        return Caller("", Role.VIEWER if services.lab.anonymous_read else Role.ANYONE)
    if request.method not in SAFE_METHODS:
        _must_be_ours(request, services)
    return Caller(info["username"], role)


async def _by_token(token: str, request: Any, services: Services) -> Caller:
    identity = await services.access.identify(token)
    if identity is None:
        # Only bad tokens wait: one forgotten script must not keep all others out that share its address.
        address, failed = client_address(request), services.access.failed_logins
        wait_s = failed.check(address, None)
        if wait_s is not None:
            raise Problem(429, f"too many failed logins; try again in {wait_s:.0f} s", wait_s=wait_s)
        failed.note(address, None)
        raise Problem(401, "the token is not valid; make a new one, or log in again")
    if identity.read_only and request.method not in SAFE_METHODS:
        raise Problem(403, "this token is for reading only")
    return Caller(identity.name, identity.role)


def _must_be_ours(request: Any, services: Services) -> None:
    """A browser changes things only from the lab's own pages, and sends what a form of another site cannot send."""
    if not is_same_site(request, services.url):
        raise Problem(403, "this request comes from another site; use the lab's own pages, or a token")
    kind = request.getHeader(b"content-type") or b""
    if not kind.startswith((b"application/json", b"application/octet-stream")):
        raise Problem(415, "send JSON, with Content-Type: application/json")
