"""The trash of result files, and of what belongs to them: kept for some time after their result was removed."""

import hashlib
import os
import shutil
import time
from pathlib import Path

from benchyard.results.attachments import attachments_folder
from benchyard.results.errors import ResultError, StorageError
from benchyard.results.files import read_file

#: Below the results directory; hidden, so that no tool takes what is in it for results.
FOLDER = ".trash"


def folder_of(root: Path, result_id: int, path: str) -> Path:
    """The folder in the trash below which a result has its path: one of its own, as the path is free for others again.

    Labs of before had one for all.
    """
    folder, old = root / FOLDER / str(result_id), root / FOLDER
    return old if (old / path).is_file() and not (folder / path).is_file() else folder


def throw_away(root: Path, result_id: int, path: str, sha256: str | None) -> None:
    """Move a result's file into the trash, with its attachments; what is gone already is no fault.

    A file with other content than the result's stays: it is somebody else's. Blocks.
    """
    target = root / FOLDER / str(result_id) / path
    if not _may_go(root / path, sha256):
        return
    for source, place in ((root / path, target), (attachments_folder(root / path), attachments_folder(target))):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(place)
            for moved in (place, *place.glob("*")):
                os.utime(moved)
        except FileNotFoundError:
            continue
        except OSError as exc:
            raise StorageError(f"cannot move {source} to the trash: {exc.strerror or exc}") from exc


def _may_go(file: Path, sha256: str | None) -> bool:
    try:
        return hashlib.sha256(read_file(file)).hexdigest() == sha256
    except FileNotFoundError:
        return True
    except (OSError, ResultError):
        return False


def remove(root: Path, result_id: int, path: str) -> None:
    """Remove for good what a result has in the trash; what is gone already is no fault. Blocks."""
    file = folder_of(root, result_id, path) / path
    try:
        file.unlink(missing_ok=True)
        shutil.rmtree(attachments_folder(file), ignore_errors=True)
        shutil.rmtree(root / FOLDER / str(result_id), ignore_errors=True)
    except OSError as exc:
        raise StorageError(f"cannot remove {file} from the trash: {exc.strerror or exc}") from exc


def empty(root: Path, *, days: float, now: float | None = None) -> int:
    """Remove for good all that has been in the trash for longer than `days`, and tell how many files that were."""
    before = (time.time() if now is None else now) - days * 86_400
    removed = 0
    for file in sorted((root / FOLDER).rglob("*")):
        if file.is_file() and file.stat().st_mtime < before:
            file.unlink()
            removed += 1
    return removed
