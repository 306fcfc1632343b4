"""The databases that every test of the store runs on: SQLite, and a PostgreSQL server of the tests' own."""

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from benchyard.store import jobs
from benchyard.store.migrate import migrate
from benchyard.store.rows import Job

_INSTALL = "the store's tests need PostgreSQL: apt-get install postgresql"
_START_S = 60.0
_STOP_S = 30.0


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """The URL of a PostgreSQL server on a socket in a directory of its own, without a database's name."""
    programs = _postgresql_programs()
    folder = Path(tempfile.mkdtemp(prefix="benchyard-pg-"))
    user = _server_user()
    if user is not None:
        shutil.chown(folder, user, user)
    try:
        data = str(folder / "data")
        initdb = [str(programs / "initdb"), "-D", data, "-U", "benchyard", "-A", "trust", "-E", "UTF8"]
        made = subprocess.run(
            [*initdb, "--no-sync"], user=user, cwd=folder, capture_output=True, text=True, timeout=_START_S
        )
        assert made.returncode == 0, made.stderr
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [str(programs / "postgres"), "-D", data, "-k", str(folder), "-c", "listen_addresses=", "-F"],
                user=user,
                cwd=folder,
                stdout=log,
                stderr=log,
            )
        try:
            url = f"postgresql+psycopg://benchyard@/postgres?host={folder}"
            _wait_for(server, url, folder / "log")
            yield url
        finally:
            # At once: what is in these databases is worth no checkpoint.
            server.send_signal(signal.SIGQUIT)
            try:
                server.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait(_STOP_S)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def new_database(postgresql_url: str) -> Callable[[], str]:
    """A function that makes an empty PostgreSQL database and returns its URL."""
    numbers = itertools.count(1)

    def make() -> str:
        name = f"test{next(numbers)}"
        server = sa.create_engine(postgresql_url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with server.connect() as conn:
            conn.exec_driver_sql(f"CREATE DATABASE {name}")
        return postgresql_url.replace("/postgres?", f"/{name}?")

    return make


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database: a file of SQLite's, then one of the PostgreSQL server."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state.sqlite"
    make: Callable[[], str] = request.getfixturevalue("new_database")
    return make()


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    """An engine on an empty database."""
    engine = sa.create_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine: sa.Engine) -> sa.Engine:
    """An engine on a database with our tables."""
    migrate(engine)
    return engine


@pytest.fixture
def conn(store: sa.Engine) -> Iterator[sa.Connection]:
    """A connection in a transaction, as the store's functions get it."""
    with store.begin() as conn:
        yield conn


@pytest.fixture
def make_job() -> Callable[..., Job]:
    """A function that makes a job of which only what matters is named."""

    def make(conn: sa.Connection, *, now: float = 100.0, target: str = "linux-x86_64", **given: object) -> Job:
        values: dict[str, object] = {
            "who": "ada",
            "kind": "benchmarks",
            "host": None,
            "spec": {"python": "/usr/bin/python3", "benchmarks": ["nbody"]},
            "owner": "ada",
            "origin": "rest",
            "reason": "",
        }
        return jobs.create_job(conn, now=now, target=target, **values | given)  # type: ignore[arg-type]

    return make


def _postgresql_programs() -> Path:
    """Where Debian keeps the server's programs, which are not on PATH; the newest version's."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    if on_path is None:
        pytest.fail(_INSTALL)
    return Path(on_path).resolve().parent


def _server_user() -> str | None:
    """Whom the server runs as: ourselves, unless we are root, whom it refuses."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _wait_for(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    deadline = time.monotonic() + _START_S
    while True:
        try:
            with engine.connect():
                return
        except sa.exc.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"PostgreSQL did not start:\n{log.read_text()}")
            time.sleep(0.1)
