"""Keeping result files: whole, read-only, and never replaced by others.

Pyperf files are kept packed, NAME.json.gz, and read back byte for byte; labs of before have them as they are.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path, PurePath, PurePosixPath

import msgspec

from benchyard.results.errors import ResultError, StorageError
from benchyard.results.layout import PACKED, VALUES, other_place
from benchyard.results.packing import pack, unpack

_READ_ONLY = 0o444
_MOST_RERUNS = 10_000


class StoredFile(msgspec.Struct, frozen=True):
    """A kept file: `path` relative to the results directory, with `/`; `sha256` in hex and `size` of its content."""

    path: str
    sha256: str
    size: int


def store_file(
    root: Path,
    relative: PurePosixPath,
    data: bytes,
    *,
    sha256: str | None = None,
    made: Callable[[str], object] = lambda path: None,
) -> StoredFile:
    """Keep `data`, whose digest may be known, below `root` and return where, once it is safe on the disk.

    The same bytes again change nothing; `made` is told the path of a file that was not there before. Where other bytes
    have the name, the file goes below `rerun-2/`, `rerun-3/` and so on, at the top: the directory of a file is part of
    bench_runner's name for it.

    Raises ResultError for a path that leaves `root`, StorageError where the disk refuses.
    """
    if not data:
        raise ResultError(f"the result file {relative} would be empty")
    for number in range(1, _MOST_RERUNS + 1):
        place = other_place(relative, number)
        if place.suffix == VALUES and not _is_there(root, place):
            place = place.with_name(place.name + PACKED)
        new = _keep(root, place, data)
        if new is not None:
            if new:
                made(str(place))
            return StoredFile(path=str(place), sha256=sha256 or hashlib.sha256(data).hexdigest(), size=len(data))
    raise StorageError(f"there are {_MOST_RERUNS} results named {relative} already: move some away")


def read_file(path: Path) -> bytes:
    """The content of a kept file, byte for byte as it was given. Blocks.

    OSError where it cannot be read, FileNotFoundError where it is gone; ResultError where it is damaged.
    """
    data = path.read_bytes()
    return unpack(data) if _is_packed(path) else data


def keep_file(root: Path, place: PurePosixPath, data: bytes) -> bool:
    """Keep `data` at just this path below `root`; False where other bytes have it. Raises as `store_file` does."""
    return _keep(root, place, data) is not None


def _keep(root: Path, place: PurePosixPath, data: bytes) -> bool | None:
    """Whether the file was made; None where other bytes have the path."""
    if place.is_absolute() or not place.parts or ".." in place.parts:
        raise ResultError(f"the path of a result file must stay in the results directory: {str(place)!r:.80}")
    try:
        if _create(root, place, pack(data) if _is_packed(place) else data):
            return True
        return False if _has(root / place, data) else None
    except OSError as exc:
        raise StorageError(f"cannot write the result file {root / place}: {exc.strerror or exc}") from exc


def _is_packed(path: PurePath) -> bool:
    return path.suffixes[-2:] == [VALUES, PACKED]


def _is_there(root: Path, place: PurePosixPath) -> bool:
    return not place.is_absolute() and ".." not in place.parts and (root / place).exists()


def _has(path: Path, data: bytes) -> bool:
    try:
        return read_file(path) == data
    except ResultError as exc:
        raise StorageError(f"the result file {path} is damaged: move it away") from exc


def _create(root: Path, place: PurePosixPath, data: bytes) -> bool:
    """Make the file in one step, with all its bytes; False where the name is taken."""
    target = root / place
    _make_folders(root, target.parent)
    if target.exists():
        return False
    # The suffix keeps a file that a crash left behind from being read as a result.
    descriptor, name = tempfile.mkstemp(prefix=".", suffix=".partial", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), _READ_ONLY)
            file.flush()
            os.fdatasync(file.fileno())
        # A link, not a rename: a rename would replace what another process has put there meanwhile.
        target.hardlink_to(temporary)
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    _sync_folder(target.parent)
    return True


def _make_folders(root: Path, folder: Path) -> None:
    if not root.is_dir():
        raise StorageError(f"the results directory {root} does not exist")
    if not folder.is_dir():
        _make_folders(root, folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)
    if not folder.resolve().is_relative_to(root.resolve()):
        raise ResultError(f"the directory {folder} leads out of the results directory")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
