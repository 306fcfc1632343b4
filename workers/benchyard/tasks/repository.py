"""Bare repositories of the lab's own: one process at a time changes one, and however that ended, the next one can.

NAME.git     the repository
NAME.lock    held while it is changed, by a git that has outlived its caller as well
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchyard.tasks.errors import SourceError
from benchyard.tasks.git import FETCH_S, git
from benchyard.tasks.hostlock import hold_lock

#: Packs of objects, of which each fetch makes one, that are put together once there are more: git looks into them all.
MANY_PACKS = 50

# What a git that was killed leaves: its lock files, the files it was writing, and marks of packs in use.
_LEFTOVERS = (
    "*.lock",
    "packed-refs.new",
    "refs/**/*.lock",
    "objects/info/*.lock",
    "objects/tmp_*",
    "objects/??/tmp_obj_*",
    "objects/pack/*.lock",
    "objects/pack/*.keep",
    "objects/pack/tmp_*",
    "objects/pack/.tmp-*",
)
# What git takes a directory for a repository by; `git init` makes the last of them at its end.
_PARTS = ("HEAD", "refs", "objects")


@contextmanager
def changing(path: Path, *, limit_s: float) -> Iterator[int]:
    """Hold a repository alone, and made if it was not there; gives what each git that changes it is to `keep`.

    Waits at most `limit_s` seconds, then raises SourceError.
    """
    failure = SourceError(f"{path} is being fetched into by another process for {limit_s:g} s; look what hangs")
    with hold_lock(path.with_suffix(".lock"), limit_s=limit_s, failure=failure) as held:
        _make(path)
        _sweep(path)
        yield held


def put_together(path: Path, *how: str, keep: int) -> None:
    """Make one pack of many, as `git repack` with the options `how` does it, where there are too many by now.

    One thread, as something may be measured beside. What does not work now is tried again after the next fetch.
    """
    if sum(1 for _ in path.glob("objects/pack/*.pack")) <= MANY_PACKS:
        return
    try:
        git(["pack-refs", "--all"], repository=path, keep=keep)
        git(["repack", "--quiet", "-d", "--threads=1", *how], repository=path, keep=keep, timeout_s=FETCH_S)
    except SourceError:
        return


def _make(path: Path) -> None:
    """Make the repository beside its place first: half of one would never be mended."""
    if all((path / part).exists() for part in _PARTS):
        return
    beside = path.with_name(f".{path.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    git(["init", "--quiet", "--bare", "--", str(beside)])
    shutil.rmtree(path, ignore_errors=True)
    beside.rename(path)


def _sweep(path: Path) -> None:
    """Remove what is left of those before: nobody else changes the repository now."""
    for pattern in _LEFTOVERS:
        for left in path.glob(pattern):
            if not left.is_dir():
                left.unlink(missing_ok=True)
