"""A master that tells notices, inside the test's own process; real mail and web servers to tell them to."""

import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from masters import begin_master, end_master
from measuredlab import MeasuredLab
from smtpserver import MailServer, make_certificate

from benchyard.publish.notices.notifiers import make_reporter
from benchyard.publish.notices.service import SERVICE, NoticeFacts, NoticeService
from benchyard.publish.notices.settings import AnyNotifier
from benchyard.publish.notices.stale import ScheduleLane, TargetLane
from benchyard.publish.regressions import RegressionService
from benchyard.results.regressions import Thresholds
from benchyard.store.migrate import migrate


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sa.Connection]:
    """A connection to an empty store."""
    engine = sa.create_engine(f"sqlite:///{tmp_path}/rows.sqlite")
    migrate(engine)
    with engine.begin() as conn:
        yield conn
    engine.dispose()


@pytest.fixture
def lab(tmp_path: Path) -> MeasuredLab:
    """What a lab has measured, and the folder of its result files."""
    folder = tmp_path / "results"
    folder.mkdir()
    return MeasuredLab(folder)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A mail server's certificate with its key."""
    return make_certificate(tmp_path / "mail.pem")


@pytest.fixture
def mail_server() -> Iterator[Callable[..., MailServer]]:
    """`mail_server(tls=..., login=...)`: a mail server that listens."""
    started: list[MailServer] = []

    def start(**how: Any) -> MailServer:
        server = MailServer(**how)
        server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


class Master:
    """A running master that tells notices; its `log` is all that was logged."""

    def __init__(self, master: Any, spin: Callable[..., Any], database: Path, log: list[str]) -> None:
        self.master, self.spin, self.database, self.log = master, spin, database, log
        self.service: NoticeService = master.service_manager.namedServices[SERVICE]

    def db(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run a function of the store."""
        return self.spin(self.service.db(function, *args, **kwargs))

    def wait(self, condition: Callable[[], object], what: str, limit_s: float = 30.0) -> None:
        """Let the master work until something is so."""
        from twisted.internet import reactor, task

        async def work() -> None:
            deadline = time.monotonic() + limit_s
            while not condition():
                assert time.monotonic() < deadline, f"not within {limit_s:g} s: {what}\n" + "\n".join(self.log[-20:])
                await task.deferLater(reactor, 0.05)

        self.spin(work())


class Masters:
    """Starts masters one after another in one folder, as restarts are; or with a database that they share."""

    def __init__(self, folder: Path, spin: Callable[..., Any], database: Path, results: Path) -> None:
        self.folder, self.spin, self.results = folder, spin, results
        self.secrets = folder / "secrets"
        self.secrets.mkdir()
        self.database = folder / "state.sqlite"
        shutil.copy(database, self.database)
        self.running: list[Master] = []
        self.log: list[str] = []

    def start(self, notify: Mapping[str, AnyNotifier], *, name: str = "master", **facts: Any) -> Master:
        """A master with these notifiers."""
        given = {
            "results": str(self.results),
            "url": "http://lab.example/",
            "targets": (TargetLane("linux", ("bench",)),),
            "schedules": (ScheduleLane("nightly", "30 2 * * *", ("linux",)),),
            "hosts": {"bench": "linux"},
            "thresholds": Thresholds(),
            "stale_s": 12 * 3600.0,
        }
        reporters = [make_reporter(key, each, self.secrets) for key, each in notify.items()]
        service = NoticeService(facts=NoticeFacts(**{**given, **facts}), notifiers=dict(notify))
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        if not (folder / self.database.name).exists():
            (folder / self.database.name).symlink_to(self.database)
        running = self.spin(
            begin_master(folder, _config([service, RegressionService(url="http://lab.example/"), *reporters]))
        )
        started = Master(running, self.spin, self.database, self.log)
        self.running.append(started)
        return started

    def stop(self, master: Master) -> None:
        """Stop it as SIGTERM does."""
        self.running.remove(master)
        self.spin(end_master(master.master))


def _config(services: list[Any]) -> dict[str, Any]:
    """The least that Buildbot takes, with these services."""
    from buildbot.plugins import schedulers, util, worker

    return {
        "workers": [worker.LocalWorker("bench")],
        "protocols": {"null": {}},
        "builders": [util.BuilderConfig(name="linux", workernames=["bench"], factory=util.BuildFactory())],
        "schedulers": [schedulers.Triggerable(name="none", builderNames=["linux"])],
        "services": services,
        "title": "the lab",
        "buildbotURL": "http://lab.example/",
    }


@pytest.fixture
def masters(tmp_path: Path, spin: Callable[..., Any], _new_database: Path, lab: MeasuredLab) -> Iterator[Masters]:
    """Starts masters that tell notices of what `lab` has measured."""
    from twisted.python import log

    saved = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)}
    folder = tmp_path / "masters"
    folder.mkdir()
    made = Masters(folder, spin, _new_database, lab.folder)

    def observe(event: dict[str, Any]) -> None:
        made.log.append(log.textFromEventDict(event) or "")

    log.addObserver(observe)
    yield made
    for master in list(made.running):
        made.stop(master)
    log.removeObserver(observe)
    for number, handler in saved.items():
        signal.signal(number, handler)
