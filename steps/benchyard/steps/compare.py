"""The step that compares a job with the one it is based on, once both have their results."""

from pathlib import Path
from typing import Any

from buildbot.process.results import SKIPPED, SUCCESS, WARNINGS
from twisted.internet import threads

from benchyard.results.differences import compare_rows
from benchyard.results.errors import ResultError
from benchyard.results.files import read_file
from benchyard.results.reading import read_suite
from benchyard.results.suites import Suite
from benchyard.results.text import comparison_text
from benchyard.steps.base import LabStep, was_skipped
from benchyard.steps.kinds import find_kind
from benchyard.store import calibrations
from benchyard.store.pairs import Pair, pairs_of
from benchyard.store.rows import Noise, Result


class Unreadable(Exception):
    """The file of a result cannot be read; the message says why, in one line."""


class Compare(LabStep):
    """Writes a comparison into the build of the job that ends last, be it the base or what is compared with it.

    A result whose file cannot be read any more is no fault of the job.
    """

    name = "compare"

    def __init__(self, *, results_dir: Path, **kwargs: Any) -> None:
        super().__init__(hideStepIf=was_skipped, **kwargs)
        self.results_dir = results_dir

    async def do(self) -> int:
        job = await self.service.job_of(self.build)
        pairs = await self.service.db(pairs_of, job) if find_kind(job.kind).has_values else []
        said, outcome = [], SUCCESS if pairs else SKIPPED
        for pair in pairs:
            noise = await self.service.db(calibrations.noise_of, pair.head.host, pair.head.epoch)
            title = f"result {pair.head.id} with {pair.base.id}"
            try:
                text, overall = await threads.deferToThread(self._compared, pair, noise)
            except Unreadable as exc:
                await self.addCompleteLog(title, f"{exc}\n")
                said.append(str(exc))
                outcome = WARNINGS
            else:
                await self.addCompleteLog(title, text)
                said.append(f"result {pair.head.id} is {overall}")
        if said:
            self.descriptionDone = "; ".join(said)
        return int(outcome)

    async def after_error(self) -> int:
        self.descriptionDone = "something went wrong in the lab; ask `benchyard result compare`"
        return int(WARNINGS)

    def _compared(self, pair: Pair, noise: dict[str, Noise]) -> tuple[str, str]:
        base, head = (self._read(row) for row in pair)
        found = compare_rows((pair.base, base), (pair.head, head), noise=noise)
        mean = found.geometric_mean
        titles = {"base": f"job {pair.base.job_id}", "head": f"job {pair.head.job_id}"}
        return comparison_text(found, **titles), mean.change if mean is not None else "not to be compared"

    def _read(self, row: Result) -> Suite:
        path = self.results_dir / str(row.path)
        try:
            return read_suite(read_file(path))
        except OSError as exc:
            raise Unreadable(f"result {row.id} cannot be read: {path}: {exc.strerror}") from exc
        except ResultError as exc:
            raise Unreadable(f"result {row.id} cannot be read: {path}: {exc}") from exc
