"""Answers that are errors: their class by the status, their message from the problem document, if one came."""

import time
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import msgspec

from benchyard.client.errors import (
    ClientError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    ServerError,
    Stale,
    TooMany,
    Unauthorized,
    Unavailable,
)

AWAY = frozenset({502, 503, 504})
ERRORS: dict[int, type[ClientError]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    412: Stale,
    413: Invalid,
    422: Invalid,
    429: TooMany,
    **dict.fromkeys(AWAY, Unavailable),
}


def error_of(response: httpx.Response, url: str) -> ClientError:
    """Make the error of an answer: the problem's detail, or what can be said of an answer without one."""
    status = response.status_code
    kind = ERRORS.get(status, ServerError if status >= 500 or status < 400 else ClientError)
    problem = _problem(response)
    detail = problem.get("detail") or problem.get("title")
    if not isinstance(detail, str):
        detail = _without_detail(response, url)
    message = " ".join(detail.split())
    if kind is Invalid:
        field = problem.get("field")
        return Invalid(message, status=status, field=field if isinstance(field, str) else None)
    if kind is TooMany:
        return TooMany(message, status=status, retry_after=_retry_after(response))
    return kind(message, status=status)


def _without_detail(response: httpx.Response, url: str) -> str:
    status = f"{response.status_code} {response.reason_phrase}".strip()
    if response.is_redirect:
        return f"{url} sends us to {response.headers.get('location')}; use that lab's address"
    if response.status_code == 404:
        return f"{url} knows no {response.request.url.path}; is it the address of a benchyard lab?"
    return f"{url} answered {status}"


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds to wait, from the header's number or date (RFC 9110, 10.2.3); None if it says neither."""
    text = response.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _problem(response: httpx.Response) -> dict[str, Any]:
    try:
        problem = msgspec.json.decode(response.content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return problem if isinstance(problem, dict) else {}
