"""Measuring an interpreter with the suite, one benchmark at a time.

This is what `pyperformance run` does, with some differences: nothing is installed that is there already, each
benchmark's values are on disk before the next one starts, a benchmark that fails is an outcome with its log, and one
that was disturbed is measured once more.
"""

import importlib.metadata
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from benchyard.tasks.benchmarkscript import measure_benchmark, pyperf_options, release
from benchyard.tasks.care import Care, describe, one_line
from benchyard.tasks.environment import Environment, ensure_environment
from benchyard.tasks.errors import InterpreterError, OptionError, RunError, UnfitError
from benchyard.tasks.files import tail, write_atomically
from benchyard.tasks.host.conditions import disturbances
from benchyard.tasks.interpreter import Interpreter
from benchyard.tasks.interpreters import use_interpreter
from benchyard.tasks.parts import Parts, are_whole, parts_folder
from benchyard.tasks.progress import Progress, format_progress
from benchyard.tasks.report import BenchmarkOutcome, Mode, RunReport, own_report
from benchyard.tasks.resultfile import check_metadata, interpreter_metadata, load_values, write_result
from benchyard.tasks.suite import SUITE, Suite, installed_suite
from benchyard.tasks.trees import TreeStore


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
    limits: Mapping[str, float] = {},
    track_memory: bool = False,
    care: Care | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> RunReport:
    """Measure the selected benchmarks (see `Suite.select`) and write one pyperf file to `output`.

    `python` is the path of an interpreter, or the id of one that `build_cpython` has put into `interpreters`. `output`
    must not exist; beside it, OUTPUT.parts keeps the values and logs of single benchmarks until file and report are
    written: after a kill, the same call goes on with what is missing, or does so later where the host is not fit by
    then. `affinity` are the CPUs the benchmarks run on. With the folder of `wheels`, only these are installed.
    `metadata` is added to the file's own. `inherit_environ` names variables the benchmarks get besides PATH, HOME and
    the like; the mark of a durable run is always one. `suite` is the installed one by default. `loops` fixes how often
    benchmarks, by name, are done for one value, which pyperf else finds out for itself; after `limits` seconds they are
    taken for hung. With `track_memory`, the values are bytes: in each process the peak of the memory that it shares
    with no other, looked at each 10 ms. `care` looks after the host. `say` gets the lines to show. Raises TaskError for
    arguments that cannot be used, and, with the report, RunError where no benchmark gave a value and UnfitError where
    the host is not fit: then the report is written, and `output` is not.
    """
    output, report = output.resolve(), report.resolve() if report else None
    options = pyperf_options(mode, affinity, inherit_environ)
    if track_memory:
        options["--track-memory"] = ""
    extra = check_metadata(metadata or {})
    suite, care = suite or installed_suite(), care or Care(watched=not track_memory)
    care.check(affinity)
    names = suite.select(selections)
    ended = own_report(report)
    # Not where the report is of an earlier result, and this one's pieces are still whole.
    if ended is not None and output.exists() and output.stat().st_mtime <= ended.finished:
        say("benchyard: all was measured and written when the run was killed")
        shutil.rmtree(parts_folder(output), ignore_errors=True)
        return ended
    with use_interpreter(python, interpreters) as (path, interpreter):
        _check_supported(path, interpreter)
        empty = RunReport(
            interpreter=interpreter,
            suite=SUITE,
            suite_version=suite.label,
            mode=mode,
            affinity=affinity,
            started=time.time(),
            finished=0.0,
            environment_s=0.0,
            benchmarks=(),
        )
        run = _Run(
            suite,
            options,
            loops,
            limits,
            care,
            say,
            output=output,
            environments=environments,
        )
        try:
            whole = run.measure_all(path, interpreter, names, empty, wheels=wheels, metadata=extra)
        finally:
            run.care.close()
    if report is not None:
        report.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(report, msgspec.json.format(msgspec.json.encode(whole), indent=1))
    refused = whole.guard if whole.guard is not None and not whole.guard.passed else None
    if refused is None or not run.parts.outcomes:
        run.parts.remove()  # not before all is written: killed until now, the run takes up where it was
    if refused is not None:
        reasons = "; ".join(finding.message for finding in refused.findings if finding.severity == "refuse")
        raise UnfitError(f"the host is not fit to measure, waited {refused.waited_s:.0f} s: {reasons}", whole)
    if len(whole.failed) == len(whole.benchmarks):
        first = whole.benchmarks[0]
        raise RunError(f"none of {len(names)} benchmarks gave a value; {first.name}: {first.error}", whole)
    return whole


class _Run:
    """One run of benchmarks: how each is measured, and what has come of it so far."""

    def __init__(
        self,
        suite: Suite,
        options: Mapping[str, str],
        loops: Mapping[str, int],
        limits: Mapping[str, float],
        care: Care,
        say: Callable[[str], None],
        *,
        output: Path,
        environments: Path,
    ) -> None:
        self.suite, self.options, self.loops, self.limits = suite, options, loops, limits
        self.care, self.say = care, say
        self.output, self.environments = output, environments
        self.outcomes: list[BenchmarkOutcome] = []
        self.measured: list[Any] = []

    def measure_all(
        self,
        python: str,
        interpreter: Interpreter,
        names: Sequence[str],
        empty: RunReport,
        *,
        wheels: Path | None,
        metadata: Mapping[str, str],
    ) -> RunReport:
        """Measure one benchmark after the other and write the file; the report that was begun comes back whole."""
        plan: dict[str, Any] = {
            "interpreter": interpreter.id,
            "suite": self.suite.label,
            "names": names,
            "mode": empty.mode,
        }
        memory = {"memory": True} if "--track-memory" in self.options else {}
        plan |= {"loops": self.loops, **memory}
        folder = parts_folder(self.output)
        if self.output.exists() and not are_whole(folder, plan, names):
            raise OptionError(f"the output file {self.output} exists; results are never overwritten: name another")
        self.output.parent.mkdir(parents=True, exist_ok=True)
        self.parts = Parts(folder, plan)
        what = f"{interpreter.implementation} {interpreter.version} at {python}"
        self.say(f"benchyard: measuring {what} with {SUITE} {self.suite.label}")
        environment = ensure_environment(
            python, interpreter, self.suite, names, environments=self.environments, wheels=wheels, say=self.say
        )
        if self.parts.outcomes.keys() >= set(names):
            fit = True
            self.care.take_up(empty.affinity, self.parts.guard)
        else:
            fit = self.care.begin(self.environments, empty.affinity, self.say)
            if fit and self.care.guard is not None:
                self.parts.keep_guard(self.care.guard)
        begun = msgspec.structs.replace(
            empty,
            environment_s=environment.seconds,
            environment=environment.path,
            pip_calls=environment.pip_calls,
            setup=self.care.setup,
            guard=self.care.guard,
        )
        if not fit:
            return msgspec.structs.replace(begun, finished=time.time())
        self.options = {**self.options, **self.care.options(environment.python, self.parts.folder)}
        for index, benchmark in enumerate(self.suite.load(names), 1):
            self.say(format_progress(Progress(index, len(names), benchmark.name)))
            if benchmark.name not in self.parts.outcomes:
                self._measure(benchmark, interpreter, environment)
            self.outcomes.append(self.parts.outcomes[benchmark.name])
            done = self.parts.done(benchmark.name)
            self.measured += load_values(done, self._known()) if done is not None else []
        grade, fingerprint = self.care.end(interpreter, self.suite, self.outcomes)
        if self.measured:
            said = {**metadata, **interpreter_metadata(interpreter), **describe(self.care, grade, fingerprint)}
            write_result(self.measured, said, self.output)
        self.say(f"benchyard: grade {grade.letter}" + (f": {'; '.join(grade.reasons)}" if grade.reasons else ""))
        return msgspec.structs.replace(
            begun,
            finished=time.time(),
            benchmarks=tuple(self.outcomes),
            grade=grade,
            fingerprint=fingerprint,
        )

    def _measure(self, benchmark: Any, interpreter: Interpreter, environment: Environment) -> None:
        """Measure one benchmark, and once more if it was disturbed; the better of the two counts."""
        given_up = self.parts.begin(benchmark.name)
        outcome, values = (given_up, []) if given_up else self._try(benchmark, interpreter, environment)
        if outcome.disturbed and outcome.error is None:
            self.say(f"benchyard: {benchmark.name} was disturbed, it is measured again: {'; '.join(outcome.disturbed)}")
            again, others = self._try(benchmark, interpreter, environment)
            if again.error is None and _badness(again) <= _badness(outcome):
                outcome, values = again, others
            outcome = msgspec.structs.replace(outcome, tries=2)
        for line in tail(self.parts.folder / f"{benchmark.name}.log", 200).splitlines():
            self.say(line)
        if outcome.error is not None:
            self.say(f"benchyard: {benchmark.name} failed: {outcome.error}")
        for value in values if outcome.disturbed else ():
            value.update_metadata({"benchyard_disturbed": one_line("; ".join(outcome.disturbed))})
        self.parts.finish(outcome, partial(write_result, values, {}) if values else None)

    def _try(
        self, benchmark: Any, interpreter: Interpreter, environment: Environment
    ) -> tuple[BenchmarkOutcome, list[Any]]:
        fixed = {"--loops": str(self.loops[benchmark.name])} if benchmark.name in self.loops else {}
        moment = self.care.mark()
        outcome, values = measure_benchmark(
            benchmark,
            interpreter,
            self.suite,
            environment,
            {**self.options, **fixed},
            self.parts.folder,
            self._known(),
            limit_s=self.limits.get(benchmark.name),
            shield=self.care.shield,
        )
        conditions = self.care.since(moment)
        if conditions is not None:
            found = disturbances(conditions)
            outcome = msgspec.structs.replace(outcome, conditions=conditions, disturbed=found)
        return outcome, values

    def _known(self) -> set[str]:
        """What the benchmarks before have reported."""
        return {values.get_name() for values in self.measured}


def _badness(outcome: BenchmarkOutcome) -> tuple[int, float]:
    """How badly a benchmark was disturbed: by how many things, and how much of its time was others'."""
    conditions = outcome.conditions
    taken = 0.0
    if conditions is not None and conditions.seconds > 0:
        taken = (conditions.foreign_cpu_s + conditions.steal_s + conditions.irq_s) / conditions.seconds
    return len(outcome.disturbed), taken


def _check_supported(python: str, interpreter: Interpreter) -> None:
    from packaging.specifiers import SpecifierSet

    needed = importlib.metadata.metadata("pyperf")["Requires-Python"] or ""
    if not SpecifierSet(needed).contains(release(interpreter), prereleases=True):
        raise InterpreterError(f"interpreter {python!r} is Python {interpreter.version}; the suite needs {needed}")
