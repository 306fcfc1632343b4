"""Pictures over REST: a comparison, the values of one benchmark in it, and series; as SVG and PNG."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet import threads

from benchyard.access.roles import Role
from benchyard.results.pictures.canvas import Kind, Style
from benchyard.results.pictures.comparison import comparison_picture
from benchyard.results.pictures.distribution import distribution_picture
from benchyard.results.pictures.series import series_picture
from benchyard.web.calls import Call, Handler, Reply, Route
from benchyard.web.comparing import Name, Selected, compared
from benchyard.web.problems import Problem
from benchyard.web.results import HARMLESS
from benchyard.web.series import SeriesQuery, find_series
from benchyard.web.sides import Read, described, find_sides, read_side, sent_files

_TYPES: dict[Kind, str] = {"svg": "image/svg+xml", "png": "image/png"}


class DrawnComparison(Selected, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The same as for a comparison, with one head; a PNG is for a `dark` page if it is said, an SVG is for both."""

    dark: bool = False


class DrawnBenchmark(DrawnComparison, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One benchmark of the comparison."""

    benchmark: Name


class DrawnSeries(SeriesQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The same as for series; of several lanes, those with the most points are drawn."""

    dark: bool = False


Draw = Callable[[Call, Read, Read, Style], bytes]


async def _drawn(call: Call, kind: Kind, files: Mapping[str, bytes], draw: Draw) -> Reply:
    query: DrawnComparison = call.query
    if len(query.head) != 1:
        raise Problem(400, "a picture is of a base and one head", "head")
    sides = await find_sides(call, [("base", query.base), ("head", query.head[0])], files)
    style = Style(kind, query.dark)

    def work() -> bytes:
        base, head = (read_side(call, side) for side in sides)
        return draw(call, base, head, style)

    return _picture(kind, await threads.deferToThread(work))


def _comparison(call: Call, base: Read, head: Read, style: Style) -> bytes:
    return comparison_picture(compared(call, base, head), base=_words(base), head=_words(head), style=style)


def _distribution(call: Call, base: Read, head: Read, style: Style) -> bytes:
    name = call.query.benchmark
    change = next((each for each in compared(call, base, head).benchmarks if each.name == name), None)
    if change is None:
        raise Problem(404, f"there is no benchmark {name!r} that both have in one unit")
    values = base.measured.benchmarks[name], head.measured.benchmarks[name]
    return distribution_picture(change, values, base=_words(base), head=_words(head), style=style)


def _words(read: Read) -> str:
    """What is compared, in a line."""
    about = described(read)
    where = f"on {about.host}" if about.host else ""
    parts = (about.version, about.commit[:10], ",".join(about.flags), where)
    return f"{about.title}: {' '.join(part for part in parts if part)}".rstrip(": ")


def _picture(kind: Kind, data: bytes) -> Reply:
    return Reply(data, content_type=_TYPES[kind], headers=HARMLESS)


def _handlers(kind: Kind) -> Sequence[tuple[str, str, Handler, Any]]:
    async def draw_comparison(call: Call) -> Reply:
        """A comparison as a picture: how much each benchmark differs, between what, and whether to believe it."""
        return await _drawn(call, kind, {}, _comparison)

    async def draw_files(call: Call) -> Reply:
        """The same with files that are not in the lab."""
        return await _drawn(call, kind, sent_files(call), _comparison)

    async def draw_distribution(call: Call) -> Reply:
        """The values of one benchmark on both sides of a comparison as a picture."""
        return await _drawn(call, kind, {}, _distribution)

    async def draw_distribution_of_files(call: Call) -> Reply:
        """The same with files that are not in the lab."""
        return await _drawn(call, kind, sent_files(call), _distribution)

    async def draw_series(call: Call) -> Reply:
        """Series as a picture, with epochs and the changes of their levels."""
        series, _, _ = await find_series(call)
        style = Style(kind, call.query.dark)
        return _picture(kind, await threads.deferToThread(series_picture, series, style=style))

    return (
        ("GET", "compare", draw_comparison, DrawnComparison),
        ("POST", "compare", draw_files, DrawnComparison),
        ("GET", "distribution", draw_distribution, DrawnBenchmark),
        ("POST", "distribution", draw_distribution_of_files, DrawnBenchmark),
        ("GET", "series", draw_series, DrawnSeries),
    )


ROUTES = tuple(
    Route(
        *(method, f"/results/{name}.{kind}", Role.VIEWER if method == "GET" else Role.MEMBER, handler, bytes),
        query=query,
        raw=method == "POST",
        content_type=_TYPES[kind],
    )
    for kind in _TYPES
    for method, name, handler, query in _handlers(kind)
)
