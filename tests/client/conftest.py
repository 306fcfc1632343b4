"""A lab for each test of the client, a configuration of its own, and clients that do not pause."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from benchyard.client import Client
from benchyard.client.waiting import Polling

if TYPE_CHECKING:
    from tests.client.lab_server import LabServer


class Clock:
    """Time that passes by sleeping only; `pauses` is what was slept."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="session")
def server_module() -> ModuleType:
    """The module of the test server, with its helpers."""
    name, path = "benchyard_lab_server", Path(__file__).with_name("lab_server.py")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def lab(server_module: ModuleType) -> "Iterator[LabServer]":
    """A running lab."""
    with server_module.LabServer() as lab:
        yield lab


@pytest.fixture(autouse=True)
def config_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's configuration, not there yet; nothing else of the user's is seen."""
    path = tmp_path / "config" / "config.toml"
    monkeypatch.setenv("BENCHYARD_CONFIG", str(path))
    monkeypatch.delenv("BENCHYARD_URL", raising=False)
    monkeypatch.delenv("BENCHYARD_TOKEN", raising=False)
    return path


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def connect(lab: "LabServer", clock: Clock, server_module: ModuleType) -> Iterator[Callable[..., Client]]:
    """Make clients of the lab that are closed after the test."""
    clients: list[Client] = []

    def make(url: str | None = None, **options: Any) -> Client:
        options.setdefault("token", server_module.TOKEN)
        options.setdefault("polling", Polling(clock=clock, sleep=clock.sleep))
        clients.append(Client(url or lab.url, **options))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(connect: Callable[..., Client]) -> Client:
    return connect()
