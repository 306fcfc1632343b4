"""HTTP as the client library speaks it: JSON in and out, a bearer token, few retries, errors with a class.

All requests can be tried again: GET, PUT and DELETE by their nature, POST because each bears a key of its own by
which the lab knows a repetition and gives the first answer again, PATCH because it says values and not steps.
"""

import codecs
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, NoReturn
from urllib.parse import quote, urlsplit
from uuid import uuid4

import httpx
import msgspec

from benchyard.client.errors import Invalid, NotFound, ServerError, Unavailable
from benchyard.client.problems import error_of

API_PATH = "/plugins/benchyard/api/v1"
RETRY_DELAYS_S = (0.2, 0.5, 1.0)
CONNECT_TIMEOUT_S = 5.0
FOLLOW_SILENCE_S = 60.0
"""How long a stream may be silent before the connection is taken for dead and made anew."""

Params = Mapping[str, str | int | None | Sequence[str]]

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Answer(NamedTuple):
    """A JSON object and the entity tag that came with it, if one did."""

    document: dict[str, Any]
    etag: str | None = None


class Api:
    """One lab's REST interface; `url` is the lab's address, `transport` the seam for tests."""

    def __init__(
        self,
        url: str,
        token: str | None,
        *,
        timeout_s: float,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = url
        self.sleep = sleep
        headers = {"Accept": "application/json", "User-Agent": "benchyard-client"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._http = httpx.Client(
            base_url=url + API_PATH,
            headers=headers,
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, CONNECT_TIMEOUT_S)),
            transport=transport,
            # A proxy named in the environment cannot reach this host's own loopback.
            trust_env=urlsplit(url).hostname not in LOOPBACK,
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def ask(
        self, method: str, path: str, body: object = None, *, params: Params | None = None, etag: str | None = None
    ) -> Answer:
        """Send a request, with a JSON body if there is one, and return the JSON object that comes back.

        `etag` is the state that the change is meant for; Stale if it is another one by now.
        """
        headers = {} if etag is None else {"If-Match": etag}
        if method == "POST":
            headers["Idempotency-Key"] = uuid4().hex
        content = None
        if method in ("POST", "PATCH"):
            headers["Content-Type"] = "application/json"
            content = b"" if body is None else msgspec.json.encode(body)
        return self._answer(self._retried(method, path, params, content, headers))

    def get(self, path: str, params: Params | None = None) -> dict[str, Any]:
        """GET a JSON object."""
        return self.ask("GET", path, params=params).document

    def get_bytes(self, path: str, params: Params | None = None) -> bytes:
        """GET a file, whole."""
        return self._retried("GET", path, params, None, {}).content

    def post_bytes(self, path: str, data: bytes, params: Params | None = None) -> bytes:
        """POST bytes that change nothing there, and return what comes back."""
        return self._retried("POST", path, params, data, {"Content-Type": "application/octet-stream"}).content

    def put_bytes(self, path: str, data: bytes, params: Params | None = None) -> Answer:
        """PUT a file, whole, and return the JSON object that comes back."""
        return self._answer(self._retried("PUT", path, params, data, {"Content-Type": "application/octet-stream"}))

    def delete(self, path: str) -> None:
        """DELETE what is at a path; that it is gone already counts only when the first answer was lost."""
        tries: list[httpx.Request] = []
        try:
            self._retried("DELETE", path, None, None, {}, tries)
        except NotFound:
            if len(tries) == 1:
                raise

    def stream_text(
        self, path: str, params: Params | None = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[str]:
        """GET text piece by piece, as it comes; Unavailable if the connection breaks on the way."""
        # Packed text would come in the packer's blocks, not as it is written.
        headers = {"Accept-Encoding": "identity", **(headers or {})}
        request = self._http.build_request("GET", path, params=_clean(params), headers=headers)
        timeouts = self._http.timeout.as_dict() | {"read": FOLLOW_SILENCE_S}
        request.extensions["timeout"] = timeouts
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        response = self._send(request, stream=True)
        try:
            with self._transport(request):
                for piece in response.iter_bytes():
                    if text := decoder.decode(piece):
                        yield text
            if text := decoder.decode(b"", final=True):
                yield text
        finally:
            response.close()

    def _retried(
        self,
        method: str,
        path: str,
        params: Params | None,
        content: bytes | None,
        headers: Mapping[str, str],
        tries: list[httpx.Request] | None = None,
    ) -> httpx.Response:
        request = self._http.build_request(method, path, params=_clean(params), content=content, headers=headers)
        tries = [] if tries is None else tries
        for delay_s in RETRY_DELAYS_S:
            tries.append(request)
            try:
                return self._send(request)
            except Unavailable:
                self.sleep(delay_s)
        tries.append(request)
        return self._send(request)

    def _send(self, request: httpx.Request, *, stream: bool = False) -> httpx.Response:
        with self._transport(request):
            response = self._http.send(request, stream=stream)
            if not response.is_success:
                response.read()
        if not response.is_success:
            response.close()
            raise error_of(response, self.url)
        return response

    @contextmanager
    def _transport(self, request: httpx.Request) -> Iterator[None]:
        try:
            yield
        except httpx.TransportError as exc:
            self._fail_transport(exc, request)
        except httpx.DecodingError as exc:
            raise ServerError(f"{self.url} sent what cannot be unpacked") from exc

    def _fail_transport(self, exc: httpx.TransportError, request: httpx.Request) -> NoReturn:
        if isinstance(exc, httpx.ConnectError | httpx.ConnectTimeout):
            raise Unavailable(f"no lab answers at {self.url}") from exc
        what = "did not answer in time" if isinstance(exc, httpx.TimeoutException) else "broke the connection"
        doubt = "" if request.method == "GET" else "; it may have done what was asked: look before you repeat it"
        raise Unavailable(f"{self.url} {what}{doubt}") from exc

    def _answer(self, response: httpx.Response) -> Answer:
        try:
            document = msgspec.json.decode(response.content)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise self._not_a_lab(response) from exc
        if not isinstance(document, dict):
            raise self._not_a_lab(response)
        return Answer(document, response.headers.get("etag"))

    def _not_a_lab(self, response: httpx.Response) -> ServerError:
        kind = response.headers.get("content-type", "nothing").partition(";")[0]
        return ServerError(
            f"{self.url} answered {kind} where a JSON object was due; is it the address of a benchyard lab?",
            status=response.status_code,
        )


def segment(name: str | int) -> str:
    """Return a name or number as one part of a path; Invalid for what would lead elsewhere."""
    text = str(name)
    if text in ("", ".", ".."):
        raise Invalid(f"{text!r} is not a name")
    return quote(text, safe="")


def _clean(params: Params | None) -> dict[str, Any]:
    return {name: value for name, value in (params or {}).items() if value not in (None, "", (), [])}
