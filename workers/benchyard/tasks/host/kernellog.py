"""New messages of the kernel, from /dev/kmsg."""

import os
from pathlib import Path
from typing import NamedTuple

from benchyard.tasks.host.readings import ROOT

# One record, as the kernel gives them, is shorter than this; a regular file in a test is read whole.
_RECORD_BYTES = 64 * 1024
# The kernel's buffer holds some ten thousand records; a log that grows as fast as it is read has to end somewhere.
_MOST_RECORDS = 50_000
_TEXT_LENGTH = 200


class Message(NamedTuple):
    """A message of the kernel; `level` as syslog counts: 3 and less are errors."""

    sequence: int
    level: int
    text: str


class KernelLog:
    """The kernel's messages, from a place on; used as a context manager or closed."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @classmethod
    def open(cls, root: Path = ROOT, *, new_only: bool = True) -> "KernelLog | None":
        """Open the log, behind all there is if `new_only`; None where there is none or we may not read it."""
        try:
            fd = os.open(root / "dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            if new_only:
                os.lseek(fd, 0, os.SEEK_END)
        except OSError:
            os.close(fd)
            return None
        return cls(fd)

    def read(self) -> list[Message]:
        """Return the messages since the last call, without waiting; those that were overwritten are lost."""
        found: list[Message] = []
        for _ in range(_MOST_RECORDS):
            try:
                data = os.read(self._fd, _RECORD_BYTES)
            except BrokenPipeError:
                continue  # some were overwritten: the next read goes on behind them
            except OSError:  # nothing more (EAGAIN), or garbage
                break
            if not data:
                break
            found += parse_records(data)
        return found

    def close(self) -> None:
        """Close the log."""
        os.close(self._fd)


def messages_since(sequence: int, root: Path = ROOT) -> list[Message] | None:
    """Return the messages after that sequence number (-1: all that are kept); None where we may not read them."""
    log = KernelLog.open(root, new_only=False)
    if log is None:
        return None
    try:
        return [message for message in log.read() if message.sequence > sequence]
    finally:
        log.close()


def parse_records(data: bytes) -> list[Message]:
    """Read records "priority,sequence,µs,flags;text"; lines that begin with a blank belong to the one before."""
    found = []
    for line in data.decode("utf-8", "replace").splitlines():
        head, semicolon, text = line.partition(";")
        fields = head.split(",")
        if semicolon and len(fields) >= 3 and all(field.isascii() and field.isdigit() for field in fields[:2]):
            found.append(Message(int(fields[1][:19]), int(fields[0][:9]) & 7, text[:_TEXT_LENGTH]))
    return found
