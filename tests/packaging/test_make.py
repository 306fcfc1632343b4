"""The Makefile on a new checkout: python3, make and git are all it needs."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.packaging.conftest import Repository


@pytest.fixture
def checkout(repository: "Repository", tmp_path: Path) -> Path:
    """A copy of the repository's files, without anything that was made from them."""
    for file in repository.files:
        target = tmp_path / "checkout" / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(repository.path / file, target, follow_symlinks=False)
    return tmp_path / "checkout"


def make(checkout: Path, *targets: str) -> str:
    done = subprocess.run(
        ["make", *targets],
        cwd=checkout,
        capture_output=True,
        text=True,
        timeout=280,
        env={name: text for name, text in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_help_lists_every_target(repository: "Repository") -> None:
    """`make` by itself names each target with what it does, and installs nothing."""
    text = (repository.path / "Makefile").read_text(encoding="utf-8")
    phony = [name for line in text.splitlines() if line.startswith(".PHONY:") for name in line.split()[1:]]
    listed = [line.split()[1] for line in make(repository.path).splitlines()]
    assert sorted(listed) == sorted(phony)


@pytest.mark.slow
def test_new_checkout(checkout: Path) -> None:
    """A new checkout installs, does so only once, and builds its distributions."""
    make(checkout, ".venv/bin/.installed")
    said = subprocess.run(
        [checkout / ".venv/bin/benchyard", "--help"], capture_output=True, text=True, check=True, timeout=60
    )
    assert "Usage: benchyard" in said.stdout
    assert "up to date" in make(checkout, ".venv/bin/.installed")
    make(checkout, "dist")
    assert sorted(path.suffix for path in (checkout / "dist").iterdir()) == [".gz", ".whl"]
    make(checkout, "clean")
    assert not (checkout / ".venv").exists()
