"""A server between a client and a real one, which does to requests and answers what networks and proxies do."""

import http.client
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal


@dataclass(frozen=True)
class Deed:
    """What is done to one request.

    `request` is passed on whole, half of it with the connection closed then, or not at all. The `answer` goes back as
    it came, or half of it, or nothing with the connection closed; `status`, `body` and `headers` replace it.
    `meanwhile` is called once the server has answered, before the client has.
    """

    request: Literal["whole", "half", "none"] = "whole"
    answer: Literal["whole", "half", "none"] = "whole"
    status: int | None = None
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    meanwhile: Callable[[], object] = lambda: None


class Meddler:
    """Passes requests on to the server at `port`, but for those that `deeds` are for, the first ones."""

    def __init__(self, port: int, address: str = "127.0.0.1") -> None:
        self.server_port = port
        self.deeds: deque[Deed] = deque()
        #: The bodies of all requests that came, and the statuses of all answers that the server has given.
        self.bodies: list[bytes] = []
        self.answered: list[int] = []
        meddler = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 60

            def do_POST(self) -> None:
                meddler._meddle(self)

            def log_message(self, *args: object) -> None:
                """Say nothing."""

        self._http = ThreadingHTTPServer((address, 0), Handler)
        self._http.daemon_threads = True
        self._http.block_on_close = False
        self.port = int(self._http.server_address[1])
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """Its root."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Serve from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Serve no more."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(10)

    def _meddle(self, asked: BaseHTTPRequestHandler) -> None:
        deed = self.deeds.popleft() if self.deeds else Deed()
        body = asked.rfile.read(int(asked.headers.get("Content-Length", 0)))
        self.bodies.append(body)
        asked.close_connection = True
        status, answer = 502, b""
        headers: dict[str, str] = {}
        if deed.request != "none":
            given = self._pass_on(asked, body, half=deed.request == "half")
            if given is not None:
                status, headers, answer = given
                self.answered.append(status)
        deed.meanwhile()
        if deed.answer == "none" or deed.request == "half":
            return
        if deed.status is not None:
            status, headers, answer = deed.status, dict(deed.headers), deed.body
        asked.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(answer)), "Connection": "close"}).items():
            asked.send_header(name, value)
        asked.end_headers()
        asked.wfile.write(answer[: len(answer) // 2] if deed.answer == "half" else answer)

    def _pass_on(
        self, asked: BaseHTTPRequestHandler, body: bytes, *, half: bool
    ) -> tuple[int, dict[str, str], bytes] | None:
        """The server's answer; None where it has got but half of the body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server_port, timeout=60)
        try:
            connection.putrequest("POST", asked.path, skip_accept_encoding=True)
            for name in ("Content-Type", "Content-Length", "Authorization"):
                if name in asked.headers:
                    connection.putheader(name, asked.headers[name])
            connection.endheaders(body[: len(body) // 2] if half else body)
            if half:
                return None
            answer = connection.getresponse()
            kept = {name: value for name, value in answer.getheaders() if name in ("Content-Type", "WWW-Authenticate")}
            return answer.status, kept, answer.read()
        finally:
            connection.close()


@contextmanager
def meddling(port: int, **how: Any) -> Iterator[Meddler]:
    """A meddler before the server at a port, gone afterwards."""
    meddler = Meddler(port, **how)
    meddler.start()
    try:
        yield meddler
    finally:
        meddler.stop()
