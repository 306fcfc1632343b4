"""Copying a run's log while it grows: byte for byte, or as lines that mean the same to whoever counts them.

Buildbot's worker makes lines of its own of what a command prints: it ends them at carriage returns and movements of the
cursor, and loses the end of very long ones. A number of lines is a place in the log only where nothing of that is left
for it to do.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

#: Characters of the longest line that is given out; Buildbot's worker takes 4096.
LONGEST = 4000

_CHUNK = 1024 * 1024
_BREAK = re.compile(r"\r\n|\r|\033\[u|\033\[[0-9]+;[0-9]+[Hf]|\033\[2J|\x08+")


class Sink(Protocol):
    """Where the output of a run is copied to."""

    def write(self, data: bytes, /) -> object:
        """Take some bytes."""

    def flush(self) -> object:
        """Pass them on."""


class Follower:
    """Copies what a log has beyond what was copied before, to `out`.

    With `seen`, it copies whole lines, without the first so many: whoever followed before has shown them.
    """

    def __init__(self, log: Path, out: Sink, seen: int | None = None) -> None:
        self._log, self._out, self._to_skip = log, out, seen
        self._position = 0

    def copy(self, *, ended: bool) -> None:
        """Copy what is new; of a log that has `ended`, a last line without an end is a line, too."""
        try:
            with self._log.open("rb") as file:
                file.seek(self._position)
                if self._to_skip is None:
                    while chunk := file.read(_CHUNK):
                        self._out.write(chunk)
                        self._position += len(chunk)
                else:
                    while (raw := file.readline(_CHUNK)) and (ended or raw.endswith(b"\n") or len(raw) == _CHUNK):
                        self._copy_lines(raw, self._to_skip)
                        self._position += len(raw)
        except FileNotFoundError:
            return
        self._out.flush()

    def _copy_lines(self, raw: bytes, to_skip: int) -> None:
        lines = list(lines_of(raw))
        self._to_skip = max(0, to_skip - len(lines))
        self._out.write("".join(f"{line}\n" for line in lines[to_skip:]).encode())


def lines_of(raw: bytes) -> Iterator[str]:
    """Split a line of a log, with or without its end, into those that are given out, without their ends."""
    text = raw.decode("utf-8", "replace").removesuffix("\n").removesuffix("\r")
    for line in _BREAK.split(text):
        yield from (line[start : start + LONGEST] for start in range(0, len(line) or 1, LONGEST))
