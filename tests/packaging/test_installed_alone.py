"""The wheel by itself, in a new environment: what a user of the client gets."""

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.packaging.conftest import Repository


def run(*argv: str | Path) -> str:
    # -I and a clean environment: nothing of this checkout may help.
    environ = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(argv, capture_output=True, text=True, timeout=240, env=environ, cwd="/")
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def python(wheel: Path, repository: "Repository", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that holds the wheel and what it requires."""
    folder = tmp_path_factory.mktemp("alone") / "venv"
    uv = Path(sys.executable).with_name("uv")
    run(uv, "venv", "--quiet", "--no-python-downloads", "--python", sys.executable, folder)
    python = folder / "bin" / "python"
    constraints = repository.path / "constraints.txt"
    run(uv, "pip", "install", "--quiet", "--python", python, "--constraint", constraints, wheel)
    return python


def test_command_prints_its_help(python: Path) -> None:
    """`benchyard --help` works with nothing but the wheel and its own requirements."""
    said = run(python.with_name("benchyard"), "--help")
    assert "Usage: benchyard" in said
    assert "submit" in said


def test_no_twisted(python: Path) -> None:
    """Neither Twisted nor Buildbot is installed with the client."""
    code = "from importlib.metadata import distributions as d; print(*(x.name.lower() for x in d()))"
    installed = set(run(python, "-I", "-c", code).split())
    assert "benchyard" in installed
    assert not {"twisted", "buildbot", "buildbot-worker", "sqlalchemy"} & installed


def test_client_is_importable(python: Path) -> None:
    """The client library and the command line import, from the installed files."""
    code = "import benchyard.client, benchyard.cli; print(benchyard.client.__file__)"
    assert Path(run(python, "-I", "-c", code).strip()).is_relative_to(python.parents[1])
