"""Buildbot's tables without a master, and what jobs' tests need of a lab; masters are those of `support/masters.py`."""

import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from benchyard.hosting.registration import register_host
from benchyard.store.migrate import migrate


@pytest.fixture(scope="session")
def _new_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with Buildbot's own tables, made by Buildbot's own means, and ours; to be copied."""
    from buildbot.db.enginestrategy import create_engine
    from buildbot.db.model import Model

    folder = tmp_path_factory.mktemp("tables")
    engine: sa.Engine = create_engine("sqlite:///queue.sqlite", basedir=str(folder))
    Model.metadata.create_all(engine)
    migrate(engine)
    engine.dispose()
    return folder / "queue.sqlite"


@pytest.fixture
def database(tmp_path: Path, _new_tables: Path) -> Iterator[sa.Engine]:
    """A database of the test's own, as Buildbot opens it, with its tables and ours."""
    from buildbot.db.enginestrategy import create_engine

    shutil.copy(_new_tables, tmp_path / "queue.sqlite")
    engine: sa.Engine = create_engine("sqlite:///queue.sqlite", basedir=str(tmp_path))
    yield engine
    engine.dispose()


@pytest.fixture
def conn(database: sa.Engine) -> Iterator[sa.Connection]:
    """A connection in a transaction, as the master's database thread gives it."""
    with database.begin() as conn:
        yield conn


@pytest.fixture
def leave_request() -> Callable[..., Awaitable[int]]:
    """`await leave_request(master, builder, key, **properties)`: a request of which nobody has been told.

    It is in the database only, as a master that died may leave one; gives its id.
    """
    stamp = {"codebase": "", "project": "", "repository": "", "branch": None, "revision": None}

    async def leave(master: Any, builder: str, key: str | None = None, **properties: Any) -> int:
        _bsid, made = await master.db.buildsets.addBuildset(
            sourcestamps=[stamp],
            reason="",
            properties={name: (value, "test") for name, value in properties.items()},
            builderids=[await master.data.updates.findBuilderId(builder)],
            waited_for=False,
            external_idstring=key,
        )
        return int(next(iter(made.values())))

    return leave


@pytest.fixture
def lab_folder(tmp_path: Path) -> Path:
    """A lab's folder with a regular and an isolated host on this machine, and one target."""
    folder = tmp_path / "lab"
    folder.mkdir()
    (folder / "benchyard.toml").write_text("[targets.linux]\n", encoding="utf-8")
    register_host(folder, "prep", role="worker", target="linux", address="localhost")
    register_host(folder, "bench", role="isolated", target="linux", address="localhost")
    return folder


@pytest.fixture
def lab_config(lab_folder: Path) -> Callable[[], dict[str, Any]]:
    """`lab_config()`: the lab's real configuration, without its web server and on a free port for workers."""
    from benchyard.config.master import master_config
    from benchyard.config.settings import load_settings

    def make() -> dict[str, Any]:
        free_port = {"pb": {"port": "tcp:0:interface=127.0.0.1"}}
        return {**master_config(load_settings(lab_folder)), "protocols": free_port}

    return make
