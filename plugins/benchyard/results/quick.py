"""Reading a pyperf file without pyperf, which takes ten times as long: only what is certain to be as pyperf wants it.

The types below allow less than pyperf does (`pyperf._metadata`, `Run` and `Benchmark` in `pyperf._bench`). What does
not fit them is no error yet, pyperf itself is asked then; a test over mutations of real files holds that nothing is
taken here that pyperf refuses, and that what is taken is read as pyperf reads it.
"""

from collections.abc import Mapping
from itertools import chain
from typing import Annotated, Any, Literal

import msgspec

from benchyard.results.suites import Samples, Suite, told_of_python

#: Values lie between these, in whatever unit: their squares must have a sum, and not be nothing.
LEAST_VALUE, MOST_VALUE = 1e-100, 1e100

#: Numbers in metadata are below this: the index keeps them in 64 bits.
MOST_NUMBER = 2**62

#: Characters of a benchmark's name.
MOST_NAME = 200

_Value = Annotated[float, msgspec.Meta(gt=LEAST_VALUE, lt=MOST_VALUE)]
_Number = Annotated[float, msgspec.Meta(ge=0.0, lt=MOST_VALUE)]
_Count = Annotated[int, msgspec.Meta(ge=1, lt=MOST_NUMBER)]
_Zeros = Annotated[int, msgspec.Meta(ge=0, lt=MOST_NUMBER)]

_UNITS = frozenset({"second", "byte", "integer"})
_DEFAULT_UNIT = "second"

# Numbers that pyperf wants to be at least that, where they are in the metadata of benchmarks or files.
_COUNTS = {
    **dict.fromkeys(("loops", "inner_loops", "calibrate_loops", "recalibrate_loops"), 1),
    **dict.fromkeys(("mem_max_rss", "mem_peak_pagefile_usage", "command_max_rss"), 1),
    **dict.fromkeys(("calibrate_warmups", "recalibrate_warmups"), 0),
}
_NUMBERS = frozenset({"duration", "uptime", "load_avg_1min"})
_DATES = frozenset({"date", "boot_time"})

# No word of it.
_NONE = "-"

# That of a command is the command's, not pyperf's.
_MEMORY = ("command_max_rss", "mem_max_rss")


class _Process(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The metadata by which the runs of a benchmark differ; none that pyperf wants to be the same in all."""

    date: str = _NONE
    boot_time: str = _NONE
    duration: _Number = 0.0
    uptime: _Number = 0.0
    load_avg_1min: _Number = 0.0
    runnable_threads: Annotated[int, msgspec.Meta(gt=-MOST_NUMBER, lt=MOST_NUMBER)] = 0
    loops: _Count = 1
    calibrate_loops: _Count = 1
    recalibrate_loops: _Count = 1
    calibrate_warmups: _Zeros = 0
    recalibrate_warmups: _Zeros = 0
    mem_max_rss: _Count | msgspec.UnsetType = msgspec.UNSET
    mem_peak_pagefile_usage: _Count = 1
    command_max_rss: _Count | msgspec.UnsetType = msgspec.UNSET
    cpu_freq: str = _NONE
    cpu_temp: str = _NONE
    cpu_affinity: str = _NONE


class _Run(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    values: tuple[_Value, ...] = ()
    warmups: tuple[tuple[_Count, _Number], ...] = ()
    metadata: _Process = _Process()


class _Benchmark(msgspec.Struct, forbid_unknown_fields=True):
    runs: Annotated[tuple[_Run, ...], msgspec.Meta(min_length=1)]
    metadata: dict[str, Any] = {}


class _File(msgspec.Struct, forbid_unknown_fields=True):
    version: Literal["1.0"]
    benchmarks: Annotated[tuple[_Benchmark, ...], msgspec.Meta(min_length=1)]
    metadata: dict[str, Any] = {}


_decoder = msgspec.json.Decoder(_File)


class _Doubtful(Exception):
    """Only pyperf can tell."""


def read_quickly(data: bytes) -> Suite | None:
    """Read the bytes of a pyperf file; None where only pyperf can tell whether it is one."""
    try:
        if not data.isascii():
            data.decode()  # what is skipped by msgspec is not looked at
        file = _decoder.decode(data)
        common = _checked(file.metadata)
        benchmarks: dict[str, Samples] = {}
        valueless: list[str] = []
        for known in file.benchmarks:
            own = {**common, **_checked(known.metadata)} if known.metadata else common
            name = own.get("name")
            if not isinstance(name, str) or not is_name(name) or name in benchmarks or name in valueless:
                return None
            _check_runs(known.runs)
            values = tuple(chain.from_iterable([run.values for run in known.runs]))
            if values:
                benchmarks[name] = _samples(known, own, values)
            else:
                valueless.append(name)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, _Doubtful):
        return None
    if not benchmarks:
        return None
    python = told_of_python(file.metadata, (known.metadata for known in file.benchmarks))
    return Suite(file.metadata, benchmarks, tuple(valueless), _first_date(file), python)


def is_name(name: str) -> bool:
    """Whether a benchmark may be named so: printable, of a length that indexes take, and not the way to a file."""
    return 0 < len(name) <= MOST_NAME and name.isprintable() and ".." not in name.replace("\\", "/").split("/")


def _first_date(file: _File) -> str:
    first = file.benchmarks[0]
    own = first.runs[0].metadata.date
    return str(own if own != _NONE else {**file.metadata, **first.metadata}.get("date", "")).strip()


def _samples(known: _Benchmark, own: Mapping[str, Any], values: tuple[float, ...]) -> Samples:
    version = own.get("version")
    return Samples(
        values=values,
        unit=own.get("unit", _DEFAULT_UNIT),
        processes=tuple([len(run.values) for run in known.runs if run.values]),
        version=version if isinstance(version, str) else "",
        tags=tuple(own.get("tags", ())),
        memory=_memory(known),
    )


def _memory(known: _Benchmark) -> float | None:
    """The largest of its processes."""
    measured = [run.metadata for run in known.runs if run.values]
    for name in _MEMORY:
        said = [size for one in measured if (size := getattr(one, name)) is not msgspec.UNSET]
        if name in known.metadata:
            said.append(known.metadata[name])
        if said:
            return float(max(said))
    return None


def _check_runs(runs: tuple[_Run, ...]) -> None:
    for run in runs:
        if not run.values and not run.warmups:
            raise _Doubtful
        process = run.metadata
        for text in (process.date, process.boot_time, process.cpu_freq, process.cpu_temp, process.cpu_affinity):
            if text != _NONE:
                _check_text(text)


def _checked(metadata: dict[str, Any]) -> dict[str, Any]:
    """The metadata as pyperf has them."""
    found = dict(metadata)
    for name, value in metadata.items():
        kind = type(value)
        if kind is str:
            found[name] = _check_text(value)
        if not _fits(name, value, kind) or (kind is int and abs(value) >= MOST_NUMBER):
            raise _Doubtful
    return found


def _fits(name: str, value: Any, kind: type) -> bool:
    if name in _COUNTS:
        return kind is int and value >= _COUNTS[name]
    if name in _NUMBERS:
        return kind in (int, float) and value >= 0
    if name in _DATES:
        return kind is str
    if name == "unit":
        return kind is str and value.strip() in _UNITS
    if name == "tags":
        return kind is list and all(type(tag) is str and tag not in ("", "all") for tag in value)
    return kind in (str, int, float, bool)


def _check_text(text: str) -> str:
    text = text.strip()
    if not text or "\n" in text or "\r" in text:
        raise _Doubtful
    return text
