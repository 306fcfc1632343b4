"""HTTP to destinations, with txrequests: in threads, bounded in time and length, and every answer told in one line.

What a server's answer means is the same for all who speak HTTP: `accepted` has it.
"""

import html
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from http.client import responses
from typing import Any
from weakref import WeakSet

import msgspec

from benchyard.publish.destinations import Refused, TryLater

#: Characters of what people are shown of an answer, and bytes that are read of one unless told otherwise.
LONGEST_WORDS, LONGEST_ANSWER = 300, 65_536

#: Seconds between two looks whether a request that has had its time has ended.
CUT_AGAIN_S = 1.0

#: The longest that a server may ask us to wait, in seconds.
LONGEST_WAIT_S = 24 * 3600.0

#: Answers below 500 that are no judgement on what was sent: a timeout, too early, too many requests.
PASSING = frozenset({408, 425, 429})

_SPACE = re.compile(r"\s+")
_SILENT = re.compile(r"<(script|style)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(r"<[^>]*>")


class Answer(msgspec.Struct, frozen=True):
    """A server's answer; of a long body, the beginning. Names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def words(self) -> str:
        """The answer in one line: its status, and what a person would read in its body."""
        phrase = responses.get(self.status, "unknown status")
        said = _said(self.headers.get("content-type", ""), self.body)
        return one_line(f"{self.status} {phrase}" + (f": {said}" if said and said != phrase else ""))

    @property
    def retry_after_s(self) -> float | None:
        """How long the server asks us to wait at least, in seconds; None where it does not say."""
        text = self.headers.get("retry-after", "").strip()
        if text.isascii() and text.isdigit():
            return min(float(text), LONGEST_WAIT_S)
        try:
            wait_s = parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, TypeError):
            return None
        return min(max(wait_s, 0.0), LONGEST_WAIT_S)


def accepted(answer: Answer) -> str:
    """What the server said, if it has taken what was sent; raises Refused or TryLater if not.

    An answer that tells of trouble of the server's own says nothing about what was sent.
    """
    if 200 <= answer.status < 300:
        return answer.words
    if answer.status >= 500 or answer.status in PASSING:
        raise TryLater(answer.words, answer.retry_after_s)
    if 300 <= answer.status < 400:
        raise Refused(f"{answer.words}; redirections are not followed: set `url` to where it is now")
    raise Refused(answer.words)


class Http:
    """The requests of one destination, one at a time; each is over after `timeout_s`, whatever the server does.

    `ca_file` has the certificates that a server's is checked with, in place of the system's. Proxies are those of the
    environment; passwords of a `.netrc` are not looked at. Of answers, `longest` bytes are read.
    """

    def __init__(self, *, timeout_s: float, ca_file: str = "", longest: int = LONGEST_ANSWER) -> None:
        self.timeout_s, self._verify, self._longest = timeout_s, ca_file or True, longest
        self._session: Any = None
        self._connections: WeakSet[Any] = WeakSet()

    async def send(
        self,
        method: str,
        url: str,
        *,
        data: bytes | Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
    ) -> Answer:
        """Send one request; a form if `data` is a mapping. TryLater where no whole answer comes."""
        from twisted.internet import reactor

        session = self._opened()
        late: list[bool] = []

        def cut() -> None:
            late.append(True)
            self._cut()
            timer[0] = reactor.callLater(CUT_AGAIN_S, cut)

        timer = [reactor.callLater(self.timeout_s, cut)]
        try:
            answer: Answer = await session.request(
                method,
                url,
                data=data,
                headers=dict(headers or {}),
                auth=auth if auth is not None else _nobody,
                timeout=self.timeout_s,
                allow_redirects=False,
                verify=self._verify,
                stream=True,
                background_callback=self._read,
            )
        except Exception as exc:
            raise trouble(exc, f"no whole answer within {self.timeout_s:g} s" if late else None) from None
        finally:
            timer[0].cancel()
        return answer

    async def close(self) -> None:
        """End what is under way, and let go of the connections."""
        from twisted.internet import threads

        session, self._session = self._session, None
        self._cut()
        if session is not None:
            await threads.deferToThread(session.close)  # waits for the session's own thread

    def _opened(self) -> Any:
        if self._session is None:
            from txrequests import Session

            self._session = Session(minthreads=0, maxthreads=1)
            self._session.headers["User-Agent"] = "benchyard"
            for prefix in ("http://", "https://"):
                manager = self._session.get_adapter(prefix).poolmanager
                manager.pool_classes_by_scheme = {
                    scheme: _remembering(kind, self._connections)
                    for scheme, kind in manager.pool_classes_by_scheme.items()
                }
        return self._session

    def _read(self, _session: Any, response: Any) -> Answer:
        """The answer, read in the session's thread."""
        with response:
            body = b""
            for part in response.iter_content(8192):
                body += part
                if len(body) >= self._longest:
                    break
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status_code, headers, body[: self._longest])

    def _cut(self) -> None:
        """Break all connections: whoever waits at one sees its end."""
        for connection in list(self._connections):
            with suppress(OSError, AttributeError):
                connection.sock.shutdown(socket.SHUT_RDWR)


def one_line(text: str, longest: int = LONGEST_WORDS) -> str:
    """Any text as one line of printable characters; the end of a long one is left out."""
    line = "".join(char if char.isprintable() else "?" for char in _SPACE.sub(" ", text).strip())
    return line if len(line) <= longest else f"{line[: longest - 3]}..."


def _nobody(request: Any) -> Any:
    """No authentication; given to each request, as requests would look for some in a `.netrc`."""
    return request


def _remembering(kind: Callable[..., Any], opened: WeakSet[Any]) -> Callable[..., Any]:
    """A maker of connection pools whose connections can be broken from outside."""

    def make_pool(*args: Any, **kwargs: Any) -> Any:
        pool = kind(*args, **kwargs)
        stock = pool.ConnectionCls

        def connect(*args: Any, **kwargs: Any) -> Any:
            connection = stock(*args, **kwargs)
            opened.add(connection)
            return connection

        pool.ConnectionCls = connect
        return pool

    return make_pool


def _said(content_type: str, body: bytes) -> str:
    """What a person would read in the body of an answer."""
    text = body.decode("utf-8", "replace")
    if "json" in content_type:
        with suppress(msgspec.DecodeError):
            document = msgspec.json.decode(body)
            for key in ("detail", "message", "error", "title"):
                if isinstance(document, dict) and isinstance(document.get(key), str):
                    return str(document[key])
    if "html" in content_type:
        titles = _TITLE.findall(text)
        text = html.unescape(titles[0] if titles else _TAG.sub(" ", _SILENT.sub(" ", text)))
    return one_line(text)


def trouble(error: Exception, late: str | None = None) -> Exception:
    """What it means that a request has failed. Addresses are not told: there are some with secrets in them."""
    import requests

    if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema)):
        return Refused("the destination's `url` cannot be used; correct it in the settings")
    if late is not None:
        return TryLater(late)
    if isinstance(error, requests.exceptions.Timeout):
        return TryLater("no connection or no answer in time")
    for cause in _causes(error):
        words = _words_of(cause)
        if words is not None:
            return TryLater(words)
    return TryLater(f"the request has failed: {type(error).__name__}")


def _words_of(error: BaseException) -> str | None:
    import ssl
    from http.client import IncompleteRead, RemoteDisconnected

    if isinstance(error, ssl.SSLCertVerificationError):
        return one_line(f"its certificate is not good: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        return one_line(f"TLS does not work: {error.reason or 'unknown reason'}")
    if isinstance(error, socket.gaierror):
        return one_line(f"its name cannot be resolved: {error.strerror}")
    if isinstance(error, RemoteDisconnected):
        return "it closed the connection without an answer"
    if isinstance(error, IncompleteRead):
        return "it closed the connection in the middle of its answer"
    if isinstance(error, OSError) and error.strerror:
        return one_line(error.strerror[:1].lower() + error.strerror[1:])
    if isinstance(error, OSError) and "CA certificate" in str(error):
        return "the file of certificates `ca_file` is not there"
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that is wrapped in it, the innermost first."""
    seen: list[BaseException] = []
    waiting: list[Any] = [error]
    while waiting:
        found = waiting.pop()
        if isinstance(found, BaseException) and found not in seen:
            seen.append(found)
            waiting += [found.__context__, found.__cause__, getattr(found, "reason", None), *found.args]
    return iter(reversed(seen))
