"""Real git repositories, and destinations that publish to them."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from gitremote import MakeDestination, Remote

from benchyard.publish.destinations import Site
from benchyard.publish.git.repository import GitDestination, make
from benchyard.publish.settings import GitRepository


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    """An empty repository."""
    return Remote(tmp_path / "remote.git")


@pytest.fixture
def destination(tmp_path: Path, remote: Remote) -> MakeDestination:
    """`destination(work="work", **settings)`: one that publishes to the remote; each `work` is a lab of its own."""

    def make_one(work: str = "work", **settings: Any) -> GitDestination:
        site = Site(tmp_path / "secrets", tmp_path / work, "http://lab.example:8010/", "lab")
        return make("mirror", msgspec.convert({"url": str(remote.path), **settings}, GitRepository), site)

    return make_one
