"""What people are told when a job has ended: its numbers, how they compare, and whether that is a regression."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa

from benchyard.publish.notices.facts import Fact
from benchyard.publish.notices.words import (
    MOST_LINES,
    Draft,
    count,
    described,
    draft,
    graded,
    means,
    measured,
    stretch,
    value,
)
from benchyard.results.compare import Change, Comparison
from benchyard.results.differences import compare_rows
from benchyard.results.errors import ResultError
from benchyard.results.files import read_file
from benchyard.results.layout import valueless_kind
from benchyard.results.reading import Suite, read_suite
from benchyard.results.regressions import Regression, Thresholds, find_regression
from benchyard.results.text import comparison_text
from benchyard.results.units import format_change, format_percent
from benchyard.store import attempts, calibrations, jobs, results
from benchyard.store.errors import NotFound
from benchyard.store.pairs import Pair, pair_in_series, pairs_of
from benchyard.store.rows import Attempt, Job, Noise, Result


class Due(NamedTuple):
    """A comparison that is due: its results, the noise of the head's host, and whom it is told."""

    pair: Pair
    noise: dict[str, Noise]
    owner: str
    in_series: bool


class Ended(NamedTuple):
    """What the datastore knows of a job that has ended."""

    job: Job
    attempt: Attempt | None
    result: Result | None
    due: tuple[Due, ...]


class Compared(NamedTuple):
    """A comparison that was made, and what is slower in it."""

    due: Due
    comparison: Comparison
    regression: Regression | None

    @property
    def key(self) -> str:
        """The key of its notice, where it is a regression."""
        return f"regression:{self.due.pair.head.id}:{self.due.pair.base.id}"


def gather(conn: sa.Connection, fact: Fact) -> Ended | None:
    """What is known of a job that has ended; None if it was removed since."""
    try:
        job = jobs.get_job(conn, int(fact.id))
    except NotFound:
        return None
    due = [Due(pair, _noise(conn, pair), _owner(conn, pair), False) for pair in pairs_of(conn, job)]
    if (before := pair_in_series(conn, job)) is not None:
        due.append(Due(before, _noise(conn, before), job.owner, True))
    return Ended(job, attempts.current_attempt(conn, job.id), results.result_of_job(conn, job.id), tuple(due))


def _noise(conn: sa.Connection, pair: Pair) -> dict[str, Noise]:
    return calibrations.noise_of(conn, pair.head.host, pair.head.epoch)


def _owner(conn: sa.Connection, pair: Pair) -> str:
    """Who owns the job of the head."""
    return jobs.get_job(conn, pair.head.job_id).owner if pair.head.job_id is not None else pair.head.owner


def compose(fact: Fact, ended: Ended, *, results_dir: Path, thresholds: Thresholds, link: str) -> list[Draft]:
    """The notices of a job's end; reads the result files, so it blocks."""
    files = Files(results_dir)
    suite = files.suite(ended.result) if ended.result is not None else None
    made = [found for due in ended.due if (found := _compared(files, due, thresholds)) is not None]
    drafts = [_done(fact, ended, suite, made, link)]
    return drafts + [_regression(fact, ended.job, found, link) for found in made if found.regression is not None]


class Files:
    """The result files that one notice needs, each read once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, Suite | None] = {}

    def suite(self, result: Result) -> Suite | None:
        """The values of a result; None for one without any, or whose file is not there any more."""
        path = result.path or ""
        if path not in self._read:
            self._read[path] = None
            if path and valueless_kind(path) is None:
                with suppress(OSError, ResultError):
                    self._read[path] = read_suite(read_file(self._folder / path))
        return self._read[path]


def _compared(files: Files, due: Due, thresholds: Thresholds) -> Compared | None:
    base, head = files.suite(due.pair.base), files.suite(due.pair.head)
    if base is None or head is None:
        return None
    comparison = compare_rows((due.pair.base, base), (due.pair.head, head), noise=due.noise)
    return Compared(due, comparison, find_regression(comparison, thresholds))


def _done(fact: Fact, ended: Ended, suite: Suite | None, made: Sequence[Compared], link: str) -> Draft:
    job, result = ended.job, ended.result
    lines = [f"job {job.id}: {job.status}{_spent(job)}"]
    if job.error:
        lines.append(job.error)
    if result is not None:
        lines += [f"measured {described(result)} on {result.host}", f"result {result.id}, {graded(result)}"]
    if job.reason:
        lines.append(f"asked for by {job.owner}: {job.reason}")
    failed = _failed(ended)
    if failed:
        lines += ["", f"{count(len(failed), 'benchmark')} failed:", *failed[:MOST_LINES]]
    if made:
        for found in made:
            lines += ["", *_comparison(found)]
    elif suite is not None:
        lines += ["", *means(suite)]
    if job.status in ("failed", "lost"):
        lines += ["", f"all that it printed: benchyard job log {job.id}"]
    return draft(
        fact.kind,
        fact.key,
        _subject(ended, suite, made),
        [*lines, "", link],
        time=fact.change.time,
        target=job.target,
        users=_told(job),
        job=job.id,
        status=job.status,
        error=job.error,
        owner=job.owner,
        result=result.id if result is not None else None,
        host=result.host if result is not None else None,
        commit=result.commit if result is not None else None,
        grade=result.grade if result is not None else None,
        failed=[line.split(":")[0] for line in failed],
        compared=[_numbers(found) for found in made],
        # Those whose own notices are for the same person.
        regressions=[each.key for each in made if each.regression is not None and each.due.owner == job.owner],
    )


def _told(job: Job) -> tuple[str, ...]:
    """Whom a job's end is news for: not who has ended it, and of the many jobs of a backfill only those that failed."""
    if job.status == "canceled" and job.cancel_by == job.owner:
        return ()
    return () if job.origin == "backfill" and job.status == "success" else (job.owner,)


def _subject(ended: Ended, suite: Suite | None, made: Sequence[Compared]) -> str:
    job, result = ended.job, ended.result
    said = f"job {job.id} {job.status}"
    if job.error and result is None:
        return f"{said}: {job.error}"
    if result is None:
        return f"{said}: {job.kind} on {job.target}"
    said += f": {measured(result)} on {result.host}"
    if made:
        return f"{said}, {_overall(made[0])}"
    return f"{said}, {count(len(suite.benchmarks) if suite is not None else result.benchmarks, 'benchmark')}"


def _overall(found: Compared) -> str:
    """What is said of a comparison in one line."""
    pair, mean = found.due.pair, found.comparison.geometric_mean
    if mean is None:
        said = "not to be compared" if found.comparison.benchmarks else "nothing in common"
        return f"{said} with {_of(pair.base)}"
    if mean.ratio == 1.0:
        return f"no change against {_of(pair.base)}"
    return f"{_of(pair.head)} is {mean.change} than {_of(pair.base)}"


def _of(result: Result) -> str:
    return f"job {result.job_id}" if result.job_id is not None else f"result {result.id}"


def _spent(job: Job) -> str:
    return f" in {stretch(job.finished - job.started)}" if job.finished and job.started else ""


def _failed(ended: Ended) -> list[str]:
    """A line for each benchmark without values: left out after its smoke, or failed in the run."""
    left_out = (ended.job.prepared or {}).get("left_out", ())
    in_run = ended.attempt.failed_benchmarks if ended.attempt is not None else ()
    return [f"{one['name']}: {one.get('error') or 'no word why'}" for one in (*left_out, *in_run)]


def _comparison(found: Compared) -> list[str]:
    base, head = found.due.pair
    title = f"{_of(head)} ({measured(head)}, {head.host}) with {_of(base)} ({measured(base)}, {base.host}):"
    return [title, *comparison_text(found.comparison, base=_of(base), head=_of(head)).rstrip().split("\n")]


def _regression(fact: Fact, job: Job, found: Compared, link: str) -> Draft:
    assert found.regression is not None  # noqa: S101 (for mypy: who calls has looked)
    base, head = found.due.pair
    slower, overall = found.regression.slower, found.regression.overall
    mean = found.comparison.geometric_mean
    parts = [f"{overall.change} overall"] if overall is not None else []
    if slower:
        parts.append(f"{count(len(slower), 'benchmark')} slower, {slower[0].name} {slower[0].change}")
    lines = [
        f"{measured(head)} is slower than {measured(base)}:",
        *_sides(base, head),
        "",
        *(changed(change) for change in slower[:MOST_LINES]),
    ]
    if len(slower) > MOST_LINES:
        lines.append(f"and {len(slower) - MOST_LINES} more")
    if mean is not None:
        lines += ["", f"geometric mean: {mean.change} ({mean.n} of {mean.of} benchmarks)"]
    lines += ["", f"all of them: benchyard result compare {base.id} {head.id}", link]
    return draft(
        "regression",
        found.key,
        f"regression: {measured(head)} on {head.host}: {', '.join(parts)}",
        lines,
        time=fact.change.time,
        target=head.target,
        users=(found.due.owner,),
        job=job.id,
        in_series=found.due.in_series,
        **_numbers(found),
    )


def _sides(base: Result, head: Result) -> list[str]:
    return [
        f"{name} {described(result)} on {result.host}, {_of(result)}, result {result.id}, {graded(result)}"
        for name, result in (("base", base), ("head", head))
    ]


def changed(change: Change) -> str:
    """One benchmark of a comparison in a line."""
    noise = f" (noise {format_percent(change.noise)})" if change.noise is not None else ""
    ratio = format_change(change.ratio, change.base.unit)
    return f"{change.name}: {value(change.base)} -> {value(change.head)}: {ratio}{noise}"


def _numbers(found: Compared) -> dict[str, Any]:
    """A comparison for programs: ratios are base over head, so that below 1 is slower."""
    base, head = found.due.pair
    mean, regression = found.comparison.geometric_mean, found.regression
    return {
        "base": base.id,
        "head": head.id,
        "base_commit": base.commit,
        "head_commit": head.commit,
        "host": head.host,
        "base_grade": base.grade,
        "head_grade": head.grade,
        "geometric_mean": mean.ratio if mean is not None else None,
        "differences": list(found.comparison.differences),
        "slower": [
            {
                "name": change.name,
                "base": change.base.mean,
                "head": change.head.mean,
                "unit": change.base.unit,
                "ratio": change.ratio,
                "noise": change.noise,
            }
            for change in (regression.slower if regression is not None else ())[:MOST_LINES]
        ],
    }
