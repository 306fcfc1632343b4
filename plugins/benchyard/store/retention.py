"""Retention: which results may go once they are old. Nothing is removed here.

Younger results all stay. Of older ones the best of each week stays, of each host, epoch, implementation, fork, branch
(commit, where there is none), flags, suite and mode. What is of a release, has a note, or is what another was compared
with stays for ever; so does all that is no plain result: calibrations, profiles, what is disabled or misses its file.
What a regression lies between stays until that is fixed.
"""

import re
from collections.abc import Collection, Iterable

import sqlalchemy as sa

from benchyard.store.rows import BENCHMARKS, Result
from benchyard.store.sql import to_row
from benchyard.store.tables import jobs, regressions, results

_DAY_S = 86_400.0

# The 5th of January 1970 was a Monday.
_WEEK_S, _MONDAY_S = 7 * _DAY_S, 4 * _DAY_S

#: Versions of releases: those of what comes after one end in `+`, and what comes before the first is `a0`.
_RELEASE = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+((a|b|rc)[1-9][0-9]*)?", re.ASCII)

# What imported files have of commits at least.
_SHORT = 7

_GRADES = ("A", "B", "C", None)


def prunable(
    conn: sa.Connection, *, keep_all_days: float, now: float, tagged: Collection[str] = ()
) -> tuple[Result, ...]:
    """Return the results that may go, oldest first; `tagged` are the commits that the remotes have tags on."""
    before = now - keep_all_days * _DAY_S
    bases = sa.select(jobs.c.base_job).where(jobs.c.base_job.is_not(None))
    is_open = regressions.c.status != "fixed"
    between = [sa.select(column).where(is_open) for column in (regressions.c.result_id, regressions.c.result_before)]
    where = (
        results.c.created < before,
        results.c.status == "stored",
        results.c.enabled == sa.literal(True, results.c.enabled.type),
        results.c.kind == BENCHMARKS,
        results.c.path.is_not(None),
        results.c.note == "",
        sa.or_(results.c.job_id.is_(None), results.c.job_id.not_in(bases)),
        *(results.c.id.not_in(ids) for ids in between),
    )
    rows = conn.execute(sa.select(results).where(*where).order_by(results.c.created, results.c.id))
    return thinned((to_row(Result, row) for row in rows.mappings()), tagged)


def thinned(rows: Iterable[Result], tagged: Collection[str] = ()) -> tuple[Result, ...]:
    """Return all but the best of each week, and but those of releases, in their order."""
    releases = {commit[:_SHORT] for commit in tagged}
    old = [row for row in rows if not _is_release(row, releases)]
    best: dict[tuple[object, ...], Result] = {}
    for row in old:
        key = _series(row)
        if key not in best or _rank(row) > _rank(best[key]):
            best[key] = row
    kept = {row.id for row in best.values()}
    return tuple(row for row in old if row.id not in kept)


def _is_release(row: Result, releases: Collection[str]) -> bool:
    return bool((row.commit or "")[:_SHORT] in releases or _RELEASE.fullmatch(row.version or ""))


def _series(row: Result) -> tuple[object, ...]:
    """What weekly results are taken of, with the week."""
    told = row.interpreter or {}
    source = [told.get(name) for name in ("implementation", "remote", "url", "patch")]
    source += [row.branch, row.commit if row.branch is None else None]
    suite = (row.suite, row.suite_version, row.mode)
    week = (row.created - _MONDAY_S) // _WEEK_S
    return row.host, row.epoch, row.foreign_print, row.target, *source, *suite, tuple(sorted(row.flags)), week


def _rank(row: Result) -> tuple[int, int, float, int]:
    """The better grade comes first, then the more benchmarks, then the later."""
    grade = row.grade if row.grade in _GRADES else None
    return -_GRADES.index(grade), row.benchmarks, row.created, row.id
