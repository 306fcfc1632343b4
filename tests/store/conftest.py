"""The databases that every test of the store runs on: SQLite and PostgreSQL."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from benchyard.store import jobs
from benchyard.store.migrate import migrate
from benchyard.store.rows import Job


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
