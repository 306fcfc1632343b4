"""Errors as `application/problem+json` (RFC 9457): what is wrong, with which field, and what to do."""

import msgspec

from benchyard.hosting.registration import HostExists
from benchyard.hosting.service import HostRefused
from benchyard.queueing.requests import Invalid
from benchyard.results.errors import ResultError
from benchyard.store.errors import Conflict, NotFound

TITLES = {
    400: "Invalid request",
    401: "Not logged in",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Too large",
    415: "Unsupported content type",
    422: "Cannot be processed",
    500: "Internal error",
    503: "Not ready",
}

#: Exceptions of the lab by the status they are answered with.
STATUS_OF: dict[type[Exception], int] = {
    Invalid: 400,
    NotFound: 404,
    Conflict: 409,
    HostExists: 409,
    HostRefused: 422,
    ResultError: 422,
}


class Problem(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, detail: str, field: str | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.field = status, detail, field

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
            return Problem(status, str(error), getattr(error, "field", None))
    return Problem(500, "something went wrong in the lab; the master's twistd.log says what")
