"""`benchyard login`."""

import os
import pty
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from benchyard.client import Login, load_login

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Run
    from tests.client.lab_server import LabServer


def test_a_token_is_read_from_stdin(run_program: "Run", lab: "LabServer", server_module: ModuleType) -> None:
    """`login URL --token-file -` tries the token, keeps it and says where, without showing it."""
    ran = run_program("login", lab.url + "/", "--token-file", "-", stdin=server_module.TOKEN + "\n")
    assert ran.status == 0, ran.err
    assert ran.out.startswith(f"Logged in to {lab.url} as anna; the token is kept in ")
    assert server_module.TOKEN not in ran.out + ran.err
    assert load_login() == Login(lab.url, "anna", server_module.TOKEN)


def test_a_token_is_read_from_a_file(
    run_program: "Run", lab: "LabServer", server_module: ModuleType, tmp_path: Path
) -> None:
    """`login URL --token-file FILE` reads the file; --json prints one document."""
    file = tmp_path / "token"
    file.write_text(server_module.TOKEN)
    ran = run_program("login", lab.url, "--token-file", str(file), "--json")
    assert ran.json == {"url": lab.url, "user": "anna"}
    assert load_login(lab.url).token == server_module.TOKEN


def test_a_wrong_token_is_not_kept(run_program: "Run", lab: "LabServer", config_file: Path) -> None:
    """A token that the lab refuses is exit status 1, and nothing is kept."""
    ran = run_program("login", lab.url, "--token-file", "-", stdin="not-this-one")
    assert ran.status == 1
    assert ran.err == f"benchyard: {lab.url} does not take this token: a token is needed\n"
    assert not config_file.exists()


def test_name_and_password_make_a_token(run_program: "Run", lab: "LabServer", server_module: ModuleType) -> None:
    """`login URL --user NAME` takes the password, never as an argument, and keeps the token that the lab makes."""
    ran = run_program("login", lab.url, "--user", "anna", "--password-file", "-", stdin=server_module.PASSWORD + "\n")
    assert ran.status == 0, ran.err
    assert load_login() == Login(lab.url, "anna", server_module.TOKEN)
    assert server_module.PASSWORD not in ran.out + ran.err
    asked = next(seen for seen in lab.seen if seen.path.endswith("/login"))
    assert asked.body["name"].startswith("login on ")


def test_the_password_is_asked_for_on_the_terminal(
    terminal: "Callable[..., str]", lab: "LabServer", server_module: ModuleType, config_file: Path
) -> None:
    """On a terminal the password is asked for and not echoed."""
    shown = terminal("login", lab.url, "--user", "anna", answers=[("Password of anna", server_module.PASSWORD)])
    assert f"Logged in to {lab.url} as anna" in shown
    assert server_module.PASSWORD not in shown
    assert load_login(lab.url, path=config_file).token == server_module.TOKEN


def test_a_wrong_password_is_not_kept(run_program: "Run", lab: "LabServer", config_file: Path) -> None:
    """A wrong password is one line and exit status 1; what does not go together is a wrong use."""
    ran = run_program("login", lab.url, "--user", "anna", "--password-file", "-", stdin="guess")
    assert (ran.status, ran.err) == (1, f"benchyard: {lab.url} does not know this name with this password\n")
    assert not config_file.exists()
    assert run_program("login", lab.url, "--password-file", "-", stdin="x").status == 2
    assert run_program("login", lab.url, "--user", "anna", "--token-file", "-", stdin="x").status == 2


def test_without_terminal_the_file_is_needed(run_program: "Run", lab: "LabServer") -> None:
    """Where there is no terminal to ask on, the error names --token-file."""
    ran = run_program("login", lab.url)
    assert ran.status == 2 and "--token-file" in ran.err


def test_the_token_is_asked_for_on_the_terminal(lab: "LabServer", server_module: ModuleType) -> None:
    """On a terminal the token is asked for and not echoed."""
    controller, terminal = pty.openpty()
    argv = [sys.executable, "-m", "benchyard.cli", "login", lab.url]
    process = subprocess.Popen(argv, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True)
    os.close(terminal)
    shown = b""
    deadline = time.monotonic() + 60
    try:
        while b"Token for" not in shown:
            assert time.monotonic() < deadline
            shown += os.read(controller, 1024)
        os.write(controller, server_module.TOKEN.encode() + b"\n")
        while b"Logged in" not in shown:
            assert time.monotonic() < deadline
            shown += os.read(controller, 1024)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        os.close(controller)
    assert server_module.TOKEN.encode() not in shown
    assert load_login().token == server_module.TOKEN


def test_an_address_of_no_lab(run_program: "Run") -> None:
    """What is no address is one line, exit status 1."""
    ran = run_program("login", "lab.example", "--token-file", "-", stdin="x")
    assert ran.status == 1 and "it looks like http://" in ran.err and ran.err.count("\n") == 1
