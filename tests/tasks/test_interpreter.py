"""Inspecting interpreters, and refusing what is none."""

import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchyard.tasks.errors import InterpreterError
from benchyard.tasks.interpreter import build_date, flags, inspect_interpreter, version_numbers


def _script(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def test_this_python_is_what_it_says_itself() -> None:
    """Version, implementation, real path, compiler and machine are those of the running interpreter."""
    found = inspect_interpreter(sys.executable)
    assert found.version == sys.version.split()[0]
    assert found.implementation == sys.implementation.name
    assert found.executable == os.path.realpath(sys.executable)
    assert found.compiler == platform.python_compiler().strip()
    assert (found.machine, found.system) == (platform.machine(), platform.system().lower())
    assert version_numbers(found) == sys.version_info[:3]
    assert len(found.id) == 64


def test_every_installed_python_is_inspected_with_an_id_of_its_own() -> None:
    """All Pythons of pyenv, from 2.7 on, can be inspected; the id tells them apart and is the same each time."""
    pythons = [str(path) for path in sorted((Path.home() / ".pyenv" / "versions").glob("*.*/bin/python"))]
    found = {python: inspect_interpreter(python) for python in [*pythons, sys.executable]}
    for python, interpreter in found.items():
        if python in pythons:
            assert interpreter.version == Path(python).parent.parent.name
    assert len({interpreter.id for interpreter in found.values()}) == len(
        {interpreter.executable for interpreter in found.values()}
    )
    assert inspect_interpreter(sys.executable).id == found[sys.executable].id


def test_a_virtual_environment_is_the_interpreter_it_was_made_from(tmp_path: Path) -> None:
    """The python of a virtual environment, reached through one more link, has the id of its base."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True, timeout=120)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "venv" / "bin" / "python")
    assert inspect_interpreter(str(tmp_path / "venv" / "bin" / "python")) == inspect_interpreter(sys.executable)
    assert inspect_interpreter(str(link)).id == inspect_interpreter(sys.executable).id


def test_a_wrapper_that_prints_first_is_looked_through(tmp_path: Path) -> None:
    """A script that greets and then runs a Python is that Python, also if it leaves a child with its output."""
    wrapper = _script(tmp_path / "python", f'#!/bin/sh\necho hello\nsleep 60 &\nexec {sys.executable} "$@"\n')
    began = time.monotonic()
    assert inspect_interpreter(wrapper).executable == os.path.realpath(sys.executable)
    assert time.monotonic() - began < 50


def test_the_callers_variables_do_not_change_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PYTHONPATH with a false `json` in it does not reach the inspected interpreter."""
    (tmp_path / "json.py").write_text("raise SystemExit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert inspect_interpreter(sys.executable).version == sys.version.split()[0]


@pytest.mark.parametrize(
    ("python", "problem"),
    [
        ("python3", "is not an absolute path"),
        ("", "is not a path"),
        ("/usr/bin/py\nthon", "is not a path"),
        ("/usr/bin/py\0thon", "is not a path"),
        ("/no/such/python", "does not exist"),
        ("/" + "x" * 5000, "."),
        ("/tmp", "is not a file"),  # noqa: S108
        ("/etc/passwd", "is not executable"),
        ("/bin/true", "is not a Python"),
        ("/bin/cat", "is not a Python"),
    ],
)
def test_what_is_no_python_is_refused_in_one_line(python: str, problem: str) -> None:
    """Each wrong path is an InterpreterError of one line that says what is wrong with it."""
    with pytest.raises(InterpreterError, match=problem) as caught:
        inspect_interpreter(python)
    assert "\n" not in str(caught.value)


def test_a_missing_interpreter_is_named() -> None:
    """The message names the path."""
    with pytest.raises(InterpreterError, match=r"^interpreter '/x/python' does not exist$"):
        inspect_interpreter("/x/python")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("#!/bin/sh\ntrap '' TERM\nsleep 600\n", "did not answer within 1 s"),
        ("#!/bin/sh\nyes\n", "prints without end"),
        ("#!/bin/sh\nkill -SEGV $$\n", "crashed \\(killed by signal 11\\)"),
        ("#!/no/such/interpreter\n", "cannot be run"),
        ("#!/bin/sh\necho; echo 'BENCHYARD-INTERPRETER {'\n", "not JSON"),
        ("#!/bin/sh\necho; echo 'BENCHYARD-INTERPRETER {}'\n", "without a version"),
    ],
)
def test_misbehaving_programs_are_ended_and_named(tmp_path: Path, text: str, problem: str) -> None:
    """A program that hangs, floods, crashes or lies is an InterpreterError, within the time limit."""
    began = time.monotonic()
    with pytest.raises(InterpreterError, match=problem):
        inspect_interpreter(_script(tmp_path / "python", text), timeout_s=1.0)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", ()),
        ("'--enable-optimizations' '--with-lto=full'", ("lto", "pgo")),
        ("--with-lto --without-lto", ()),
        ("--enable-experimental-jit --disable-gil", ("jit", "nogil")),
        ("--enable-experimental-jit=yes-off", ()),
        ("--enable-experimental-jit=interpreter --with-tail-call-interp", ("tailcall",)),
        ("--with-pydebug 'unbalanced", ("debug",)),
        ("--enable-optimizations=no", ()),
    ],
)
def test_flags_are_read_from_the_configure_arguments(arguments: str, expected: tuple[str, ...]) -> None:
    """Options that are on by themselves are flags; the last mention of an option wins."""
    assert flags({"configure_args": arguments}) == expected


def test_build_dates_are_iso_dates() -> None:
    """The compiler's date becomes an ISO date; anything else is None."""
    assert build_date("Dec  4 2023 10:11:12") == "2023-12-04"
    assert build_date("Apr 20 2020, 10:11:12") == "2020-04-20"
    assert build_date("xx xx xxxx 10:11:12") is None
