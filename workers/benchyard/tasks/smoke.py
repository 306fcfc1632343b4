"""Smoke: before a host's time is spent, each benchmark runs for one value, and the interpreter is the asked one."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from benchyard.tasks.benchmarkscript import measure_benchmark, pyperf_options
from benchyard.tasks.environment import ensure_environment
from benchyard.tasks.errors import InterpreterError
from benchyard.tasks.interpreter import Interpreter, inspect_interpreter
from benchyard.tasks.interpreters import use_interpreter
from benchyard.tasks.progress import Progress, format_progress
from benchyard.tasks.report import BenchmarkOutcome
from benchyard.tasks.scratch import scratch_folder
from benchyard.tasks.suite import Suite, installed_suite
from benchyard.tasks.trees import TreeStore


class SmokeReport(msgspec.Struct, frozen=True):
    """How each benchmark went; `seconds` is what all of it took."""

    suite_version: str
    benchmarks: tuple[BenchmarkOutcome, ...]
    seconds: float

    @property
    def failed(self) -> tuple[BenchmarkOutcome, ...]:
        """The benchmarks that gave no value."""
        return tuple(outcome for outcome in self.benchmarks if outcome.status == "failed")


def smoke(
    python: str,
    selections: Sequence[str] = (),
    *,
    environments: Path,
    wheels: Path | None = None,
    interpreters: TreeStore | None = None,
    commit: str | None = None,
    suite: Suite | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> SmokeReport:
    """Run each selected benchmark for a single value, with what is installed from `wheels` alone if there are any.

    `python` is a path, or a build's id in `interpreters`; InterpreterError where it says of itself that it was made
    from another commit than `commit`.
    """
    began = time.monotonic()
    suite = suite or installed_suite()
    names = suite.select(selections)
    with use_interpreter(python, interpreters) as (path, interpreter):
        if commit is not None:
            check_commit(inspect_interpreter(path), commit)
        environment = ensure_environment(
            path, interpreter, suite, names, environments=environments, wheels=wheels, say=say
        )
        options = {**pyperf_options("default", None, ()), "--debug-single-value": ""}
        outcomes = []
        with scratch_folder(environments, "smoke-") as parts:
            for index, benchmark in enumerate(suite.load(names), 1):
                say(format_progress(Progress(index, len(names), benchmark.name)))
                outcome, _values = measure_benchmark(benchmark, interpreter, suite, environment, options, parts, set())
                if outcome.error is not None:
                    say(f"benchyard: {benchmark.name} failed: {outcome.error}")
                outcomes.append(outcome)
    return SmokeReport(suite.label, tuple(outcomes), time.monotonic() - began)


def check_commit(interpreter: Interpreter, commit: str) -> None:
    """InterpreterError if an interpreter knows its commit, and that is another; a patched one is marked as such."""
    said = (interpreter.commit or "").removesuffix("-dirty").rstrip("+")
    if said and not commit.startswith(said):
        raise InterpreterError(f"the interpreter was made from commit {said}, not from {commit[:12]}")
