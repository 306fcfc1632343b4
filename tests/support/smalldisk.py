"""A disk of little room, for the time of a test."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A file system of little room in the place of a folder; the test is expected to fail where none can be mounted."""
    argv = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", str(folder)]
    made = subprocess.run(argv, capture_output=True, text=True)
    if made.returncode != 0:
        pytest.xfail(f"no disk can be mounted here: {made.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def leave_room(folder: Path, room: int) -> Path:
    """Fill the disk of a folder up to so many bytes, by one file, which is given back."""
    filler = folder / "filler"
    filler.unlink(missing_ok=True)
    found = os.statvfs(folder)
    size = found.f_bavail * found.f_frsize - room
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)
    return filler
