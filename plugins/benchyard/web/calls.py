"""A call of the REST interface: who asks, for what, with which words; and how an operation is described."""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, NamedTuple

import msgspec

from benchyard.access.roles import Role
from benchyard.access.service import AccessService
from benchyard.hosting.service import LabService
from benchyard.publish.service import PublishService
from benchyard.queueing.jobs import JobService
from benchyard.results.packing import MOST_BYTES
from benchyard.web.problems import Problem

#: Bytes of a JSON body, bytes of a result's file, and rows of a page.
MAX_BODY = 1_000_000
MAX_FILE = MOST_BYTES
MAX_PAGE = 500
PAGE = 50

#: Ids are 32-bit integers in the datastore.
MAX_ID = 2**31 - 1

#: Characters of a name in an address.
MAX_NAME = 100


class Services(NamedTuple):
    """The parts of a running master that handlers use."""

    master: Any
    jobs: JobService
    access: AccessService
    lab: LabService
    publisher: PublishService

    @property
    def url(self) -> str:
        """The lab's address, with a slash at its end."""
        return str(self.master.config.buildbotURL)


class Caller(NamedTuple):
    """Who asks; nobody in particular has no name and may read where the lab allows it."""

    name: str
    role: Role

    def owns(self, owner: str | None) -> bool:
        """Whether the caller may handle what belongs to `owner`: members their own, admins all."""
        return self.role >= Role.ADMIN or (bool(self.name) and self.name == owner)


class Call(NamedTuple):
    """One request, its parts decoded by the route's types."""

    services: Services
    caller: Caller
    query: Any
    body: Any
    request: Any

    @property
    def jobs(self) -> JobService:
        """The job service, which runs functions of the store as well: `await call.jobs.db(function, ...)`."""
        return self.services.jobs

    def now(self) -> float:
        """The present time in epoch seconds."""
        return time.time()

    def must_own(self, owner: str | None, what: str) -> None:
        """Problem 403 unless the caller may handle what belongs to `owner`."""
        if not self.caller.owns(owner):
            raise Problem(403, f"{what} belongs to {owner or 'nobody'}; only they and admins may do this")

    def must_match(self, kind: str, changed: float) -> float | None:
        """The present state, `changed`, where the caller's If-Match names it: the datastore holds the change to it.

        None where there is no such header; Problem 412 where it names another state.
        """
        wanted = self.request.getHeader(b"if-match")
        if wanted is None or wanted == b"*":
            return None
        if entity_tag(kind, changed).encode() not in [tag.strip() for tag in wanted.split(b",")]:
            raise Problem(412, "it has changed since you read it; read it again, then decide")
        return changed


class Reply(NamedTuple):
    """What a handler answers beyond a plain view: bytes, another status, an entity tag, or more headers."""

    body: Any
    status: int | None = None
    content_type: str = "application/json"
    tag: str | None = None
    headers: Mapping[str, str] = {}


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A query or body without any fields."""


class Paged(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every list takes: rows of a page, and the cursor of the part that is wanted."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_PAGE)] = PAGE
    cursor: Annotated[int, msgspec.Meta(ge=0, le=MAX_ID)] | None = None


Handler = Callable[..., Awaitable[Any]]


class Route(NamedTuple):
    """One operation: its address, who may do it, what does it, and the types of what goes in and comes out.

    The same types decode, encode, and make the OpenAPI document. `raw` bodies are not JSON and reach the handler as
    bytes; `content_type` is that of an answer which is not JSON. A `secret` answer is never kept.
    """

    method: str
    path: str
    role: Role
    handler: Handler
    answer: Any
    query: type[msgspec.Struct] = Nothing
    body: type[msgspec.Struct] | None = None
    status: int = 200
    raw: bool = False
    content_type: str = "application/json"
    secret: bool = False

    @property
    def summary(self) -> str:
        """The first line of the handler's docstring."""
        return (self.handler.__doc__ or "").strip().splitlines()[0]

    @property
    def keyed(self) -> bool:
        """Whether it takes an Idempotency-Key: not where nothing is changed, as by POST of raw bodies, which are only
        looked at, nor where the answer is not to be kept.
        """
        return self.method == "POST" and not self.raw and not self.secret


def entity_tag(kind: str, changed: float) -> str:
    """The entity tag of a row that was last changed at `changed`."""
    return f'"{kind}-{changed:.6f}"'
