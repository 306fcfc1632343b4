"""A GitHub on this machine, and a real master whose destinations speak with it."""

import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import masters
import msgspec
import pytest
from githubserver import GitHub, serving

from benchyard.publish.destinations import Site
from benchyard.publish.settings import GitHub as Settings

TOKEN = "secret-token"


@pytest.fixture
def github() -> GitHub:
    """A GitHub with some commits and pull requests; at its end nothing it was asked was undocumented."""
    made = GitHub()
    made.pulls |= {11, 12}
    return made


@pytest.fixture
def api(github: GitHub) -> Iterator[str]:
    """Where it is."""
    with serving(github) as url:
        yield url
    assert github.wrong == []


@pytest.fixture(scope="session")
def master(spin: Callable[..., Any], _new_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A running master of a lab with one target and no hosts; one for all, as nothing is left in it."""
    from benchyard.config.master import master_config
    from benchyard.config.settings import load_settings

    lab, folder = tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("master")
    (lab / "secrets").mkdir()
    (lab / "benchyard.toml").write_text("[targets.linux-x86_64]\n")
    shutil.copy(_new_database, folder / "state.sqlite")
    config = {**master_config(load_settings(lab)), "protocols": {"pb": {"port": "tcp:0:interface=127.0.0.1"}}}
    saved = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)}
    running = spin(masters.begin_master(folder, config))
    yield running
    spin(masters.end_master(running))
    for number, handler in saved.items():
        signal.signal(number, handler)


class Destination:
    """A destination, called in the reactor."""

    def __init__(self, spin: Callable[..., Any], made: Any) -> None:
        self._spin, self.made = spin, made

    def publish(self, publication: Any) -> Any:
        """Publish, and wait for the receipt."""
        return self._spin(self.made.publish(publication))

    def withdraw(self, publication: Any) -> Any:
        """The same to withdraw."""
        return self._spin(self.made.withdraw(publication))


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """The lab's folder of secrets, with the token of the destination `gh`."""
    folder = tmp_path / "secrets"
    folder.mkdir(mode=0o700)
    (folder / "publish-gh").write_text(f"{TOKEN}\n")
    return folder


@pytest.fixture
def destination(
    spin: Callable[..., Any], master: Any, api: str, secrets: Path, tmp_path: Path
) -> Iterator[Callable[..., Destination]]:
    """`destination(**settings)`: one for the repository `anna/cpython`."""
    from benchyard.publish.github.destination import make

    made: list[Any] = []

    def make_one(**settings: Any) -> Destination:
        site = Site(secrets, tmp_path, "http://lab.example:8010/", "lab", master)
        found = msgspec.convert({"repository": "anna/cpython", "api": api, **settings}, Settings)
        made.append(make("gh", found, site))
        return Destination(spin, made[-1])

    yield make_one
    for one in made:
        spin(one.close())


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """All that Twisted logs meanwhile, and Python's own logging."""
    import logging

    from twisted.python import log

    lines: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    def observe(event: dict[str, Any]) -> None:
        lines.append(f"{log.textFromEventDict(event)} {event!r}")

    handler, root = Handler(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    log.addObserver(observe)
    yield lines
    log.removeObserver(observe)
    root.removeHandler(handler)
    root.setLevel(level)
