"""Reading and writing the small files of /sys and /proc, below a root that may be another than "/".

Names are relative to the root, without a slash in front: "proc/sys/kernel/randomize_va_space". Nothing is followed
out of the root, nothing is waited for (a pipe in place of a file), and nothing is created.
"""

import errno
import os
import re
import stat
from pathlib import Path

# What a knob holds is a few bytes; lists of CPUs may take a page. More is not what it claims to be.
LIMIT = 16 * 1024

_FLAGS = os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC


def find_names(root: Path, pattern: str) -> list[str]:
    """Return the names below the root that match the pattern, `*` within one folder, numbers in their order."""
    return sorted((path.relative_to(root).as_posix() for path in root.glob(pattern)), key=_natural)


def read_text(root: Path, name: str) -> str:
    """Return what a file holds, without blanks at its ends.

    Raises OSError, or ValueError with what is wrong with the content: too long, empty or no text.
    """
    fd = os.open(_real(root, name), os.O_RDONLY | _FLAGS)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EISDIR, "is not a regular file")
        with open(fd, "rb", closefd=False) as file:
            data = file.read(LIMIT + 1)
    finally:
        os.close(fd)
    if len(data) > LIMIT:
        raise ValueError(f"holds more than {LIMIT} bytes")
    try:
        text = data.decode("utf-8").strip()
    except UnicodeDecodeError as exc:
        raise ValueError("holds bytes that are no text") from exc
    if not text:
        raise ValueError("is empty")
    return text


def write_text(root: Path, name: str, value: str) -> None:
    """Write a value and a newline by one write, as the kernel wants it; raises OSError."""
    fd = os.open(_real(root, name), os.O_WRONLY | os.O_TRUNC | _FLAGS)
    try:
        os.write(fd, value.encode() + b"\n")
    finally:
        os.close(fd)


def _real(root: Path, name: str) -> str:
    base = os.path.realpath(root)
    path = os.path.realpath(os.path.join(base, name))  # noqa: PTH118 - Path would resolve ".." as text
    if os.path.commonpath([base, path]) != base:
        raise OSError(errno.ELOOP, f"leads out of {root}")
    return path


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(digits or 0), text) for text, digits in re.findall(r"([^0-9]*)([0-9]{0,18})", name)]
