"""The tables of a repository of results, rendered from nothing but the files there: the same files, the same bytes.

Names and words are bench_runner's, so that its own tables have these comparisons, too
(https://github.com/faster-cpython/bench_runner): a folder of results has no other files than README.md, result files,
and what is named `STEM-vs-BASE`.
"""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from urllib.parse import quote

import msgspec

from benchyard.publish.describing import describe_file, describe_row
from benchyard.publish.destinations import Publication
from benchyard.results.compare import Comparison
from benchyard.results.errors import ResultError
from benchyard.results.layout import ResultName
from benchyard.results.markdown import code, comparison_markdown, link, result_markdown
from benchyard.results.reading import read_suite

README = "README.md"
START, END = "<!-- START benchyard -->", "<!-- END benchyard -->"

#: Results in an index: GitHub shows no files that are much larger.
MOST_ROWS = 1000

# The line that bench_runner reads back, of what it or we have compared.
_MEAN = "- Geometric mean (including insignificant results): "
_READ_MEAN = re.compile(re.escape(_MEAN) + r"([0-9.]+x [a-z]+|no change|not sig)", re.ASCII)

_NEW_INDEX = "# Benchmark results\n\n"
_NOTE = (
    "Newest first. Tables and files are as [bench_runner](https://github.com/faster-cpython/bench_runner) has them.\n"
)


class Shown(msgspec.Struct, frozen=True):
    """A result as an index has it: `change` is that of its comparison with a base, empty where there is none."""

    path: PurePosixPath
    name: ResultName
    grade: str = ""
    change: str = ""

    @property
    def comparison(self) -> PurePosixPath:
        """The file of its comparison."""
        return comparison_path(self.path)


class _Head(msgspec.Struct):
    metadata: dict[str, object] = {}


def comparison_path(path: PurePosixPath) -> PurePosixPath:
    """Where the comparison of a result with its base is."""
    return path.with_name(f"{path.stem}-vs-base.md")


def is_derived(path: PurePosixPath, of: PurePosixPath) -> bool:
    """Whether a file was made of a result, by us or by bench_runner, and is nothing without it."""
    return path.parent == of.parent and path.name.startswith(f"{of.stem}-")


def read_grade(data: bytes) -> str:
    """The grade that a result file says it has."""
    try:
        grade = msgspec.json.decode(data, type=_Head).metadata.get("benchyard_grade")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return grade if grade in ("A", "B", "C") else ""


def read_change(data: bytes) -> str:
    """The geometric mean that a comparison says."""
    found = _READ_MEAN.findall(data.decode("utf-8", "replace"))
    return str(found[-1]) if found else ""


def render_comparison(publication: Publication, comparison: Comparison) -> bytes:
    """The comparison of a result with its base."""
    head = describe_row(publication.head.result, publication.link)
    base = describe_row(publication.base.result) if publication.base else head
    overall = comparison.geometric_mean
    lines = [
        "# Results vs. base",
        "",
        f"{_MEAN}{overall.change if overall is not None else 'not sig'}",
        "",
        comparison_markdown(comparison, base=base, head=head),
    ]
    return "\n".join(lines).encode()


def render_folder(results: Sequence[tuple[Shown, bytes]]) -> bytes:
    """The README.md of a folder of at least one result: those of one build, on any host."""
    name = results[0][0].name
    text = (
        "# Results\n\n"
        f"- date: {_day(name)}\n"
        f"- version: {code(name.version)}\n"
        f"- config: {', '.join(map(code, name.flags))}\n"
        f"- commit hash: {code(name.commit)}\n"
    )
    for shown, data in sorted(results, key=lambda result: result[0].path):
        text += f"\n## {code(shown.name.nickname)}\n\n- {link('raw results', quote(shown.path.name))}\n"
        if shown.change:
            text += f"- vs. base: {link(shown.change, quote(shown.comparison.name))}\n"
        try:
            suite = read_suite(data)
        except ResultError as exc:
            text += f"- {code(str(exc))}\n"
            continue
        text += result_markdown(suite, describe_file(shown.name, suite.metadata))
    return text.encode()


def render_index(old: bytes | None, results: Sequence[Shown]) -> bytes:
    """The index with its table anew, between its markers; whatever else people have in it stays as it is."""
    section = _section(results)
    text = _NEW_INDEX if old is None else old.decode("utf-8", "surrogateescape")
    before, start, rest = text.partition(START)
    if not start:
        before, after = (f"{text.rstrip()}\n\n" if text.strip() else ""), "\n"
    else:
        _, end, after = rest.partition(END)
        if not end:  # the end was lost: what is there may be anybody's
            after = rest
    return f"{before}{START}\n{section}{END}{after}".encode("utf-8", "surrogateescape")


def index_order(results: Sequence[Shown]) -> list[Shown]:
    """Newest first, and of one day in the order of names."""
    return sorted(sorted(results, key=lambda shown: shown.path), key=lambda shown: shown.name.day, reverse=True)


def _section(results: Sequence[Shown]) -> str:
    titles = ("date", "fork/ref", "hash", "flags", "version", "host", "grade", "vs. base")
    lines = [f"| {' | '.join(titles)} |", f"| {' | '.join('---' for _ in titles)} |"]
    for shown in index_order(results)[:MOST_ROWS]:
        name = shown.name
        cells = (
            link(_day(name), quote(f"{shown.path.parent}/")),
            code(f"{name.fork}/{name.ref}"),
            link(code(name.commit), quote(str(shown.path))),
            ", ".join(map(code, name.flags)),
            code(name.version),
            code(f"{name.nickname} {name.machine}"),
            shown.grade,
            link(shown.change, quote(str(shown.comparison))) if shown.change else "",
        )
        lines.append(f"| {' | '.join(cells)} |")
    more = len(results) - MOST_ROWS
    rest = f"\nAnd {more} older ones in the folders here.\n" if more > 0 else ""
    return f"{_NOTE}\n" + "\n".join(lines) + f"\n{rest}\n"


def _day(name: ResultName) -> str:
    return f"{name.day[:4]}-{name.day[4:6]}-{name.day[6:]}"
