"""Environments are made once, remembered, and made again when they are half-made."""

import os
import sys
from pathlib import Path

import pytest

from benchyard.tasks.environment import ensure_environment
from benchyard.tasks.errors import EnvironmentMakeError
from benchyard.tasks.interpreter import inspect_interpreter
from benchyard.tasks.suite import installed_suite

SUITE = installed_suite()


def test_an_environment_is_made_once_and_added_to_when_needed(environments: Path) -> None:
    """Asking again starts no pip and leaves the record alone; a benchmark with requirements is added by one pip."""
    interpreter = inspect_interpreter(sys.executable)
    first = ensure_environment(sys.executable, interpreter, SUITE, ["nbody"], environments=environments)
    record = Path(first.path + ".json")
    before = record.stat()
    again = ensure_environment(sys.executable, interpreter, SUITE, ["nbody", "json_loads"], environments=environments)
    assert (again.pip_calls, again.made, again.python) == (0, False, first.python)
    assert (record.stat().st_ino, record.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    said: list[str] = []
    ensure_environment(sys.executable, interpreter, SUITE, ["tomli_loads"], environments=environments, say=said.append)
    more = ensure_environment(sys.executable, interpreter, SUITE, ["nbody", "tomli_loads"], environments=environments)
    assert (more.pip_calls, more.failed) == (0, {})
    assert any("tomli==" in line for line in said)


@pytest.mark.slow
def test_half_made_environments_are_thrown_away(tmp_path: Path, other_python: str) -> None:
    """What a killed making left, an environment without its record, is made again from the beginning."""
    interpreter = inspect_interpreter(other_python)
    made = ensure_environment(other_python, interpreter, SUITE, ["nbody"], environments=tmp_path)
    assert made.made
    Path(made.path + ".json").unlink()
    left = Path(made.path) / "half"
    left.touch()
    again = ensure_environment(other_python, interpreter, SUITE, ["nbody"], environments=tmp_path)
    assert again.made
    assert not left.exists()
    # And one whose interpreter is gone, too.
    Path(again.python).unlink()
    assert ensure_environment(other_python, interpreter, SUITE, ["nbody"], environments=tmp_path).made


def test_requirements_that_do_not_install_fail_their_benchmark_alone(
    tmp_path: Path, environments: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a constraint of pip's that forbids mako's lock, mako is named with pip's words, and the others are there."""
    constraint = tmp_path / "constraint.txt"
    constraint.write_text("mako==1.3.0\n")
    monkeypatch.setenv("PIP_CONSTRAINT", str(constraint))
    interpreter = inspect_interpreter(sys.executable)
    made = ensure_environment(
        sys.executable, interpreter, SUITE, ["mako", "nbody", "pyflate"], environments=environments
    )
    assert list(made.failed) == ["mako"]
    assert "mako==1.1.4" in made.failed["mako"]
    assert os.access(made.python, os.X_OK)


def test_an_environment_that_cannot_be_made_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where not even pyperf installs, the error has pip's last line, and nothing counts as made."""
    constraint = tmp_path / "constraint.txt"
    constraint.write_text("pyperf==1.0\n")
    monkeypatch.setenv("PIP_CONSTRAINT", str(constraint))
    interpreter = inspect_interpreter(sys.executable)
    with pytest.raises(EnvironmentMakeError, match="cannot be made: ERROR"):
        ensure_environment(sys.executable, interpreter, SUITE, ["nbody"], environments=tmp_path / "environments")
    assert not list((tmp_path / "environments").glob("*.json"))
