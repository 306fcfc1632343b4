"""The mirror of a worker: one bare repository with every commit that was ever built there, each fetched once.

A ref of its own, refs/benchyard/COMMIT, keeps each. All remotes share it: a fork's commit brings only what is new. It
is not shallow, since git does not fetch from a shallow repository into a checkout.
"""

from pathlib import Path

from benchyard.tasks.errors import RecipeError, SourceError
from benchyard.tasks.git import FETCH_S, check_url, git, is_commit
from benchyard.tasks.repository import changing, put_together

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
    with changing(mirror, limit_s=_LOCK_S) as held:
        if _kept(mirror, commit):
            return False
        _fetch(mirror, url, commit, held)
        # The small packs alone: the whole of CPython would take minutes.
        put_together(mirror, "--geometric=2", keep=held)
        return True


def _fetch(mirror: Path, url: str, commit: str, held: int) -> None:
    def change(*arguments: str) -> None:
        git(arguments, repository=mirror, timeout_s=FETCH_S, keep=held)

    fetch = ("fetch", "--quiet", "--no-tags", "--", url)
    try:
        change(*fetch, f"+{commit}:{kept_ref(commit)}")
    except SourceError:
        # Old servers give out no commit by its name: then all branches and tags are brought.
        change(*fetch, "+refs/heads/*:refs/fetched/heads/*", "+refs/tags/*:refs/fetched/tags/*")
        change("update-ref", kept_ref(commit), commit)


def _kept(mirror: Path, commit: str) -> bool:
    try:
        found = git(["rev-parse", "--verify", "--quiet", kept_ref(commit) + "^{commit}"], repository=mirror)
    except SourceError:
        return False
    return found.strip() == commit
