"""Profiling benchmarks: where an interpreter spends their time, as folded stacks and a flame graph of each.

OUTPUT/profile.json    what was profiled and how, and the other files with their hashes
       NAME.folded     the stacks of a benchmark
       NAME.svg        its flame graph
       .parts/         the pieces (`parts`) until all is written: a profile that is killed takes up where it was
"""

import hashlib
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchyard.tasks.benchmarkscript import measure_benchmark, pyperf_options
from benchyard.tasks.care import Care
from benchyard.tasks.environment import Environment, ensure_environment
from benchyard.tasks.errors import OptionError, RunError
from benchyard.tasks.files import tail, write_atomically
from benchyard.tasks.flamegraph import draw
from benchyard.tasks.folding import Stack, benchmark_stacks, fold_perf_script, format_folded, merged, parse_folded
from benchyard.tasks.interpreter import Interpreter
from benchyard.tasks.interpreters import use_interpreter
from benchyard.tasks.parts import Parts
from benchyard.tasks.profiled import PROGRAM, forget_maps, forget_parts, forget_tries, profiled_python
from benchyard.tasks.profilers import Choice, Profiler, choose_profiler
from benchyard.tasks.progress import Progress, format_progress
from benchyard.tasks.report import Attachment, BenchmarkOutcome, Mode, RunReport, own_report
from benchyard.tasks.suite import SUITE, Suite, installed_suite
from benchyard.tasks.trees import TreeStore

PROFILE = "profile.json"

# Where the pieces are, in the output.
PARTS = ".parts"

#: Values of each benchmark: pyperf gives each at least 0.1 s, so these are seconds that are looked at.
VALUES = {"fast": 10, "default": 40, "rigorous": 150}

_FOLD_S = 600


class ProfiledBenchmark(msgspec.Struct, frozen=True):
    """A benchmark's profile: how many samples of it there are, and its files."""

    name: str
    samples: int
    files: tuple[Attachment, ...]


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What a run of the profiler gave; `why` says why it was this profiler, `rate_hz` are its samples a second."""

    profiler: str
    rate_hz: int
    why: str
    python_frames: bool
    interpreter: Interpreter
    suite: str
    suite_version: str
    mode: str
    started: float
    benchmarks: tuple[ProfiledBenchmark, ...]


def profile_benchmarks(
    python: str,
    selections: Sequence[str] = (),
    *,
    mode: Mode = "default",
    profiler: Choice = "auto",
    output: Path,
    report: Path | None = None,
    environments: Path,
    interpreters: TreeStore | None = None,
    wheels: Path | None = None,
    suite: Suite | None = None,
    care: Care | None = None,
    inherit_environ: Sequence[str] = (),
    say: Callable[[str], None] = lambda line: None,
) -> RunReport:
    """Profile the selected benchmarks (see `Suite.select`) and put what came of it into the folder `output`.

    `python` is the path of an interpreter, or the id of one that `build_cpython` has put into `interpreters`. The
    values that a profiled benchmark gives are thrown away: it was slowed down. Raises TaskError for arguments that
    cannot be used, ProfilerError where no profiler can be had, and RunError where no benchmark gave a sample.
    """
    output, report = output.resolve(), report.resolve() if report else None
    options = pyperf_options("default", None, inherit_environ)
    if mode not in VALUES:
        raise OptionError(f"unknown mode {mode!r}; one of {', '.join(VALUES)}")
    options |= {"--processes": "1", "--warmups": "0", "--values": str(VALUES[mode])}
    suite, care = suite or installed_suite(), care or Care()
    names = suite.select(selections)
    if (output / PROFILE).exists():
        if (ended := own_report(report)) is not None:
            say("benchyard: all was profiled and written when the run was killed")
            forget_parts(output / PARTS)
            return ended
        raise OptionError(f"the folder {output} has a profile; profiles are never overwritten: name another")
    began = time.time()
    with use_interpreter(python, interpreters) as (path, interpreter):
        chosen = choose_profiler(profiler, path, interpreter)
        say(f"benchyard: profiling {interpreter.implementation} {interpreter.version} at {path} with {chosen.label}")
        if chosen.why:
            say(f"benchyard: {chosen.why}")
        environment = ensure_environment(
            path, interpreter, suite, names, environments=environments, wheels=wheels, say=say
        )
        plan = {
            "interpreter": interpreter.id,
            "suite": suite.label,
            "names": names,
            "mode": mode,
            "profiler": [chosen.label, chosen.rate_hz, chosen.python_frames],
        }
        run = _Run(chosen, interpreter, suite, environment, options, care, output, plan, say)
        outcomes, profiled = run.profile_all(names)
    profile = Profile(
        profiler=chosen.label,
        rate_hz=chosen.rate_hz,
        why=chosen.why,
        python_frames=chosen.python_frames,
        interpreter=interpreter,
        suite=SUITE,
        suite_version=suite.label,
        mode=mode,
        started=began,
        benchmarks=tuple(profiled),
    )
    whole = RunReport(
        interpreter=interpreter,
        suite=SUITE,
        suite_version=suite.label,
        mode=mode,
        affinity=None,
        started=began,
        finished=time.time(),
        environment_s=environment.seconds,
        benchmarks=tuple(outcomes),
        environment=environment.path,
        pip_calls=environment.pip_calls,
        setup=care.setup,
        attachments=tuple(file for one in profiled for file in one.files),
    )
    if report is not None:
        report.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(report, msgspec.json.format(msgspec.json.encode(whole), indent=1))
    if profiled:  # last of all: killed until now, the run takes up where it was; with a profile it has ended
        write_atomically(output / PROFILE, msgspec.json.format(msgspec.json.encode(profile), indent=1))
    run.parts.remove()
    if not profiled:
        raise RunError(f"none of {len(names)} benchmarks gave a sample; {names[0]}: {outcomes[0].error}", whole)
    return whole


class _Run:
    """One run of the profiler over benchmarks."""

    def __init__(
        self,
        profiler: Profiler,
        interpreter: Interpreter,
        suite: Suite,
        environment: Environment,
        options: dict[str, str],
        care: Care,
        output: Path,
        plan: dict[str, Any],
        say: Callable[[str], None],
    ) -> None:
        self.profiler, self.interpreter, self.suite = profiler, interpreter, suite
        self.environment, self.options, self.care = environment, options, care
        self.output, self.say = output, say
        forget_tries(output / PARTS)
        self.parts = Parts(output / PARTS, plan)

    def profile_all(self, names: Sequence[str]) -> tuple[list[BenchmarkOutcome], list[ProfiledBenchmark]]:
        """Profile one benchmark after the other; each one's files are there before the next one starts."""
        self.options |= self.care.options(self.environment.python, self.parts.folder)
        outcomes, profiled = [], []
        for index, benchmark in enumerate(self.suite.load(names), 1):
            self.say(format_progress(Progress(index, len(names), benchmark.name)))
            if benchmark.name not in self.parts.outcomes:
                self._profile(benchmark)
            outcome, done = self.parts.outcomes[benchmark.name], self.parts.done(benchmark.name)
            if done is not None:
                found = msgspec.json.decode(done.read_bytes(), type=ProfiledBenchmark)
                profiled.append(found)
                self.say(f"benchyard: {benchmark.name}: {found.samples} samples")
            else:
                self.say(f"benchyard: {benchmark.name} failed: {outcome.error}")
            outcomes.append(outcome)
        return outcomes, profiled

    def _profile(self, benchmark: Any) -> None:
        given_up = self.parts.begin(benchmark.name)
        outcome, found = (given_up, None) if given_up else self._try(benchmark)
        if found is None:
            for line in tail(self.parts.folder / f"{benchmark.name}.log", 200).splitlines():
                self.say(line)
        data = msgspec.json.encode(found)
        self.parts.finish(outcome, None if found is None else lambda path: write_atomically(path, data))

    def _try(self, benchmark: Any) -> tuple[BenchmarkOutcome, ProfiledBenchmark | None]:
        parts = self.parts.folder
        seen = parts / f"{benchmark.name}.seen"
        seen.mkdir()
        wrapper = seen / PROGRAM
        inner = self.options.get("--python", self.environment.python)
        write_atomically(wrapper, profiled_python(self.profiler, inner, seen).encode(), mode=0o755)
        wrapper.chmod(0o755)  # whatever the umask
        hook = {"--hook": "perf_record"} if self.profiler.name == "perf" else {}
        options = {**self.options, **hook, "--python": str(wrapper)}
        outcome, _values = measure_benchmark(
            benchmark,
            self.interpreter,
            self.suite,
            self.environment,
            options,
            parts,
            set(),
            shield=self.care.shield,
        )
        try:
            stacks = benchmark_stacks(self._stacks(seen), Path(benchmark.runscript).name)
        finally:
            if self.profiler.name == "perf":
                forget_maps(seen)
            shutil.rmtree(seen)
        if outcome.error is None and not stacks:
            error = f"{self.profiler.name} took no samples of it"
            log = tail(parts / f"{benchmark.name}.log")
            outcome = msgspec.structs.replace(outcome, status="failed", error=error, log_tail=log)
        if outcome.error is not None:
            return outcome, None
        return outcome, ProfiledBenchmark(benchmark.name, stacks.total(), self._write(benchmark.name, stacks))

    def _stacks(self, seen: Path) -> Counter[Stack]:
        if self.profiler.name == "py-spy":
            return merged(parse_folded(path.read_text("utf-8", "replace")) for path in sorted(seen.glob("*.folded")))
        return merged(fold_perf_script(self._perf_script(path)) for path in sorted(seen.glob("perf.data.*")))

    def _perf_script(self, data: Path) -> str:
        """What perf has recorded, as text; nothing where it cannot be read: the benchmark may have been killed."""
        argv = [self.profiler.program, "script", "-i", str(data), "-F", "comm,tid,ip,sym,dso"]
        try:
            done = subprocess.run(
                argv, capture_output=True, text=True, errors="replace", timeout=_FOLD_S, stdin=subprocess.DEVNULL
            )
        except (OSError, subprocess.TimeoutExpired) as exc:
            self.say(f"benchyard: perf script: {exc}")
            return ""
        return done.stdout

    def _write(self, name: str, stacks: Counter[Stack]) -> tuple[Attachment, ...]:
        what = f"{self.interpreter.implementation} {self.interpreter.version}"
        note = f"{stacks.total()} samples, {self.profiler.rate_hz} a second, by {self.profiler.label}"
        if not self.profiler.python_frames:
            note += "; C functions only"
        texts = {
            f"{name}.svg": draw(stacks, title=f"{name}: {what}", note=note),
            f"{name}.folded": format_folded(stacks),
        }
        files = []
        for file, text in texts.items():
            data = text.encode()
            write_atomically(self.output / file, data)
            files.append(Attachment(file, len(data), hashlib.sha256(data).hexdigest()))
        return tuple(files)
