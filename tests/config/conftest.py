"""Settings files of a lab, and a lab made as people make it."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from benchyard.lab.init import LabOptions, init_lab

#: The least that a lab may say.
LEAST = "[targets.linux]\n"


@pytest.fixture
def lab(tmp_path: Path) -> Callable[..., Path]:
    """`lab(text, NAME=text)`: a lab's folder with this `benchyard.toml` and these files in `hosts.d`."""

    def make(text: str = LEAST, **hosts: str) -> Path:
        folder = tmp_path / "lab"
        (folder / "hosts.d").mkdir(parents=True, exist_ok=True)
        (folder / "benchyard.toml").write_text(text, encoding="utf-8")
        for name, host in hosts.items():
            (folder / "hosts.d" / f"{name}.toml").write_text(host, encoding="utf-8")
        return folder

    return make


@pytest.fixture(scope="module")
def made_lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lab as `benchyard lab init` makes it, on free ports; it is not started."""
    root = tmp_path_factory.mktemp("made") / "lab"
    init_lab(root, LabOptions(http_port=_free_port(), worker_port=_free_port()))
    return root


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
