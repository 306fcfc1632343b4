"""HTTP as the client library speaks it: JSON in and out, a bearer token, few retries, errors with a class.

Only GET is tried again: sending a POST twice could make two jobs.
"""

import codecs
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn
from urllib.parse import urlsplit

import httpx
import msgspec

from benchyard.client.errors import (
    ClientError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    ServerError,
    Unauthorized,
    Unavailable,
)

API_PATH = "/plugins/benchyard/api/v1"
RETRY_DELAYS_S = (0.2, 0.5, 1.0)
CONNECT_TIMEOUT_S = 5.0
FOLLOW_SILENCE_S = 60.0
"""How long a followed log may be silent before the connection is taken for dead and made anew."""

Params = Mapping[str, str | int | None]

AWAY = frozenset({502, 503, 504})
ERRORS: dict[int, type[ClientError]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    422: Invalid,
    **dict.fromkeys(AWAY, Unavailable),
}
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


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

    def get(self, path: str, params: Params | None = None) -> dict[str, Any]:
        """GET a JSON object."""
        return self._json(self._retried(path, params))

    def get_bytes(self, path: str) -> bytes:
        """GET a file, whole."""
        return self._retried(path, None).content

    def post(self, path: str, body: object = None) -> dict[str, Any]:
        """POST a JSON object and return the one that comes back; made once, never again."""
        content = b"" if body is None else msgspec.json.encode(body)
        request = self._http.build_request("POST", path, content=content, headers={"Content-Type": "application/json"})
        return self._json(self._send(request))

    def stream_text(self, path: str, params: Params | None = None) -> Iterator[str]:
        """GET text piece by piece, as it comes; Unavailable if the connection breaks on the way."""
        request = self._http.build_request("GET", path, params=_clean(params))
        timeouts = self._http.timeout.as_dict() | {"read": FOLLOW_SILENCE_S}
        request.extensions["timeout"] = timeouts
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        response = self._send(request, stream=True)
        try:
            for piece in response.iter_bytes():
                if text := decoder.decode(piece):
                    yield text
            if text := decoder.decode(b"", final=True):
                yield text
        except httpx.TransportError as exc:
            self._fail_transport(exc, request)
        finally:
            response.close()

    def _retried(self, path: str, params: Params | None) -> httpx.Response:
        request = self._http.build_request("GET", path, params=_clean(params))
        for delay_s in RETRY_DELAYS_S:
            try:
                return self._send(request)
            except Unavailable:
                self.sleep(delay_s)
        return self._send(request)

    def _send(self, request: httpx.Request, *, stream: bool = False) -> httpx.Response:
        try:
            response = self._http.send(request, stream=stream)
            if not response.is_success:
                response.read()
        except httpx.TransportError as exc:
            self._fail_transport(exc, request)
        if not response.is_success:
            response.close()
            raise self._error(response)
        return response

    def _fail_transport(self, exc: httpx.TransportError, request: httpx.Request) -> NoReturn:
        if isinstance(exc, httpx.ConnectError | httpx.ConnectTimeout):
            raise Unavailable(f"no lab answers at {self.url}") from exc
        what = "did not answer in time" if isinstance(exc, httpx.TimeoutException) else "broke the connection"
        doubt = "" if request.method == "GET" else "; it may have done what was asked: look before you repeat it"
        raise Unavailable(f"{self.url} {what}{doubt}") from exc

    def _error(self, response: httpx.Response) -> ClientError:
        """Make the error of an answer: the problem's detail, or what can be said of an answer without one."""
        status = response.status_code
        kind = ERRORS.get(status, ServerError if status >= 500 or status < 400 else ClientError)
        problem = _problem(response)
        detail = problem.get("detail") or problem.get("title")
        if not isinstance(detail, str):
            detail = self._without_detail(response)
        message = " ".join(detail.split())
        if kind is Invalid:
            field = problem.get("field")
            return Invalid(message, status=status, field=field if isinstance(field, str) else None)
        return kind(message, status=status)

    def _without_detail(self, response: httpx.Response) -> str:
        status = f"{response.status_code} {response.reason_phrase}".strip()
        if response.is_redirect:
            return f"{self.url} sends us to {response.headers.get('location')}; use that lab's address"
        if response.status_code == 404:
            return f"{self.url} knows no {response.request.url.path}; is it the address of a benchyard lab?"
        return f"{self.url} answered {status}"

    def _json(self, response: httpx.Response) -> dict[str, Any]:
        try:
            document = msgspec.json.decode(response.content)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise self._not_a_lab(response) from exc
        if not isinstance(document, dict):
            raise self._not_a_lab(response)
        return document

    def _not_a_lab(self, response: httpx.Response) -> ServerError:
        kind = response.headers.get("content-type", "nothing").partition(";")[0]
        return ServerError(
            f"{self.url} answered {kind} where a JSON object was due; is it the address of a benchyard lab?",
            status=response.status_code,
        )


def _clean(params: Params | None) -> dict[str, Any]:
    return {name: value for name, value in (params or {}).items() if value not in (None, "")}


def _problem(response: httpx.Response) -> dict[str, Any]:
    try:
        problem = msgspec.json.decode(response.content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return problem if isinstance(problem, dict) else {}
