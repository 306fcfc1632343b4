"""Temporary folders whose leftovers do not pile up: who makes one sweeps those that killed processes have left."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def scratch_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A folder in `parent` that is gone after the block; no other kind of folder there may begin with `prefix`.

    Its maker holds a `flock` on it, so the kernel tells which ones nobody uses any more.
    """
    parent.mkdir(parents=True, exist_ok=True)
    making = _locked(parent)  # between the two steps of making one, it looks like a leftover
    try:
        for old in parent.glob(f"{prefix}*"):
            _sweep(old)
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        held = _locked(folder)
    finally:
        os.close(making)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _locked(folder: Path) -> int:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(fd, fcntl.LOCK_EX)
    return fd


def _sweep(folder: Path) -> None:
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return  # its maker has just removed it
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        pass
    finally:
        os.close(fd)
