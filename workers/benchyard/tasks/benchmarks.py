"""Measuring an interpreter with the suite, one benchmark at a time.

This is what `pyperformance run` does, with three differences: nothing is installed that is there already,
each benchmark's values are on disk before the next one starts, and a benchmark that fails is an outcome with
its log.
"""

import importlib.metadata
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchyard.tasks.cpus import check_cpus, format_cpu_list
from benchyard.tasks.environment import Environment, clean_environ, ensure_environment
from benchyard.tasks.errors import InterpreterError, OptionError, RunError
from benchyard.tasks.files import append_line, tail, write_atomically
from benchyard.tasks.interpreter import Interpreter, version_numbers
from benchyard.tasks.interpreters import use_interpreter
from benchyard.tasks.processes import BUILD_MARK, MARK
from benchyard.tasks.progress import Progress, format_progress
from benchyard.tasks.report import MODES, BenchmarkOutcome, Mode, RunReport
from benchyard.tasks.resultfile import check_metadata, load_values, write_result
from benchyard.tasks.suite import SUITE, Suite, installed_suite
from benchyard.tasks.trees import TreeStore

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)
# How pyperf's parent process tells that its worker, where the benchmark itself runs, was killed.
_WORKER_SIGNAL = re.compile(r"failed with exit code -([0-9]+)")
_TIMEOUT_STATUS = 124


def run_benchmarks(
    python: str,
    selections: Sequence[str] = (),
    *,
    mode: Mode = "default",
    affinity: tuple[int, ...] | None = None,
    output: Path,
    report: Path | None = None,
    environments: Path,
    metadata: Mapping[str, str] | None = None,
    inherit_environ: Sequence[str] = (),
    interpreters: TreeStore | None = None,
    wheels: Path | None = None,
    suite: Suite | None = None,
    loops: Mapping[str, int] = {},
    say: Callable[[str], None] = lambda line: None,
) -> RunReport:
    """Measure the selected benchmarks (see `Suite.select`) and write one pyperf file to `output`.

    `python` is the path of an interpreter, or the id of one that `build_cpython` has put into `interpreters`.
    `output` must not exist; beside it, OUTPUT.parts keeps the values and logs of single benchmarks until the file is
    written. `affinity` are the CPUs the benchmarks run on. With the folder of `wheels`, only these are installed.
    `metadata` is added to the file's own. `inherit_environ` names variables the benchmarks get besides PATH, HOME and
    the like; the mark of a durable run is always one. `suite` is the installed one by default. `loops` fixes how often
    benchmarks, by name, are done for one value, which pyperf else finds out for itself. `say` gets the lines to show.
    Raises TaskError for arguments that cannot be used, and RunError, with the report, where no benchmark gave a value:
    then the report is written, and `output` is not.
    """
    output, report = output.resolve(), report.resolve() if report else None
    options = pyperf_options(mode, affinity, inherit_environ)
    extra = check_metadata(metadata or {})
    suite = suite or installed_suite()
    names = suite.select(selections)
    if output.exists():
        raise OptionError(f"the output file {output} exists; results are never overwritten: name another")
    with use_interpreter(python, interpreters) as (path, interpreter):
        _check_supported(path, interpreter)
        whole = _measure_all(
            path,
            interpreter,
            suite,
            names,
            options,
            loops,
            say,
            output=output,
            environments=environments,
            wheels=wheels,
            metadata=extra,
            empty=RunReport(
                interpreter=interpreter,
                suite=SUITE,
                suite_version=suite.label,
                mode=mode,
                affinity=affinity,
                started=time.time(),
                finished=0.0,
                environment_s=0.0,
                benchmarks=(),
            ),
        )
    if report is not None:
        report.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(report, msgspec.json.format(msgspec.json.encode(whole), indent=1))
    if len(whole.failed) == len(whole.benchmarks):
        first = whole.benchmarks[0]
        raise RunError(f"none of {len(names)} benchmarks gave a value; {first.name}: {first.error}", whole)
    return whole


def _measure_all(
    python: str,
    interpreter: Interpreter,
    suite: Suite,
    names: Sequence[str],
    options: Mapping[str, str],
    loops: Mapping[str, int],
    say: Callable[[str], None],
    *,
    output: Path,
    environments: Path,
    wheels: Path | None,
    metadata: Mapping[str, str],
    empty: RunReport,
) -> RunReport:
    """Measure one benchmark after the other and write the file; the report that was begun comes back whole."""
    output.parent.mkdir(parents=True, exist_ok=True)
    parts = output.with_name(output.name + ".parts")
    if parts.exists():
        shutil.rmtree(parts)  # of an earlier run that was killed
    parts.mkdir()
    what = f"{interpreter.implementation} {interpreter.version} at {python}"
    say(f"benchyard: measuring {what} with {SUITE} {suite.label}")
    environment = ensure_environment(
        python, interpreter, suite, names, environments=environments, wheels=wheels, say=say
    )
    outcomes: list[BenchmarkOutcome] = []
    measured: list[Any] = []
    for index, benchmark in enumerate(suite.load(names), 1):
        say(format_progress(Progress(index, len(names), benchmark.name)))
        known = {values.get_name() for values in measured}
        fixed = {"--loops": str(loops[benchmark.name])} if benchmark.name in loops else {}
        outcome, values = measure_benchmark(
            benchmark, interpreter, suite, environment, {**options, **fixed}, parts, known
        )
        append_line(parts / "outcomes.jsonl", msgspec.json.encode(outcome).decode())
        for line in tail(parts / f"{benchmark.name}.log", 200).splitlines():
            say(line)
        if outcome.error is not None:
            say(f"benchyard: {benchmark.name} failed: {outcome.error}")
        outcomes.append(outcome)
        measured += values
    if measured:
        commit = {"commit_id": interpreter.commit, "commit_branch": interpreter.branch}
        write_result(measured, {**metadata, **{key: value for key, value in commit.items() if value}}, output)
    shutil.rmtree(parts)
    return msgspec.structs.replace(
        empty,
        finished=time.time(),
        environment_s=environment.seconds,
        benchmarks=tuple(outcomes),
        environment=environment.path,
        pip_calls=environment.pip_calls,
    )


def pyperf_options(mode: str, affinity: Sequence[int] | None, inherit_environ: Sequence[str]) -> dict[str, str]:
    """Return pyperf's options, those with the value "" being flags; raises OptionError or CpuListError."""
    if mode not in MODES:
        raise OptionError(f"unknown mode {mode!r}; one of {', '.join(MODES)}")
    for name in inherit_environ:
        if not _VARIABLE.fullmatch(name):
            raise OptionError(f"bad name of an environment variable {name[:80]!r}")
    options = {} if mode == "default" else {f"--{mode}": ""}
    if affinity is not None:
        options["--affinity"] = format_cpu_list(check_cpus(affinity))
    # Without the mark, a benchmark process whose supervisor was killed could not be found.
    marks = [mark for mark in (MARK, BUILD_MARK) if mark in os.environ]
    inherited = dict.fromkeys([*inherit_environ, "PYPERFORMANCE_RUNID", *marks])
    options["--inherit-environ"] = ",".join(inherited)
    return options


def _check_supported(python: str, interpreter: Interpreter) -> None:
    from packaging.specifiers import SpecifierSet

    needed = importlib.metadata.metadata("pyperf")["Requires-Python"] or ""
    if not SpecifierSet(needed).contains(_release(interpreter), prereleases=True):
        raise InterpreterError(f"interpreter {python!r} is Python {interpreter.version}; the suite needs {needed}")


def _release(interpreter: Interpreter) -> str:
    return ".".join(str(number) for number in version_numbers(interpreter))


def measure_benchmark(
    benchmark: Any,
    interpreter: Interpreter,
    suite: Suite,
    environment: Environment,
    options: Mapping[str, str],
    parts: Path,
    known: set[str],
) -> tuple[BenchmarkOutcome, list[Any]]:
    """Run one benchmark; returns its outcome and its values (one script may measure several things)."""
    began = time.monotonic()
    name = str(benchmark.name)
    log, values = parts / f"{name}.log", parts / f"{name}.json"
    measured: list[Any] = []
    if name in environment.failed:
        error: str | None = "its requirements could not be installed"
        log.write_text(environment.failed[name] + "\n", "utf-8")
    elif not benchmark.python.contains(_release(interpreter), prereleases=True):
        error = f"it needs Python {benchmark.python}, this is {interpreter.version}"
    else:
        error = _run_script(benchmark, interpreter, environment.python, options, values, log)
    if error is None:
        try:
            measured = load_values(values, known)
        except ValueError as exc:
            error = str(exc)
    for value in measured:
        value.update_metadata({"performance_version": suite.label, "tags": benchmark.tags})
    outcome = BenchmarkOutcome(
        name=name,
        status="success" if error is None else "failed",
        seconds=time.monotonic() - began,
        error=error,
        log_tail="" if error is None else tail(log),
    )
    return outcome, measured


def _run_script(
    benchmark: Any, interpreter: Interpreter, python: str, options: Mapping[str, str], values: Path, log: Path
) -> str | None:
    """Run a benchmark's script with pyperf's options as pyperformance does; returns what went wrong."""
    flags = [f"{option}={value}" if value else option for option, value in options.items()]
    argv = [python, "-u", benchmark.runscript, *benchmark.extra_opts, *flags, "--output", str(values)]
    environ = {**clean_environ(os.environ), "PYPERFORMANCE_RUNID": _run_id(benchmark, interpreter)}
    # To a file, not through a pipe: this process would wake up for each line, maybe on the CPU that measures.
    with log.open("wb") as file:
        try:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environ)
        except OSError as exc:
            return f"cannot run {argv[0]!r}: {exc.strerror}"
        try:
            status = process.wait()
        except BaseException:
            _interrupt(process)
            raise
    if status == 0:
        return None
    worker = _WORKER_SIGNAL.search(tail(log)) if status > 0 else None
    if status < 0 or worker:
        return f"killed by signal {-status if status < 0 else int(worker[1])}"  # type: ignore[index]
    return "timed out" if status == _TIMEOUT_STATUS else f"its script ended with exit status {status}"


def _interrupt(process: "subprocess.Popen[bytes]") -> None:
    """End a benchmark as Ctrl-C does: pyperf then ends its worker, which a SIGTERM would leave behind."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _run_id(benchmark: Any, interpreter: Interpreter) -> str:
    """Return pyperformance's name of a run, which some benchmarks' scripts read."""
    from pyperformance.run import get_compatibility_id

    major, minor, _ = version_numbers(interpreter)
    python = f"{interpreter.implementation}{major}.{minor}-{interpreter.id[:12]}"
    return f"{python}-compat-{get_compatibility_id(benchmark)}-bm-{benchmark.name}-{int(time.time())}"
