"""Comparisons over REST: one result or interpreter with others, many with many, and files that are not in the lab."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, TypeVar

import msgspec
from twisted.internet import threads

from benchyard.access.roles import Role
from benchyard.results.compare import Comparison, compare, unit_of
from benchyard.results.differences import find_differences, find_marks
from benchyard.results.exports import comparison_csv, comparison_report
from benchyard.results.units import format_change
from benchyard.web.calls import Call, Reply, Route
from benchyard.web.filters import Wanted
from benchyard.web.problems import Problem
from benchyard.web.sides import Read, Side, described, find_sides, read_side, sent_files
from benchyard.web.views import ComparisonView, MatrixCell, MatrixView

#: Sides of a comparison.
MAX_SIDES = 32

T = TypeVar("T")

Name = Annotated[Wanted, msgspec.Meta(min_length=1)]
Names = Annotated[tuple[Name, ...], msgspec.Meta(min_length=1, max_length=MAX_SIDES)]


class Selected(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A base and one head or several, each the number of a result, `last`, or the name of an interpreter.

    With `single`, of an interpreter its newest result is taken alone; with `include_different`, what differs in more
    than the interpreter counts overall.
    """

    base: Name
    head: Names
    single: bool = False
    include_different: bool = False


class Crossed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Bases and heads; without heads, each base is compared with each other."""

    base: Names
    head: Annotated[tuple[Name, ...], msgspec.Meta(max_length=MAX_SIDES)] = ()
    single: bool = False
    include_different: bool = False


async def compare_results(call: Call) -> ComparisonView:
    """A base compared with one head or several, benchmark by benchmark and overall."""
    return await _in_thread(call, await selected(call, {}), _view)


async def compare_files(call: Call) -> ComparisonView:
    """The same with files that are not in the lab: an object of pyperf files by name, said as `file:NAME`."""
    return await _in_thread(call, await selected(call, sent_files(call)), _view)


async def compare_as_markdown(call: Call) -> Reply:
    """The comparisons as Markdown, for an issue or a pull request."""
    return _text(await _in_thread(call, await selected(call, {}), _markdown), "text/markdown")


async def compare_files_as_markdown(call: Call) -> Reply:
    """The same with files that are not in the lab."""
    return _text(await _in_thread(call, await selected(call, sent_files(call)), _markdown), "text/markdown")


async def compare_as_csv(call: Call) -> Reply:
    """The comparisons as CSV, a line for each benchmark of each head."""
    return _text(await _in_thread(call, await selected(call, {}), _csv), "text/csv")


async def compare_files_as_csv(call: Call) -> Reply:
    """The same with files that are not in the lab."""
    return _text(await _in_thread(call, await selected(call, sent_files(call)), _csv), "text/csv")


async def compare_many(call: Call) -> MatrixView:
    """Many results or interpreters with each other, each pair as a whole."""
    query: Crossed = call.query
    names = tuple(dict.fromkeys((*query.base, *query.head)))
    if len(names) > MAX_SIDES:
        raise Problem(400, f"at most {MAX_SIDES} are compared with each other", "base")
    sides = await find_sides(call, [("base", name) for name in names], {})
    places = {name: place for place, name in enumerate(names)}
    bases, heads = ([places[name] for name in dict.fromkeys(given)] for given in (query.base, query.head))
    matrix: MatrixView = await threads.deferToThread(_matrix, call, sides, bases, heads or bases)
    return matrix


async def selected(call: Call, files: Mapping[str, bytes]) -> list[Side]:
    query: Selected = call.query
    return await find_sides(call, [("base", query.base), *(("head", name) for name in query.head)], files)


async def _in_thread(call: Call, sides: Sequence[Side], show: Callable[[Call, list[Read]], T]) -> T:
    found: T = await threads.deferToThread(lambda: show(call, [read_side(call, side) for side in sides]))
    return found


def compared(call: Call, base: Read, head: Read, *, levels: bool = True) -> Comparison:
    """The comparison of two sides, with the noise of the head's host."""
    return compare(
        base.measured,
        head.measured,
        noise=head.side.noise,
        differences=find_differences(base.conditions, head.conditions),
        marks=find_marks(base.conditions, head.conditions),
        include_different=call.query.include_different,
        levels=levels,
    )


def _view(call: Call, sides: list[Read]) -> ComparisonView:
    base, *heads = sides
    views = [
        ComparisonView(
            base.view,
            head.view,
            base_results=base.ids,
            head_results=head.ids,
            **msgspec.structs.asdict(compared(call, base, head)),
        )
        for head in heads
    ]
    return msgspec.structs.replace(views[0], more=tuple(views[1:]))


def _markdown(call: Call, sides: list[Read]) -> str:
    base, *heads = sides
    told = described(base)
    reports = [comparison_report(compared(call, base, head), base=told, head=described(head)) for head in heads]
    return "\n".join(reports)


def _csv(call: Call, sides: list[Read]) -> str:
    base, *heads = sides
    return comparison_csv((base.side.name, head.side.name, compared(call, base, head)) for head in heads)


def _matrix(call: Call, sides: list[Side], bases: Sequence[int], heads: Sequence[int]) -> MatrixView:
    read = [read_side(call, side) for side in sides]
    found: dict[tuple[int, int], tuple[MatrixCell, str]] = {}
    for base in bases:
        for head in heads:
            if base == head:
                continue
            back = found.get((head, base))
            # The noise that counts is that of the head's host.
            if back is not None and read[base].side.noise == read[head].side.noise:
                found[base, head] = _mirrored(read, *back)
            else:
                found[base, head] = _cell(call, read, base, head)
    return MatrixView(tuple(one.view for one in read), tuple(cell for cell, _ in found.values()))


def _cell(call: Call, read: Sequence[Read], base: int, head: int) -> tuple[MatrixCell, str]:
    """One side against another, and the unit in whose words that is told."""
    found = compared(call, read[base], read[head], levels=False)
    mean, reliability = found.geometric_mean, found.reliability
    cell = MatrixCell(
        base=base,
        head=head,
        ratio=mean.ratio if mean is not None else None,
        change=mean.change if mean is not None else "",
        n=mean.n if mean is not None else 0,
        of=len(found.benchmarks) + len(found.missing) + len(found.new) + len(found.incomparable),
        faster=reliability.faster if reliability is not None else None,
        counts=found.counts,
        differences=found.differences,
    )
    return cell, unit_of(change for change in found.benchmarks if change.counted)


def _mirrored(read: Sequence[Read], cell: MatrixCell, unit: str) -> tuple[MatrixCell, str]:
    """The same the other way round."""
    counts = msgspec.structs.replace(cell.counts, better=cell.counts.worse, worse=cell.counts.better)
    ratio = 1.0 / cell.ratio if cell.ratio is not None else None
    back = msgspec.structs.replace(
        cell,
        base=cell.head,
        head=cell.base,
        ratio=ratio,
        change=format_change(ratio, unit) if ratio is not None else "",
        faster=1.0 - cell.faster if cell.faster is not None else None,
        counts=counts,
        differences=find_differences(read[cell.head].conditions, read[cell.base].conditions),
    )
    return back, unit


def _text(text: str, kind: str) -> Reply:
    return Reply(text.encode(), content_type=f"{kind}; charset=utf-8")


ROUTES = (
    Route("GET", "/results/compare", Role.VIEWER, compare_results, ComparisonView, query=Selected),
    Route("POST", "/results/compare", Role.MEMBER, compare_files, ComparisonView, query=Selected, raw=True),
    Route(
        *("GET", "/results/compare.md", Role.VIEWER, compare_as_markdown, str),
        query=Selected,
        content_type="text/markdown",
    ),
    Route(
        *("POST", "/results/compare.md", Role.MEMBER, compare_files_as_markdown, str),
        query=Selected,
        raw=True,
        content_type="text/markdown",
    ),
    Route(*("GET", "/results/compare.csv", Role.VIEWER, compare_as_csv, str), query=Selected, content_type="text/csv"),
    Route(
        *("POST", "/results/compare.csv", Role.MEMBER, compare_files_as_csv, str),
        query=Selected,
        raw=True,
        content_type="text/csv",
    ),
    Route("GET", "/results/matrix", Role.VIEWER, compare_many, MatrixView, query=Crossed),
)
