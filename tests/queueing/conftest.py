"""Real masters inside the test's own process, and Buildbot's tables without a master."""

import shutil
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa

from benchyard.hosting.registration import register_host
from benchyard.store.migrate import migrate

T = TypeVar("T")

#: Runs a coroutine on the reactor and gives its result.
Spin = Callable[..., Any]
#: Starts a master of a configuration; the folder keeps its database for the next one.
StartMaster = Callable[..., Any]


@pytest.fixture(scope="session")
def spin() -> Iterator[Spin]:
    """`spin(coroutine, limit_s=60)`: runs the reactor until the coroutine has ended, as trial does."""
    from twisted.internet import defer, reactor
    from twisted.python.failure import Failure

    def run(work: Awaitable[T], limit_s: float = 60.0) -> T:
        outcome: list[Any] = []

        def start() -> None:
            deferred = defer.ensureDeferred(work)
            deferred.addTimeout(limit_s, reactor)
            deferred.addBoth(outcome.append)
            deferred.addBoth(lambda _: reactor.crash())

        reactor.callWhenRunning(start)
        reactor.run(installSignalHandlers=False)
        (result,) = outcome
        if isinstance(result, Failure):
            result.raiseException()
        return result  # type: ignore[no-any-return]

    yield run
    # A stop, unlike a crash, ends the reactor's threads.
    reactor.callWhenRunning(reactor.stop)
    reactor.run(installSignalHandlers=False)


@pytest.fixture
def settle() -> Callable[..., Awaitable[Any]]:
    """`await settle(condition, what)`: waits until `condition()`, awaited if need be, gives something true."""
    from twisted.internet import defer, reactor, task

    async def wait(condition: Callable[[], Any], what: str, limit_s: float = 20.0) -> Any:
        deadline = time.monotonic() + limit_s
        while True:
            result = condition()
            if hasattr(result, "__await__"):
                result = await defer.ensureDeferred(result)
            if result:
                return result
            assert time.monotonic() < deadline, f"not within {limit_s:g} s: {what}"
            await task.deferLater(reactor, 0.02)

    return wait


@pytest.fixture
def logged_errors() -> Iterator[list[str]]:
    """Errors that were logged; a test that wants some clears the list, any left at its end are a fault."""
    from twisted.python import log

    errors: list[str] = []

    def observe(event: dict[str, Any]) -> None:
        if event.get("isError"):
            errors.append(log.textFromEventDict(event) or "")

    log.addObserver(observe)
    yield errors
    log.removeObserver(observe)
    assert not errors, "\n".join(errors)


@pytest.fixture
def start_master(spin: Spin, tmp_path: Path, logged_errors: list[str], _new_database: Path) -> Iterator[StartMaster]:
    """`start_master(config)`: a running master of the dictionary `config`; `stop_master` stops one before the end."""
    import signal

    running: list[Any] = []
    saved = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)}

    folder = tmp_path / "master"
    folder.mkdir()
    shutil.copy(_new_database, folder / "state.sqlite")

    def start(config: dict[str, Any]) -> Any:
        master = spin(_start(folder, config))
        running.append(master)
        return master

    def stop(master: Any) -> None:
        if master in running:
            running.remove(master)
            spin(_stop(master))

    start.stop = stop  # type: ignore[attr-defined]
    yield start
    for master in list(running):
        stop(master)
    for number, handler in saved.items():
        signal.signal(number, handler)


@pytest.fixture
def stop_master(start_master: StartMaster) -> Callable[[Any], None]:
    """`stop_master(master)`: stops it as SIGTERM does; its database stays for the next."""
    return start_master.stop  # type: ignore[attr-defined, no-any-return]


@pytest.fixture(scope="session")
def _new_database(spin: Spin, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as a new lab has it, to be copied: Buildbot's tables made by its own upgrade, and ours."""
    folder = tmp_path_factory.mktemp("database")

    async def make() -> None:
        from buildbot.master import BuildMaster
        from twisted.internet import reactor

        master = BuildMaster(str(folder), reactor=reactor)
        master.config.db.db_url = "sqlite:///state.sqlite"
        await master.db.setup(check_version=False)
        await master.db.model.upgrade()
        await master.db.pool.do_with_engine(migrate)
        await master.db.pool.stop()

    spin(make())
    return folder / "state.sqlite"


async def _start(folder: Path, config: dict[str, Any]) -> Any:
    from buildbot.config.master import MasterConfig
    from buildbot.interfaces import IConfigLoader
    from buildbot.master import BuildMaster
    from twisted.internet import reactor
    from twisted.python import log
    from zope.interface import implementer

    @implementer(IConfigLoader)
    class Loader:
        def loadConfig(self) -> Any:
            fixed = {"www": {}, "db": {"db_url": "sqlite:///state.sqlite"}, "buildbotNetUsageData": None}
            return MasterConfig.loadFromDict({**config, **fixed}, "<test>")

    master = BuildMaster(str(folder), reactor=reactor, config_loader=Loader())
    said: list[dict[str, Any]] = []
    log.addObserver(said.append)
    stop, reactor.stop = reactor.stop, lambda: None  # a master that cannot start stops the reactor, for good
    try:
        await master.startService()
    finally:
        reactor.stop = stop
        log.removeObserver(said.append)
    assert master.running, "\n".join(log.textFromEventDict(event) or "" for event in said)
    return master


async def _stop(master: Any) -> None:
    await master.stopService()
    await master.db.pool.stop()


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
