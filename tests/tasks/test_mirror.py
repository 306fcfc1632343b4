"""The mirror of a worker."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from miniature import Miniature

from benchyard.tasks.errors import RecipeError, SourceError
from benchyard.tasks.git import git
from benchyard.tasks.mirror import kept_ref, update_mirror


def test_each_commit_is_fetched_once(repository: Miniature, tmp_path: Path) -> None:
    """What is there is not asked for again, even if the remote is away."""
    mirror = tmp_path / "mirror.git"
    assert update_mirror(mirror, repository.url, repository.first)
    repository.path.rename(tmp_path / "away")
    assert not update_mirror(mirror, repository.url, repository.first)
    assert git(["rev-parse", kept_ref(repository.first)], repository=mirror).strip() == repository.first


def test_commit_without_a_branch(repository: Miniature, tmp_path: Path) -> None:
    """A commit that no branch leads to any more can still be had."""
    lost = repository.comment("lost")
    repository.git("reset", "--hard", repository.first)
    assert update_mirror(tmp_path / "mirror.git", repository.url, lost)


def test_at_the_same_time(repository: Miniature, tmp_path: Path) -> None:
    """Several at once wait for one another: one fetches, the others find it there."""
    with ThreadPoolExecutor(4) as threads:
        fetched = list(
            threads.map(lambda _: update_mirror(tmp_path / "m.git", repository.url, repository.first), range(4))
        )
    assert sorted(fetched) == [False, False, False, True]


@pytest.mark.parametrize(
    ("url", "commit", "error"),
    [
        ("ext::sh -c id", "0" * 40, RecipeError),
        ("file:///nonexistent", "0" * 40, SourceError),
        ("file:///nonexistent", "main", RecipeError),
        ("file:///nonexistent", "--all", RecipeError),
    ],
)
def test_bad_sources(tmp_path: Path, url: str, commit: str, error: type[Exception]) -> None:
    """Nothing but a plain address and a full commit reaches git."""
    with pytest.raises(error):
        update_mirror(tmp_path / "mirror.git", url, commit)


def test_unknown_commit(repository: Miniature, tmp_path: Path) -> None:
    """A commit that the remote has not is an error, and the mirror is good afterwards."""
    with pytest.raises(SourceError):
        update_mirror(tmp_path / "mirror.git", repository.url, "0" * 39 + "1")
    assert update_mirror(tmp_path / "mirror.git", repository.url, repository.first)
