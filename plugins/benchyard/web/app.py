"""The REST interface: finds the operation and its caller, and writes answers and errors."""

from typing import Any

import msgspec
from klein import Klein
from twisted.internet import defer
from twisted.python import log
from werkzeug.exceptions import HTTPException

from benchyard.access.service import find_access
from benchyard.hosting.service import find_lab
from benchyard.publish.service import find_publisher
from benchyard.queueing.engine import SERVICE as JOBS_SERVICE
from benchyard.results.packing import pack
from benchyard.web.callers import find_caller
from benchyard.web.calls import MAX_BODY, MAX_FILE, MAX_ID, MAX_NAME, Call, Caller, Reply, Route, Services
from benchyard.web.decoding import decode_body, decode_query
from benchyard.web.problems import Problem, problem_of
from benchyard.web.repeats import Repeats
from benchyard.web.routes import ROUTES

#: Answers from this size on are compressed for those who understand it; a megabyte takes a millisecond.
GZIP_FROM = 1_000


class Api:
    """The interface of one master."""

    def __init__(self, master: Any) -> None:
        self.master = master
        self.app = Klein()
        self._repeats = Repeats()
        for route in ROUTES:
            self._add(route)
        self.app.handle_errors(HTTPException)(_no_route)

    def _add(self, route: Route) -> None:
        def endpoint(request: Any, **path: Any) -> Any:
            return defer.ensureDeferred(self._answer(request, route, path))

        endpoint.__name__ = f"{route.method} {route.path}"
        self.app.route(route.path, methods=[route.method], endpoint=endpoint.__name__)(endpoint)

    async def _answer(self, request: Any, route: Route, path: dict[str, Any]) -> bytes:
        try:
            services = self._services()
            caller = await find_caller(request, services)
            _check_role(caller, route)
            body = _read_body(request, route)
            if route.keyed and caller.name:
                reply = await self._repeats.once(
                    services, caller, request, body, lambda: self._reply(services, caller, request, route, path, body)
                )
            else:
                reply = await self._reply(services, caller, request, route, path, body)
        except Exception as exc:
            problem = problem_of(exc)
            if problem.status >= 500:
                log.err(None, f"benchyard: in {route.method} {route.path}")
            return _write_problem(request, problem)
        return _write(request, route, reply) if reply is not None else b""

    async def _reply(
        self, services: Services, caller: Caller, request: Any, route: Route, path: dict[str, Any], body: bytes
    ) -> Reply | None:
        if not all(_may_exist(value) for value in path.values()):
            raise Problem(404, "there is nothing of such a name or number")
        query = decode_query(request.args, route.query)
        decoded: Any = body if route.raw else decode_body(body, route.body) if route.body is not None else None
        answer = await route.handler(Call(services, caller, query, decoded, request), **path)
        if answer is None:
            return None
        reply = answer if isinstance(answer, Reply) else Reply(answer)
        return reply._replace(
            body=reply.body if isinstance(reply.body, bytes) else msgspec.json.encode(reply.body),
            status=reply.status or route.status,
        )

    def _services(self) -> Services:
        jobs = self.master.service_manager.namedServices.get(JOBS_SERVICE)
        access, lab, publisher = find_access(self.master), find_lab(self.master), find_publisher(self.master)
        if jobs is None or access is None or lab is None or publisher is None or not jobs.running:
            raise Problem(503, "the lab is starting; try again in a moment")
        return Services(self.master, jobs, access, lab, publisher)


def _may_exist(value: int | str) -> bool:
    """Whether a number or name in an address could be that of anything; the datastore refuses others with an error."""
    return value <= MAX_ID if isinstance(value, int) else len(value) <= MAX_NAME and value.isprintable()


def _check_role(caller: Caller, route: Route) -> None:
    if caller.role >= route.role:
        return
    if not caller.name:
        raise Problem(401, "log in first: `benchyard login URL`, or a bearer token")
    has, needs = caller.role.name.lower(), route.role.name.lower()
    raise Problem(403, f"this takes the role {needs}; {caller.name} is here as {has}")


def _read_body(request: Any, route: Route) -> bytes:
    limit = MAX_FILE if route.raw else MAX_BODY
    body: bytes = request.content.read(limit + 1)
    if len(body) > limit:
        raise Problem(413, f"the body is longer than {limit} bytes")
    return body


def _write(request: Any, route: Route, reply: Reply) -> bytes:
    request.setResponseCode(reply.status)
    request.setHeader(b"Content-Type", reply.content_type.encode())
    request.setHeader(b"Cache-Control", b"no-store")
    request.setHeader(b"Vary", b"Accept-Encoding, Authorization, Cookie")
    if reply.tag is not None:
        request.setHeader(b"ETag", reply.tag.encode())
    for name, value in reply.headers.items():
        request.setHeader(name.encode(), value.encode())
    body: bytes = reply.body
    if len(body) < GZIP_FROM or b"gzip" not in (request.getHeader(b"accept-encoding") or b""):
        return body
    request.setHeader(b"Content-Encoding", b"gzip")
    return pack(body)


def _write_problem(request: Any, problem: Problem) -> bytes:
    if request.startedWriting:
        request.loseConnection()
        return b""
    request.setResponseCode(problem.status)
    request.setHeader(b"Content-Type", b"application/problem+json")
    for name, value in problem.headers.items():
        request.setHeader(name.encode(), value.encode())
    return problem.body()


def _no_route(request: Any, failure: Any) -> bytes:
    error = failure.value
    words = {404: "there is nothing here; what there is, is in openapi.json", 405: "not by this method"}
    methods = getattr(error, "valid_methods", None)
    if methods:
        request.setHeader(b"Allow", ", ".join(sorted(methods)).encode())
    code = error.code or 500
    return _write_problem(request, Problem(code, words.get(code, "the address is not right")))
