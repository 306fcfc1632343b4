"""Errors as `application/problem+json` (RFC 9457): what is wrong, with which field, and what to do."""

import math

import msgspec

from benchyard.access.errors import AccessInvalid, TooManyLogins
from benchyard.hosting.registration import HostExists
from benchyard.hosting.service import HostRefused
from benchyard.queueing.requests import Invalid
from benchyard.results.errors import ResultError
from benchyard.results.intake import AttachedAlready
from benchyard.store.errors import BadPosition, Conflict, NotFound, Stale, Unclear

TITLES = {
    400: "Invalid request",
    401: "Not logged in",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    412: "Changed meanwhile",
    413: "Too large",
    415: "Unsupported content type",
    422: "Cannot be processed",
    429: "Too many requests",
    500: "Internal error",
    503: "Not ready",
}

#: Exceptions of the lab by the status they are answered with.
STATUS_OF: dict[type[Exception], int] = {
    Invalid: 400,
    AccessInvalid: 400,
    TooManyLogins: 429,
    Stale: 412,
    NotFound: 404,
    BadPosition: 400,
    Unclear: 400,
    AttachedAlready: 409,
    Conflict: 409,
    HostExists: 409,
    HostRefused: 422,
    ResultError: 422,
}


class Problem(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, detail: str, field: str | None = None, *, wait_s: float | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.field, self.wait_s = status, detail, field, wait_s

    @property
    def headers(self) -> dict[str, str]:
        """The headers that go with it."""
        headers = {"WWW-Authenticate": 'Bearer realm="benchyard"'} if self.status == 401 else {}
        return headers if self.wait_s is None else {**headers, "Retry-After": str(math.ceil(self.wait_s))}

    def body(self) -> bytes:
        """The answer's body."""
        problem = {
            "type": "about:blank",
            "title": TITLES.get(self.status, "Error"),
            "status": self.status,
            "detail": self.detail,
        }
        if self.field:
            problem["field"] = self.field
        return msgspec.json.encode(problem)


def problem_of(error: BaseException) -> Problem:
    """The problem that an exception of the lab stands for; what we do not know is an internal error without details."""
    if isinstance(error, Problem):
        return error
    for kind, status in STATUS_OF.items():
        if isinstance(error, kind):
            return Problem(status, str(error), getattr(error, "field", None), wait_s=getattr(error, "wait_s", None))
    return Problem(500, "something went wrong in the lab; the master's twistd.log says what")
