"""A call of the REST interface: who asks, for what, with which words."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec

from benchyard.access.roles import Role
from benchyard.access.service import AccessService
from benchyard.hosting.service import LabService
from benchyard.queueing.jobs import JobService
from benchyard.queueing.requests import invalid
from benchyard.web.problems import Problem

S = TypeVar("S", bound=msgspec.Struct)

#: Bytes of a request's body, and rows of a page.
MAX_BODY = 1_000_000
MAX_PAGE = 500
PAGE = 50

#: The largest id that every database holds.
MAX_ID = 2**31 - 1

#: What reading a body that is not JSON raises; the last where it is nested without end.
NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Services(NamedTuple):
    """The parts of a running master that handlers use."""

    master: Any
    jobs: JobService
    access: AccessService
    lab: LabService


class Caller(NamedTuple):
    """Who asks; nobody in particular has no name and may read where the lab allows it."""

    name: str
    role: Role


class Call(NamedTuple):
    """One request, checked as far as it can be without knowing the operation."""

    services: Services
    caller: Caller
    query: Mapping[str, str]
    body: bytes
    request: Any

    def read(self, kind: type[S]) -> S:
        """The body as `kind`; Invalid names the field."""
        try:
            return msgspec.json.decode(self.body, type=kind)
        except msgspec.ValidationError as exc:
            raise invalid(exc) from exc
        except NOT_JSON as exc:
            raise Problem(400, "the body is not JSON") from exc

    def page(self) -> tuple[int, int | None]:
        """(`limit`, `cursor`): rows of a page, and the id before which it begins."""
        number = self.number("limit")
        limit = PAGE if number is None else number
        if not 1 <= limit <= MAX_PAGE:
            raise Problem(400, f"between 1 and {MAX_PAGE}, not {limit}", "limit")
        return limit, self.number("cursor")

    def number(self, name: str) -> int | None:
        """A query parameter that is a whole number."""
        text = self.query.get(name)
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise Problem(400, f"{text[:40]!r} is not a number", name)
        return int(text)


class Reply(NamedTuple):
    """What a handler answers: a JSON value, or bytes with their content type. None: it has written by itself."""

    body: Any
    status: int = 200
    content_type: str = "application/json"


Handler = Callable[..., Awaitable[Any]]


class Route(NamedTuple):
    """One operation: method, path with klein's placeholders, the least role that may do it, and what does it."""

    method: str
    path: str
    role: Role
    handler: Handler
