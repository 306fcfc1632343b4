"""`benchyard result series`: what a benchmark, or all together, gave from commit to commit."""

import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING

import click

from benchyard.cli.format import change_style, counted, level, percent, sureness
from benchyard.cli.listing import since_option
from benchyard.cli.options import connect, flags_option, host_option, lab_options, target_option

if TYPE_CHECKING:
    from benchyard.cli.output import Cell
    from benchyard.client import Series
    from benchyard.client.series import LaneSeries, LevelChange, Stretch

FORMATS = ("table", "csv", "json")

#: Points of a lane that are shown one by one, and characters of all of them in one line.
SHOWN, WIDTH = 15, 60

_BARS, _PLAIN_BARS = "▁▂▃▄▅▆▇█", "_.-:=+*#"

# What varies by less than this, relative, is drawn flat: else all noise looks alike.
_FLAT = 0.02


@click.command("series")
@click.argument("benchmark", metavar="[BENCHMARK]", required=False)
@click.option("--mean", is_flag=True, help="The geometric mean of all benchmarks instead.")
@host_option("Results of this host.")
@target_option("Results of this target.")
@click.option("--branch", metavar="BRANCH", help="Results of this branch; FORK/BRANCH for one of a fork.")
@flags_option("Interpreters with these flags (jit, nogil ...), or `none`.")
@since_option
@click.option("--limit", type=click.IntRange(1), default=SHOWN, show_default=True, help="The last points of each.")
@click.option("--all", "everything", is_flag=True, help="All points.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", help="How to print it (table).")
@lab_options
def show_series(
    benchmark: str | None,
    mean: bool,
    host: str | None,
    target: str | None,
    branch: str | None,
    flags: tuple[str, ...] | None,
    since: datetime | None,
    limit: int,
    everything: bool,
    form: str,
    url: str | None,
    as_json: bool,
) -> None:
    """Show a benchmark from commit to commit, and where its level has changed.

    There is a series for each host, branch, set of flags and kind of interpreter. Within it, values are compared only
    under the same conditions of the host. A level has changed where it stays another for three commits and more, by
    more than noise makes it.

    Example: benchyard result series nbody --host quiet-1 --branch main
    """
    if (benchmark is None) != mean:
        raise click.UsageError("name a benchmark, or say --mean for the geometric mean of all")
    given = {"host": host, "target": target, "branch": branch, "flags": flags, "since": since}
    with connect(url) as client:
        if form == "csv" and not as_json:
            click.echo(client.series.csv(benchmark, **given), nl=False)  # type: ignore[arg-type]
            return
        found = client.series.get(benchmark, **given)  # type: ignore[arg-type]
    if as_json or form == "json":
        from benchyard.cli.output import print_json

        print_json(found.document)
    else:
        print_series(found, limit=None if everything else limit)


def print_series(found: "Series", *, limit: int | None) -> None:
    """Show each lane: all points as one line, the changes, and the last points one by one."""
    from benchyard.cli.output import print_fields

    if not found.series:
        click.echo("There is no enabled result of a commit with that: `benchyard result list` shows what there is.")
    for number, lane in enumerate(found.series):
        if number:
            click.echo()
        points = [point for stretch in lane.stretches for point in stretch.points]
        values, times = [point.value for point in points], [point.time for point in points]
        commits = {point.commit for point in points}  # one may have been measured in several stretches
        print_fields(
            (
                ("series", f"{lane.benchmark or 'geometric mean'} on {lane.host}"),
                ("branch", lane.branch),
                ("flags", ",".join(lane.flags)),
                ("measured", _measured_with(lane)),
                ("commits", f"{len(commits)}, {min(times):%Y-%m-%d} to {max(times):%Y-%m-%d}"),
                ("range", f"{level(min(values), lane.unit)} to {level(max(values), lane.unit)}"),
                ("level", "|".join(sparklines([[p.value for p in s.points] for s in lane.stretches]))),
            )
        )
        click.echo()
        _print_points(lane, limit)
    if found.more:
        click.echo()
        click.echo(f"({found.more} more; --host, --branch and --flags choose)")


def sparklines(stretches: "Sequence[Sequence[float]]", *, width: int = WIDTH) -> list[str]:
    """Each stretch as bars, all on one scale; where there are many points, a bar is the mean of some."""
    values = [value for stretch in stretches for value in stretch]
    low, high = min(values), max(values)
    spare = max(0.0, _FLAT * high - (high - low)) / 2.0
    low, high = low - spare, high + spare
    bars = _bars()
    share = max(1.0, len(values) / width)
    lines = []
    for stretch in stretches:
        count = max(1, round(len(stretch) / share))
        edges = [round(place * len(stretch) / count) for place in range(count + 1)]
        means = [sum(stretch[a:b]) / (b - a) for a, b in pairwise(edges) if b > a]
        lines.append("".join(bars[min(7, int((mean - low) / (high - low) * 8))] for mean in means))
    return lines


def _bars() -> str:
    try:
        _BARS.encode(sys.stdout.encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return _PLAIN_BARS
    return _BARS


def _print_points(lane: "LaneSeries", limit: int | None) -> None:
    from benchyard.cli.fitting import Column
    from benchyard.cli.output import print_table

    rows = list(_rows(lane))
    # What has changed is shown however long ago it was.
    shown = rows if limit is None else [row for place, row in enumerate(rows) if place >= len(rows) - limit or row[4]]
    epochs = len(lane.stretches) > 1
    columns = (
        Column("COMMIT"),
        Column("DATE", rank=1),
        *((Column("EPOCH", right=True),) if epochs else ()),
        Column("VALUE", right=True),
        Column("STEP", right=True),
        Column("LEVEL", flexible=True),
        Column("RESULTS", rank=2, flexible=True),
    )
    cells = [(c, d, *((e,) if epochs else ()), v, s, level, r) for c, d, e, v, level, s, r in shown]
    print_table(columns, cells, empty="")
    if len(shown) < len(rows):
        click.echo(f"(the last {limit} of {counted(len(rows), 'point')}, and those that changed it; --all shows all)")


def _rows(lane: "LaneSeries") -> "Iterator[tuple[str, str, str, str, Cell | str, str, str]]":
    for stretch in lane.stretches:
        changes = {change.index: change for change in stretch.changes}
        for index, point in enumerate(stretch.points):
            change = changes.get(index)
            yield (
                point.commit[:10],
                f"{point.time:%Y-%m-%d}",
                "" if stretch.epoch is None else str(stretch.epoch),
                level(point.value, lane.unit, point.stdev),
                _level(change) if change is not None else "",
                _step(stretch, index),
                ", ".join(map(str, point.results)),
            )


def _level(change: "LevelChange") -> "Cell":
    from benchyard.cli.output import Cell

    record = f", regression {change.regression} {change.status}" if change.worse and change.regression else ""
    return Cell(f"{change.change}, sure by {sureness(change.sure)}{record}", change_style(change.change))


def _step(stretch: "Stretch", index: int) -> str:
    if not index:
        return ""
    step = stretch.points[index].value / stretch.points[index - 1].value - 1.0
    return f"{'-' if step < 0 else '+'}{percent(abs(step))}"


def _measured_with(lane: "LaneSeries") -> str:
    suite = " ".join(word for word in (lane.suite, lane.suite_version) if word and word != "unknown")
    return ", ".join(word for word in (lane.implementation, suite, lane.mode) if word and word != "unknown")
