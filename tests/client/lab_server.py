"""A lab made of a plain HTTP server: real HTTP, and as much state as the client's tests need.

Loaded by the conftest.py of tests/client and tests/cli.
"""

import contextlib
import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

API = "/plugins/benchyard/api/v1"
TOKEN = "sesame-open-17"
PASSWORD = "correct horse"
TARGET = "linux-x86_64"
TIME = "2025-11-22T10:53:00.123Z"
FILE = b'{"benchmarks": [], "version": "1.0"}\n'


EMPTY: dict[str, Any] = {"job": None, "attempt": None, "interpreter": None, "version": None, "flags": [], "suite": None}
EMPTY |= {"suite_version": None, "mode": None, "failed": [], "path": None, "sha256": None, "size": None}


@dataclass(frozen=True)
class Seen:
    """A request as the server got it."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any
    data: bytes = b""


@dataclass(frozen=True)
class Answer:
    """A canned answer, given once instead of the real one.

    `cut` breaks the connection after the body, once `hold`, where there is one, is set.
    """

    status: int
    body: bytes = b""
    kind: str = "text/html"
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    hold: threading.Event | None = None


class Problem(Exception):
    """An error of the REST interface."""

    def __init__(self, status: int, detail: str, **more: str) -> None:
        super().__init__(detail)
        self.status = status
        self.document = {
            "type": "about:blank",
            "title": "Problem",
            "status": status,
            "detail": detail,
            **more,
        }


def a_job(number: int, **changes: Any) -> dict[str, Any]:
    """The JSON of a queued job, with a field that no client knows yet."""
    job: dict[str, Any] = {
        "id": number,
        "kind": "benchmarks",
        "target": "linux-x86_64",
        "host": None,
        "status": "queued",
        "enabled": True,
        "owner": "admin",
        "origin": "rest",
        "reason": "",
        "spec": {
            "python": "/opt/python/bin/python3",
            "benchmarks": ["nbody", "fannkuch"],
            "selection": ["nbody", "fannkuch"],
            "mode": "fast",
            "affinity": None,
        },
        "error": None,
        "progress": None,
        "attempts": [],
        "results": [],
        "failed_benchmarks": [],
        "url": None,
        "created": TIME,
        "queued": TIME,
        "started": None,
        "finished": None,
        "mood": {"of": "tomorrow"},
    }
    return job | changes


def a_measurement(name: str, **changes: Any) -> dict[str, Any]:
    """The JSON of what one benchmark of a result gave."""
    measured = {"name": name, "unit": "second", "n": 60, "mean": 0.0512, "stdev": 0.0011, "median": 0.0509}
    rest = {"mad": 0.0004, "minimum": 0.0498, "maximum": 0.0571, "memory": 18_350_080.0, "version": "1.0"}
    return measured | rest | changes


def a_result(number: int, **changes: Any) -> dict[str, Any]:
    """The JSON of a stored result."""
    result: dict[str, Any] = {
        "id": number,
        "job": number,
        "attempt": 1,
        "status": "stored",
        "enabled": True,
        "host": "quiet-1",
        "target": "linux-x86_64",
        "interpreter": {"id": "ab" * 32, "executable": "/opt/python/bin/python3", "version": "3.11.7"},
        "commit": None,
        "branch": None,
        "version": "3.11.7",
        "flags": ["lto", "pgo"],
        "suite": "pyperformance",
        "suite_version": "1.14.0",
        "mode": "fast",
        "benchmarks": 2,
        "failed": [{"name": "fannkuch", "error": "killed by signal 11"}],
        "path": "bm-20251122-3.11.7-abababa/bm-20251122-quiet_1-x86_64-python-v3.11.7-3.11.7-abababa.json",
        "sha256": hashlib.sha256(FILE).hexdigest(),
        "size": len(FILE),
        "created": TIME,
        "grade": "B",
        "grade_reasons": ["a virtual machine", "governor: not permitted"],
        "epoch": 3,
    }
    return result | changes


def an_upload(number: int, **changes: Any) -> dict[str, Any]:
    """The JSON of an upload that is pending."""
    upload = {"id": number, "result": 1, "destination": "speed", "action": "publish", "state": "pending", "words": ""}
    upload |= {"link": None, "attempts": 0, "asked": TIME, "asked_by": "anna", "next_try": TIME, "deadline": TIME}
    return {**upload, "sent": None, "changed": TIME, **changes}


def a_destination(name: str, **changes: Any) -> dict[str, Any]:
    """The JSON of a destination that has nothing outstanding."""
    known = {"name": name, "kind": "codespeed", "where": "https://speed.example/", "automatic": True}
    return {**known, "pending": 0, "refused": 0, "failed": 0, "words": "", "answered": None, **changes}


def ended(status: str = "success", **changes: Any) -> dict[str, Any]:
    """The changes of a job that ends 125 s after its start."""
    times = {"started": "2025-11-22T10:53:10Z", "finished": "2025-11-22T10:55:15Z"}
    return {"status": status, "progress": None, **times, **changes}


def running(index: int, benchmark: str) -> dict[str, Any]:
    """The changes of a job of which a benchmark starts."""
    progress = {"index": index, "total": 2, "benchmark": benchmark, "since": TIME}
    attempt = {"number": 1, "host": "quiet-1", "status": "running", "cause": None}
    times = {"started": "2025-11-22T10:53:10Z"}
    return {"status": "running", "attempts": [attempt], "progress": progress, **times}


def a_user(name: str, **changes: Any) -> dict[str, Any]:
    """The JSON of an active member."""
    user = {"id": name, "name": name, "role": "member", "status": "active", "enabled": True}
    return {**user, "mail": "", "created": TIME, "changed": TIME, "changed_by": "admin", **changes}


def a_notice(number: int, **changes: Any) -> dict[str, Any]:
    """The JSON of a notice that was told."""
    notice = {"id": number, "key": f"job_done:{number}", "kind": "job_done", "time": TIME, "target": TARGET}
    text = {"subject": f"job {number} success", "body": "nbody  93.4 ms\n", "users": ["anna"], "data": {"job": number}}
    told = {"notifier": "mail", "time": TIME, "outcome": "told", "words": ""}
    return {**notice, **text, "tellings": [told], **changes}


def a_host(name: str, **changes: Any) -> dict[str, Any]:
    """The JSON of a measuring host that is online."""
    host = {"id": name, "name": name, "role": "isolated", "target": TARGET, "address": "10.0.0.2", "cpus": ""}
    state = {"enabled": True, "reason": "", "status": "online", "current_job": None}
    return {**host, **state, "created": TIME, "changed": TIME, "changed_by": "admin", **changes}


class LabServer:
    """The server, its state and what it saw; a context manager that starts and stops it."""

    def __init__(self) -> None:
        self.users: dict[str, dict[str, Any]] = {"anna": a_user("anna", role="admin")}
        self.tokens: dict[int, dict[str, Any]] = {}
        self.notices: dict[int, dict[str, Any]] = {}
        self.files: dict[int, bytes] = {}
        self.attachments: dict[int, dict[str, bytes]] = {}
        self.measurements: dict[int, list[dict[str, Any]]] = {}
        self.queue: dict[str, Any] = {"paused": False, "paused_by": None, "paused_at": None, "reason": None}
        self.version = 1
        self.order: list[int] = []
        self.events = b""
        self.answers: dict[str, Answer] = {}
        self.lost = 0
        """How many of the next answers get lost on their way, with what was asked for done."""
        self.jobs: dict[int, dict[str, Any]] = {}
        self.results: dict[int, dict[str, Any]] = {}
        self.hosts: dict[str, dict[str, Any]] = {}
        self.uploads: dict[int, dict[str, Any]] = {}
        self.destinations: list[dict[str, Any]] = []
        self.logs: dict[int, bytes] = {}
        self.scripts: dict[int, list[dict[str, Any]]] = {}
        self.upload_scripts: list[tuple[int, dict[str, Any]]] = []
        """What changes of which upload at each later look at the list of uploads."""
        self.canned: list[Answer] = []
        self.seen: list[Seen] = []
        self.noise: dict[str, Any] = {"epoch": None, "since": None, "calibrations": 0, "calibrated": None}
        self.noise |= {"median": None, "benchmarks": []}
        self.page = 100
        self.slow_cancel = False
        """Whether a job that is canceled keeps its status for now."""
        self.open_log: threading.Event | None = None
        """Where there is one, a log ends only when it is set."""
        lab = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                lab.handle(self)

            do_POST = do_PATCH = do_PUT = do_DELETE = do_GET

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing: a test's output is for its failures."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> "LabServer":
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)

    def add_job(self, *script: dict[str, Any], **changes: Any) -> int:
        """Add a job; each later request for it makes the next change of the script."""
        number = len(self.jobs) + 1
        self.jobs[number] = a_job(number, **changes)
        self.scripts[number] = list(script)
        return number

    def add_result(self, **changes: Any) -> int:
        number = len(self.results) + 1
        self.results[number] = a_result(number, **changes)
        return number

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request, with the next canned answer if there is one."""
        parts = urlsplit(handler.path)
        length = int(handler.headers.get("Content-Length") or 0)
        body = handler.rfile.read(length)
        seen = Seen(
            handler.command,
            parts.path,
            parse_qs(parts.query),
            {name.lower(): value for name, value in handler.headers.items()},
            None if handler.command == "PUT" or not body else json.loads(body),
            body,
        )
        self.seen.append(seen)
        if self.canned:
            send(handler, self.canned.pop(0))
            return
        key = seen.headers.get("idempotency-key", "")
        try:
            answer = self.answers.get(key) or self.answer(seen)
        except Problem as exc:
            answer = Answer(exc.status, json.dumps(exc.document).encode(), "application/problem+json")
        if key:
            self.answers[key] = answer
        if self.lost:
            self.lost -= 1
            handler.close_connection = True
            return
        send(handler, answer)

    def answer(self, seen: Seen) -> Answer:
        path = seen.path.removeprefix(API)
        known = seen.headers.get("authorization") == f"Bearer {TOKEN}"
        if path == "/health":
            return as_json(self.health(known))
        if path == "/login":
            if (seen.body["user"], seen.body["password"]) != ("anna", PASSWORD):
                raise Problem(401, "the name or the password is wrong")
            return as_json({"id": 1, "name": seen.body["name"], "token": TOKEN, "created": TIME}, 201)
        if not known:
            raise Problem(401, "a token is needed")
        kind, _, rest = path.strip("/").partition("/")
        answers: dict[str, Callable[[Seen, str], Answer]] = {
            "jobs": self.answer_jobs,
            "results": self.answer_results,
            "hosts": self.answer_hosts,
            "queues": self.answer_queues,
            "users": self.answer_users,
            "notices": self.answer_notices,
            "uploads": self.answer_uploads,
            "destinations": lambda seen, rest: as_json({"items": self.destinations, "next": None}),
            "inventory": lambda seen, rest: as_json({"_meta": {"hostvars": {"quiet-1": {"ansible_host": "h"}}}}),
            "events": lambda seen, rest: Answer(200, self.events, "text/event-stream"),
        }
        if kind not in answers:
            raise Problem(404, f"{path} does not exist")
        return answers[kind](seen, unquote(rest))

    def change(self, seen: Seen, items: dict[Any, dict[str, Any]], key: Any, kind: str, action: str) -> Answer:
        """What all entities answer alike: GET, PATCH, DELETE, enable and disable, with their ETag."""
        if key not in items:
            raise Problem(404, f"{kind} {key} does not exist" if isinstance(key, int) else f"{kind} {key!r} is unknown")
        entity = items[key]
        if seen.method == "DELETE":
            del items[key]
            return Answer(204)
        if seen.method == "PATCH":
            must_match(seen, etag(entity))
            spec = entity.get("spec", {})
            for name, value in seen.body.items():
                place = spec if name in ("python", "mode", "affinity", "benchmarks") else entity
                place["selection" if name == "benchmarks" else name] = value
            entity.pop("password", None)
        elif action in ("enable", "disable"):
            entity["enabled"] = action == "enable"
            entity |= seen.body or {}
        elif action:
            raise Problem(409, f"no engine for {action} is configured")
        return as_json(entity, headers={"ETag": etag(entity)})

    def health(self, known: bool) -> dict[str, Any]:
        short = {"status": "ok", "title": "Test lab", "version": "0.1.0"}
        hosts = [{"name": "quiet-1", "role": "isolated", "connected": True}]
        return short | ({"hosts": hosts, "jobs": {"queued": 1}, "user": "anna"} if known else {})

    def answer_jobs(self, seen: Seen, rest: str) -> Answer:
        if not rest and seen.method == "POST":
            return self.make_job(seen.body)
        if not rest:
            chosen = [
                job
                for job in self.jobs.values()
                if job["status"] in seen.query.get("status", [job["status"]])[0].split(",")
                and job["owner"] in seen.query.get("user", [job["owner"]])
            ]
            return self.paged(chosen, seen)
        if rest == "current":
            must_be_plain(seen)
            busy = {"building", "ready", "running", "storing"}
            return as_json({"items": [job for job in self.jobs.values() if job["status"] in busy], "next": None})
        number, _, action = rest.partition("/")
        job = self.jobs.get(int(number), {})
        if action == "log":
            text, hold = self.logs.get(int(number), b""), self.open_log
            return Answer(200, text, "text/plain; charset=utf-8", cut=hold is not None, hold=hold)
        if job and seen.method == "POST" and action in ("run", "cancel"):
            if job["status"] in {"success", "failed", "canceled", "lost"}:
                raise Problem(409, f"job {number} has ended: {job['status']}")
            if not (action == "cancel" and self.slow_cancel):
                job["status"] = {"run": "queued", "cancel": "canceled"}[action]
            action = ""
        elif job and seen.method == "GET" and self.scripts[int(number)]:
            job.update(self.scripts[int(number)].pop(0))
        return self.change(seen, self.jobs, int(number), "job", action)

    def make_job(self, body: dict[str, Any]) -> Answer:
        if "nbdoy" in body["benchmarks"]:
            raise Problem(400, "unknown benchmark 'nbdoy'; did you mean 'nbody'?", field="benchmarks")
        number = self.add_job(status="queued" if body["run"] else "created", kind=body.get("kind", "benchmarks"))
        self.jobs[number]["spec"] |= {"python": body.get("python", ""), "selection": body["benchmarks"]}
        self.scripts[number] = self.scripts.pop(0, [])
        return as_json(self.jobs[number], 201)

    def answer_results(self, seen: Seen, rest: str) -> Answer:
        if not rest and seen.method == "POST":
            number = self.add_result(**EMPTY | seen.body)
            return as_json(self.results[number], 201)
        if not rest:
            return self.paged(list(self.results.values()), seen)
        if rest == "compare":
            first, *more = (self.comparison(seen.query["base"][0], head) for head in seen.query["head"])
            return as_json({**first, "more": more} if more else first)
        text, _, action = rest.partition("/")
        key = int(text)
        if action == "file" and key in self.results:
            return self.answer_file(seen, key)
        if action.startswith("attachments") and key in self.results:
            return self.answer_attachments(key, action.partition("/")[2])
        if action == "measurements" and key in self.results:
            return as_json({"items": self.measurements.get(key, []), "next": None})
        if action == "upload" and key in self.results:
            return self.answer_upload(key, seen.body)
        return self.change(seen, self.results, key, "result", action)

    def answer_file(self, seen: Seen, key: int) -> Answer:
        if seen.method == "GET":
            return Answer(200, self.files.get(key, FILE), "application/json")
        if b"benchmarks" not in seen.data:
            raise Problem(400, "this is not a pyperf file", field="file")
        if self.files.setdefault(key, seen.data) != seen.data:
            raise Problem(409, f"result {key} has another file")
        sha256 = hashlib.sha256(seen.data).hexdigest()
        self.results[key] |= {"path": "bm/x.json", "sha256": sha256, "size": len(seen.data), "version": "3.14.0"}
        return as_json(self.results[key], headers={"ETag": etag(self.results[key])})

    def answer_upload(self, key: int, body: dict[str, Any]) -> Answer:
        known = [destination["name"] for destination in self.destinations]
        if not known:
            raise Problem(
                409,
                "the lab has no destination; add a table such as [publish.NAME] to its settings and start the lab anew",
            )
        for name in body["destinations"]:
            if name not in known:
                raise Problem(404, f"there is no destination {name!r}; there are: {', '.join(known)}")
        return self.filed(key, body["destinations"] or known)

    def filed(self, key: int, names: list[str]) -> Answer:
        items = []
        for name in names:
            number = len(self.uploads) + 1
            self.uploads[number] = an_upload(number, result=key, destination=name)
            items.append(self.uploads[number])
        return as_json({"items": items, "next": None})

    def answer_uploads(self, seen: Seen, rest: str) -> Answer:
        if rest == "retry":
            again = [upload for upload in self.uploads.values() if upload["state"] in ("refused", "failed")]
            for upload in again:
                upload["state"] = "pending"
            return as_json({"items": again, "next": None})
        if self.upload_scripts:
            number, change = self.upload_scripts.pop(0)
            self.uploads[number] |= change
        states = seen.query.get("state", [""])[0].split(",")
        chosen = [
            upload
            for upload in self.uploads.values()
            if (states == [""] or upload["state"] in states)
            and seen.query.get("result", [str(upload["result"])])[0] == str(upload["result"])
            and seen.query.get("destination", [upload["destination"]])[0] == upload["destination"]
        ]
        return self.paged(chosen, seen)

    def answer_attachments(self, key: int, name: str) -> Answer:
        files = self.attachments.get(key, {})
        if not name:
            items = [
                {"name": n, "content_type": "image/svg+xml", "size": len(d), "sha256": ""} for n, d in files.items()
            ]
            return as_json({"items": items, "next": None})
        if name not in files:
            raise Problem(404, f"result {key} has no attachment of this name")
        return Answer(200, files[name], "image/svg+xml")

    def side(self, name: int | str) -> dict[str, Any]:
        if str(name).startswith("file:"):
            return {**EMPTY, "id": 0, "status": "stored", "path": str(name)[5:], "version": "3.15.0a1"}
        number = max(self.results, default=0) if name == "last" else int(name)
        if number not in self.results:
            raise Problem(404, f"there is no enabled result {name!r}")
        return self.results[number]

    def comparison(self, base: int | str, head: int | str) -> dict[str, Any]:
        def estimate(mean: float, stdev: float) -> dict[str, Any]:
            return {"mean": mean, "stdev": stdev, "n": 60, "unit": "second"}

        rows = (
            ("2to3", estimate(0.25, 0.003), estimate(0.2, 0.002), 1.25, "1.25x faster", True),
            (
                "json_loads",
                estimate(21.3e-6, 0.2e-6),
                estimate(21.4e-6, 0.3e-6),
                0.995,
                "not significant",
                False,
            ),
            ("nbody", estimate(0.08, 0.001), estimate(0.088, 0.001), 0.909, "1.10x slower", True),
        )
        names = ("name", "base", "head", "ratio", "change", "significant")
        return {
            "base": self.side(base),
            "head": self.side(head),
            "benchmarks": [dict(zip(names, row, strict=True)) for row in rows],
            "missing": ["old_one"],
            "new": ["new_one", "newer_one"],
            "geometric_mean": {"ratio": 1.05, "change": "1.05x faster", "n": 3, "of": 3},
        }

    def answer_hosts(self, seen: Seen, rest: str) -> Answer:
        name, _, action = rest.partition("/")
        if action == "noise":
            return as_json(self.noise | {"host": name})
        if action in ("configure", "update", "check") and name in self.hosts:
            number = self.add_job(*self.scripts.pop(0, []), kind=action, host=name)
            self.jobs[number]["spec"] |= {"check": seen.body.get("check", False), "after": None}
            self.logs[number] = b"TASK [worker]\nchanged: [quiet-1]\n"
            return as_json(self.jobs[number], 202)
        if action in ("lease", "release") and name in self.hosts:
            leased = action == "lease"
            lease = {"leased_until": TIME, "leased_by": "anna", "lease_reason": (seen.body or {}).get("reason", "")}
            self.hosts[name] |= lease if leased else dict.fromkeys(lease)
            self.hosts[name]["status"] = "leased" if leased else "online"
            return as_json(self.hosts[name])
        if name:
            return self.change(seen, self.hosts, name, "host", action)
        if seen.method == "GET":
            return as_json({"items": list(self.hosts.values()), "next": None})
        name = seen.body["name"]
        if name in self.hosts:
            raise Problem(409, f"the lab has a host {name!r} already; choose another name")
        self.hosts[name] = a_host(name) | seen.body | {"status": "offline"}
        worker = {"name": name, "secret": "worker-secret-9", "master_host": "127.0.0.1", "master_port": 9989}
        return as_json({"host": self.hosts[name], "worker": worker}, 201)

    def answer_users(self, seen: Seen, rest: str) -> Answer:
        name, _, action = rest.partition("/")
        name = "anna" if name == "me" else name
        if not name and seen.method == "POST":
            name = seen.body["name"]
            if name in self.users:
                raise Problem(409, f"the name {name!r} is taken")
            self.users[name] = a_user(name, role=seen.body["role"], mail=seen.body.get("mail", ""))
            return as_json(self.users[name], 201)
        if not name:
            return self.paged(list(self.users.values()), seen)
        if action == "try-secret":
            return as_json({"secret": f"try-{name}"}, 201)
        if action.startswith("tokens"):
            return self.answer_tokens(seen, action.removeprefix("tokens").strip("/"))
        return self.change(seen, self.users, name, "user", action)

    def answer_notices(self, seen: Seen, rest: str) -> Answer:
        if rest:
            return self.change(seen, self.notices, int(rest), "notice", "")
        wanted = seen.query.get("kind", [])
        return self.paged([each for each in self.notices.values() if not wanted or each["kind"] in wanted], seen)

    def answer_tokens(self, seen: Seen, number: str) -> Answer:
        if number:
            return self.change(seen, self.tokens, int(number), "token", "")
        if seen.method == "GET":
            must_be_plain(seen)
            return as_json({"items": list(self.tokens.values()), "next": None})
        new = len(self.tokens) + 1
        days = seen.body.get("expires_days")
        self.tokens[new] = {"id": new, "name": seen.body["name"], "created": TIME, "revoked": None}
        self.tokens[new] |= {"expires": TIME if days else None, "read_only": seen.body["read_only"]}
        return as_json({**self.tokens[new], "token": f"token-{new}"}, 201)

    def queued(self) -> list[int]:
        """The numbers of the queued jobs in their order."""
        waiting = [number for number, job in self.jobs.items() if job["status"] == "queued"]
        self.order = [number for number in self.order if number in waiting]
        self.order += [number for number in waiting if number not in self.order]
        return self.order

    def answer_queues(self, seen: Seen, rest: str) -> Answer:
        target, _, action = rest.partition("/")
        if not target:
            return as_json({"items": [self.queue_now()], "next": None})
        if target != TARGET:
            raise Problem(404, f"there is no target {target!r}")
        order, body = self.queued(), seen.body or {}
        if action == "pop":
            job = self.jobs[order[0]] if order else None
            if job is None:
                raise Problem(409, "the queue is empty")
            job["status"] = "created"
            return as_json(job)
        if action in ("move", "remove") and body["job"] not in order:
            raise Problem(409, f"job {body['job']} is not in the queue")
        if action == "push":
            self.jobs[body["job"]]["status"] = "queued"
        elif action == "remove":
            self.jobs[body["job"]]["status"] = "created"
        elif action == "move":
            must_match(seen, f'"{self.version}"')
            at = order.index(body["job"])
            places = {"first": 0, "last": len(order) - 1}
            to = places.get(body["to"], at + int(body["to"]) if body["to"][0] in "+-" else -1)
            with contextlib.suppress(ValueError):
                to = int(body["to"]) - 1 if to == -1 else to
            if not 0 <= to < len(order):
                raise Problem(400, f"there is no position {body['to']}", field="to")
            order.insert(to, order.pop(at))
        elif action in ("pause", "unpause"):
            if self.queue["paused"] == (action == "pause"):
                raise Problem(409, f"the queue is {action}d already")
            who = {"paused_by": "anna", "paused_at": TIME} if action == "pause" else {"paused_by": None}
            self.queue |= {"paused": action == "pause", "reason": body.get("reason"), **who}
        self.version += bool(action)
        start = int(seen.query.get("cursor", ["0"])[0])
        size = min(self.page, int(seen.query.get("limit", ["50"])[0]))
        return as_json(self.queue_now(start, size), headers={"ETag": f'"{self.version}"'})

    def queue_now(self, start: int = 0, size: int = 50) -> dict[str, Any]:
        order = self.queued()
        places = [
            {"position": position, "job": number, "status": "queued", "owner": "admin", "reason": "", "why": "waits"}
            for position, number in enumerate(order, 1)
        ]
        if places:
            places[0]["expected"] = {"earliest": TIME, "latest": None}
        places = places[start : start + size]
        more = str(start + size) if start + size < len(order) else None
        state = {"target": TARGET, **self.queue, "version": self.version, "length": len(order)}
        return {**state, "jobs": places, "next": more}

    def paged(self, items: list[dict[str, Any]], seen: Seen) -> Answer:
        newest_first = items[::-1]
        start = int(seen.query.get("cursor", ["0"])[0])
        end = start + min(self.page, int(seen.query["limit"][0]))
        more = str(end) if end < len(newest_first) else None
        return as_json({"items": newest_first[start:end], "next": more})


def as_json(document: object, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    return Answer(status, json.dumps(document).encode(), "application/json", headers or {})


def etag(entity: dict[str, Any]) -> str:
    """An entity tag that changes with every change."""
    return f'"{hashlib.sha256(json.dumps(entity).encode()).hexdigest()[:8]}"'


def must_be_plain(seen: Seen) -> None:
    """Problem 400 for a query where a real lab takes none."""
    for name in seen.query:
        raise Problem(400, "no such field", field=name)


def must_match(seen: Seen, tag: str) -> None:
    """Problem 412 if the request was meant for another state."""
    if seen.headers.get("if-match", tag) != tag:
        raise Problem(412, "it has changed since you read it")


def send(handler: BaseHTTPRequestHandler, answer: Answer) -> None:
    handler.send_response(answer.status)
    handler.send_header("Content-Type", answer.kind)
    for name, value in answer.headers.items():
        handler.send_header(name, value)
    # A promise of more than is sent is how a broken connection looks to the client.
    handler.send_header("Content-Length", str(len(answer.body) + answer.cut))
    handler.end_headers()
    handler.wfile.write(answer.body)
    if answer.hold is not None:
        answer.hold.wait(60)
    handler.close_connection = answer.cut
