"""Command lines of runs."""

from collections.abc import Callable

import msgspec
import pytest

from benchyard.cli.task import task
from benchyard.steps.base import PYTHON_VARIABLE, STATE_VARIABLE, state_option, task_command
from benchyard.steps.commands import MODE_OPTIONS, HostCare, measuring_arguments
from benchyard.steps.kinds import find_kind
from benchyard.store.rows import Attempt, Job

MakeJob = Callable[..., Job]
MakeAttempt = Callable[..., Attempt]

CARE = HostCare()


def arguments(job: Job, attempt: Attempt, care: HostCare = CARE) -> tuple[tuple[str, ...], tuple[str, ...]]:
    kind = find_kind(job.kind)
    return measuring_arguments(job, attempt, kind, state="/var/lab state", care=care, limit_s=28800.0)


def value_of(option: str, words: tuple[str, ...]) -> str | None:
    return words[words.index(option) + 1] if option in words else None


def test_run_of_a_job(make_job: MakeJob, make_attempt: MakeAttempt) -> None:
    """The whole command line, each word an argument of its own; a path with a space stays one."""
    options, run = arguments(make_job(), make_attempt())
    assert options == (
        *("--state", "/var/lab state", "--limit", "28800", "--seen", "0"),
        *("--restarts", "5", "--measuring", "auto"),
    )
    assert run == (
        *("--python", "/opt/p y/bin/python3"),
        *("--benchmarks", "nbody,2to3"),
        *("--guard", "warn", "--guard-wait", "60"),
        *("--output", "/var/lab state/runs/7.2/result.json"),
        *("--report", "/var/lab state/runs/7.2/report.json"),
        *("--environments", "/var/lab state/environments"),
        *("--inherit-environ", "BENCHYARD_RUN"),
    )


def test_run_of_a_built_interpreter(make_job: MakeJob, make_attempt: MakeAttempt) -> None:
    """Where its commit is from goes into the file; the branch only where one was named."""
    source = {"remote": "ada", "ref": "idea", "commit": "1" * 40, "branch": "idea", "merge_base": "2" * 40}
    for branch, said in (("idea", ["commit_branch=idea"]), (None, [])):
        job = msgspec.structs.replace(
            make_job(python="", source={**source, "branch": branch}), prepared={"interpreter": "3" * 64}
        )
        _options, run = arguments(job, make_attempt())
        assert value_of("--build", run) == "3" * 64
        given = [run[index + 1] for index, word in enumerate(run) if word == "--metadata"]
        assert given == [*said, "benchyard_remote=ada", "benchyard_ref=idea", f"benchyard_merge_base={'2' * 40}"]
        known = {option for parameter in task.commands["run-benchmarks"].params for option in parameter.opts}
        assert {word for word in run if word.startswith("--")} <= known


@pytest.mark.parametrize(("mode", "option"), [("default", None), ("fast", "--fast"), ("rigorous", "--rigorous")])
def test_mode(make_job: MakeJob, make_attempt: MakeAttempt, mode: str, option: str | None) -> None:
    """Only the option of the job's mode is given."""
    _options, run = arguments(make_job(mode=mode), make_attempt())
    assert [word for word in run if word in ("--fast", "--rigorous")] == ([option] if option else [])


def test_modes_are_those_of_requests() -> None:
    """Every mode that may be asked for can be run."""
    from benchyard.queueing.requests import MODES

    assert set(MODE_OPTIONS) == set(MODES)


@pytest.mark.parametrize(
    ("asked", "of_host", "used"), [(None, "", "auto"), (None, "2-3", "2-3"), ("1", "2-3", "1"), ("1", "", "1")]
)
def test_cpus(make_job: MakeJob, make_attempt: MakeAttempt, asked: str | None, of_host: str, used: str) -> None:
    """The job's own CPUs go before the host's; without either, the host finds some."""
    options, _run = arguments(make_job(affinity=asked), make_attempt(), HostCare(of_host))
    assert value_of("--measuring", options) == used


def test_limits(make_job: MakeJob, make_attempt: MakeAttempt) -> None:
    """A benchmark that has run before is given so much time, in whole seconds; others have the run's."""
    limits = {"nbody": 300.0, "other": 7.0}
    _options, run = measuring_arguments(
        make_job(), make_attempt(), find_kind("benchmarks"), state="/s", care=CARE, limit_s=1.0, limits=limits
    )
    assert value_of("--limits", run) == "nbody=300"


def test_care(make_job: MakeJob, make_attempt: MakeAttempt) -> None:
    """A host's file says what is done to it and what its guard does."""
    options, run = arguments(make_job(), make_attempt(), HostCare(tune=False, shield=False, guard="strict"))
    assert options[-2:] == ("--no-tune", "--no-shield")
    assert value_of("--guard", run) == "strict"


def test_options_are_those_of_the_command(make_job: MakeJob, make_attempt: MakeAttempt) -> None:
    """The host's `benchyard task` knows every option that the master gives it."""
    options, run = arguments(make_job(mode="fast", affinity="1"), make_attempt())
    for name, words in (("attach", options), ("run-benchmarks", run)):
        known = {option for parameter in task.commands[name].params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known


def test_python_and_state_are_the_workers(make_job: MakeJob) -> None:
    """The commands are of the Python and the state folder that the worker's own environment names."""
    environ = {PYTHON_VARIABLE: "/venv/bin/python", STATE_VARIABLE: "/state"}
    assert task_command(environ, "stop", "7.2") == ["/venv/bin/python", "-m", "benchyard.cli", "task", "stop", "7.2"]
    assert task_command({}, "runs")[0] == "python3"
    assert list(state_option(environ)) == ["--state", "/state"]
    assert list(state_option({})) == []
