"""The trash of result files: kept for some time after their result was removed."""

import os
import time
from pathlib import Path

from benchyard.results.errors import StorageError

#: Below the results directory; hidden, so that no tool takes what is in it for results.
FOLDER = ".trash"


def throw_away(root: Path, path: str) -> None:
    """Move a result's file into the trash; one that is gone already is no fault."""
    target = root / FOLDER / path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        (root / path).replace(target)
        os.utime(target)
    except FileNotFoundError:
        return
    except OSError as exc:
        raise StorageError(f"cannot move {root / path} to the trash: {exc.strerror or exc}") from exc


def empty(root: Path, *, days: float, now: float | None = None) -> int:
    """Remove for good what has been in the trash for longer than `days`, and tell how many files that were."""
    before = (time.time() if now is None else now) - days * 86_400
    removed = 0
    for file in sorted((root / FOLDER).rglob("*.json")):
        if file.stat().st_mtime < before:
            file.unlink()
            removed += 1
    return removed
