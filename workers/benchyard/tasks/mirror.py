"""The mirror of a worker: one bare repository with every commit that was ever built there, each fetched once.

A ref of its own, refs/benchyard/COMMIT, keeps each. All remotes share it: a fork's commit brings only what is new. It
is not shallow, since git does not fetch from a shallow repository into a checkout.
"""

import os
import time
from pathlib import Path

from benchyard.tasks.errors import RecipeError, SourceError
from benchyard.tasks.git import FETCH_S, check_url, git, is_commit
from benchyard.tasks.hostlock import wait_lock

_LOCK_S = 2 * FETCH_S


def kept_ref(commit: str) -> str:
    """The ref that keeps a commit in a mirror."""
    return f"refs/benchyard/{commit}"


def update_mirror(mirror: Path, url: str, commit: str) -> bool:
    """Bring a commit of the repository at `url` into a mirror, made when first needed; whether it had to be fetched.

    RecipeError for an address or commit that is none, SourceError where the commit cannot be had.
    """
    check_url(url)
    if not is_commit(commit):
        raise RecipeError("ref", f"{commit[:80]!r} is not the full name of a commit")
    mirror.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + _LOCK_S

    def pause() -> bool:
        time.sleep(0.1)
        return time.monotonic() < deadline

    fd = wait_lock(mirror.with_suffix(".lock"), shared=False, pause=pause)
    if fd is None:
        raise SourceError(f"{mirror} is being fetched into by another process for too long; look what hangs")
    try:
        if not (mirror / "HEAD").exists():
            git(["init", "--quiet", "--bare", "--", str(mirror)])
        if _kept(mirror, commit):
            return False
        _fetch(mirror, url, commit)
        return True
    finally:
        os.close(fd)


def _fetch(mirror: Path, url: str, commit: str) -> None:
    wanted = f"+{commit}:{kept_ref(commit)}"
    try:
        git(["fetch", "--quiet", "--no-tags", "--", url, wanted], repository=mirror, timeout_s=FETCH_S)
    except SourceError:
        # Old servers give out no commit by its name: then all branches and tags are brought.
        everything = ("+refs/heads/*:refs/fetched/heads/*", "+refs/tags/*:refs/fetched/tags/*")
        git(["fetch", "--quiet", "--no-tags", "--", url, *everything], repository=mirror, timeout_s=FETCH_S)
        git(["update-ref", kept_ref(commit), commit], repository=mirror)


def _kept(mirror: Path, commit: str) -> bool:
    try:
        found = git(["rev-parse", "--verify", "--quiet", kept_ref(commit) + "^{commit}"], repository=mirror)
    except SourceError:
        return False
    return found.strip() == commit
