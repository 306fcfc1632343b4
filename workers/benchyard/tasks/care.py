"""The care that is taken of a measurement: a fit host before, an eye on it meanwhile, and a grade afterwards."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchyard.tasks.cpus import format_cpu_list
from benchyard.tasks.errors import OptionError
from benchyard.tasks.host.conditions import Conditions
from benchyard.tasks.host.fingerprint import Fingerprint, HostPrint, read_host
from benchyard.tasks.host.grade import Grade, grade, grade_memory
from benchyard.tasks.host.guard import GuardReport, Policy, look, wait_until_fit
from benchyard.tasks.host.setup import Setup, read_setup
from benchyard.tasks.host.shield import Shield, problem_of
from benchyard.tasks.host.watch import Moment, Watch
from benchyard.tasks.host.wrapper import missed, write_wrapper
from benchyard.tasks.interpreter import Interpreter
from benchyard.tasks.report import BenchmarkOutcome
from benchyard.tasks.suite import Suite


class Care:
    """Looks after one run of benchmarks on a host that was set up for it, or that nobody has set up.

    `directory` is the run's own, `affinity` are the measuring CPUs where there is no setup. With `watched` false nobody
    looks for what disturbs the benchmarks: their memory, for one, does not depend on that. `state` is the state
    directory of the host that was set up.
    """

    def __init__(
        self,
        setup: Setup | None = None,
        policy: Policy = "off",
        wait_s: float = 0.0,
        *,
        watched: bool = True,
        state: Path | None = None,
    ) -> None:
        self.setup, self._policy, self._wait_s, self._watched = setup, policy, wait_s, watched
        self._state = state
        self.guard: GuardReport | None = None
        self._watch: Watch | None = None
        self._measuring: tuple[int, ...] = setup.shield.measuring if setup is not None else ()
        self._own = setup.supervisor if setup is not None else os.getpid()
        self._directory: Path | None = None

    @property
    def shield(self) -> Shield | None:
        """What keeps others off the measuring CPUs; None where nobody has set up the host."""
        return self.setup.shield if self.setup is not None else None

    def check(self, affinity: Sequence[int] | None) -> None:
        """Raise OptionError for a guard that refuses and would look at no CPU."""
        if self._policy == "strict" and not self._measuring and affinity is None:
            raise OptionError(
                "a strict guard must know the CPUs that measure: name them with --affinity; for a host that a lab"
                " cannot make ready, as it has no /proc, `benchyard host modify HOST --guard warn`"
            )

    def begin(self, folder: Path, affinity: Sequence[int] | None, say: Callable[[str], None]) -> bool:
        """Wait until the host is fit, and watch it from then on; whether it may measure.

        What the host is like when it is idle is kept in its state directory, or in `folder` where there is none.
        """
        self._measure_on(affinity)
        if not self._measuring:
            return True
        if self._policy != "off":
            self.guard = wait_until_fit(
                lambda: look(self._measuring, state_dir=self._state or folder, own_pids=[self._own]),
                policy=self._policy,
                wait_s=self._wait_s,
                say=say,
            )
            for finding in self.guard.findings:
                if finding.severity != "note":
                    say(f"benchyard: {finding.check}: {finding.message}")
            if not self.guard.passed:
                return False
        if not self._watched:
            return True
        self._watch = Watch(self._measuring, own=lambda: [self._own])
        self._watch.start()
        return True

    def take_up(self, affinity: Sequence[int] | None, guard: GuardReport | None) -> None:
        """Look after a run that has measured everything before it was killed: what the guard has found then counts."""
        self._measure_on(affinity)
        self.guard = guard

    def _measure_on(self, affinity: Sequence[int] | None) -> None:
        if self.setup is None and affinity is not None:
            self._measuring = tuple(affinity)

    def options(self, python: str, directory: Path) -> dict[str, str]:
        """Return pyperf's options by which its workers, and nothing else, are on the measuring CPUs."""
        if self.setup is None:
            return {}
        self._directory = directory
        wrapper = write_wrapper(self.setup.shield, directory, python)
        if not self._watched:  # the wrapper's word is enough: pyperf ends where it cannot have just these CPUs
            return {"--python": str(wrapper)}
        return {"--affinity": format_cpu_list(self._measuring), "--python": str(wrapper)}

    def mark(self) -> Moment | None:
        """This moment, to ask later what has happened since."""
        return self._watch.mark() if self._watch is not None else None

    def since(self, moment: Moment | None) -> Conditions | None:
        """The conditions since a moment; None where nobody watches."""
        return self._watch.since(moment) if self._watch is not None and moment is not None else None

    def end(
        self, interpreter: Interpreter, suite: Suite, outcomes: Sequence[BenchmarkOutcome]
    ) -> tuple[Grade, Fingerprint]:
        """Stop watching; returns how far the values can be trusted, and under what conditions they were measured."""
        self.close()
        shield = self.shield
        host = read_host(self._measuring, isolation=shield.kind if shield is not None else "")
        if not self._watched:
            return grade_memory(), _fingerprint(host, interpreter, suite)
        found = grade(
            self.setup,
            self.guard,
            host,
            disturbed=[outcome.name for outcome in outcomes if outcome.disturbed and outcome.error is None],
            astray=missed(self._directory) if self._directory is not None else 0,
            problem=problem_of(shield) if shield is not None else None,
        )
        return found, _fingerprint(host, interpreter, suite)

    def close(self) -> None:
        """Stop watching."""
        if self._watch is not None:
            self._watch.stop()


def _fingerprint(host: HostPrint, interpreter: Interpreter, suite: Suite) -> Fingerprint:
    tools = interpreter.toolchain
    return Fingerprint(
        host=host,
        libc=tools.libc if tools is not None else interpreter.libc,
        compiler=tools.cc_version if tools is not None else interpreter.compiler,
        suite=f"pyperformance {suite.label}",
    )


def read_care(setup: Path | None, policy: Policy, wait_s: float, *, watched: bool = True) -> Care:
    """The care for a run: with the setup in a file that the run's supervisor has written, if any."""
    if setup is None:
        return Care(None, policy, wait_s, watched=watched)
    try:  # the file is STATE/runs/RUN/setup.json, see rundir.py
        return Care(read_setup(setup), policy, wait_s, watched=watched, state=setup.absolute().parents[2])
    except (OSError, msgspec.DecodeError) as exc:
        raise OptionError(f"the setup {setup} cannot be read: {exc}") from exc


def describe(care: Care, found: Grade, print_: Fingerprint, now: float | None = None) -> dict[str, Any]:
    """What the file of a result says of its conditions, so that it can be judged by itself."""
    setup = care.setup
    said: Mapping[str, Any] = {
        "benchyard_grade": found.letter,
        "benchyard_grade_reasons": "; ".join(found.reasons),
        "benchyard_fingerprint": print_.id,
        "benchyard_host_fingerprint": print_.host.id,
        "benchyard_cpu": print_.host.cpu,
        "benchyard_microcode": print_.host.microcode,
        "benchyard_kernel": print_.host.kernel,
        "benchyard_mitigations": "; ".join(f"{name}: {text}" for name, text in print_.host.mitigations.items()),
        "benchyard_governor": print_.host.governor,
        "benchyard_boost": print_.host.boost,
        "benchyard_isolation": print_.host.isolation,
        "benchyard_suite": print_.suite,
        "benchyard_measuring_cpus": format_cpu_list(setup.shield.measuring) if setup is not None else "",
        "benchyard_tuning": _tuning(setup),
        "benchyard_graded": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
    }
    return {name: one_line(text) for name, text in said.items() if text}


def _tuning(setup: Setup | None) -> str:
    if setup is None or setup.tuning is None:
        return ""
    return "; ".join(
        f"{knob.knob} {knob.status}{f' ({knob.before} to {knob.after})' if knob.before != knob.after else ''}"
        for knob in setup.tuning.knobs
    )


def one_line(text: str) -> str:
    """Text as pyperf's metadata take it."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:4000]
