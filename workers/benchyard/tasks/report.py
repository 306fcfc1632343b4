"""What a run of benchmarks leaves besides its values: an outcome per benchmark, what was measured and how."""

import os
from pathlib import Path
from typing import Literal

import msgspec

from benchyard.tasks.host.conditions import Conditions
from benchyard.tasks.host.fingerprint import Fingerprint
from benchyard.tasks.host.grade import Grade
from benchyard.tasks.host.guard import GuardReport
from benchyard.tasks.host.setup import Setup
from benchyard.tasks.interpreter import Interpreter
from benchyard.tasks.processes import AGAIN

Mode = Literal["default", "fast", "rigorous"]
MODES: tuple[Mode, ...] = ("default", "fast", "rigorous")


class BenchmarkOutcome(msgspec.Struct, frozen=True):
    """How one benchmark of the suite went; `log_tail` is the end of what it printed.

    `conditions` are those of the try whose values count, and `disturbed` says what disturbed it. One that was disturbed
    is measured once more: then `tries` is 2.
    """

    name: str
    status: Literal["success", "failed"]
    seconds: float
    error: str | None = None
    log_tail: str = ""
    tries: int = 1
    disturbed: tuple[str, ...] = ()
    conditions: Conditions | None = None


class Attachment(msgspec.Struct, frozen=True):
    """A file that a run leaves beside its result: its name there, its bytes, and their SHA-256 in hex."""

    name: str
    size: int
    sha256: str


class RunReport(msgspec.Struct, frozen=True):
    """A whole run; times are epoch seconds, `environment_s` the seconds spent on the environment.

    `environment` is its path, and `pip_calls` how often pip was started for it: 0 where everything was there.
    `setup` is what the host was made for the run, `guard` how fit it was (one that did not pass was not measured on),
    `grade` and `fingerprint` what is thought of the values. `attachments` are in the folder of the result file.
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
    setup: Setup | None = None
    guard: GuardReport | None = None
    grade: Grade | None = None
    fingerprint: Fingerprint | None = None
    attachments: tuple[Attachment, ...] = ()

    @property
    def failed(self) -> tuple[BenchmarkOutcome, ...]:
        """The benchmarks that gave no value."""
        return tuple(outcome for outcome in self.benchmarks if outcome.status == "failed")


def own_report(path: Path | None) -> RunReport | None:
    """The report of a run that was killed after it had written that, and is started again; None for any other."""
    if path is None or AGAIN not in os.environ:
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=RunReport)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
