"""A lab, a user who is logged in to it, and the command as its users run it."""

import importlib.util
import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from benchyard.cli import main

if TYPE_CHECKING:
    from tests.client.lab_server import LabServer


@dataclass(frozen=True)
class Ran:
    """What a command left: its exit status and what it printed."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture(scope="session")
def server_module() -> ModuleType:
    """The module of the test server of the client's tests."""
    name, path = "benchyard_lab_server", Path(__file__).parents[1] / "client" / "lab_server.py"
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
    """The user's configuration, not there yet; times are those of UTC."""
    path = tmp_path / "config" / "config.toml"
    monkeypatch.setenv("BENCHYARD_CONFIG", str(path))
    monkeypatch.setenv("TZ", "UTC")
    for name in ("BENCHYARD_URL", "BENCHYARD_TOKEN", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    return path


@pytest.fixture
def run(lab: "LabServer", server_module: ModuleType, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> Run:
    """Run the command in this process, as a user with a token for the lab."""
    monkeypatch.setenv("BENCHYARD_URL", lab.url)
    monkeypatch.setenv("BENCHYARD_TOKEN", server_module.TOKEN)

    def run(*argv: str) -> Ran:
        capfd.readouterr()
        status = main(argv)
        captured = capfd.readouterr()
        return Ran(status, captured.out, captured.err)

    return run


@pytest.fixture
def run_program() -> Run:
    """Run the command as a process of its own, without a terminal."""

    def run(*argv: str, stdin: str = "", **environ: str) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "benchyard.cli", *argv],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            env=os.environ | environ,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def terminal(lab: "LabServer", server_module: ModuleType) -> Callable[..., str]:
    """Run the command on a terminal, answer its questions in turn, and return what was shown."""

    def run(*argv: str, answers: list[tuple[str, str]]) -> str:
        controller, tty = pty.openpty()
        environ = os.environ | {"BENCHYARD_URL": lab.url, "BENCHYARD_TOKEN": server_module.TOKEN}
        command = [sys.executable, "-m", "benchyard.cli", *argv]
        process = subprocess.Popen(command, stdin=tty, stdout=tty, stderr=tty, env=environ, start_new_session=True)
        os.close(tty)
        shown = ""
        try:
            for question, answer in answers:
                start, deadline = len(shown), time.monotonic() + 60
                while question not in shown[start:]:
                    assert time.monotonic() < deadline, shown
                    shown += os.read(controller, 1024).decode()
                os.write(controller, answer.encode() + b"\n")
            while piece := _read(controller):
                shown += piece
            process.wait(60)
        finally:
            process.kill()
            process.wait()
            os.close(controller)
        return shown

    return run


def _read(controller: int) -> str:
    try:
        return os.read(controller, 1024).decode()
    except OSError:  # how Linux says that the other end is closed
        return ""
