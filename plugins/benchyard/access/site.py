"""The lab's front door: every HTTP request passes here before anything of Buildbot's own sees it.

What is leaned on inside Buildbot 4.3.0 and Twisted, each with a test in `tests/access/test_site.py`, the last one in
`tests/access/test_matrix.py`:
- `WWWService.setupSite` takes `BuildbotSite`, `WsResource` and `EventResource` from their modules as it makes the site;
- `Site.requestFactory` makes the requests, and every session cookie is set by `Request.addCookie`;
- `Request.getSession` gives back what is in `_insecureSession` or `_secureSession`;
- `V2RootResource._write_json_data` is called in a thread for each answer of the data API, which ends after it;
- `/config` and the first page show what `get_www_frontend_config_dict` of `buildbot.www.config` returns;
- `BuildEndpoint.control` and `BuildRequestEndpoint.control` are called for each action (see `controls`).
"""

import json
from collections.abc import Awaitable
from typing import Any

from buildbot.www import config as frontend
from buildbot.www import rest, service, sse, ws
from twisted.internet import defer, reactor
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from benchyard.access import controls
from benchyard.access.origin import is_same_site
from benchyard.access.roles import Role
from benchyard.access.service import find_access
from benchyard.access.sockets import LabWsResource

#: What is closed to everybody: /sse asks nobody who they are, and no change hook is configured.
CLOSED = frozenset({b"sse", b"change_hook"})

#: What takes the right to read; all else is the login page, static files and plugins, which ask by themselves.
FOR_READERS = frozenset({b"api", b"avatar", b"config", b"ws"})

#: What looks at the Authorization header by itself.
OWN_LOGIN = frozenset({b"auth", b"plugins"})

#: What the pages must know of Buildbot's configuration; all else (ports, log files...) is nobody's business.
SHOWN = frozenset(
    "auth avatar_methods buildbotURL multiMaster plugins theme title titleURL ui_default_config versions".split()  # noqa: SIM905
)

SAFE_METHODS = frozenset({b"GET", b"HEAD", b"OPTIONS"})

_stock_frontend_config = frontend.get_www_frontend_config_dict


def install() -> None:
    """Put our classes in the places of Buildbot's own; called when the configuration is made."""
    service.BuildbotSite = LabSite
    ws.WsResource = LabWsResource
    sse.EventResource = _closed
    rest.V2RootResource._write_json_data = staticmethod(write_json)
    frontend.get_www_frontend_config_dict = shown_config
    controls.install()


def shown_config(master: Any, www: Any) -> dict[str, Any]:
    """What is sent to every browser, whoever they are; strangers need not know our versions in a closed lab."""
    stock = _stock_frontend_config(master, www)
    shown = {key: value for key, value in stock.items() if key in SHOWN}
    return shown if www["auth"].anonymous_read else {**shown, "versions": []}


def write_json(request: Any, encoder: json.JSONEncoder, data: Any) -> None:
    """Encode an answer in the thread that this is called in, and have the reactor send it.

    Buildbot 4.3.0 writes to the connection from the thread. Twisted's transports are not for that: what the thread adds
    just as the reactor takes what is there is lost, and the browser waits for the rest for ever.
    """
    chunks = []
    for chunk in encoder.iterencode(data):
        if request.finished or request.channel is None:
            return
        chunks.append(chunk)
    reactor.callFromThread(_send, request, "".join(chunks).encode())


def _send(request: Any, body: bytes) -> None:
    if request.finished or request.channel is None:
        return
    request.setHeader(b"Content-Length", str(len(body)).encode())
    if request.method != b"HEAD":
        request.write(body)


class LabRequest(Request):
    """A request whose cookies are for the server alone: no script reads them, no other site sends them."""

    def addCookie(self, k: Any, v: Any, **how: Any) -> None:
        https = self.isSecure() or self.site.master.config.buildbotURL.startswith("https:")
        super().addCookie(k, v, **{**how, "secure": https, "httpOnly": True, "sameSite": "lax"})


class LabSite(service.BuildbotSite):
    """Buildbot's site, with bearer tokens, and with the checks that Buildbot leaves out."""

    requestFactory = LabRequest

    def getSession(self, uid: Any) -> Any:
        """A session of somebody who may not come in any more is nobody's."""
        session = super().getSession(uid)
        access = find_access(self.master)
        if access is None or access.role_of(session.user_info) < Role.VIEWER:
            session.expire()
        return session

    def getResourceFor(self, request: Any) -> Any:
        """What answers the request, or what says why not."""
        name = request.postpath[0] if request.postpath else b""
        found = super().getResourceFor(request)
        request.setHeader(b"X-Content-Type-Options", b"nosniff")
        request.setHeader(b"X-Frame-Options", b"SAMEORIGIN")
        if name in CLOSED:
            return _closed()
        if name in OWN_LOGIN:
            return found
        scheme, _, token = (request.getHeader(b"authorization") or b"").decode("latin-1").partition(" ")
        # A browser that has logged in, and many a proxy, send Basic on their own; it says nothing here.
        if scheme.lower() in {"", "basic"}:
            return self._by_session(request, name, found)
        return _Later(self._by_token(request, name, found, token.strip() if scheme.lower() == "bearer" else ""))

    def _by_session(self, request: Any, name: bytes, found: Any) -> Any:
        if name not in FOR_READERS:
            return found
        if not self.master.www.auth.may_read(request.getSession().user_info):
            return Refusal(401, "log in first")
        if (name == b"ws" or request.method not in SAFE_METHODS) and not is_same_site(
            request, self.master.config.buildbotURL
        ):
            return Refusal(403, "this request comes from another site; use the lab's own pages, or a token")
        return found

    async def _by_token(self, request: Any, name: bytes, found: Any, token: str) -> Any:
        """As for a session that is made for this request alone; a token that is not good is never nobody."""
        access = find_access(self.master)
        identity = await access.identify(token) if access is not None else None
        if identity is None:
            return Refusal(401, "the token is not valid; make a new one, or log in again")
        session = self.makeSession()
        session.user_info = {
            "username": identity.name,
            "full_name": identity.name,
            "email": identity.name,
            "token_role": int(identity.role),
        }
        request._insecureSession = request._secureSession = session
        return found


class Refusal(Resource):
    """An answer in Buildbot's own form of errors."""

    isLeaf = True

    def __init__(self, status: int, text: str) -> None:
        super().__init__()
        self.status, self.text = status, text

    def render(self, request: Any) -> bytes:
        request.setResponseCode(self.status)
        request.setHeader(b"Content-Type", b"application/json")
        if self.status == 401:
            request.setHeader(b"WWW-Authenticate", b'Bearer realm="benchyard"')
        if request.method == b"POST":
            return json.dumps({"error": {"message": self.text}}).encode()
        return json.dumps({"error": self.text}).encode()


class _Later(Resource):
    """What is known only once the datastore has answered."""

    isLeaf = True

    def __init__(self, found: Awaitable[Any]) -> None:
        super().__init__()
        self._found = found

    def render(self, request: Any) -> int:
        work = defer.ensureDeferred(self._found)
        gone = request.notifyFinish()
        gone.addErrback(lambda _: work.cancel())

        def answer(found: Any) -> None:
            if request.channel is not None:
                request.render(found)

        def fail(failure: Any) -> None:
            if not failure.check(defer.CancelledError):
                request.processingFailed(failure)  # as Twisted does where nobody has to wait

        work.addCallback(answer).addErrback(fail)
        return int(NOT_DONE_YET)


def _closed(_master: Any = None) -> Refusal:
    return Refusal(404, "there is nothing here")
