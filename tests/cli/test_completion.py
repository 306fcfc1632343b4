"""The shell's completion: scripts, and names that the lab is asked for."""

import socket
import time
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Run
    from tests.client.lab_server import LabServer


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_printed(run_program: "Run", shell: str) -> None:
    """`completion SHELL` prints the script that calls us back."""
    ran = run_program("completion", shell)
    assert ran.status == 0 and f"_BENCHYARD_COMPLETE={shell}_complete" in ran.out


def offered(run_program: "Run", words: str, **environ: str) -> list[str]:
    """What is offered for the last of the words."""
    count = len(words.split(" ")) - 1
    environ |= {"_BENCHYARD_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(count)}
    return [line.partition(",")[2] for line in run_program(**environ).out.split("\n") if line]


def test_names_come_from_the_lab(run_program: "Run", lab: "LabServer", server_module: ModuleType) -> None:
    """Jobs, results, hosts, users, targets and destinations are completed with what the lab has."""
    lab.add_job()
    lab.add_job()
    lab.add_result()
    lab.hosts["quiet-1"] = server_module.a_host("quiet-1")
    lab.destinations = [server_module.a_destination("speed")]
    environ = {"BENCHYARD_URL": lab.url, "BENCHYARD_TOKEN": server_module.TOKEN}
    for words, names in (
        ("benchyard job get ", ["current", "last", "2", "1"]),
        ("benchyard queue move 2", ["2"]),
        ("benchyard result compare 1 ", ["last", "1", "python:3.11.7"]),
        ("benchyard result compare 1 2 py", ["python:3.11.7"]),
        ("benchyard host disable q", ["quiet-1"]),
        ("benchyard user get a", ["anna"]),
        ("benchyard queue pause l", ["linux-x86_64"]),
        ("benchyard submit --host q", ["quiet-1"]),
        ("benchyard job list --target ", ["linux-x86_64"]),
        ("benchyard result upload 1 --to s", ["speed"]),
    ):
        assert offered(run_program, words, **environ) == names, words
    assert offered(run_program, f"benchyard --url {lab.url} host get ", BENCHYARD_TOKEN=server_module.TOKEN) == [
        "quiet-1"
    ]


def test_no_lab_is_silence(run_program: "Run") -> None:
    """Without a lab, or with one that does not answer, nothing is offered within seconds and nothing is said."""
    assert offered(run_program, "benchyard host get ") == []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        started = time.monotonic()
        environ = {"BENCHYARD_URL": f"http://127.0.0.1:{listener.getsockname()[1]}", "BENCHYARD_TOKEN": "any"}
        assert offered(run_program, "benchyard job get ", **environ) == ["current", "last"]
        assert time.monotonic() - started < 10  # four tries of the client would have taken longer
