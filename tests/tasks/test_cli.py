"""The commands of `benchyard task`."""

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pyperf
import pytest
from click.testing import CliRunner, Result

from benchyard.cli.task import task
from benchyard.tasks.interpreter import Interpreter, inspect_interpreter
from benchyard.tasks.report import RunReport


def _invoke(*arguments: str) -> Result:
    return CliRunner().invoke(task, list(arguments))


def test_help_imports_no_tasks() -> None:
    """Neither the group's module nor the program's help imports benchyard.tasks."""
    code = (
        "import sys, benchyard.cli.task\n"
        "from benchyard.cli import main\n"
        "main(['task', '--help'])\n"
        "assert not [name for name in sys.modules if name.startswith(('benchyard.tasks', 'pyperf'))]\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    for command in ("check-interpreter", "run-benchmarks", "attach", "stop", "runs"):
        assert command in result.stdout


def test_an_interpreter_is_shown_and_given_as_json() -> None:
    """check-interpreter prints names and values, and with --json what inspect_interpreter returns."""
    shown = _invoke("check-interpreter", sys.executable)
    assert shown.exit_code == 0
    assert sys.version.split()[0] in shown.output
    printed = _invoke("check-interpreter", sys.executable, "--json")
    assert msgspec.json.decode(printed.output, type=Interpreter) == inspect_interpreter(sys.executable)


def test_a_missing_interpreter_fails_in_one_line() -> None:
    """A path that is no interpreter has status 1 and one line."""
    result = _invoke("check-interpreter", "/x/python")
    assert (result.exit_code, result.output) == (1, "Error: interpreter '/x/python' does not exist\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--benchmarks", "nbdoy"), "did you mean 'nbody'?"),
        (("--affinity", "1-"), "bad CPU list '1-'"),
        (("--metadata", "x"), "'x' is not KEY=VALUE"),
        (("--fast", "--rigorous"), "exclude each other"),
        (("--inherit-environ", "A B"), "bad name of an environment variable"),
        (("--guard", "strict", "--benchmarks", "nbdoy"), "a strict guard must know the CPUs that measure"),
    ],
)
def test_wrong_usage_has_status_2(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    """What was typed wrong has status 2 and a message that names it."""
    output = tmp_path / "out.json"
    result = _invoke("run-benchmarks", "--python", sys.executable, "--output", str(output), *arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert not output.exists()


def test_benchmarks_are_run_from_the_command_line(environments: Path, tmp_path: Path) -> None:
    """The command writes the file and the report, shows progress on stderr, and prints the report as JSON."""
    command = [sys.executable, "-m", "benchyard.cli", "task", "run-benchmarks", "--python", sys.executable, "--fast"]
    command += ["--benchmarks", "json_loads,-nbody", "--output", "out.json", "--report", "report.json", "--json"]
    command += ["--environments", str(environments), "--metadata", "lab_host=a=b", "--inherit-environ", "LANG,TZ"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False)
    assert (result.returncode, result.stderr.count("benchyard: benchmark 1/1 json_loads\n")) == (0, 1), result.stderr
    report = msgspec.json.decode(result.stdout, type=RunReport)
    assert report == msgspec.json.decode((tmp_path / "report.json").read_bytes(), type=RunReport)
    suite = pyperf.BenchmarkSuite.load(str(tmp_path / "out.json"))
    assert suite.get_metadata()["lab_host"] == "a=b"
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False)
    assert again.returncode == 2
    assert "never overwritten" in again.stderr


def test_runs_are_attached_stopped_and_listed(tmp_path: Path) -> None:
    """attach passes the output and gives the run's status, stop cancels, runs lists both."""
    state = str(tmp_path / "state")
    attached = _invoke("attach", "1.1", "--state", state, "--limit", "60", "--", "sh", "-c", "echo --hello; exit 5")
    assert attached.exit_code == 73
    assert attached.stdout == "--hello\n"
    assert "run 1.1 is done, exit status 5" in attached.stderr
    assert _invoke("stop", "1.2", "--state", state, "--interrupted").exit_code == 0
    assert _invoke("attach", "1.2", "--state", state, "--", "true").exit_code == 77
    listed = _invoke("runs", "--state", state)
    assert "1.1" in listed.output
    assert "done, exit status 5" in listed.output
    items = json.loads(_invoke("runs", "--state", state, "--json").output)["items"]
    assert [(item["run"], item["state"]) for item in items] == [("1.1", "done"), ("1.2", "interrupted")]


def test_the_state_directory_may_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --state, BENCHYARD_STATE is taken; without both it is wrong usage."""
    monkeypatch.delenv("BENCHYARD_STATE", raising=False)
    assert _invoke("runs").exit_code == 2
    monkeypatch.setenv("BENCHYARD_STATE", str(tmp_path))
    assert _invoke("runs").output == "this host has had no run yet\n"


@pytest.mark.parametrize("arguments", [("--cpus", "x"), ("--limit", "0"), ("--limit", "nan")])
def test_wrong_options_of_attach_have_status_2(arguments: tuple[str, str], tmp_path: Path) -> None:
    """A bad CPU list or time limit is wrong usage, and nothing starts."""
    assert _invoke("attach", "1.1", "--state", str(tmp_path), *arguments, "--", "true").exit_code == 2
    assert _invoke("attach", "../1", "--state", str(tmp_path), "--", "true").exit_code == 2
    assert list(tmp_path.iterdir()) == []
