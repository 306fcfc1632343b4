"""Directories that a machine keeps by the hash of what they hold: made once, dropped by least recent use.

ROOT/ID/        the directory, whole
     ID.lock    held alone while it is made or dropped, shared while it is used; its time is that of the last use
     .ID.*      half of one, and nobody's once nobody holds its lock; so is .PID.making.* once there is no such process
"""

import os
import re
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchyard.tasks.archive import unpack
from benchyard.tasks.errors import ArchiveError
from benchyard.tasks.hostlock import hold_lock, try_lock

_ID = re.compile(r"[0-9a-f]{64}", re.ASCII)
_HALF = re.compile(r"\.([0-9a-f]{64})\.(?:[0-9]+\.)?(?:part|dropped)", re.ASCII)
_MAKING = re.compile(r"\.([0-9]+)\.making\..*", re.ASCII)
_LOCK_S = 24 * 3600.0


def is_id(text: str) -> bool:
    """Whether this may be the name of a directory in a store: a SHA-256."""
    return _ID.fullmatch(text) is not None


class TreeStore:
    """The directories below `root`; `limit` bytes are kept at most, but never less than what is in use."""

    def __init__(self, root: Path, *, limit: int | None = None) -> None:
        self.root, self.limit = root, limit

    def tree(self, id: str) -> Path:
        """Where a directory is, or will be."""
        if not is_id(id):
            raise ArchiveError(f"{id[:80]!r} is no id: 64 digits from 0 to f")
        return self.root / id

    def has(self, id: str) -> bool:
        """Whether a directory is here, whole."""
        return self.tree(id).is_dir()

    def ids(self) -> list[str]:
        """The directories that are here, whole."""
        return [entry.name for entry in self.root.iterdir() if is_id(entry.name)] if self.root.is_dir() else []

    @contextmanager
    def use(self, id: str) -> Iterator[Path]:
        """Give the path of a directory, which stays there during the block."""
        with self._locked(id, shared=True):
            tree = self.tree(id)
            if not tree.is_dir():
                raise ArchiveError(f"{id[:12]} is not in {self.root}; make or fetch it first")
            yield tree

    @contextmanager
    def making(self, id: str) -> Iterator[bool]:
        """Give whether a directory must be made, and nobody else makes it during the block."""
        self._sweep()
        with self._locked(id, shared=False):
            yield not self.has(id)

    def add(self, id: str, archive: Path, *, sha256: str, check: Callable[[Path], None] = lambda tree: None) -> None:
        """Unpack an archive, if it is not here; what was not used for long makes room.

        `check` may refuse what was unpacked by raising: then it is gone again.
        """
        with self.making(id) as missing:
            if missing:
                unpack(archive, self.tree(id), sha256=sha256, check=check)
        self.drop_old(keep=(id,))

    def drop_old(self, keep: Collection[str] = ()) -> list[str]:
        """Drop what was used least recently until the rest is within the limit; returns what was dropped."""
        self._sweep()
        if self.limit is None:
            return []
        found = self.ids()
        sizes = {id: tree_size(self.root / id) for id in found}
        dropped = []
        for id in sorted(found, key=self._last_use):
            if sum(sizes.values()) <= self.limit:
                break
            if id not in keep and self.drop(id):
                dropped.append(id)
                del sizes[id]
        return dropped

    def making_prefix(self) -> str:
        """How the name of a directory begins that is filled in `root` before its id is known."""
        return f".{os.getpid()}.making."

    def _sweep(self) -> None:
        """Remove what those who were killed have left."""
        for entry in self.root.iterdir() if self.root.is_dir() else ():
            if half := _HALF.fullmatch(entry.name):
                lock = try_lock(self._lock(half[1]))
                if lock is None:
                    continue  # it is being made or dropped
                try:
                    shutil.rmtree(entry, ignore_errors=True)
                finally:
                    os.close(lock)
            elif (making := _MAKING.fullmatch(entry.name)) and not Path("/proc", making[1]).exists():
                shutil.rmtree(entry, ignore_errors=True)

    def drop(self, id: str) -> bool:
        """Drop a directory, unless it is in use; whether it is gone."""
        if not self.has(id):
            return True
        lock = try_lock(self._lock(id))
        if lock is None:
            return False  # in use
        try:
            doomed = self.root / f".{id}.{os.getpid()}.dropped"
            (self.root / id).rename(doomed)
            shutil.rmtree(doomed)
        finally:
            os.close(lock)
        return True

    def _lock(self, id: str) -> Path:
        return self.tree(id).with_name(id + ".lock")

    def _last_use(self, id: str) -> float:
        try:
            return self._lock(id).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    @contextmanager
    def _locked(self, id: str, *, shared: bool) -> Iterator[None]:
        path = self._lock(id)
        failure = ArchiveError(f"{id[:12]} is being made by another process for too long: see {path}")
        with hold_lock(path, shared=shared, limit_s=_LOCK_S, failure=failure) as fd:
            os.utime(fd)
            yield


def tree_size(tree: Path) -> int:
    """Bytes of the files below a directory."""
    return sum(entry.lstat().st_size for entry in tree.rglob("*") if not entry.is_dir() or entry.is_symlink())
