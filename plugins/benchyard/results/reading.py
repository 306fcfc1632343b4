"""Reading a pyperf file: checked against its format, then by pyperf itself, and reduced to its values."""

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from benchyard.results.errors import ResultError

_GZIP_MAGIC = b"\x1f\x8b"

# What pyperf raises for files that are JSON and not its own; it checks little by itself.
_PYPERF_ERRORS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


class Samples(msgspec.Struct, frozen=True):
    """The values of one benchmark over all its runs, without warmups; `unit` is second, byte or integer."""

    values: tuple[float, ...]
    unit: str


class Suite(msgspec.Struct, frozen=True):
    """A result file: what it says of itself, and the benchmarks by name.

    `valueless` names those that were calibrated only: they are in the file, and there is nothing to compare.
    """

    metadata: dict[str, Any]
    benchmarks: dict[str, Samples]
    valueless: tuple[str, ...]


class _Run(msgspec.Struct):
    values: tuple[float, ...] = ()
    samples: tuple[float, ...] = ()


class _Benchmark(msgspec.Struct):
    runs: tuple[_Run, ...]


class _File(msgspec.Struct):
    """The skeleton of the format; `metadata` of benchmarks and runs are left to pyperf."""

    version: int | str
    benchmarks: tuple[_Benchmark, ...]
    metadata: dict[str, Any] = {}


def read_suite(data: bytes) -> Suite:
    """Read the bytes of a pyperf file (plain JSON); ResultError, in one line, for anything else."""
    if not data.strip():
        raise ResultError("the result file is empty")
    if data.startswith(_GZIP_MAGIC):
        raise ResultError("the result file is compressed by gzip: give it unpacked")
    metadata = _check_format(data)
    benchmarks: dict[str, Samples] = {}
    valueless: list[str] = []
    for benchmark in _load(data):
        name = _checked_name(benchmark.get_name())
        values = benchmark.get_values()
        if values:
            benchmarks[name] = Samples(values=_floats(name, values), unit=str(benchmark.get_unit()))
        else:
            valueless.append(name)
    if not benchmarks:
        raise ResultError("the result file has no values: its benchmarks were calibrated only")
    return Suite(metadata=metadata, benchmarks=benchmarks, valueless=tuple(valueless))


def read_loops(data: bytes) -> dict[str, int]:
    """Return by benchmark how often a pyperf file's was done for one value, where that was the same in all runs."""
    _check_format(data)
    found = {}
    for benchmark in _load(data):
        loops = benchmark.get_metadata().get("loops")
        if isinstance(loops, int) and loops > 0:
            found[_checked_name(benchmark.get_name())] = loops
    return found


def _check_format(data: bytes) -> dict[str, Any]:
    """Find, with its place, what is not JSON (NaN and Infinity are not) or not of a type pyperf expects."""
    try:
        file = msgspec.json.decode(data, type=_File)
    except msgspec.ValidationError as exc:
        raise ResultError(f"the result file is not pyperf's: {_one_line(exc)}") from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ResultError(f"the result file is not JSON: {_one_line(exc)}") from exc
    if not file.benchmarks:
        raise ResultError("the result file has no benchmarks")
    return file.metadata


def _load(data: bytes) -> Sequence[Any]:
    # pyperf takes a while to import, and most of the master never reads a result.
    import pyperf

    try:
        benchmarks: Sequence[Any] = pyperf.BenchmarkSuite.loads(data.decode()).get_benchmarks()
    except _PYPERF_ERRORS as exc:
        raise ResultError(f"pyperf does not take the result file: {_one_line(exc)}") from exc
    return benchmarks


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not name or not name.isprintable():
        raise ResultError(f"the result file has a benchmark without a proper name: {name!r:.80}")
    return name


def _floats(name: str, values: Sequence[float]) -> tuple[float, ...]:
    try:
        floats = tuple(map(float, values))
    except OverflowError:
        floats = (math.inf,)
    if not all(map(math.isfinite, floats)):
        raise ResultError(f"the result file has a value of benchmark {name!r} that is not a finite number")
    return floats


def _one_line(exc: Exception) -> str:
    text = " ".join(str(exc).split()) or type(exc).__name__
    # A KeyError is nothing but the key.
    return f"no {text}" if isinstance(exc, KeyError) else text[:300]
