"""What goes wrong between the command and the lab is one line with a remedy, and never a traceback."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Run
    from tests.client.lab_server import LabServer


def test_nobody_answers(run_program: "Run") -> None:
    """A lab that is down is named, with how to start it and how to name another."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        ran = run_program("job", "list", "--url", url)
    assert (ran.status, ran.out) == (1, "")
    remedy = "start it with `benchyard lab up` or name another with --url"
    assert ran.err == f"benchyard: no lab answers at {url}; {remedy}\n"


def test_no_token(run_program: "Run", lab: "LabServer") -> None:
    """Without a token the error says how to log in."""
    ran = run_program("--url", lab.url, "job", "list")
    assert (ran.status, ran.out) == (1, "")
    assert ran.err == "benchyard: a token is needed; log in with `benchyard login URL`\n"


def test_no_lab_is_named(run_program: "Run") -> None:
    """Without any address the error says how to give one."""
    ran = run_program("queue", "list")
    assert ran.status == 1
    assert "no lab is named; name one with --url or BENCHYARD_URL" in ran.err and ran.err.count("\n") == 1


def test_the_url_before_and_after_the_command(run: "Run", lab: "LabServer", server_module: ModuleType) -> None:
    """--url stands before or after the command's name; the latter counts, and both win over BENCHYARD_URL."""
    assert run("--url", "http://127.0.0.1:1", "queue", "list", "--url", lab.url).status == 0
    assert run("--url", lab.url, "queue", "list").status == 0


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (502, b"<html>Bad Gateway</html>", "answered 502 Bad Gateway; try again in a while"),
        (500, b"<html>Oops</html>", "answered 500 Internal Server Error"),
        (200, b"<html>Welcome</html>", "where a JSON object was due; is it the address of a benchyard lab?"),
        (404, b"<html>Not Found</html>", "is it the address of a benchyard lab?"),
        (403, b'{"detail": "only administrators add hosts"}', "only administrators add hosts"),
        (400, b'{"detail": "bad\\u001b[2J\\nthing", "field": "limit"}', "limit: bad [2J thing"),
    ],
)
def test_answers_that_are_errors(
    run: "Run", lab: "LabServer", server_module: ModuleType, status: int, body: bytes, said: str
) -> None:
    """Each error answer, JSON or not, becomes one clean line on stderr and exit status 1."""
    lab.canned = [server_module.Answer(status, body)] * 4
    ran = run("job", "list", "--json")
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith("benchyard: ") and ran.err.endswith(said + "\n") and ran.err.count("\n") == 1
    assert "\x1b" not in ran.err


@pytest.mark.parametrize(
    "argv",
    [
        ("job", "list", "--user", "x\udcff"),
        ("host", "get", "x\udcff"),
        ("submit", "--python", "/p", "--reason", "x\udcff"),
    ],
)
def test_an_argument_that_is_no_text(run: "Run", lab: "LabServer", argv: tuple[str, ...]) -> None:
    """Bytes that are no UTF-8 are wrong usage, named in ASCII; nothing is sent."""
    ran = run(*argv)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err == "benchyard: the argument 'x\\xff' is not UTF-8 text\n"
    assert not lab.seen


def test_the_token_is_never_shown(run: "Run", lab: "LabServer", server_module: ModuleType) -> None:
    """No output of a command holds the token, errors included."""
    lab.add_job()
    for argv in (("job", "get", "1"), ("job", "get", "2"), ("job", "list", "--json"), ("host", "get", "x")):
        ran = run(*argv)
        assert server_module.TOKEN not in ran.out + ran.err


@pytest.mark.parametrize(
    "argv",
    [
        ("compare", "1", "1", "--format", "csv"),
        ("compare", "1", "1"),
        ("export", "1", "DIR"),
        ("plot", "1", "1", "--kind", "svg", "-o", "-"),
    ],
)
def test_a_reader_that_leaves(
    run: "Run", lab: "LabServer", server_module: ModuleType, argv: tuple[str, ...], tmp_path: Path
) -> None:
    """A closed pipe ends the command without a word: no file is to blame for it."""
    lab.add_result(job=None)
    if argv[0] == "plot" or "csv" in argv:
        lab.canned.append(server_module.Answer(200, b"a,b\n1,2\n", "text/plain"))
    line = ["result", *(str(tmp_path) if word == "DIR" else word for word in argv)]
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "benchyard.cli", *line], stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")
    assert lab.seen
