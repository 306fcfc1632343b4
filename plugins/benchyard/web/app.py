"""The REST interface: finds the operation, the caller and their role, and writes answers and errors."""

from typing import Any

import msgspec
from klein import Klein
from twisted.internet import defer
from twisted.python import log
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from benchyard.access.roles import Role
from benchyard.access.service import find_access
from benchyard.hosting.service import find_lab
from benchyard.queueing.engine import SERVICE as JOBS_SERVICE
from benchyard.store.rows import User
from benchyard.web import hosts, jobs, queues, results
from benchyard.web.calls import MAX_BODY, MAX_ID, Call, Caller, Reply, Route, Services
from benchyard.web.problems import Problem, problem_of

ROUTES: tuple[Route, ...] = (*jobs.ROUTES, *results.ROUTES, *hosts.ROUTES, *queues.ROUTES)


class Api:
    """The interface of one master."""

    def __init__(self, master: Any) -> None:
        self.master = master
        self.app = Klein()
        for route in ROUTES:
            self._add(route)
        self.app.handle_errors(HTTPException)(self._no_route)

    def _add(self, route: Route) -> None:
        def endpoint(request: Any, **path: Any) -> Any:
            return defer.ensureDeferred(self._answer(request, route, path))

        endpoint.__name__ = f"{route.method} {route.path}"
        self.app.route(route.path, methods=[route.method], endpoint=endpoint.__name__)(endpoint)

    async def _answer(self, request: Any, route: Route, path: dict[str, Any]) -> bytes | None:
        try:
            if any(number > MAX_ID for number in path.values()):
                raise Problem(404, "there is nothing of this id")
            services = self._services()
            call = await self._call(request, route, services)
            answer = await route.handler(call, **path)
        except Exception as exc:
            problem = problem_of(exc)
            if problem.status >= 500:
                log.err(None, f"benchyard: in {route.method} {route.path}")
            return _write_problem(request, problem)
        if answer is None:
            return b""
        reply = answer if isinstance(answer, Reply) else Reply(answer)
        request.setResponseCode(reply.status)
        request.setHeader(b"Content-Type", reply.content_type.encode())
        request.setHeader(b"Cache-Control", b"no-store")
        return reply.body if isinstance(reply.body, bytes) else msgspec.json.encode(reply.body)

    def _services(self) -> Services:
        found = self.master.service_manager.namedServices.get(JOBS_SERVICE)
        access, lab = find_access(self.master), find_lab(self.master)
        if found is None or access is None or lab is None or not found.running:
            raise Problem(503, "the lab is starting; try again in a moment")
        return Services(self.master, found, access, lab)

    async def _call(self, request: Any, route: Route, services: Services) -> Call:
        caller = await self._caller(request, services)
        if caller.role < route.role:
            if not caller.name:
                raise Problem(401, "log in first: `benchyard login URL`, or a bearer token")
            raise Problem(403, f"this takes the role {route.role.name.lower()}; {caller.name} is {_named(caller.role)}")
        body = request.content.read(MAX_BODY + 1)
        if len(body) > MAX_BODY:
            raise Problem(413, f"the body is longer than {MAX_BODY} bytes")
        query = {
            key.decode("utf-8", "replace"): values[-1].decode("utf-8", "replace")
            for key, values in request.args.items()
        }
        return Call(services, caller, query, body, request)

    async def _caller(self, request: Any, services: Services) -> Caller:
        """By bearer token, else by Buildbot's session; a browser may only change things from the lab's own pages."""
        header = (request.getHeader(b"authorization") or b"").decode("latin-1")
        if header:
            scheme, _, token = header.partition(" ")
            user = await services.access.user_of_token(token.strip()) if scheme.lower() == "bearer" else None
            if user is None:
                raise Problem(401, "the token is not valid; make a new one, or log in again")
            return _caller_of(user)
        name = self.master.www.getUserInfos(request).get("username")
        user = await services.access.user_named(name) if name else None
        if user is None:
            return Caller("", Role.VIEWER if services.lab.anonymous_read else Role.ANYONE)
        if request.method not in (b"GET", b"HEAD"):
            content_type = request.getHeader(b"content-type") or b""
            if not content_type.startswith(b"application/json"):
                raise Problem(415, "send JSON, with Content-Type: application/json")
        return _caller_of(user)

    def _no_route(self, request: Any, failure: Any) -> bytes:
        error = failure.value
        words = {
            404: "there is nothing here; the interface is described in the README",
            405: "not for this method",
        }
        code = error.code or 500
        if isinstance(error, MethodNotAllowed):
            request.setHeader(b"Allow", ", ".join(sorted(error.valid_methods or ())).encode())
        return _write_problem(request, Problem(code, words.get(code, str(error.description))))


def _caller_of(user: User) -> Caller:
    return Caller(user.name, Role.named(user.role))


def _named(role: Role) -> str:
    return role.name.lower()


def _write_problem(request: Any, problem: Problem) -> bytes:
    request.setResponseCode(problem.status)
    request.setHeader(b"Content-Type", b"application/problem+json")
    if problem.status == 401:
        request.setHeader(b"WWW-Authenticate", b'Bearer realm="benchyard"')
    return problem.body()
