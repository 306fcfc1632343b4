"""A store with users, and a real master in a lab of its own whose hosts are not connected, with people of each role."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from benchyard.access.secrets import hash_password, hash_token, new_token
from benchyard.daemon.workerdir import twistd_program
from benchyard.lab.init import PASSWORD_FILE, LabOptions, NewLab, init_lab
from benchyard.store import users
from benchyard.store.migrate import migrate

#: Seconds within which a master is up, and within which it is down, on a busy machine.
START_S, STOP_S = 60.0, 40.0

#: Seconds within which something that was asked for has happened.
WAIT_S = 30.0

#: The password of everybody but the admin.
PASSWORD = "correct horse"


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sa.Connection]:
    """A connection to an empty store on SQLite."""
    engine = sa.create_engine(f"sqlite:///{tmp_path}/state.sqlite")
    migrate(engine)
    with engine.begin() as conn:
        yield conn
    engine.dispose()


@pytest.fixture(scope="session")
def spin() -> Iterator[Callable[..., Any]]:
    """`spin(coroutine)`: runs the reactor until the coroutine has ended, within a minute."""
    from twisted.internet import defer, reactor
    from twisted.python.failure import Failure

    def run(work: Awaitable[Any]) -> Any:
        outcome: list[Any] = []

        def start() -> None:
            deferred = defer.ensureDeferred(work)
            deferred.addTimeout(60.0, reactor)
            deferred.addBoth(outcome.append)
            deferred.addBoth(lambda _: reactor.crash())

        reactor.callWhenRunning(start)
        reactor.run(installSignalHandlers=False)
        (result,) = outcome
        if isinstance(result, Failure):
            result.raiseException()
        return result

    yield run
    # A crash leaves the reactor's threads, which would keep the process; a stop would be the reactor's end, and other
    # tests may have use for it.
    if reactor.threadpool is not None:
        reactor._stopThreadPool()


@contextlib.contextmanager
def serving(spin: Callable[..., Any], folder: Path, *, new: bool) -> Iterator[Any]:
    """The access service in a master that does nothing else; in a `new` folder the database is made first."""
    from buildbot.master import BuildMaster
    from twisted.internet import reactor

    from benchyard.access.service import AccessService

    master = BuildMaster(str(folder), reactor=reactor)
    master.config.db.db_url = "sqlite:///state.sqlite"
    (folder / "secrets").mkdir(mode=0o700)
    service = AccessService(secrets_dir=str(folder / "secrets"))

    async def start() -> None:
        await master.db.setup(check_version=False)
        if new:
            await master.db.model.upgrade()
        await master.mq.setup()
        await service.setServiceParent(master.service_manager)
        await service.configureService()
        await service.startService()

    async def stop() -> None:
        await service.stopService()
        await master.db.pool.stop()

    spin(start())
    yield service
    spin(stop())


@pytest.fixture(scope="session")
def _with_people(spin: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a master with an admin, a member ada and a viewer vic, to be copied."""
    folder = tmp_path_factory.mktemp("people")
    with serving(spin, folder, new=True) as service:

        async def add() -> None:
            for name, role in (("admin", "admin"), ("ada", "member"), ("vic", "viewer")):
                await service.add_user(name, role, PASSWORD, who="admin")

        spin(add())
    return folder / "state.sqlite"


@pytest.fixture
def access(spin: Callable[..., Any], tmp_path: Path, _with_people: Path) -> Iterator[Any]:
    """The access service in a master that does nothing else, with an admin, a member ada and a viewer vic."""
    shutil.copy(_with_people, tmp_path / "state.sqlite")
    with serving(spin, tmp_path, new=False) as service:
        yield service


class Lab:
    """A running master and the ways to it, as one of its people or as nobody."""

    def __init__(self, new: NewLab) -> None:
        self.root, self.url, self.target = new.root, new.url, new.target
        self.tokens = {"admin": new.token}
        self.passwords = {"admin": (new.root / "secrets" / PASSWORD_FILE).read_text().strip()}
        self.python = str(Path(sys.executable).resolve())
        self._http = httpx.Client(timeout=30)

    def engine(self) -> sa.Engine:
        """The lab's database."""
        return sa.create_engine(f"sqlite:///{self.root}/master/state.sqlite", poolclass=sa.NullPool)

    def add_user(self, name: str, role: str, *, read_only: bool = False) -> None:
        """A person with a password and a token, before the master starts."""
        self.tokens[name], self.passwords[name] = new_token(), PASSWORD
        with self.engine().begin() as conn:
            user = users.create_user(
                conn, now=1.0, who="admin", name=name, password_hash=hash_password(PASSWORD), role=role
            )
            token_hash = hash_token(self.tokens[name])
            users.add_token(conn, user_id=user.id, name="t", token_hash=token_hash, now=1.0, read_only=read_only)

    def request(self, method: str, path: str, who: str | None = None, **kwargs: Any) -> httpx.Response:
        """One request by token, or as nobody."""
        headers = kwargs.pop("headers", {})
        if who is not None:
            headers = {"Authorization": f"Bearer {self.tokens[who]}", **headers}
        answer = self._http.request(method, self.url + path, headers=headers, **kwargs)
        self._http.cookies.clear()
        return answer

    def data(self, path: str) -> list[dict[str, Any]]:
        """What Buildbot's data API has at a path, as the admin sees it."""
        answer = self.request("GET", f"api/v2/{path}", "admin", headers={"Accept": "application/json"})
        assert answer.status_code == 200, answer.text
        (kind,) = set(answer.json()) - {"meta"}
        return list(answer.json()[kind])

    def control(self, path: str, action: str, who: str | None = None, **params: Any) -> httpx.Response:
        """One of Buildbot's actions."""
        return self.request("POST", f"api/v2/{path}", who, json=rpc(action, **params))

    def force(self, who: str, **params: Any) -> int:
        """A job by the force form; the id of its build request."""
        asked = {"python": self.python, "benchmarks": "nbody", "builderNames": [self.target], **params}
        answer = self.control(f"forceschedulers/force-{self.target}", "force", who, **asked)
        assert answer.status_code == 200, answer.text
        (request_id,) = answer.json()["result"][1].values()
        return int(request_id)

    def job(self, request_id: int) -> sa.RowMapping:
        """The row of the job that a request stands for, once there is one."""
        found: list[sa.RowMapping] = []

        def look() -> bool:
            with self.engine().connect() as conn:
                statement = sa.text("SELECT * FROM benchyard_jobs WHERE request_id = :id")
                found[:] = list(conn.execute(statement, {"id": request_id}).mappings())
            return bool(found)

        wait_for(look, f"a job for request {request_id}\n{self.log()}")
        return found[0]

    @contextlib.contextmanager
    def browser(self, who: str, password: str | None = None) -> Iterator[httpx.Client]:
        """A browser in which somebody has tried to log in on Buildbot's page."""
        with httpx.Client(base_url=self.url, timeout=30) as client:
            client.get("auth/login", auth=(who, password or self.passwords[who]))
            yield client

    def log(self) -> str:
        """The end of the master's log."""
        path = self.root / "master" / "twistd.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-60:]) if path.exists() else ""


def rpc(action: str, **params: Any) -> dict[str, Any]:
    """The body of one of Buildbot's actions."""
    return {"id": 1, "jsonrpc": "2.0", "method": action, "params": params}


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Wait until something is so, for a bounded time."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {WAIT_S:.0f} s: {what}"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def wait() -> Callable[[Callable[[], bool], str], None]:
    """`wait(condition, what)`."""
    return wait_for


@pytest.fixture(scope="session")
def call() -> Callable[..., dict[str, Any]]:
    """`call(action, **params)`: the body of one of Buildbot's actions."""
    return rpc


def _running(lab: Lab) -> Iterator[Lab]:
    """The lab while its master runs."""
    program = twistd_program("master", lab.root / "master", lab.root / "run" / "master.log")
    with program.log.open("wb") as log:
        master = subprocess.Popen(
            program.argv, cwd=program.cwd, env=dict(os.environ), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + START_S
        while not _answers(lab):
            assert master.poll() is None, f"the master did not start\n{lab.log()}"
            assert time.monotonic() < deadline, f"the master is not up after {START_S:.0f} s\n{lab.log()}"
            time.sleep(0.1)
        yield lab
    finally:
        master.terminate()
        try:
            master.wait(STOP_S)
        except subprocess.TimeoutExpired:
            master.kill()
            master.wait(STOP_S)


def _answers(lab: Lab) -> bool:
    try:
        return lab.request("GET", "api/v2/masters", "admin").status_code == 200
    except httpx.TransportError:
        return False


def _new_lab(root: Path, settings: str = "") -> Lab:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        ports = LabOptions(http_port=one.getsockname()[1], worker_port=two.getsockname()[1])
    lab = Lab(init_lab(root, ports))
    file = lab.root / "benchyard.toml"
    file.write_text(file.read_text().replace("[lab]\n", f"[lab]\n{settings}"))
    for name, role in (("ada", "member"), ("bob", "member"), ("vic", "viewer")):
        lab.add_user(name, role)
    lab.add_user("eve", "admin", read_only=True)
    return lab


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab with an admin, members ada and bob, viewer vic, and eve, an admin whose token is for reading only."""
    yield from _running(_new_lab(tmp_path_factory.mktemp("access") / "lab"))


@pytest.fixture(scope="session")
def closed_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The same where strangers may not look."""
    yield from _running(_new_lab(tmp_path_factory.mktemp("closed") / "lab", "anonymous_read = false\n"))
