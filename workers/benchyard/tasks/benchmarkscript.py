"""One benchmark of the suite, run by pyperf as pyperformance does it: its values, or what went wrong and its log."""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchyard.tasks.cpus import check_cpus, format_cpu_list
from benchyard.tasks.environment import Environment, clean_environ, telling_line
from benchyard.tasks.errors import OptionError
from benchyard.tasks.files import tail
from benchyard.tasks.host.shield import Shield, processes_of
from benchyard.tasks.interpreter import Interpreter, version_numbers
from benchyard.tasks.processes import BUILD_MARK, MARK, kill_all, marked
from benchyard.tasks.report import MODES, BenchmarkOutcome
from benchyard.tasks.resultfile import load_values
from benchyard.tasks.suite import Suite

#: Bytes that a benchmark may print; one that prints without end would fill the disk.
MOST_OUTPUT = 64 * 1024 * 1024

# What pyperformance names a run by: all that a benchmark starts has it in its environment.
_RUN_ID = "PYPERFORMANCE_RUNID"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)
# How pyperf's parent process tells that its worker, where the benchmark itself runs, was killed.
_WORKER_SIGNAL = re.compile(r"failed with exit code -([0-9]+)")
_TIMEOUT_STATUS = 124
_LOOK_S = 1.0
_KILL_S = 10.0
# Of all processes the kernel ends a benchmark first when memory runs out, and not the run's supervisor.
_OOM_SCORE = "1000"


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
    inherited = dict.fromkeys([*inherit_environ, _RUN_ID, *marks])
    options["--inherit-environ"] = ",".join(inherited)
    return options


def release(interpreter: Interpreter) -> str:
    return ".".join(str(number) for number in version_numbers(interpreter))


def measure_benchmark(
    benchmark: Any,
    interpreter: Interpreter,
    suite: Suite,
    environment: Environment,
    options: Mapping[str, str],
    parts: Path,
    known: set[str],
    *,
    limit_s: float | None = None,
    shield: Shield | None = None,
) -> tuple[BenchmarkOutcome, list[Any]]:
    """Run one benchmark; returns its outcome and its values (one script may measure several things).

    Nothing of it runs on afterwards, nor anything else in the measuring group of the `shield`.
    """
    began = time.monotonic()
    name = str(benchmark.name)
    log, values = parts / f"{name}.log", parts / f"{name}.json"
    values.unlink(missing_ok=True)  # of the try before
    measured: list[Any] = []
    if name in environment.failed:
        error: str | None = f"its requirements could not be installed: {telling_line(environment.failed[name])}"
        log.write_text(environment.failed[name] + "\n", "utf-8")
    elif not benchmark.python.contains(release(interpreter), prereleases=True):
        error = f"it needs Python {benchmark.python}, this is {interpreter.version}"
    else:
        error = _run_script(benchmark, interpreter, environment.python, options, values, log, limit_s, shield)
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
    benchmark: Any,
    interpreter: Interpreter,
    python: str,
    options: Mapping[str, str],
    values: Path,
    log: Path,
    limit_s: float | None,
    shield: Shield | None,
) -> str | None:
    """Run a benchmark's script with pyperf's options as pyperformance does; returns what went wrong."""
    flags = [f"{option}={value}" if value else option for option, value in options.items()]
    argv = [python, "-u", benchmark.runscript, *benchmark.extra_opts, *flags, "--output", str(values)]
    run_id = _run_id(benchmark, interpreter)
    environ = {**clean_environ(os.environ), _RUN_ID: run_id}
    # To a file, not through a pipe: this process would wake up for each line.
    with log.open("wb") as file:
        try:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environ, preexec_fn=_be_ended_first
            )
        except OSError as exc:
            return f"cannot run {argv[0]!r}: {exc.strerror}"
        try:
            status = _wait(process, log, limit_s)
        except _CutOff as exc:
            _interrupt(process)
            return str(exc)
        except BaseException:
            _interrupt(process)
            raise
        finally:
            _end_leftovers(run_id, shield)
    if status == 0:
        return None
    worker = _WORKER_SIGNAL.search(tail(log)) if status > 0 else None
    if status < 0 or worker:
        return f"killed by signal {-status if status < 0 else int(worker[1])}"  # type: ignore[index]
    return "timed out" if status == _TIMEOUT_STATUS else f"its script ended with exit status {status}"


class _CutOff(Exception):
    """A benchmark that must not go on; the message says why."""


def _wait(process: "subprocess.Popen[bytes]", log: Path, limit_s: float | None) -> int:
    """Wait for the end of a script, and look now and then what it does; raises _CutOff."""
    deadline = None if limit_s is None else time.monotonic() + limit_s
    while True:
        try:
            return process.wait(timeout=_LOOK_S)
        except subprocess.TimeoutExpired:
            if log.stat().st_size > MOST_OUTPUT:
                os.truncate(log, MOST_OUTPUT)
                raise _CutOff(f"it printed more than {MOST_OUTPUT >> 20} MiB") from None
            if deadline is not None and time.monotonic() > deadline:
                raise _CutOff(f"it took longer than its time limit of {limit_s:.0f} s") from None


def _be_ended_first() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)


def _interrupt(process: "subprocess.Popen[bytes]") -> None:
    """End a benchmark as Ctrl-C does: pyperf then ends its worker, which a SIGTERM would leave behind."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _end_leftovers(run_id: str, shield: Shield | None) -> None:
    """End what a benchmark has left running: it would disturb the next one, and pass for that one's own."""

    def find() -> list[int]:
        inside = processes_of(shield) if shield is not None else ()
        return sorted({*marked(Path(run_id), _RUN_ID), *inside})

    kill_all(find, grace_s=0.0, limit_s=_KILL_S)


def _run_id(benchmark: Any, interpreter: Interpreter) -> str:
    """Return pyperformance's name of a run, which some benchmarks' scripts read."""
    from pyperformance.run import get_compatibility_id

    major, minor, _ = version_numbers(interpreter)
    python = f"{interpreter.implementation}{major}.{minor}-{interpreter.id[:12]}"
    return f"{python}-compat-{get_compatibility_id(benchmark)}-bm-{benchmark.name}-{int(time.time())}"
