"""Reading a pyperf file: checked as pyperf does, or by pyperf itself where in doubt, and reduced to its values."""

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from benchyard.results.errors import ResultError
from benchyard.results.packing import MAGIC, check_size
from benchyard.results.quick import LEAST_VALUE, MOST_NUMBER, MOST_VALUE, is_name, read_quickly
from benchyard.results.suites import Samples, Suite, told_of_python

__all__ = ["Samples", "Suite", "read_loops", "read_suite"]

# What pyperf raises for files that are JSON and not its own; it checks little by itself.
_PYPERF_ERRORS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


class _Metadata(msgspec.Struct):
    """What counts here of the metadata of a benchmark or a run; pyperf checks no more of it than its names' types."""

    name: Any = None
    date: Any = None
    unit: Any = None
    version: Any = None
    tags: Any = None
    mem_max_rss: Any = None
    command_max_rss: Any = None


_NO_METADATA = _Metadata()


class _Run(msgspec.Struct):
    values: tuple[float, ...] = ()
    samples: tuple[float, ...] = ()
    metadata: _Metadata | None = None


class _Benchmark(msgspec.Struct):
    runs: tuple[_Run, ...]
    metadata: _Metadata | None = None


class _File(msgspec.Struct):
    """The skeleton of the format; what is in `metadata` is left to pyperf."""

    version: int | str
    benchmarks: tuple[_Benchmark, ...]
    metadata: dict[str, Any] = {}


def read_suite(data: bytes) -> Suite:
    """Read the bytes of a pyperf file (plain JSON); ResultError, in one line, for anything else."""
    if not data.strip():
        raise ResultError("the result file is empty")
    if data.startswith(MAGIC):
        raise ResultError("the result file is compressed by gzip: give it unpacked")
    check_size(len(data))
    return read_quickly(data) or _read_by_pyperf(data)


def _read_by_pyperf(data: bytes) -> Suite:
    file = _check_format(data)
    benchmarks: dict[str, Samples] = {}
    valueless: list[str] = []
    own: list[dict[str, Any]] = []
    for benchmark, known in zip(_load(data), file.benchmarks, strict=True):
        own.append(benchmark.get_metadata())
        name = _checked_name(benchmark.get_name())
        values = benchmark.get_values()
        if values:
            unit = str(benchmark.get_unit())
            benchmarks[name] = _samples(file, known, _floats(name, values), unit)
        else:
            valueless.append(name)
    if not benchmarks:
        raise ResultError("the result file has no values: its benchmarks were calibrated only")
    _check_numbers(file.metadata)
    date = _said(file, file.benchmarks[0], "date") or ""
    return Suite(file.metadata, benchmarks, tuple(valueless), date, told_of_python(file.metadata, own))


def _samples(file: _File, known: _Benchmark, values: tuple[float, ...], unit: str) -> Samples:
    """The values of a benchmark with what its metadata say besides."""
    version, tags = _said(file, known, "version"), _said(file, known, "tags")
    return Samples(
        values=values,
        unit=unit,
        processes=tuple(len(found) for run in known.runs if (found := run.values or run.samples)),
        version=version if isinstance(version, str) else "",
        tags=tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else (),
        memory=_memory(known),
    )


def _said(file: _File, known: _Benchmark, name: str) -> Any:
    """What the first run says, else the benchmark, else the file: pyperf takes what all have in common upwards."""
    run = known.runs[0].metadata if known.runs else None
    for metadata in (run, known.metadata):
        if metadata is not None and (found := getattr(metadata, name)) is not None:
            return found.strip() if isinstance(found, str) else found
    found = file.metadata.get(name)
    return found.strip() if isinstance(found, str) else found


def _memory(known: _Benchmark) -> float | None:
    """The largest of its processes; that of a command is the command's, not pyperf's."""
    for name in ("command_max_rss", "mem_max_rss"):
        said = [getattr(known.metadata or _NO_METADATA, name)]
        said += [getattr(run.metadata, name) for run in known.runs if run.metadata is not None and run.values]
        numbers = [size for size in said if isinstance(size, int | float) and not isinstance(size, bool)]
        sizes = [size for size in numbers if 0 < size < MOST_NUMBER]
        if sizes:
            return float(max(sizes))
    return None


def read_loops(data: bytes) -> dict[str, int]:
    """Return by benchmark how often a pyperf file's was done for one value, where that was the same in all runs."""
    _check_format(data)
    found = {}
    for benchmark in _load(data):
        loops = benchmark.get_metadata().get("loops")
        if isinstance(loops, int) and loops > 0:
            found[_checked_name(benchmark.get_name())] = loops
    return found


def _check_format(data: bytes) -> _File:
    """Find, with its place, what is not JSON (NaN and Infinity are not) or not of a type pyperf expects."""
    try:
        file = msgspec.json.decode(data, type=_File)
    except msgspec.ValidationError as exc:
        raise ResultError(f"the result file is not pyperf's: {_one_line(exc)}") from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ResultError(f"the result file is not JSON: {_one_line(exc)}") from exc
    if not file.benchmarks:
        raise ResultError("the result file has no benchmarks")
    return file


def _load(data: bytes) -> Sequence[Any]:
    # pyperf takes a while to import, and most of the master never reads a result.
    import pyperf

    try:
        benchmarks: Sequence[Any] = pyperf.BenchmarkSuite.loads(data.decode()).get_benchmarks()
    except _PYPERF_ERRORS as exc:
        raise ResultError(f"pyperf does not take the result file: {_one_line(exc)}") from exc
    return benchmarks


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not is_name(name):
        raise ResultError(f"the result file has a benchmark without a proper name: {name!r:.80}")
    return name


def _floats(name: str, values: Sequence[float]) -> tuple[float, ...]:
    try:
        floats = tuple(map(float, values))
    except OverflowError:
        floats = (math.inf,)
    if not all(map(math.isfinite, floats)):
        raise ResultError(f"the result file has a value of benchmark {name!r} that is not a finite number")
    if max(floats, default=0.0) >= MOST_VALUE:
        raise ResultError(f"the result file has a value of benchmark {name!r} of {MOST_VALUE:g} or more")
    if min(floats, default=1.0) <= LEAST_VALUE:
        raise ResultError(f"the result file has a value of benchmark {name!r} of {LEAST_VALUE:g} or less")
    return floats


def _check_numbers(metadata: dict[str, Any]) -> None:
    """The index keeps what a file says of itself, in numbers of 64 bits."""
    try:
        msgspec.msgpack.encode(metadata)
    except OverflowError as exc:
        raise ResultError("the result file has a number in its metadata that is too large for 64 bits") from exc


def _one_line(exc: Exception) -> str:
    text = " ".join(str(exc).split()) or type(exc).__name__
    # A KeyError is nothing but the key.
    return f"no {text}" if isinstance(exc, KeyError) else text[:300]
