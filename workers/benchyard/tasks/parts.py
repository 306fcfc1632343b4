"""The pieces of a run of benchmarks, each on disk as soon as it is whole: a killed run takes up where it was.

PARTS/plan.json          what is measured; the pieces of another plan are thrown away
      outcomes.jsonl     a line for each benchmark that is done
      NAME.done.json     what it gave: its values, or its profile
      NAME.json, .log    what its script is writing
      under-way.json     the benchmark that is being measured, and how often it was begun
      guard.json         how fit the host was when the guard was last asked
"""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from benchyard.tasks.files import append_line, write_atomically
from benchyard.tasks.host.guard import GuardReport
from benchyard.tasks.report import BenchmarkOutcome

#: So often a benchmark is begun before it counts as what kills the run.
MOST_BEGUN = 2


class _UnderWay(msgspec.Struct, frozen=True):
    name: str
    begun: int


def parts_folder(output: Path) -> Path:
    """Where the pieces of a result are."""
    return output.with_name(output.name + ".parts")


class Parts:
    """The pieces in a folder, those of an earlier process that worked on the same plan among them."""

    def __init__(self, folder: Path, plan: dict[str, Any]) -> None:
        self.folder = folder
        wanted = _encoded(plan)
        if folder.exists() and _read(folder / "plan.json") != wanted:
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "plan.json", wanted)
        self.outcomes = _read_outcomes(folder)
        self._under_way = self._read_under_way()

    @property
    def guard(self) -> GuardReport | None:
        """How fit the host was for what is here; None where nobody has looked."""
        try:
            return msgspec.json.decode(_read(self.folder / "guard.json"), type=GuardReport)
        except msgspec.DecodeError:
            return None

    def keep_guard(self, report: GuardReport) -> None:
        """Keep how fit the host was: once all is measured, the guard is not asked again."""
        write_atomically(self.folder / "guard.json", msgspec.json.encode(report))

    def begin(self, name: str) -> BenchmarkOutcome | None:
        """Note that a benchmark is under way; its outcome instead, if it was begun too often."""
        last = self._under_way
        begun = 1 + (last.begun if last is not None and last.name == name else 0)
        if begun > MOST_BEGUN:
            return BenchmarkOutcome(
                name, "failed", 0.0, error=f"the run was killed {MOST_BEGUN} times while it was measured"
            )
        self._under_way = _UnderWay(name, begun)
        write_atomically(self.folder / "under-way.json", msgspec.json.encode(self._under_way))
        return None

    def finish(self, outcome: BenchmarkOutcome, write: Callable[[Path], object] | None) -> None:
        """Keep what came of a benchmark: first what it gave, written into a file, and then the line that says so."""
        if write is not None:
            write(_done(self.folder, outcome.name))
        append_line(self.folder / "outcomes.jsonl", msgspec.json.encode(outcome).decode())
        self.outcomes[outcome.name] = outcome

    def done(self, name: str) -> Path | None:
        """The file with what a benchmark gave that is done; None where it failed."""
        path = _done(self.folder, name)
        return path if path.exists() else None

    def remove(self) -> None:
        """Leave nothing: the result has all of it."""
        shutil.rmtree(self.folder)

    def _read_under_way(self) -> _UnderWay | None:
        try:
            return msgspec.json.decode(_read(self.folder / "under-way.json"), type=_UnderWay)
        except msgspec.DecodeError:
            return None


def are_whole(folder: Path, plan: dict[str, Any], names: Iterable[str]) -> bool:
    """Whether a folder has the pieces of all these benchmarks, by this plan: then a result beside it is made of them.

    A kill may come between the result and the removal of its pieces.
    """
    return _read(folder / "plan.json") == _encoded(plan) and _read_outcomes(folder).keys() >= set(names)


def _encoded(plan: dict[str, Any]) -> bytes:
    return msgspec.json.encode(plan, order="sorted")


def _done(folder: Path, name: str) -> Path:
    return folder / f"{name}.done.json"


def _read_outcomes(folder: Path) -> dict[str, BenchmarkOutcome]:
    found = {}
    for line in _read(folder / "outcomes.jsonl").splitlines():
        try:
            outcome = msgspec.json.decode(line, type=BenchmarkOutcome)
        except msgspec.DecodeError:
            break  # cut off in the middle of a line, when the disk was full
        if outcome.status == "failed" or _done(folder, outcome.name).exists():
            found[outcome.name] = outcome
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
