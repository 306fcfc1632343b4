"""The databases that every test of the store runs on: SQLite and PostgreSQL."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import postgresql
import pytest
import sqlalchemy as sa

from benchyard.store import jobs
from benchyard.store.migrate import migrate
from benchyard.store.rows import Job


def _with_tables(url: str) -> str:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    migrate(engine)
    engine.dispose()
    return url


@pytest.fixture(scope="session")
def _new_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of SQLite's with our tables, to be copied."""
    path = tmp_path_factory.mktemp("store") / "state.sqlite"
    _with_tables(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def _like_new(postgresql_server: postgresql.Server) -> str:
    """The URL of a database with our tables, to be copied by the server."""
    return _with_tables(postgresql_server.new_database())


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database, a file of SQLite's, then one of the PostgreSQL server.

    It is empty, but where the test has the store: then our tables are there, made once and copied.
    """
    has_store = "store" in request.fixturenames
    if request.param == "sqlite":
        path = tmp_path / "state.sqlite"
        if has_store:
            shutil.copy(request.getfixturevalue("_new_file"), path)
        return f"sqlite:///{path}"
    server: postgresql.Server = request.getfixturevalue("postgresql_server")
    return server.new_database(request.getfixturevalue("_like_new") if has_store else None)


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    """An engine on the database."""
    engine = sa.create_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine: sa.Engine) -> sa.Engine:
    """An engine on a database with our tables."""
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
