"""The lab's own repositories, after a git that was killed and beside one that was not."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from miniature import Miniature

from benchyard.tasks.errors import SourceError
from benchyard.tasks.git import git
from benchyard.tasks.history import History
from benchyard.tasks.hostlock import try_lock
from benchyard.tasks.mirror import kept_ref, update_mirror
from benchyard.tasks.repository import MANY_PACKS, changing


def leave(path: Path) -> Path:
    """A file as a git that was killed leaves it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"half")
    return path


def test_history_after_a_kill(repository: Miniature, tmp_path: Path) -> None:
    """Lock files and half packs of a fetch that was killed are no trouble for the next, and go."""
    history = History(tmp_path / "history.git")
    history.fetch("upstream", repository.url)
    commit = repository.comment("new")
    left = [
        leave(history.path / name)
        for name in (
            "refs/remotes/upstream/heads/main.lock",
            "packed-refs.lock",
            "packed-refs.new",
            "config.lock",
            "objects/pack/tmp_pack_x1y2z3",
            "objects/pack/pack-0123.keep",
        )
    ]
    assert history.resolve("upstream", repository.url, "main").commit == commit
    assert [path for path in left if path.exists()] == []


def test_mirror_after_a_kill(repository: Miniature, tmp_path: Path) -> None:
    """A commit whose ref was being written when the machine went down can be had."""
    mirror = tmp_path / "mirror.git"
    update_mirror(mirror, repository.url, repository.first)
    commit = repository.comment("new")
    left = leave(mirror / f"{kept_ref(commit)}.lock")
    assert update_mirror(mirror, repository.url, commit)
    assert not left.exists()


@pytest.mark.parametrize("parts", [("HEAD",), ("HEAD", "config"), ("config", "description"), ()])
def test_half_made(repository: Miniature, tmp_path: Path, parts: tuple[str, ...]) -> None:
    """What a killed `git init` has left, in its place or beside it, is made anew."""
    mirror = tmp_path / "mirror.git"
    mirror.mkdir()
    (mirror / "refs").mkdir()
    for name in (*parts, "x"):
        leave(mirror / name)
        leave(mirror.with_name(".mirror.git.new") / name)
    assert update_mirror(mirror, repository.url, repository.first)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mirror.git", "mirror.lock", "repository"]


def test_lock_lives_as_long_as_git(tmp_path: Path, wait_for: Callable[..., None]) -> None:
    """Where the caller of a fetch is killed, nobody else changes the repository before the orphaned git has ended."""
    mirror = tmp_path / "mirror.git"
    program = "import sys; from pathlib import Path; from benchyard.tasks.mirror import update_mirror as update"
    with socket.create_server(("127.0.0.1", 0)) as server:  # it answers nobody
        server.settimeout(60)
        url = f"git://127.0.0.1:{server.getsockname()[1]}/x"
        called = f"{program}; update(Path(sys.argv[1]), sys.argv[2], '1' * 40)"
        caller = subprocess.Popen([sys.executable, "-c", called, str(mirror), url], start_new_session=True)
        try:
            connection, _ = server.accept()
            caller.kill()
            caller.wait(10)
            with pytest.raises(SourceError, match="another process for 0.3 s"), changing(mirror, limit_s=0.3):
                pass
            connection.close()
            server.close()

            def is_free() -> bool:
                lock = try_lock(mirror.with_suffix(".lock"))
                if lock is not None:
                    os.close(lock)
                return lock is not None

            wait_for(is_free, "git has ended", 30)
        finally:
            with contextlib.suppress(ProcessLookupError):  # all have ended, as they should
                os.killpg(caller.pid, signal.SIGKILL)


def test_too_long_a_fetch_leaves_nothing_behind(tmp_path: Path) -> None:
    """A git that is stopped for its time is stopped with its helpers, and lets go of what it has held."""
    with socket.create_server(("127.0.0.1", 0)) as server, changing(tmp_path / "a.git", limit_s=1) as held:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        with pytest.raises(SourceError, match="not done within 1 s"):
            git(["fetch", "--", url], repository=tmp_path / "a.git", timeout_s=1, keep=held)
    lock = try_lock(tmp_path / "a.lock")
    assert lock is not None
    os.close(lock)


def test_packs_do_not_pile_up(repository: Miniature, tmp_path: Path) -> None:
    """After many fetches there are few packs, no single objects, and everything is still there."""
    history, mirror = History(tmp_path / "history.git"), tmp_path / "mirror.git"
    commits = []
    for number in range(MANY_PACKS + 5):
        commits.append(repository.comment(str(number)))
        update_mirror(mirror, repository.url, commits[-1])
        history.fetch("upstream", repository.url)
    for path in (mirror, history.path):
        assert len(list(path.glob("objects/pack/*.pack"))) < 10
        assert list(path.glob("objects/[0-9a-f][0-9a-f]")) == []
    git(["fsck", "--full", "--strict"], repository=mirror)
    assert all(not update_mirror(mirror, "file:///nonexistent", commit) for commit in commits)
    assert [commit.commit for commit in history.between(repository.first, commits[-1])] == commits
    assert history.resolve("upstream", repository.url, repository.comment("last")).branch is None
