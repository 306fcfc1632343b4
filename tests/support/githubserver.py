"""The part of GitHub's REST API that publishing uses, on this machine, as https://docs.github.com/en/rest documents it.

It takes nothing else: other paths are not found, and what is not documented of a request is an error of its own, which
the server keeps and tests look at.
"""

import json
import re
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

STATES = ("error", "failure", "pending", "success")

#: Characters that GitHub takes of a comment, and of a status's description and context.
BODY, DESCRIPTION, CONTEXT = 65_536, 140, 255


@dataclass
class Fault:
    """What is done to a request instead of an answer: it is done or not, then a status or the connection's end."""

    done: bool = False
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None


@dataclass
class Request:
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    data: Any


class Problem(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, message: str, errors: list[Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"message": message, "documentation_url": "https://docs.github.com/rest"}
        if errors is not None:
            self.body["errors"] = errors  # type: ignore[assignment]


class GitHub:
    """A GitHub with one repository, `anna/cpython`; commits and pull requests are to be named first."""

    def __init__(self) -> None:
        self.tokens = {"secret-token": "lab-bot"}
        #: Tokens of apps, which are nobody.
        self.apps: dict[str, str] = {}
        self.commits: set[str] = set()
        self.pulls: set[int] = set()
        self.locked: set[int] = set()
        self.statuses: list[dict[str, Any]] = []
        self.comments: list[dict[str, Any]] = []
        self.requests: list[Request] = []
        #: What was wrong with requests, besides what they were answered.
        self.wrong: list[str] = []
        #: For the next requests of a method, one after the other; None for one that is answered as usual.
        self.faults: dict[str, deque[Fault | None]] = {}
        self.page = 100
        self._lock = threading.Lock()
        self._routes = (
            ("GET", r"/user", self._user),
            ("GET", r"/repos/anna/cpython/commits/(?P<sha>[^/]+)/status", self._combined),
            ("POST", r"/repos/anna/cpython/statuses/(?P<sha>[^/]+)", self._new_status),
            ("GET", r"/repos/anna/cpython/issues/(?P<number>\d+)/comments", self._list),
            ("POST", r"/repos/anna/cpython/issues/(?P<number>\d+)/comments", self._new_comment),
            ("PATCH", r"/repos/anna/cpython/issues/comments/(?P<id>\d+)", self._change_comment),
        )

    def comment(self, number: int, body: str, login: str = "somebody", kind: str = "User") -> dict[str, Any]:
        """A comment as somebody makes it on the page."""
        id = 1000 + len(self.comments)
        made = {
            "id": id,
            "body": body,
            "user": {"login": login, "type": kind},
            "issue": number,
            "html_url": f"https://github.com/anna/cpython/pull/{number}#issuecomment-{id}",
        }
        self.comments.append(made)
        return made

    def by(self, login: str) -> list[str]:
        """The texts of all comments of somebody."""
        return [comment["body"] for comment in self.comments if comment["user"]["login"] == login]

    def answer(self, request: Request, base: str) -> tuple[int, dict[str, str], Any] | None:
        """Status, headers and JSON; None where the connection ends without an answer."""
        with self._lock:
            self.requests.append(request)
            waiting = self.faults.get(request.method)
            fault = waiting.popleft() if waiting else None
            if fault is not None and not fault.done:
                return None if fault.status is None else (fault.status, fault.headers, fault.body)
            try:
                status, headers, body = self._answer(request, base)
            except Problem as exc:
                status, headers, body = exc.status, {}, exc.body
            if fault is not None:
                return None if fault.status is None else (fault.status, fault.headers, fault.body)
            return status, headers, body

    def _answer(self, request: Request, base: str) -> tuple[int, dict[str, str], Any]:
        headers = request.headers
        if not headers.get("user-agent"):
            raise Problem(
                403, "Request forbidden by administrative rules. Please make sure your request has a User-Agent header"
            )
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() not in ("token", "bearer") or token not in self.tokens | self.apps:
            raise Problem(401, "Bad credentials")
        if headers.get("accept") != "application/vnd.github+json":
            self.wrong.append(f"accept: {headers.get('accept')}")
        if headers.get("x-github-api-version") != "2022-11-28":
            self.wrong.append(f"version: {headers.get('x-github-api-version')}")
        if request.data is not None and headers.get("content-type") != "application/json":
            self.wrong.append(f"content type: {headers.get('content-type')}")
        for method, pattern, act in self._routes:
            found = re.fullmatch(pattern, request.path)
            if found and method == request.method:
                return act(request, base, token, **found.groupdict())
        raise Problem(404, "Not Found")

    def _user(self, request: Request, base: str, token: str) -> tuple[int, dict[str, str], Any]:
        if token in self.apps:
            raise Problem(403, "Resource not accessible by integration")
        return 200, {}, {"login": self.tokens[token], "type": "User"}

    def _combined(self, request: Request, base: str, token: str, sha: str) -> tuple[int, dict[str, str], Any]:
        self._known(sha)
        latest: dict[str, dict[str, Any]] = {}
        for status in self.statuses:
            if status["sha"] == sha:
                latest[status["context"]] = status
        shown, headers = self._page(request, base, list(latest.values()))
        return 200, headers, {"state": "success", "sha": sha, "total_count": len(latest), "statuses": shown}

    def _new_status(self, request: Request, base: str, token: str, sha: str) -> tuple[int, dict[str, str], Any]:
        data = self._fields(request, {"state"}, {"target_url", "description", "context"})
        self._known(sha)
        errors = []
        if data["state"] not in STATES:
            errors.append(
                {"resource": "Status", "code": "custom", "field": "state", "message": "state is not included"}
            )
        if len(data.get("description") or "") > DESCRIPTION:
            message = f"description is too long (maximum is {DESCRIPTION} characters)"
            errors.append({"resource": "Status", "code": "custom", "field": "description", "message": message})
        if len(data.get("context") or "") > CONTEXT:
            errors.append(
                {"resource": "Status", "code": "custom", "field": "context", "message": "context is too long"}
            )
        if not str(data.get("target_url", "http://")).startswith(("http://", "https://")):
            message = "target_url must use http(s) scheme"
            errors.append({"resource": "Status", "code": "custom", "field": "target_url", "message": message})
        if errors:
            raise Problem(422, "Validation Failed", errors)
        made = {"id": len(self.statuses) + 1, "sha": sha, "context": "default", "description": None, **data}
        self.statuses.append(made)
        return 201, {}, made

    def _list(self, request: Request, base: str, token: str, number: str) -> tuple[int, dict[str, str], Any]:
        self._pull(number)
        mine = [comment for comment in self.comments if comment["issue"] == int(number)]
        shown, headers = self._page(request, base, mine)
        return 200, headers, shown

    def _new_comment(self, request: Request, base: str, token: str, number: str) -> tuple[int, dict[str, str], Any]:
        self._pull(number)
        if int(number) in self.locked:
            raise Problem(403, "Unable to create comment because issue is locked.")
        body = self._body(request)
        login = self.tokens.get(token) or self.apps[token]
        return 201, {}, self.comment(int(number), body, login, "Bot" if token in self.apps else "User")

    def _change_comment(self, request: Request, base: str, token: str, id: str) -> tuple[int, dict[str, str], Any]:
        found = [comment for comment in self.comments if comment["id"] == int(id)]
        if not found:
            raise Problem(404, "Not Found")
        if found[0]["user"]["login"] != (self.tokens.get(token) or self.apps.get(token)):
            raise Problem(403, "Must have admin rights to Repository.")
        found[0]["body"] = self._body(request)
        return 200, {}, found[0]

    def _known(self, sha: str) -> None:
        if sha not in self.commits:
            raise Problem(422, f"No commit found for SHA: {sha}")

    def _pull(self, number: str) -> None:
        if int(number) not in self.pulls:
            raise Problem(404, "Not Found")

    def _body(self, request: Request) -> str:
        body = self._fields(request, {"body"}, set())["body"]
        if not isinstance(body, str) or not body.strip():
            raise Problem(
                422, "Validation Failed", [{"resource": "IssueComment", "code": "missing_field", "field": "body"}]
            )
        if len(body) > BODY:
            message = f"body is too long (maximum is {BODY} characters)"
            raise Problem(
                422,
                "Validation Failed",
                [{"resource": "IssueComment", "code": "unprocessable", "field": "data", "message": message}],
            )
        return body

    def _fields(self, request: Request, needed: set[str], may: set[str]) -> dict[str, Any]:
        if not isinstance(request.data, dict):
            raise Problem(400, "Problems parsing JSON")
        if request.query:
            self.wrong.append(f"query: {request.query}")
        if others := request.data.keys() - needed - may:
            self.wrong.append(f"fields: {others}")
        if missing := needed - request.data.keys():
            raise Problem(422, "Invalid request.", [f'"{name}" wasn\'t supplied.' for name in missing])
        return dict(request.data)

    def _page(self, request: Request, base: str, items: list[Any]) -> tuple[list[Any], dict[str, str]]:
        """Part of a list, and the header that says where the next part is."""
        size = min(int(request.query.get("per_page", "30")), self.page)
        page, last = int(request.query.get("page", "1")), max(1, -(-len(items) // size))
        links = []
        if page < last:
            for rel, other in (("next", page + 1), ("last", last)):
                query = urlencode({**request.query, "page": other})
                links.append(f'<{base}{request.path}?{query}>; rel="{rel}"')
        return items[(page - 1) * size : page * size], {"Link": ", ".join(links)} if links else {}


@contextmanager
def serving(github: GitHub) -> Iterator[str]:
    """Let a GitHub be reached at an address of this machine, which is given."""
    base = ""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60

        def _do(self) -> None:
            parts = urlsplit(self.path)
            size = int(self.headers.get("Content-Length", "0"))
            data = json.loads(self.rfile.read(size)) if size else None
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, parts.path, dict(parse_qsl(parts.query)), headers, data)
            answered = github.answer(request, base)
            if answered is None:
                self.close_connection = True
                return
            status, more, body = answered
            encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response_only(status)
            usual = {"Content-Type": "application/json; charset=utf-8", "Date": self.date_time_string()}
            for name, value in {**usual, **more}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _do

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    base = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield base
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
