"""Every operation of the service by library, curl and command line, as each role, held against the documented table."""

import contextlib
import hashlib
import itertools
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import pytest
import sqlalchemy as sa
from measuredlab import shift

from benchyard.client import Client, Conflict, Forbidden, NotFound
from benchyard.client.entities import Document
from benchyard.store import regressions

if TYPE_CHECKING:
    from tests.e2e.conftest import LabHandle

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

JOB_S = 240.0
PASSWORD = "a long password"

ROLES = ("viewer", "member", "admin")

#: One person of each role, and a member to whom things belong that are nobody else's.
PEOPLE = {"vic": "viewer", "ada": "member", "max": "admin", "bob": "member"}

REFUSED, DONE, NOT_SET_UP = 403, 200, 409


def documented() -> dict[str, dict[str, str]]:
    """The table in `plugins/README.md`: by operation and role `yes`, `no`, or `own`."""
    text = (Path(__file__).parents[2] / "plugins" / "README.md").read_text()
    rows = re.findall(r"^\| (`.*`) \| (\w+) \| (\w+) \| (\w+) \|$", text, re.MULTILINE)
    return {
        name: dict(zip(ROLES, cells, strict=True)) for names, *cells in rows for name in re.findall("`(.+?)`", names)
    }


TABLE = documented()

#: The operations that the service was asked for.
ASKED_FOR = {
    *(f"{kind}.{what}" for kind in ("users", "hosts", "jobs", "results") for what in ("list", "get", "add", "remove")),
    *(f"queue.{what}" for what in ("list", "get", "push", "pop", "move", "remove", "pause", "unpause")),
    *(f"{kind}.{what}" for kind in ("User", "Host", "Job", "BenchmarkResult") for what in ("enable", "disable")),
    *("Host.modify", "Host.configure", "Host.update", "Job.modify", "Job.run", "Job.attach", "Job.cancel"),
    *(f"BenchmarkResult.{what}" for what in ("modify", "read", "write", "upload", "compare")),
    *("User.modify(role)", "User.modify(password)", "User.modify(mail)", "jobs.current", "notices.list", "notices.get"),
}


class Service:
    """A running lab, its people, and the things that operations are tried on."""

    def __init__(self, lab: "LabHandle", folder: Path, close: contextlib.ExitStack) -> None:
        self.lab, self.folder, self._close = lab, folder, close
        self.admin = close.enter_context(lab.client())
        self.url, self.target = self.admin.url, self.admin.queue.target
        self.python = str(Path(sys.executable).resolve())
        self.tokens: dict[str, str] = {}
        self.clients: dict[str, Client] = {}
        self.numbers = itertools.count(1)
        (folder / "password").write_text(PASSWORD)
        self.measured = self.before = 0
        for name, role in PEOPLE.items():
            self.join(name, role)

    def join(self, name: str, role: Any) -> str:
        """A user with a token; gives the name."""
        self.tokens[name] = self.admin.users.add(name, role=role).tokens.add("test").token
        self.clients[name] = self._close.enter_context(Client(self.url, token=self.tokens[name]))
        return name

    def fresh(self, word: str) -> str:
        """A name that nothing has yet."""
        return f"{word}-{next(self.numbers)}"

    def user(self, owner: str) -> str:
        return self.join(self.fresh("user"), PEOPLE[owner])

    def disabled_user(self, owner: str) -> str:
        return self.admin.users.get(self.user(owner)).disable().name

    def host(self, _owner: str) -> str:
        added = self.admin.hosts.add(
            self.fresh("spare"), role="isolated", target=self.target, address="spare.example", cpus="0"
        )
        return added.host.name

    def leased_host(self, owner: str) -> str:
        return self.admin.hosts.get(self.host(owner)).lease(600).name

    def measuring_host(self, _owner: str) -> str:
        """The lab's own; what looks after it is told from what did before."""
        self.before = max((job.id for job in self.admin.jobs.list(limit=1)), default=0)
        return next(host.name for host in self.admin.hosts.list(role="isolated") if host.connected)

    def new_host(self, owner: str) -> str:
        """A spare one, the same way."""
        self.before = max((job.id for job in self.admin.jobs.list(limit=1)), default=0)
        return self.host(owner)

    def is_looked_after(self, host: str, kind: str) -> bool:
        return any(job.id > self.before for job in self.admin.jobs.list(kind=kind, host=host))

    def disabled_host(self, owner: str) -> str:
        return self.admin.hosts.get(self.host(owner)).disable().name

    def job(self, owner: str, *, run: bool = False) -> int:
        return self.clients[owner].jobs.add(self.python, benchmarks=["nbody"], mode="fast", run=run).id

    def disabled_job(self, owner: str) -> int:
        return self.clients[owner].jobs.get(self.job(owner)).disable().id

    def queued_job(self, owner: str) -> int:
        return self.job(owner, run=True)

    def second_job(self, owner: str) -> int:
        self.queued_job("bob")
        return self.queued_job(owner)

    def measured_job(self, _owner: str) -> int:
        """A job that has run; always the same."""
        if not self.measured:
            self.paused(False)
            job = self.admin.jobs.add(self.python, benchmarks=["nbody"], mode="fast").wait(JOB_S)
            assert job.status == "success", self.lab.log_tail()
            self.measured = job.id
            self.paused(True)
        return self.measured

    def running_job(self, owner: str) -> int:
        """A job that measures for minutes, until tidy() ends it."""
        self.paused(False)
        job = self.clients[owner].jobs.add(self.python, benchmarks=["nbody"], mode="rigorous")
        assert next((seen for seen in job.attach(timeout_s=JOB_S) if seen.status == "running"), None)
        self.paused(True)
        return job.id

    def notice(self, owner: str) -> int:
        """The notice of a job that somebody else has canceled."""
        job = self.queued_job(owner)
        self.admin.jobs.get(job).cancel()
        deadline = time.monotonic() + JOB_S
        while (found := next((each.id for each in self.admin.notices if each.data.get("job") == job), None)) is None:
            assert time.monotonic() < deadline, self.lab.log_tail()
            time.sleep(0.2)
        return found

    def result(self, owner: str) -> int:
        return self.clients[owner].results.get(x := self.empty_result(owner)).write(self.file_for(x)).id

    def empty_result(self, owner: str) -> int:
        x = self.clients[owner].results.add("far", branch=self.fresh("b")).id
        self.file_for(x).write_bytes(pyperf_file(x))
        return x

    def file_for(self, x: Any) -> Path:
        """The file of a result, where it is added: no two have one content."""
        return self.folder / f"{x}.json"

    def sent_file(self, _owner: str) -> Path:
        """A file that the lab has not."""
        path = self.folder / f"{self.fresh('sent')}.json"
        path.write_bytes(pyperf_file(path.stem))
        return path

    def series(self, owner: str) -> str:
        """One of one commit; gives its branch."""
        branch = self.fresh("line")
        commit = hashlib.sha256(branch.encode()).hexdigest()[:40]
        self.clients[owner].results.add("far", branch=branch, commit=commit).write(pyperf_file(branch))
        return branch

    def regression(self, _owner: str) -> int:
        """As if a series had one."""
        engine = sa.create_engine(f"sqlite:///{self.lab.root}/master/state.sqlite", poolclass=sa.NullPool)
        with engine.begin() as conn:
            found = shift(self.fresh("shift"))
            made = regressions.note_shift(conn, found, confirmed_by=None, fixed_by=None, now=time.time())
        assert made is not None
        return made.id

    def disabled_result(self, owner: str) -> int:
        return self.clients[owner].results.get(self.result(owner)).disable().id

    def paused(self, wanted: bool) -> str:
        """Have the queue paused or not; gives its target."""
        if self.admin.queue.get().paused != wanted:
            self.admin.queue.pause("testing") if wanted else self.admin.queue.unpause()
        return self.target

    def target_name(self, _owner: str) -> str:
        return self.target

    def name(self, _owner: str) -> str:
        return self.fresh("new")

    def tidy(self) -> None:
        """Nothing waits or runs, the queue is paused, and the hosts are those of the lab."""
        self.paused(True)
        for job in [*self.admin.jobs.list(status=("queued", "building", "ready", "running"))]:
            with contextlib.suppress(Conflict):  # one that looks after a host may have ended by now
                job.cancel()
            assert job.wait(JOB_S).status == "canceled" or job.is_maintenance
        for host in self.admin.hosts.list():
            if host.name.startswith(("spare-", "new-")):
                host.remove()


@pytest.fixture(scope="module")
def service(lab: "LabHandle", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with contextlib.ExitStack() as close:
        service = Service(lab, tmp_path_factory.mktemp("service"), close)
        service.tidy()
        yield service
        service.tidy()
        service.paused(False)


def pyperf_file(x: int | str) -> bytes:
    """A small file that pyperf takes for its own, another for each result."""
    runs = [{"values": [0.2, 0.21, 0.19]} for _ in range(3)]
    metadata = {"name": "nbody", "unit": "second", "description": f"result {x}"}
    suite = {"version": "1.0", "metadata": metadata, "benchmarks": [{"runs": runs}]}
    return json.dumps(suite).encode()


def shows_itself(_service: Service, answer: Any, subject: Any) -> bool:
    return subject in [entity["id"] for entity in answer.get("items", [answer])]


class Operation(NamedTuple):
    """One operation: the thing that it is tried on, how each door does it, and what is so once it was done.

    What changes nothing has no `done`; then its answer `shows` the thing. `not_set_up` is a word of the refusal where
    the lab has nothing yet that could do it. In `rest` (method, address, body) and `cli`, {x} is the thing and {t} the
    target; a body that is a path is a file's content.
    """

    make: Callable[[Service, str], Any]
    client: Callable[[Client, Any], Any]
    rest: tuple[str, str, Any]
    cli: str
    done: Callable[[Service, Any], bool] | None = None
    shows: Callable[[Service, Any, Any], bool] = shows_itself
    not_set_up: str = ""


def exists(get: Callable[[Any], object], subject: Any) -> bool:
    try:
        get(subject)
    except NotFound:
        return False
    return True


def can_log_in(s: Service, user: str) -> bool:
    """Asked from an address of its own each time, as failures are counted by address."""
    transport = httpx.HTTPTransport(local_address=f"127.0.1.{next(s.numbers) % 250 + 1}")
    with httpx.Client(transport=transport, timeout=30) as stranger:
        body = {"user": user, "password": PASSWORD, "name": "tried"}
        answer = stranger.post(f"{s.url}/plugins/benchyard/api/v1/login", json=body)
    assert answer.status_code in (201, 401), answer.text
    return answer.status_code == 201


def is_in_trash(s: Service, result: int) -> bool:
    """By its row; its file is where that says."""
    found, root = s.admin.results.get(result), s.lab.root / "results"
    trashed = found.status == "trashed"
    thrown = root / ".trash" / str(found.id) / str(found.path)
    assert ((root / str(found.path)).exists(), thrown.exists()) == (not trashed, trashed)
    return trashed


def place(s: Service, job: int) -> int | None:
    return next((place.position for place in s.admin.queue if place.job == job), None)


def shows_place(_s: Service, answer: Any, job: Any) -> bool:
    return job in [place["job"] for place in answer["jobs"]]


S = Service
OPERATIONS = {
    "users.list": Operation(S.user, lambda c, x: c.users.list(), ("GET", "/users?limit=500", None), "user list --all"),
    "users.get": Operation(S.user, lambda c, x: c.users.get(x), ("GET", "/users/{x}", None), "user get {x}"),
    "users.add": Operation(
        S.name,
        lambda c, x: c.users.add(x, role="viewer"),
        ("POST", "/users", {"name": "{x}", "role": "viewer"}),
        "user add {x} --role viewer --no-password",
        lambda s, x: exists(s.admin.users.get, x),
    ),
    "users.remove": Operation(
        S.user,
        lambda c, x: c.users.remove(x),
        ("DELETE", "/users/{x}", None),
        "user remove {x} --yes",
        lambda s, x: s.admin.users.get(x).status == "removed",
    ),
    "User.modify(role)": Operation(
        S.user,
        lambda c, x: c.users.get(x).modify(role="admin"),
        ("PATCH", "/users/{x}", {"role": "admin"}),
        "user modify {x} --role admin",
        lambda s, x: s.admin.users.get(x).role == "admin",
    ),
    "User.modify(password)": Operation(
        S.user,
        lambda c, x: c.users.get(x).modify(password=PASSWORD),
        ("PATCH", "/users/{x}", {"password": PASSWORD}),
        "user passwd {x} --password-file {password}",
        can_log_in,
    ),
    "User.modify(mail)": Operation(
        S.user,
        lambda c, x: c.users.get(x).modify(mail="x@example.org"),
        ("PATCH", "/users/{x}", {"mail": "x@example.org"}),
        "user modify {x} --mail x@example.org",
        lambda s, x: s.admin.users.get(x).mail == "x@example.org",
    ),
    "User.enable": Operation(
        S.disabled_user,
        lambda c, x: c.users.get(x).enable(),
        ("POST", "/users/{x}/enable", None),
        "user enable {x}",
        lambda s, x: s.admin.users.get(x).enabled,
    ),
    "User.disable": Operation(
        S.user,
        lambda c, x: c.users.get(x).disable(),
        ("POST", "/users/{x}/disable", None),
        "user disable {x}",
        lambda s, x: not s.admin.users.get(x).enabled,
    ),
    "notices.list": Operation(S.notice, lambda c, x: c.notices.list(), ("GET", "/notices", None), "notice list"),
    "notices.get": Operation(S.notice, lambda c, x: c.notices.get(x), ("GET", "/notices/{x}", None), "notice get {x}"),
    "hosts.list": Operation(S.host, lambda c, x: c.hosts.list(), ("GET", "/hosts", None), "host list"),
    "hosts.get": Operation(S.host, lambda c, x: c.hosts.get(x), ("GET", "/hosts/{x}", None), "host get {x}"),
    "Host.noise": Operation(
        S.host,
        lambda c, x: c.hosts.get(x).noise(),
        ("GET", "/hosts/{x}/noise", None),
        "host noise {x}",
        shows=lambda s, answer, x: answer["host"] == x,
    ),
    "hosts.add": Operation(
        S.name,
        lambda c, x: c.hosts.add(x, role="worker", target=c.queue.target, address="new.example"),
        ("POST", "/hosts", {"name": "{x}", "role": "worker", "target": "{t}", "address": "new.example"}),
        "host add {x} --role worker --target {t} --address new.example",
        lambda s, x: exists(s.admin.hosts.get, x),
    ),
    "hosts.remove": Operation(
        S.host,
        lambda c, x: c.hosts.remove(x),
        ("DELETE", "/hosts/{x}", None),
        "host remove {x} --yes",
        lambda s, x: not exists(s.admin.hosts.get, x),
    ),
    "Host.modify": Operation(
        S.host,
        lambda c, x: c.hosts.get(x).modify(cpus="7"),
        ("PATCH", "/hosts/{x}", {"cpus": "7"}),
        "host modify {x} --cpus 7",
        lambda s, x: s.admin.hosts.get(x).cpus == "7",
    ),
    "Host.enable": Operation(
        S.disabled_host,
        lambda c, x: c.hosts.get(x).enable(),
        ("POST", "/hosts/{x}/enable", None),
        "host enable {x}",
        lambda s, x: s.admin.hosts.get(x).enabled,
    ),
    "Host.disable": Operation(
        S.host,
        lambda c, x: c.hosts.get(x).disable(),
        ("POST", "/hosts/{x}/disable", None),
        "host disable {x}",
        lambda s, x: not s.admin.hosts.get(x).enabled,
    ),
    "Host.configure": Operation(
        S.new_host,
        lambda c, x: c.hosts.get(x).configure(check=True),
        ("POST", "/hosts/{x}/configure", {"check": True}),
        "host configure {x} --check --no-wait",
        lambda s, x: s.is_looked_after(x, "configure"),
    ),
    "Host.update": Operation(
        S.new_host,
        lambda c, x: c.hosts.get(x).update(check=True),
        ("POST", "/hosts/{x}/update", {"check": True}),
        "host update {x} --check --no-wait",
        lambda s, x: s.is_looked_after(x, "update"),
    ),
    "Host.check": Operation(
        S.measuring_host,
        lambda c, x: c.hosts.get(x).check(),
        ("POST", "/hosts/{x}/check", None),
        "host check {x} --no-wait",
        lambda s, x: s.is_looked_after(x, "check"),
    ),
    "Host.lease": Operation(
        S.host,
        lambda c, x: c.hosts.get(x).lease(600),
        ("POST", "/hosts/{x}/lease", {"seconds": 600}),
        "host lease {x} 10m",
        lambda s, x: s.admin.hosts.get(x).status == "leased",
    ),
    "Host.release": Operation(
        S.leased_host,
        lambda c, x: c.hosts.get(x).release(),
        ("POST", "/hosts/{x}/release", None),
        "host lease {x} --release",
        lambda s, x: s.admin.hosts.get(x).leased_until is None,
    ),
    "hosts.inventory": Operation(
        S.host,
        lambda c, x: c.hosts.inventory(),
        ("GET", "/inventory", None),
        "host inventory",
        shows=lambda s, answer, x: x in answer["_meta"]["hostvars"],
    ),
    "jobs.list": Operation(S.job, lambda c, x: c.jobs.list(limit=5), ("GET", "/jobs?limit=5", None), "job list"),
    "jobs.get": Operation(S.job, lambda c, x: c.jobs.get(x), ("GET", "/jobs/{x}", None), "job get {x}"),
    "jobs.current": Operation(
        S.running_job, lambda c, x: c.jobs.current, ("GET", "/jobs/current", None), "job current"
    ),
    "jobs.add": Operation(
        S.name,
        lambda c, x: c.jobs.add(sys.executable, benchmarks=["nbody"], reason=x),
        ("POST", "/jobs", {"python": sys.executable, "benchmarks": ["nbody"], "reason": "{x}"}),
        "job add --python {python} --benchmarks nbody --reason {x}",
        lambda s, x: x in [place.reason for place in s.admin.queue],
    ),
    "jobs.remove": Operation(
        S.job,
        lambda c, x: c.jobs.remove(x),
        ("DELETE", "/jobs/{x}", None),
        "job remove {x} --yes",
        lambda s, x: not exists(s.admin.jobs.get, x),
    ),
    "Job.modify": Operation(
        S.job,
        lambda c, x: c.jobs.get(x).modify(mode="rigorous"),
        ("PATCH", "/jobs/{x}", {"mode": "rigorous"}),
        "job modify {x} --mode rigorous",
        lambda s, x: s.admin.jobs.get(x).spec.mode == "rigorous",
    ),
    "Job.enable": Operation(
        S.disabled_job,
        lambda c, x: c.jobs.get(x).enable(),
        ("POST", "/jobs/{x}/enable", None),
        "job enable {x}",
        lambda s, x: s.admin.jobs.get(x).enabled,
    ),
    "Job.disable": Operation(
        S.job,
        lambda c, x: c.jobs.get(x).disable(),
        ("POST", "/jobs/{x}/disable", None),
        "job disable {x}",
        lambda s, x: not s.admin.jobs.get(x).enabled,
    ),
    "Job.run": Operation(
        S.job,
        lambda c, x: c.jobs.get(x).run(),
        ("POST", "/jobs/{x}/run", None),
        "job run {x}",
        lambda s, x: place(s, x) is not None,
    ),
    "Job.attach": Operation(
        S.measured_job, lambda c, x: [*c.jobs.get(x).attach()][-1], ("GET", "/jobs/{x}", None), "job attach {x}"
    ),
    "Job.log": Operation(
        S.measured_job,
        lambda c, x: "".join(c.jobs.get(x).log(follow=True)),
        ("GET", "/jobs/{x}/log?follow=1", None),
        "job log {x} --follow",
        shows=lambda s, answer, x: "nbody" in str(answer),
    ),
    "Job.cancel": Operation(
        S.queued_job,
        lambda c, x: c.jobs.get(x).cancel(),
        ("POST", "/jobs/{x}/cancel", None),
        "job cancel {x}",
        lambda s, x: place(s, x) is None,
    ),
    "queue.list": Operation(
        S.target_name,
        lambda c, x: {"items": [{"id": queue.target} for queue in c.queues]},
        ("GET", "/queues", None),
        "queue list",
        shows=lambda s, answer, x: x in [queue.get("target", queue.get("id")) for queue in answer["items"]],
    ),
    "queue.get": Operation(
        S.queued_job, lambda c, x: c.queue.get(), ("GET", "/queues/{t}", None), "queue get", shows=shows_place
    ),
    "queue.push": Operation(
        S.job,
        lambda c, x: c.queue.push(x),
        ("POST", "/queues/{t}/push", {"job": "{x}"}),
        "queue push {x}",
        lambda s, x: place(s, x) is not None,
    ),
    "queue.pop": Operation(
        S.queued_job,
        lambda c, x: c.queue.pop(),
        ("POST", "/queues/{t}/pop", None),
        "queue pop",
        lambda s, x: place(s, x) is None and s.admin.jobs.get(x).status == "created",
    ),
    "queue.move": Operation(
        S.second_job,
        lambda c, x: c.queue.move(x, "first"),
        ("POST", "/queues/{t}/move", {"job": "{x}", "to": "first"}),
        "queue move {x} first",
        lambda s, x: place(s, x) == 1,
    ),
    "queue.remove": Operation(
        S.queued_job,
        lambda c, x: c.queue.remove(x),
        ("POST", "/queues/{t}/remove", {"job": "{x}"}),
        "queue remove {x}",
        lambda s, x: place(s, x) is None and s.admin.jobs.get(x).status == "created",
    ),
    "queue.pause": Operation(
        lambda s, _owner: s.paused(False),
        lambda c, x: c.queue.pause("why not"),
        ("POST", "/queues/{t}/pause", {"reason": "why not"}),
        "queue pause",
        lambda s, x: s.admin.queue.get().paused,
    ),
    "queue.unpause": Operation(
        lambda s, _owner: s.paused(True),
        lambda c, x: c.queue.unpause(),
        ("POST", "/queues/{t}/unpause", None),
        "queue unpause",
        lambda s, x: not s.admin.queue.get().paused,
    ),
    "results.list": Operation(
        S.result, lambda c, x: c.results.list(limit=5), ("GET", "/results?limit=5", None), "result list"
    ),
    "results.get": Operation(S.result, lambda c, x: c.results.get(x), ("GET", "/results/{x}", None), "result get {x}"),
    "results.add": Operation(
        S.name,
        lambda c, x: c.results.add("far", branch=x),
        ("POST", "/results", {"host": "far", "branch": "{x}"}),
        "result add --host far --branch {x}",
        lambda s, x: [found.branch for found in s.admin.results.list(branch=x)] == [x],
    ),
    "results.remove": Operation(
        S.result,
        lambda c, x: c.results.remove(x),
        ("DELETE", "/results/{x}", None),
        "result remove {x} --yes",
        is_in_trash,
    ),
    "BenchmarkResult.modify": Operation(
        S.result,
        lambda c, x: c.results.get(x).modify(note="odd"),
        ("PATCH", "/results/{x}", {"note": "odd"}),
        "result modify {x} --note odd",
        lambda s, x: s.admin.results.get(x).note == "odd",
    ),
    "BenchmarkResult.enable": Operation(
        S.disabled_result,
        lambda c, x: c.results.get(x).enable(),
        ("POST", "/results/{x}/enable", None),
        "result enable {x}",
        lambda s, x: s.admin.results.get(x).enabled,
    ),
    "BenchmarkResult.disable": Operation(
        S.result,
        lambda c, x: c.results.get(x).disable(),
        ("POST", "/results/{x}/disable", None),
        "result disable {x}",
        lambda s, x: not s.admin.results.get(x).enabled,
    ),
    "BenchmarkResult.read": Operation(
        S.result,
        lambda c, x: json.loads(c.results.get(x).read()),
        ("GET", "/results/{x}/file", None),
        "result read {x}",
        shows=lambda s, answer, x: answer == json.loads(s.file_for(x).read_bytes()),
    ),
    "BenchmarkResult.measurements": Operation(
        S.result,
        lambda c, x: c.results.get(x).measurements(),
        ("GET", "/results/{x}/measurements", None),
        "result get {x} --benchmarks",
        shows=lambda s, answer, x: bool(answer.get("measurements") or answer["items"]),
    ),
    "BenchmarkResult.write": Operation(
        S.empty_result,
        lambda c, x: c.results.get(x).write(pyperf_file(x)),
        ("PUT", "/results/{x}/file", Path("{x}.json")),
        "result write {x} {file}",
        lambda s, x: s.admin.results.get(x).sha256 == hashlib.sha256(s.file_for(x).read_bytes()).hexdigest(),
    ),
    "BenchmarkResult.upload": Operation(
        S.result,
        lambda c, x: c.results.get(x).upload(),
        ("POST", "/results/{x}/upload", None),
        "result upload {x}",
        not_set_up="add a table such as [publish.NAME] to its settings and start the lab anew",
    ),
    "uploads.list": Operation(
        S.name,
        lambda c, x: c.uploads.list(),
        ("GET", "/uploads", None),
        "result uploads",
        shows=lambda s, answer, x: answer["items"] == [],
    ),
    "uploads.destinations": Operation(
        S.name,
        lambda c, x: c.uploads.destinations(),
        ("GET", "/destinations", None),
        "result destinations",
        shows=lambda s, answer, x: answer["items"] == [],
    ),
    "uploads.retry": Operation(
        S.name,
        lambda c, x: c.uploads.retry(),
        ("POST", "/uploads/retry", {}),
        "result upload --retry",
        shows=lambda s, answer, x: answer["items"] == [],
    ),
    "BenchmarkResult.compare": Operation(
        S.result,
        lambda c, x: c.results.get(x).compare(x),
        ("GET", "/results/compare?base={x}&head={x}", None),
        "result compare {x} {x}",
        shows=lambda s, answer, x: answer["base"]["id"] == x and answer["geometric_mean"]["ratio"] == 1.0,
    ),
    "results.compare(file)": Operation(
        S.sent_file,
        lambda c, x: c.results.compare(x, x),
        ("POST", "/results/compare?base=file:a&head=file:a", {"a": json.loads(pyperf_file("a"))}),
        "result compare {x} {x}",
        shows=lambda s, answer, x: answer["base"]["id"] == 0 and answer["geometric_mean"]["ratio"] == 1.0,
    ),
    "results.matrix": Operation(
        S.result,
        lambda c, x: c.results.matrix(x),
        ("GET", "/results/matrix?base={x}", None),
        "result compare {x} {x} --matrix",
        shows=lambda s, answer, x: [side["id"] for side in answer["sides"]] == [x],
    ),
    "results.draw": Operation(
        S.result,
        lambda c, x: c.results.draw("svg", x, x).decode(),
        ("GET", "/results/compare.svg?base={x}&head={x}", None),
        "result plot {x} {x} --output {file}.svg",
        shows=lambda s, answer, x: "<svg" in answer or "<svg" in Path(answer["path"]).read_text(),
    ),
    "results.import_from": Operation(
        S.sent_file,
        lambda c, x: c.results.get(*[one.result or 0 for one in c.results.import_from(x, host="far")]),
        ("PUT", "/results/import?name=a.json&host=far", Path("{x}")),
        "result import {x} --host far",
        lambda s, x: hashlib.sha256(x.read_bytes()).hexdigest() in [each.sha256 for each in s.admin.results.list()],
    ),
    "results.prune": Operation(
        S.name,
        lambda c, x: {"items": documents(c.results.prune())},
        ("POST", "/results/prune", {"dry_run": True}),
        "result prune --dry-run",
        shows=lambda s, answer, x: answer["items"] == [],
    ),
    "series.get": Operation(
        S.series,
        lambda c, x: c.series.get("nbody", branch=x),
        ("GET", "/results/series?benchmark=nbody&branch={x}", None),
        "result series nbody --branch {x}",
        shows=lambda s, answer, x: [lane["branch"] for lane in answer["series"]] == [x],
    ),
    "regressions.list": Operation(
        S.regression, lambda c, x: c.regressions.list(limit=5), ("GET", "/regressions", None), "result regressions"
    ),
    "regressions.get": Operation(
        S.regression,
        lambda c, x: c.regressions.get(x),
        ("GET", "/regressions/{x}", None),
        "result regression {x}",
    ),
    "Regression.modify": Operation(
        S.regression,
        lambda c, x: c.regressions.get(x).modify(comment="odd"),
        ("PATCH", "/regressions/{x}", {"comment": "odd"}),
        "result regression {x} --comment odd",
        lambda s, x: s.admin.regressions.get(x).comment == "odd",
    ),
}


class Answer(NamedTuple):
    """What a door said: a status as of HTTP, 200 for anything done, and the document or the words."""

    status: int
    content: Any


def by_client(s: Service, who: str, operation: Operation, x: Any) -> Answer:
    """By the library; what it gives as the server's own documents."""
    try:
        given = operation.client(s.clients[who], x)
        if isinstance(given, Document):
            return Answer(DONE, given.document)
        # A listing asks the lab as it is read.
        return Answer(DONE, given if given is None or isinstance(given, dict | str) else {"items": documents(given)})
    except (Forbidden, Conflict) as refused:
        return Answer(refused.status or 0, str(refused))


def documents(given: Iterable[Document]) -> list[dict[str, Any]]:
    return [one.document for one in given]


def by_curl(s: Service, who: str, operation: Operation, x: Any) -> Answer:
    """By curl, which reads the token from its input: arguments can be seen by everybody on the machine."""
    program = shutil.which("curl")
    assert program, "this test needs curl"
    method, path, body = operation.rest
    url = f"{s.url}/plugins/benchyard/api/v1{path.format(x=x, t=s.target)}"
    argv = [program, "--silent", "--show-error", "--request", method, "--config", "-", "--write-out", "\n%{http_code}"]
    if isinstance(body, Path):
        argv += [
            "--data-binary",
            f"@{s.folder / str(body).format(x=x)}",
            "--header",
            "Content-Type: application/octet-stream",
        ]
    elif body is not None:
        argv += ["--json", json.dumps(filled(body, x=x, t=s.target))]
    config = f'header = "Authorization: Bearer {s.tokens[who]}"\n'
    done = subprocess.run([*argv, url], input=config, capture_output=True, text=True, timeout=60, check=True)
    text, _, status = done.stdout.rpartition("\n")
    answer = Answer(int(status), json.loads(text) if text.startswith("{") else text)
    if answer.status < 300:
        return Answer(DONE, answer.content)
    assert answer.content["status"] == answer.status
    return Answer(answer.status, answer.content["detail"])


def filled(body: dict[str, Any], **words: Any) -> dict[str, Any]:
    """A body with its placeholders filled; one that is nothing else keeps the type of its value."""
    whole = {f"{{{name}}}": value for name, value in words.items()}
    return {key: whole.get(value, value) if isinstance(value, str) else value for key, value in body.items()}


def by_cli(s: Service, who: str, operation: Operation, x: Any) -> Answer:
    """By the command, as a process of its own."""
    words = {"x": x, "t": s.target, "file": s.file_for(x), "python": sys.executable, "password": s.folder / "password"}
    argv = [word.format(**words) for word in operation.cli.split()]
    done = subprocess.run(
        [sys.executable, "-m", "benchyard.cli", *argv, "--json"],
        env={**s.lab.environ, "BENCHYARD_URL": s.url, "BENCHYARD_TOKEN": s.tokens[who]},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode == 0:
        return Answer(DONE, json.loads(done.stdout))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    return Answer(NOT_SET_UP if operation.not_set_up in done.stderr else REFUSED, done.stderr)


#: Each role uses the library and curl; that the command line does the same is tried once, as an admin.
DOORS = {"viewer": (by_client, by_curl), "member": (by_client, by_curl), "admin": (by_client, by_curl, by_cli)}


def test_the_table_has_every_operation() -> None:
    """Everything that the service was asked for is documented, and whatever is documented is tried."""
    assert TABLE.keys() >= ASKED_FOR
    assert TABLE.keys() == OPERATIONS.keys()
    assert {cell for row in TABLE.values() for cell in row.values()} == {"yes", "no", "own"}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation(service: Service, name: str) -> None:
    """Who may do it does the real thing, by each door; who may not is refused, and nothing is changed."""
    operation = OPERATIONS[name]
    kept: dict[str, Any] = {}  # what is only read serves all
    for who, role in (("vic", "viewer"), ("ada", "member"), ("max", "admin")):
        cell = TABLE[name][role]
        for owner, allowed in (("bob", cell == "yes"), *([(who, True)] if cell == "own" else [])):
            for door in DOORS[role]:
                case = f"{name} by {role} {who}, {door.__name__}, on what belongs to {owner}"
                subject = kept.get(owner) or operation.make(service, owner)
                if operation.done is None:
                    kept[owner] = subject
                caller = subject if owner == who and operation.make is Service.user else who
                assert operation.done is None or not operation.done(service, subject), case
                answer = door(service, caller, operation, subject)
                check(service, operation, subject, answer, allowed=allowed, case=case)
                if operation.done is not None:
                    service.tidy()
    service.tidy()


def check(s: Service, operation: Operation, subject: Any, answer: Answer, *, allowed: bool, case: str) -> None:
    """The answer and what has come of it are those that are due."""
    if not allowed:
        assert answer.status == REFUSED, (case, answer)
    elif operation.not_set_up:
        assert (answer.status, operation.not_set_up in answer.content) == (NOT_SET_UP, True), (case, answer)
    else:
        assert answer.status == DONE, (case, answer)
    if operation.done is not None:
        assert operation.done(s, subject) == allowed, (case, answer)
    elif answer.status == DONE:
        assert operation.shows(s, answer.content, subject), (case, answer)
