"""Comparisons of results, as the lab tells them."""

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from benchyard.client.entities import Document, Link, ask, make_document, tie
from benchyard.client.errors import Invalid
from benchyard.client.http import Params
from benchyard.client.results import BenchmarkResult

Selector = int | str | Path | BenchmarkResult
"""A result or its number, the name of an interpreter, or the file of a result that is not in the lab."""

MOST = 40_000_000
"""Bytes of a file that is compared without being in the lab, unpacked."""

_FORMATS = {"markdown": "md", "csv": "csv"}


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """Mean and standard deviation of `n` values, in `unit` ("second", "byte", "integer")."""

    mean: float
    stdev: float | None = None
    n: int = 0
    unit: str = "second"


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """The peaks of memory of a benchmark's processes, in bytes; `ratio` over 1 means that the head has less."""

    base: float
    head: float
    ratio: float


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One benchmark in both results; `ratio` over 1 means a faster head, `change` says it in words.

    `change` and `significant` are what pyperf says. `verdict` is what to believe after all benchmarks were looked at
    and with how far two runs differ anyway: "better", "worse", "same", or "unknown"; the true ratio lies between `low`
    and `high` with 95 %, and `p` is the rate of false ones among changes as clear as this. `noise` is how far two runs
    of one interpreter differ on the head's host, relative, None where nobody knows; a change `within_noise` may be no
    change. `differences` are what else differs, and it takes part in nothing overall unless `counted`.
    """

    name: str
    base: Estimate
    head: Estimate
    ratio: float | None = None
    change: str = ""
    significant: bool = False
    noise: float | None = None
    within_noise: bool = False
    verdict: str = ""
    p: float | None = None
    low: float | None = None
    high: float | None = None
    memory: Memory | None = None
    differences: tuple[str, ...] = ()
    counted: bool = True


class GeometricMean(msgspec.Struct, frozen=True, kw_only=True):
    """The geometric mean of the ratios of `n` benchmarks, of the `of` that the two results know together."""

    ratio: float | None = None
    change: str = ""
    n: int = 0
    of: int = 0


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """The geometric mean of the `n` benchmarks with one tag of the suite."""

    tag: str
    ratio: float
    change: str = ""
    n: int = 0


class Reliability(msgspec.Struct, frozen=True, kw_only=True):
    """How sure it is that the head is `faster` as a whole, 0 to 1, and which ratio is reached at least with 90, 95 and
    99 % (under 1 where it is slower, None where that is not sure); `change` says it in words.
    """

    faster: float
    change: str = ""
    at_90: float | None = None
    at_95: float | None = None
    at_99: float | None = None


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """How many benchmarks have which verdict."""

    better: int = 0
    worse: int = 0
    same: int = 0
    unknown: int = 0


class Comparison(Document, frozen=True, kw_only=True):
    """A base against a head, each a result or several of one interpreter, whose numbers are `base_results` and
    `head_results`; `base` and `head` are the newest of these, with the number 0 for a file that is not in the lab.

    `missing` are benchmarks of the base only, `new` of the head only, `incomparable` those measured in two units.
    `differences` are what differs besides the interpreters: then nothing counts overall, unless that was asked for.
    `marks` is what else to know; `assumed_noise` is what two runs are taken to differ by where no calibration has told
    it. `more` has the same base against the further heads.
    """

    base: BenchmarkResult
    head: BenchmarkResult
    benchmarks: tuple[Change, ...] = ()
    missing: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    incomparable: tuple[str, ...] = ()
    geometric_mean: GeometricMean | None = None
    reliability: Reliability | None = None
    counts: Counts = Counts()
    groups: tuple[Group, ...] = ()
    memory: GeometricMean | None = None
    differences: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    assumed_noise: float | None = None
    base_results: tuple[int, ...] = ()
    head_results: tuple[int, ...] = ()
    more: "tuple[Comparison, ...]" = ()


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One side against another as a whole, by their places in `sides`; None where nothing counts."""

    base: int
    head: int
    ratio: float | None = None
    change: str = ""
    n: int = 0
    of: int = 0
    faster: float | None = None
    counts: Counts = Counts()
    differences: tuple[str, ...] = ()


class Matrix(Document, frozen=True, kw_only=True):
    """Many against many; each of `sides` is the newest result of what was named, in that order."""

    sides: tuple[BenchmarkResult, ...] = ()
    cells: tuple[Cell, ...] = ()


def compare(
    link: Link, base: Selector, heads: Sequence[Selector], *, single: bool = False, include_different: bool = False
) -> Comparison:
    """Compare a base with at least one head."""
    params, files = asked(base, heads, single, include_different)
    if files is None:
        comparison = ask(Comparison, link, "GET", "/results/compare", params=params)
    else:
        answer = link.api.post_bytes("/results/compare", files, params)
        comparison = make_document(Comparison, msgspec.json.decode(answer), link)
    _tie_all(comparison, comparison.document, link)
    return comparison


def compare_as(
    link: Link,
    kind: Literal["markdown", "csv"],
    base: Selector,
    heads: Sequence[Selector],
    *,
    single: bool = False,
    include_different: bool = False,
) -> str:
    """Compare, and return the text that the lab makes of it."""
    params, files = asked(base, heads, single, include_different)
    path = f"/results/compare.{_FORMATS[kind]}"
    api = link.api
    return (api.get_bytes(path, params) if files is None else api.post_bytes(path, files, params)).decode()


def compare_many(
    link: Link, bases: Sequence[Selector], heads: Sequence[Selector], *, single: bool, include_different: bool
) -> Matrix:
    """Compare many with many; Invalid for files, which the lab must have for this."""
    if any(isinstance(one, Path) for one in (*bases, *heads)):
        raise Invalid("many with many are results of the lab: add the files first")
    params = {"base": [_name(one) for one in bases], "head": [_name(one) for one in heads]}
    matrix = ask(Matrix, link, "GET", "/results/matrix", params={**params, **_flags(single, include_different)})
    for side, document in zip(matrix.sides, matrix.document["sides"], strict=True):
        tie(side, document, link)
    return matrix


def asked(
    base: Selector, heads: Sequence[Selector], single: bool, include_different: bool
) -> tuple[Params, bytes | None]:
    """The query, and the files that go with it, if there are any."""
    if not heads:
        raise Invalid("a comparison takes a base and at least one head")
    files: dict[str, bytes] = {}
    base_name, *head_names = (_named(one, files) for one in (base, *heads))
    params: Params = {"base": base_name, "head": head_names, **_flags(single, include_different)}
    if not files:
        return params, None
    return params, msgspec.json.encode({name: msgspec.Raw(data) for name, data in files.items()})


def _flags(single: bool, include_different: bool) -> dict[str, str]:
    return {name: "true" for name, on in (("single", single), ("include_different", include_different)) if on}


def _name(one: Selector) -> str:
    return str(one.id if isinstance(one, BenchmarkResult) else one)


def _named(one: Selector, files: dict[str, bytes]) -> str:
    """The name of a side; a file is put among the files, under its own name or one like it."""
    if not isinstance(one, Path):
        return _name(one)
    data = read_file(one)
    name, number = one.name, 2
    while name in files and files[name] != data:
        name, number = f"{one.name} ({number})", number + 1
    files[name] = data
    return f"file:{name}"


def read_file(path: Path) -> bytes:
    """Return the JSON of a file, which may be packed by gzip; Invalid where it is too long or no JSON.

    Raises OSError for a file that cannot be read.
    """
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        try:
            data = (gzip.GzipFile(fileobj=file) if packed else file).read(MOST + 1)
        except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
            raise Invalid(f"{path} is damaged: {exc}") from exc
    if len(data) > MOST:
        raise Invalid(f"{path} has more than {MOST} bytes; add it to the lab, and compare it by its number")
    try:
        msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise Invalid(f"{path} is no pyperf file: {exc}") from exc
    return data


def _tie_all(comparison: Comparison, document: dict[str, Any], link: Link) -> None:
    for name in ("base", "head"):
        tie(getattr(comparison, name), document[name], link)
    for more, one in zip(comparison.more, document.get("more", ()), strict=True):
        tie(more, one, link)
        _tie_all(more, one, link)
