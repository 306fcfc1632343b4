"""What people are told of a level that has changed for the worse, where the lab has measured that itself.

A large step from one result of a schedule to the next was told at once, as the regression of a job; then it is not told
again when its series shows that it stays.
"""

from collections.abc import Sequence
from itertools import groupby

import sqlalchemy as sa

from benchyard.publish.notices.words import MOST_LINES, Draft, count, draft
from benchyard.results.units import format_change, format_percent, format_value
from benchyard.store import notices
from benchyard.store.errors import NotFound
from benchyard.store.results import get_result
from benchyard.store.rows import Regression, Result


def told_of(conn: sa.Connection, made: Sequence[Regression], *, since: float, now: float, link: str) -> list[Draft]:
    """A notice for each commit with new regressions, of results that were stored since the series are watched."""
    worse = sorted((one for one in made if one.worse and one.status == "new"), key=_place)
    drafts = []
    for _, group in groupby(worse, key=_place):
        those = list(group)
        try:
            first, last = get_result(conn, those[0].result_id), get_result(conn, those[0].found_by)
        except NotFound:
            continue
        if last.job_id is None or last.created < since:
            continue
        known = _told_before(conn, first)
        if untold := [one for one in those if one.benchmark not in known]:
            drafts.append(_draft(untold, first, last, now, link))
    return drafts


def _place(one: Regression) -> tuple[int, int, tuple[str, ...]]:
    return one.result_id, one.found_by, one.flags


def _told_before(conn: sa.Connection, first: Result) -> set[str]:
    """The benchmarks that were told to be slower when the first result of the new level came."""
    told = notices.with_key_prefix(conn, f"regression:{first.id}:")
    named = {slower["name"] for notice in told for slower in notice.data.get("slower", ())}
    return named | ({""} if named else set())


def _draft(those: Sequence[Regression], first: Result, last: Result, now: float, link: str) -> Draft:
    those = sorted(those, key=lambda one: (bool(one.benchmark), -one.step))
    one = those[0]
    at = f"{one.branch} {one.commit[:10]}".strip()
    benchmarks = [each for each in those if each.benchmark]
    parts = [f"{_change(each)} overall" for each in those if not each.benchmark]
    if benchmarks:
        slower = count(len(benchmarks), "benchmark")
        parts.append(f"{slower} slower, {benchmarks[0].benchmark} {_change(benchmarks[0])}")
    lines = [
        f"Since {at} the series on {one.host} have another level, found by result {last.id}:",
        f"{one.commit_before[:10]} (result {one.result_before}) -> {one.commit[:10]} (result {one.result_id})",
        "",
        *(_line(each) for each in those[:MOST_LINES]),
    ]
    if len(those) > MOST_LINES:
        lines.append(f"and {len(those) - MOST_LINES} more")
    lines += ["", f"what is known of them: benchyard result regressions --result {one.result_id}", link]
    return draft(
        "regression",
        f"regression:series:{first.id}:{last.id}",
        f"regression: {at} on {one.host}: {', '.join(parts)}",
        lines,
        time=now,
        target=first.target,
        users=(first.owner,) if first.owner else (),
        regressions=[each.id for each in those],
        base=one.result_before,
        head=one.result_id,
        head_commit=one.commit,
        base_commit=one.commit_before,
        host=one.host,
        in_series=True,
    )


def _line(one: Regression) -> str:
    sure = f"{min(one.sure, 0.9999) * 100:.2f} %"
    if not one.benchmark:
        return f"geometric mean: {_change(one)} ({format_percent(one.step, sign=True)}, sure by {sure})"
    levels = f"{format_value(one.before, one.unit)} -> {format_value(one.after, one.unit)}"
    return f"{one.benchmark}: {levels}: {_change(one)} (sure by {sure}), regression {one.id}"


def _change(one: Regression) -> str:
    return format_change(1.0 / (1.0 + one.step), one.unit or "second")
