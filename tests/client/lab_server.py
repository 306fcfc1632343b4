"""A lab made of a plain HTTP server: real HTTP, and as much state as the client's tests need.

Loaded by the conftest.py of tests/client and tests/cli.
"""

import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

API = "/plugins/benchyard/api/v1"
TOKEN = "sesame-open-17"
TIME = "2025-11-22T10:53:00.123Z"
FILE = b'{"benchmarks": [], "version": "1.0"}\n'


@dataclass(frozen=True)
class Seen:
    """A request as the server got it."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Answer:
    """A canned answer, given once instead of the real one; `cut` breaks the connection after the body."""

    status: int
    body: bytes = b""
    kind: str = "text/html"
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False


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
    }
    return result | changes


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


class LabServer:
    """The server, its state and what it saw; a context manager that starts and stops it."""

    def __init__(self) -> None:
        self.jobs: dict[int, dict[str, Any]] = {}
        self.results: dict[int, dict[str, Any]] = {}
        self.hosts: list[dict[str, Any]] = []
        self.logs: dict[int, bytes] = {}
        self.scripts: dict[int, list[dict[str, Any]]] = {}
        self.canned: list[Answer] = []
        self.seen: list[Seen] = []
        self.page = 100
        lab = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                lab.handle(self)

            def do_POST(self) -> None:
                lab.handle(self)

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
            json.loads(body) if body else None,
        )
        self.seen.append(seen)
        if self.canned:
            send(handler, self.canned.pop(0))
            return
        try:
            answer = self.answer(seen)
        except Problem as exc:
            answer = Answer(exc.status, json.dumps(exc.document).encode(), "application/problem+json")
        send(handler, answer)

    def answer(self, seen: Seen) -> Answer:
        path = seen.path.removeprefix(API)
        known = seen.headers.get("authorization") == f"Bearer {TOKEN}"
        if path == "/health":
            return as_json(self.health(known))
        if not known:
            raise Problem(401, "a token is needed")
        kind, _, rest = path.strip("/").partition("/")
        answers: dict[str, Callable[[Seen, str], Answer]] = {
            "jobs": self.answer_jobs,
            "results": self.answer_results,
            "hosts": self.answer_hosts,
            "queues": self.answer_queues,
        }
        if kind not in answers:
            raise Problem(404, f"{path} does not exist")
        return answers[kind](seen, rest)

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
                and job["owner"] in seen.query.get("owner", [job["owner"]])
            ]
            return self.paged(chosen, seen)
        if rest == "current":
            busy = {"building", "ready", "running", "storing"}
            return as_json({"items": [job for job in self.jobs.values() if job["status"] in busy], "next": None})
        number, _, action = rest.partition("/")
        if int(number) not in self.jobs:
            raise Problem(404, f"job {number} does not exist")
        job = self.jobs[int(number)]
        if action == "log":
            return Answer(200, self.logs.get(int(number), b""), "text/plain; charset=utf-8")
        if seen.method == "POST":
            if job["status"] in {"success", "failed", "canceled", "lost"}:
                raise Problem(409, f"job {number} has ended: {job['status']}")
            job["status"] = {"run": "queued", "cancel": "canceled"}[action]
        elif self.scripts[int(number)]:
            job.update(self.scripts[int(number)].pop(0))
        return as_json(job)

    def make_job(self, body: dict[str, Any]) -> Answer:
        if "nbdoy" in body["benchmarks"]:
            raise Problem(400, "unknown benchmark 'nbdoy'; did you mean 'nbody'?", field="benchmarks")
        number = self.add_job(status="queued" if body["run"] else "created")
        self.jobs[number]["spec"] |= {"python": body["python"], "selection": body["benchmarks"]}
        self.scripts[number] = self.scripts.pop(0, [])
        return as_json(self.jobs[number], 201)

    def answer_results(self, seen: Seen, rest: str) -> Answer:
        if not rest:
            return self.paged(list(self.results.values()), seen)
        if rest == "compare":
            base, head = (int(seen.query[name][0]) for name in ("base", "head"))
            return as_json(self.comparison(base, head))
        number, _, action = rest.partition("/")
        if int(number) not in self.results:
            raise Problem(404, f"result {number} does not exist")
        return Answer(200, FILE, "application/json") if action else as_json(self.results[int(number)])

    def comparison(self, base: int, head: int) -> dict[str, Any]:
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
            "base": self.results[base],
            "head": self.results[head],
            "benchmarks": [dict(zip(names, row, strict=True)) for row in rows],
            "missing": ["old_one"],
            "new": ["new_one", "newer_one"],
            "geometric_mean": {"ratio": 1.05, "change": "1.05x faster", "n": 3, "of": 3},
        }

    def answer_hosts(self, seen: Seen, rest: str) -> Answer:
        if seen.method == "GET":
            return as_json({"items": self.hosts, "next": None})
        host = {"cpus": None, **seen.body, "enabled": True, "status": "offline"}
        self.hosts.append(host)
        worker = {
            "name": seen.body["name"],
            "secret": "worker-secret-9",
            "master_host": "127.0.0.1",
            "master_port": 9989,
        }
        return as_json({"host": host, "worker": worker}, 201)

    def answer_queues(self, seen: Seen, rest: str) -> Answer:
        waiting = [number for number, job in self.jobs.items() if job["status"] == "queued"]
        return as_json({"items": [{"target": "linux-x86_64", "jobs": waiting}], "next": None})

    def paged(self, items: list[dict[str, Any]], seen: Seen) -> Answer:
        newest_first = items[::-1]
        start = int(seen.query.get("cursor", ["0"])[0])
        end = start + min(self.page, int(seen.query["limit"][0]))
        more = str(end) if end < len(newest_first) else None
        return as_json({"items": newest_first[start:end], "next": more})


def as_json(document: object, status: int = 200) -> Answer:
    return Answer(status, json.dumps(document).encode(), "application/json")


def send(handler: BaseHTTPRequestHandler, answer: Answer) -> None:
    handler.send_response(answer.status)
    handler.send_header("Content-Type", answer.kind)
    for name, value in answer.headers.items():
        handler.send_header(name, value)
    # A promise of more than is sent is how a broken connection looks to the client.
    handler.send_header("Content-Length", str(len(answer.body) + answer.cut))
    handler.end_headers()
    handler.wfile.write(answer.body)
    handler.close_connection = answer.cut
