"""The trash of result files, and of what belongs to them: kept for some time after their result was removed."""

import os
import time
from pathlib import Path

from benchyard.results.attachments import attachments_folder
from benchyard.results.errors import StorageError

#: Below the results directory; hidden, so that no tool takes what is in it for results.
FOLDER = ".trash"


def throw_away(root: Path, path: str) -> None:
    """Move a result's file into the trash, with its attachments; what is gone already is no fault."""
    target = root / FOLDER / path
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


def empty(root: Path, *, days: float, now: float | None = None) -> int:
    """Remove for good what has been in the trash for longer than `days`, and tell how many files that were."""
    before = (time.time() if now is None else now) - days * 86_400
    removed = 0
    for file in sorted((root / FOLDER).rglob("*")):
        if file.is_file() and file.stat().st_mtime < before:
            file.unlink()
            removed += 1
    return removed
