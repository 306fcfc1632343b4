"""Buildbot's websocket, for those who may read, and with nothing but what they may read."""

from typing import Any

from autobahn.twisted.resource import WebSocketResource
from buildbot.util.twisted import async_to_deferred
from buildbot.www import auth
from buildbot.www.ws import WsProtocol, WsProtocolFactory, get_ws_sitepath, parse_cookies

#: Bytes of one message from a browser, and paths that one page listens to.
MAX_MESSAGE = 65_536
MAX_PATHS = 1_000


class LabWsProtocol(WsProtocol):
    """One browser's connection. Stock lets whoever may connect listen to everything, control messages as well."""

    def __init__(self, master: Any) -> None:
        super().__init__(master)
        self.user_info: dict[str, Any] = auth.build_anonymous_user_info()

    @async_to_deferred
    async def onConnect(self, request: Any) -> None:
        await super().onConnect(request)
        cookies = parse_cookies(request.headers.get("cookie", ""))
        name = auth.build_cookie_name(self.is_secure(), get_ws_sitepath(request.path)).decode()
        if name in cookies:
            secret = self.master.www.site.session_secret
            self.user_info = auth.parse_user_info_from_token(cookies[name], secret)

    def cmd_startConsuming(self, path: Any, _id: Any) -> Any:
        if not isinstance(path, str) or path.partition("/")[0] not in topics(self.master):
            return self.send_error(error="there is nothing to listen to by this path", code=403, _id=_id)
        if self.qrefs is not None and len(self.qrefs) >= MAX_PATHS:
            return self.send_error(error=f"no more than {MAX_PATHS} paths at once", code=403, _id=_id)
        return super().cmd_startConsuming(path=path, _id=_id)

    def send_json_message(self, **message: Any) -> Any:
        """Who may not read any more since they connected is sent away at the next event."""
        if "k" in message and not self.master.www.auth.may_read(self.user_info):
            return self.sendClose(4401, "log in again")
        return super().send_json_message(**message)


class LabWsFactory(WsProtocolFactory):
    """Makes a LabWsProtocol of each connection."""

    def __init__(self, master: Any) -> None:
        super().__init__(master)
        self.master = master
        self.setProtocolOptions(maxFramePayloadSize=MAX_MESSAGE, maxMessagePayloadSize=MAX_MESSAGE)

    def buildProtocol(self, addr: Any) -> LabWsProtocol:
        protocol = LabWsProtocol(self.master)
        protocol.factory = self
        return protocol


class LabWsResource(WebSocketResource):
    """What is at /ws."""

    def __init__(self, master: Any) -> None:
        super().__init__(LabWsFactory(master))  # type: ignore[no-untyped-call]


def topics(master: Any) -> set[str]:
    """The first parts of the paths by which Buildbot's data tell of changes; `control` and `*` are not among them."""
    kinds = vars(master.data.rtypes).values()
    return {pattern.split("/")[1] for kind in kinds for pattern in kind.eventPathPatterns}
