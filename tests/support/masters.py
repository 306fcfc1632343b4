"""Real masters inside the test's own process, on the process's one reactor: fixtures for all tests that want one."""

import shutil
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

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
        master = spin(begin(folder, config))
        running.append(master)
        return master

    def stop(master: Any) -> None:
        if master in running:
            running.remove(master)
            spin(end(master))

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

        from benchyard.store.migrate import migrate

        master = BuildMaster(str(folder), reactor=reactor)
        master.config.db.db_url = "sqlite:///state.sqlite"
        await master.db.setup(check_version=False)
        await master.db.model.upgrade()
        await master.db.pool.do_with_engine(migrate)
        await master.db.pool.stop()

    spin(make())
    return folder / "state.sqlite"


async def begin(folder: Path, config: dict[str, Any]) -> Any:
    """Start a master whose database is in `folder`."""
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


async def end(master: Any) -> None:
    """Stop a master as SIGTERM does."""
    await master.stopService()
    await master.db.pool.stop()
