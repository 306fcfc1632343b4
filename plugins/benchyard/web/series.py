"""Series over REST: a benchmark, or the geometric mean of all, from commit to commit, and where its level changes."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from twisted.internet import threads

from benchyard.access.roles import Role
from benchyard.results.exports import csv_cell
from benchyard.results.means import mean_series, means_of
from benchyard.results.series import Lane, Series, series_of, values_of
from benchyard.results.shifts import Shift, shifts_of
from benchyard.results.units import format_change
from benchyard.store import regressions
from benchyard.store.rows import Regression
from benchyard.store.selecting import NONE, are_meant
from benchyard.store.series import Which, known_floors, measured_means, measured_values
from benchyard.web.calls import Call, Reply, Route
from benchyard.web.filters import Moment, Wanted, moment
from benchyard.web.problems import Problem
from benchyard.web.views import Time, known_time

#: Lanes that are shown, those with the most points.
MOST_LANES = 20

#: Records that are looked through for what is known of a change.
_MOST_KNOWN = 1000


class SeriesQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which series: of a benchmark, or with `mean` of the geometric mean; of these hosts, flags and branches.

    `flags` are such as make another interpreter, with commas between them, or `none`; results made `since` count.
    """

    benchmark: Wanted | None = None
    mean: bool = False
    host: Wanted | None = None
    target: Wanted | None = None
    branch: Wanted | None = None
    flags: Wanted | None = None
    since: Moment | None = None


class PointView(msgspec.Struct, frozen=True):
    """A commit: the geometric mean of its results, and the least and the most of them."""

    commit: str
    time: Time
    value: float
    low: float
    high: float
    results: tuple[int, ...]
    n: int
    stdev: float | None


class ChangeView(msgspec.Struct, frozen=True):
    """A level that has changed at the point of this `index`; `step` is relative, `sure` is of 1.

    `regression` is the number of its record, where there is one by now, and `status` what has become of it.
    """

    index: int
    commit: str
    commit_before: str
    before: float
    after: float
    step: float
    change: str
    sure: float
    worse: bool
    regression: int | None = None
    status: str | None = None
    owner: str | None = None
    comment: str = ""


class StretchView(msgspec.Struct, frozen=True):
    """Points that can be compared: of one epoch of the host, and one version of the benchmark, after which comes the
    fingerprint that a foreign tool has given.
    """

    epoch: int | None
    version: str
    points: tuple[PointView, ...]
    changes: tuple[ChangeView, ...]


class LaneSeriesView(msgspec.Struct, frozen=True):
    """A series, of results that are alike in all this; of the geometric mean, benchmark and unit are empty."""

    host: str
    flags: tuple[str, ...]
    branch: str
    implementation: str
    suite: str
    suite_version: str
    mode: str
    benchmark: str
    unit: str
    stretches: tuple[StretchView, ...]


class SeriesView(msgspec.Struct, frozen=True):
    """The series that were asked for, those with the most points first; `more` are not shown."""

    series: tuple[LaneSeriesView, ...]
    more: int = 0


class Rows(NamedTuple):
    """What the datastore has of series."""

    values: Sequence[Any]
    floors: Mapping[tuple[str, int | None, str], float]
    records: Sequence[Regression]


async def get_series(call: Call) -> SeriesView:
    """Series from commit to commit, with the changes of their levels; no file is read for them."""
    found: SeriesView = await threads.deferToThread(_view, *await find_series(call))
    return found


async def get_series_csv(call: Call) -> Reply:
    """The same as CSV, a line for each commit."""
    found: SeriesView = await threads.deferToThread(_view, *await find_series(call))
    return Reply(_csv(found).encode(), content_type="text/csv; charset=utf-8")


async def find_series(call: Call) -> tuple[list[Series], int, Sequence[Regression]]:
    """The series that a call asks for, how many more there are, and the records of their changes."""
    query: SeriesQuery = call.query
    if (query.benchmark is None) != query.mean:
        raise Problem(400, "name a benchmark, or say mean=true for the geometric mean of all", "benchmark")
    rows = await call.jobs.db(_read, query)
    series: list[Series] = await threads.deferToThread(_made, query, rows)
    return series[:MOST_LANES], max(0, len(series) - MOST_LANES), rows.records


def _read(conn: Any, query: SeriesQuery) -> Rows:
    which: Which = {"host": query.host, "target": query.target, "branch": query.branch}
    which["since"] = moment(query.since, "since")
    records = regressions.list_regressions(conn, benchmark=query.benchmark or "", host=query.host, limit=_MOST_KNOWN)
    if query.mean:
        return Rows(measured_means(conn, **which), {}, records)
    values = measured_values(conn, benchmark=query.benchmark, **which)
    hosts = {row.host for row in values}
    return Rows(values, known_floors(conn, hosts), records)


def _made(query: SeriesQuery, rows: Rows) -> list[Series]:
    if query.mean:
        return mean_series(means for means in means_of(rows.values) if _wanted(means.lane, query.flags))
    values = [value for value in values_of(rows.values) if _wanted(value.lane, query.flags)]
    hosts = {value.lane.host for value in values}
    found = []
    for host in hosts:
        noise = {(epoch, name): floor for (known, epoch, name), floor in rows.floors.items() if known == host}
        found += series_of((value for value in values if value.lane.host == host), noise=noise)
    return sorted(found, key=lambda series: (-series.points, series.lane))


def _wanted(lane: Lane, text: str | None) -> bool:
    if text is None:
        return True
    return are_meant(lane.flags, set(filter(None, text.split(","))) - {NONE})


def _view(found: Sequence[Series], more: int, records: Sequence[Regression]) -> SeriesView:
    known = {record.key: record for record in records}
    return SeriesView(tuple(_lane_view(series, known) for series in found), more)


def _lane_view(series: Series, known: Mapping[str, Regression]) -> LaneSeriesView:
    shifts = iter(list(shifts_of([series])))
    stretches = []
    for stretch in series.stretches:
        points = tuple(
            PointView(p.commit, known_time(p.time), p.value, p.low, p.high, p.results, p.n, p.stdev)
            for p in stretch.points
        )
        changes = tuple(_change_view(change.index, next(shifts), known) for change in stretch.changes)
        stretches.append(StretchView(stretch.epoch, stretch.version, points, changes))
    lane = msgspec.structs.asdict(series.lane)
    return LaneSeriesView(**lane, benchmark=series.benchmark, unit=series.unit, stretches=tuple(stretches))


def _change_view(index: int, shift: Shift, known: Mapping[str, Regression]) -> ChangeView:
    record = known.get(shift.key)
    return ChangeView(
        index=index,
        commit=shift.commit,
        commit_before=shift.commit_before,
        before=shift.before,
        after=shift.after,
        step=shift.step,
        change=format_change(1.0 / (1.0 + shift.step), shift.unit or "second"),
        sure=shift.sure,
        worse=shift.worse,
        regression=record.id if record is not None else None,
        status=record.status if record is not None else None,
        owner=record.owner if record is not None else None,
        comment=record.comment if record is not None else "",
    )


def _csv(found: SeriesView) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    lane = ("host", "flags", "branch", "implementation", "suite", "suite_version", "mode", "benchmark", "unit")
    point = ("commit", "time", "value", "low", "high", "results", "n", "stdev")
    writer.writerow([*lane, "epoch", "version", *point, "change", "sure", "regression", "status"])
    for series in found.series:
        about = [" ".join(series.flags) if name == "flags" else getattr(series, name) for name in lane]
        for stretch in series.stretches:
            changes = {change.index: change for change in stretch.changes}
            for index, each in enumerate(stretch.points):
                values = [" ".join(map(str, each.results)) if n == "results" else getattr(each, n) for n in point]
                at = changes.get(index)
                said = [at.step, at.sure, at.regression, at.status] if at is not None else [""] * 4
                row = [*about, stretch.epoch, stretch.version, *values, *said]
                writer.writerow([csv_cell(cell) for cell in row])
    return out.getvalue()


ROUTES = (
    Route("GET", "/results/series", Role.VIEWER, get_series, SeriesView, query=SeriesQuery),
    Route(
        *("GET", "/results/series.csv", Role.VIEWER, get_series_csv, str), query=SeriesQuery, content_type="text/csv"
    ),
)
