"""What a run of benchmarks leaves besides its values: an outcome per benchmark, what was measured and how."""

from typing import Literal

import msgspec

from benchyard.tasks.interpreter import Interpreter

Mode = Literal["default", "fast", "rigorous"]
MODES: tuple[Mode, ...] = ("default", "fast", "rigorous")


class BenchmarkOutcome(msgspec.Struct, frozen=True):
    """How one benchmark of the suite went; `log_tail` is the end of what it printed."""

    name: str
    status: Literal["success", "failed"]
    seconds: float
    error: str | None = None
    log_tail: str = ""


class RunReport(msgspec.Struct, frozen=True):
    """A whole run; times are epoch seconds, `environment_s` the seconds spent on the environment.

    `environment` is its path, and `pip_calls` how often pip was started for it: 0 where everything was there.
    """

    interpreter: Interpreter
    suite: str
    suite_version: str
    mode: Mode
    affinity: tuple[int, ...] | None
    started: float
    finished: float
    environment_s: float
    benchmarks: tuple[BenchmarkOutcome, ...]
    environment: str = ""
    pip_calls: int = 0

    @property
    def failed(self) -> tuple[BenchmarkOutcome, ...]:
        """The benchmarks that gave no value."""
        return tuple(outcome for outcome in self.benchmarks if outcome.status == "failed")
