"""`benchyard user` and `benchyard user token`."""

from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Run
    from tests.client.lab_server import LabServer

PASSWORD = "correct horse battery"


def test_users_are_listed(run: "Run", lab: "LabServer", server_module: ModuleType) -> None:
    """`user list` shows name, status and role; `user get` without a name shows oneself."""
    lab.users["eve"] = server_module.a_user("eve", enabled=False)
    lines = [line.split() for line in run("user", "list").out.splitlines()]
    assert lines[0] == ["USER", "STATUS", "ROLE", "CREATED"]
    assert lines[1][:4] == ["eve", "active,", "disabled", "member"]
    assert run("user", "get").out.startswith("user     anna\n")
    assert run("user", "get", "eve", "--json").json == lab.users["eve"]


def test_mail_addresses(run: "Run", lab: "LabServer") -> None:
    """One's own is said without naming oneself, `--no-mail` takes it away; nothing to change is wrong usage."""
    assert run("user", "modify", "--mail", "anna@example.org").out == "user anna: mail to anna@example.org\n"
    assert lab.seen[-1].body == {"mail": "anna@example.org"}
    assert "mail     anna@example.org\n" in run("user", "get").out
    assert run("user", "modify", "--no-mail").out == "user anna: no mail\n"
    assert lab.seen[-1].body == {"mail": ""}
    run("user", "add", "eve", "--no-password", "--mail", "eve@example.org")
    assert lab.seen[-1].body == {"name": "eve", "role": "member", "mail": "eve@example.org"}
    both = ("--role", "viewer", "--mail", "e@example.org")
    assert run("user", "modify", "eve", *both).out == "user eve: viewer, mail to e@example.org\n"
    assert run("user", "modify", "eve").status == 2
    assert run("user", "modify", "eve", "--mail", "a@b.c", "--no-mail").status == 2


def test_a_password_is_read_from_a_file(run: "Run", lab: "LabServer", tmp_path: "Path") -> None:
    """--password-file gives the password, which no output shows; the line's end is no part of it."""
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    ran = run("user", "add", "eve", "--role", "viewer", "--password-file", str(file))
    assert ran.out == "user eve: added as viewer\n"
    assert lab.seen[-1].body == {"name": "eve", "role": "viewer", "password": PASSWORD}
    ran = run("user", "passwd", "eve", "--password-file", str(file))
    assert ran.out == "user eve: the password is changed\n" and lab.seen[-1].body == {"password": PASSWORD}


def test_a_password_is_read_from_stdin(run_program: "Run", lab: "LabServer", server_module: ModuleType) -> None:
    """`--password-file -` reads stdin; `user passwd` without a name is about oneself."""
    environ = {"BENCHYARD_URL": lab.url, "BENCHYARD_TOKEN": server_module.TOKEN}
    ran = run_program("user", "passwd", "--password-file", "-", stdin=PASSWORD + "\n", **environ)
    assert ran.out == "user anna: the password is changed\n", ran.err
    assert lab.seen[-1].body == {"password": PASSWORD} and lab.seen[-1].path.endswith("/users/anna")


def test_without_a_terminal_nothing_is_asked(run_program: "Run", lab: "LabServer", server_module: ModuleType) -> None:
    """`user add` makes a user without a password then, `user passwd` names the option; an empty file is refused."""
    environ = {"BENCHYARD_URL": lab.url, "BENCHYARD_TOKEN": server_module.TOKEN}
    assert run_program("user", "add", "eve", **environ).status == 0
    assert lab.seen[-1].body == {"name": "eve", "role": "member"}
    ran = run_program("user", "passwd", **environ)
    assert ran.status == 2 and "--password-file" in ran.err
    ran = run_program("user", "passwd", "--password-file", "-", **environ)
    assert (ran.status, ran.err) == (1, "benchyard: what --password-file names is empty\n")


def test_a_password_is_asked_for_twice(
    lab: "LabServer", server_module: ModuleType, terminal: "Callable[..., str]"
) -> None:
    """On a terminal the password is asked for, twice, and not echoed."""
    shown = terminal("user", "passwd", answers=[("New password", PASSWORD), ("Repeat", PASSWORD)])
    assert "the password is changed" in shown and PASSWORD not in shown
    assert lab.seen[-1].body == {"password": PASSWORD}


def test_a_password_is_no_argument(run: "Run", lab: "LabServer") -> None:
    """There is no way to name the password itself on the command line."""
    assert run("user", "passwd", "eve", PASSWORD).status == 2
    assert run("user", "add", "eve", "--password", PASSWORD).status == 2
    assert not lab.seen


def test_a_user_is_changed(run: "Run", lab: "LabServer", server_module: ModuleType) -> None:
    """`user modify`, `disable`, `enable` and `remove` change the user and say so."""
    lab.users["eve"] = server_module.a_user("eve")
    assert run("user", "modify", "eve", "--role", "admin").out == "user eve: admin\n"
    assert run("user", "disable", "eve").out == "user eve: disabled\n"
    assert run("user", "enable", "eve", "--json").json == lab.users["eve"]
    assert run("user", "remove", "eve", "--yes").out == "user eve: removed\n"
    assert "eve" not in lab.users
    assert run("user", "modify", "anna", "--role", "boss").status == 2


def test_removing_asks_on_a_terminal(
    lab: "LabServer", server_module: ModuleType, terminal: "Callable[..., str]"
) -> None:
    """On a terminal a removal is asked about; a no leaves all as it is."""
    lab.users["eve"] = server_module.a_user("eve")
    assert "nothing was done" in terminal("user", "remove", "eve", answers=[("Remove user eve", "n")])
    assert "eve" in lab.users
    assert "user eve: removed" in terminal("user", "remove", "eve", answers=[("Remove user eve", "y")])
    assert "eve" not in lab.users


def test_a_token_is_shown_once(run: "Run", lab: "LabServer") -> None:
    """`token add` prints the token alone on stdout; `token list` does not know it; `token remove` ends it."""
    ran = run("user", "token", "add", "dashboard", "--read-only", "--expires-days", "90")
    assert (ran.status, ran.out) == (0, "token-1\n")
    assert ran.err == "token 1 (dashboard), which ends 2025-11-22; it is not shown again:\n"
    assert lab.seen[-1].body == {"name": "dashboard", "read_only": True, "expires_days": 90}
    ran = run("user", "token", "list")
    assert ran.out.splitlines()[1].split()[:3] == ["1", "dashboard", "read-only"] and "token-1" not in ran.out
    assert run("user", "token", "add", "other", "--user", "anna", "--json").json["token"] == "token-2"
    assert run("user", "token", "remove", "1", "--yes").out == "token 1: removed\n"
    assert [*lab.tokens] == [2]


def test_a_try_secret_is_shown_once(run: "Run") -> None:
    """`user try-secret` prints the secret alone on stdout."""
    ran = run("user", "try-secret")
    assert ran.out == "try-anna\n" and "not shown again" in ran.err
    assert run("user", "try-secret", "anna", "--json").json == {"user": "anna", "secret": "try-anna"}
