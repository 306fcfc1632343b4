"""The line a run prints when a benchmark starts; the master reads it from the log, for display only."""

import re

import msgspec

_LINE = re.compile(r"benchyard: benchmark ([0-9]{1,4})/([0-9]{1,4}) ([A-Za-z0-9_]{1,100})", re.ASCII)


class Progress(msgspec.Struct, frozen=True):
    """Benchmark number `index` (from 1) of `total` has started."""

    index: int
    total: int
    benchmark: str


def format_progress(progress: Progress) -> str:
    """Return the line that says so, without a line end."""
    return f"benchyard: benchmark {progress.index}/{progress.total} {progress.benchmark}"


def parse_progress(line: str) -> Progress | None:
    """Return what a line of the log says, None for every other line; nothing but a whole line counts."""
    match = _LINE.fullmatch(line.rstrip("\r\n"))
    if match is None:
        return None
    index, total = int(match[1]), int(match[2])
    return Progress(index, total, match[3]) if 1 <= index <= total else None
