"""The root of the command line: its help, its errors and what it imports."""

import subprocess
import sys
from collections.abc import Iterator
from inspect import cleandoc
from typing import TYPE_CHECKING

import click
import pytest

from benchyard.cli import main
from benchyard.cli.root import COMMANDS

if TYPE_CHECKING:
    from tests.cli.conftest import Run

HEAVY = ("twisted", "buildbot", "buildbot_worker", "pyperformance", "pyperf", "sqlalchemy", "numpy")
SLOW = (*HEAVY, "httpx", "rich", "msgspec", "benchyard.tasks", "benchyard.client")
OURS = (
    "benchyard.client",
    "benchyard.cli",
    *(
        f"benchyard.cli.{name}"
        for name in ("login", "submit", "job", "result", "host", "queue", "user", "completion", "watch")
    ),
)


def modules_after(code: str) -> set[str]:
    """The modules that a new interpreter has imported after running code."""
    code += "\nimport sys; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.split())


def test_the_client_needs_no_buildbot() -> None:
    """No module of the client or of its commands imports Twisted, Buildbot or anything of a lab's own."""
    code = "".join(f"import {name}\n" for name in OURS)
    assert not modules_after(code) & set(HEAVY)


def test_help_imports_nothing_slow() -> None:
    """The help is printed without importing what the commands need."""
    code = "from benchyard.cli import main\nmain(['--help'])\nmain(['--version'])"
    assert not modules_after(code) & set(SLOW)


def test_help_names_all_commands(run_program: "Run") -> None:
    """`benchyard --help` lists every command with a line about it."""
    ran = run_program("--help")
    assert ran.status == 0 and not ran.err
    for name, lazy in COMMANDS.items():
        assert any(line.split()[:1] == [name] and lazy.help in line for line in ran.out.splitlines())


def test_help_names_what_the_environment_says(run_program: "Run") -> None:
    """It names the variables by which a script reaches a lab without a login."""
    said = run_program("--help").out
    assert "$BENCHYARD_URL" in said and "$BENCHYARD_TOKEN" in said


def leaves(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """The commands below a group, with their paths."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    for name, sub in command.commands.items():
        yield from leaves(sub, f"{path} {name}")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_leads_to_commands(name: str) -> None:
    """Each name of the table is a command of that name; every command of ours has a help text with an example."""
    command = COMMANDS[name].load()
    assert command.name == name and command.help
    for path, each in leaves(command, f"benchyard {name}"):
        assert f"\n\nExample: {path}" in cleandoc(each.help or "").replace('eval "$(', ""), path


def test_every_command_of_a_lab_has_json() -> None:
    """--json and --url are accepted by every command that asks a lab, --json by those that look after one, too."""
    asking, caring = ("submit", "job", "result", "host", "queue", "user", "notice"), ("login", "lab", "worker")
    for name in (*asking, *caring):
        for path, each in leaves(COMMANDS[name].load(), name):
            options = {option for parameter in each.params for option in parameter.opts}
            assert {"--json", *(["--url"] if name in asking else [])} <= options, path


def test_the_commands_are_those_of_the_design() -> None:
    """The groups have the commands that are promised for them."""
    promised = {
        "job": "list get add remove modify enable disable current run attach cancel wait log",
        "queue": "list get push pop move remove pause unpause",
        "host": "list get add remove modify enable disable configure update check lease inventory noise",
        "user": "list get add remove modify enable disable passwd try-secret token",
        "result": "list get add remove modify enable disable read write upload uploads destinations compare "
        "import export prune series plot regressions regression",
    }
    for name, commands in promised.items():
        group = COMMANDS[name].load()
        assert isinstance(group, click.Group) and set(group.commands) == set(commands.split())


def test_a_missing_package_names_the_extra(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A command whose packages are not installed says what to install."""

    def missing(name: str) -> None:
        raise ModuleNotFoundError("No module named 'pyperformance'", name="pyperformance")

    monkeypatch.setattr("benchyard.cli.lazy.import_module", missing)
    assert main(["task", "runs"]) == 1
    assert "pip install 'benchyard[tasks]'" in capsys.readouterr().err


def test_a_package_missed_late_names_the_extra(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same when the package is missed only while the command runs."""

    @click.command()
    def runs() -> None:
        raise ModuleNotFoundError("No module named 'pyperformance'", name="pyperformance")

    monkeypatch.setattr("benchyard.cli.lazy.LazyCommand.load", lambda self: runs)
    assert main(["task"]) == 1
    assert "pip install 'benchyard[tasks]'" in capsys.readouterr().err


def test_a_wrong_command_is_wrong_usage(run_program: "Run") -> None:
    """What does not exist is one line on stderr and exit status 2."""
    ran = run_program("jbo")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith("benchyard: No such command 'jbo'") and ran.err.count("\n") == 1


def test_no_command_shows_the_help(run_program: "Run") -> None:
    """Without a command the help goes to stderr, with exit status 2."""
    ran = run_program()
    assert ran.status == 2 and ran.err.startswith("Usage: benchyard") and not ran.out


def test_a_reader_that_leaves_is_no_crash() -> None:
    """A closed pipe ends the command without a traceback."""
    code = "import sys; from benchyard.cli import main; sys.exit(main(['--help']))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    error = process.stderr.read()
    process.stderr.close()
    process.wait(60)
    assert b"Traceback" not in error and b"Exception ignored" not in error


def test_commands_complete_without_being_imported(run_program: "Run") -> None:
    """The shell completes command names, and the words that stand for a job."""
    environ = {"_BENCHYARD_COMPLETE": "bash_complete", "COMP_WORDS": "benchyard j", "COMP_CWORD": "1"}
    assert run_program(**environ).out.split() == ["plain,job"]
    environ |= {"COMP_WORDS": "benchyard job get c", "COMP_CWORD": "3"}
    assert run_program(**environ).out.split() == ["plain,current"]
