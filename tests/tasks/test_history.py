"""What names of branches, tags and commits mean."""

from pathlib import Path

import pytest
from miniature import Miniature

from benchyard.tasks.errors import RecipeError, SourceError
from benchyard.tasks.history import History


@pytest.fixture
def history(tmp_path: Path) -> History:
    """An empty history."""
    return History(tmp_path / "history.git")


def test_names(repository: Miniature, history: History) -> None:
    """A branch, a tag, a full commit and the beginning of one are the full commit."""
    second = repository.comment("two")
    for ref, commit, branch in (
        ("main", second, "main"),
        ("v3.11.0", repository.first, None),
        (second, second, None),
        (repository.first[:9], repository.first, None),
    ):
        found = history.resolve("upstream", repository.url, ref)
        assert (found.commit, found.branch) == (commit, branch), ref
    assert found.time > 1.5e9


@pytest.mark.parametrize("when", ["@253402300800 +0000", "@9223372036854775807 +0000"])
def test_time_that_no_calendar_has(
    repository: Miniature, history: History, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Who makes a commit chooses its time: after the year 9999 it is not known."""
    monkeypatch.setenv("GIT_COMMITTER_DATE", when)
    commit = repository.comment("later than ever")
    assert history.resolve("upstream", repository.url, "main").time == 0.0
    assert [found.time for found in history.between(repository.first, commit)] == [0.0]


def test_branch_moves(repository: Miniature, history: History) -> None:
    """A branch is what it is now; one that was removed is none any more."""
    repository.branch("topic")
    topic = repository.comment("topic")
    assert history.resolve("upstream", repository.url, "topic").commit == topic
    moved = repository.comment("more")
    assert history.resolve("upstream", repository.url, "topic").commit == moved
    repository.back()
    repository.git("branch", "-D", "topic")
    with pytest.raises(RecipeError, match="no branch, tag or commit 'topic'"):
        history.resolve("upstream", repository.url, "topic")


def test_pull_request(repository: Miniature, history: History) -> None:
    """A pull request is what it is now, kept at the server as GitHub does, and on no branch; another number is none."""
    repository.branch("topic")
    for _ in range(2):
        pulled = repository.comment("pulled")
        repository.git("update-ref", "refs/pull/12/head", pulled)
        repository.git("reset", "--quiet", "--hard", "main")
        for ref in ("refs/pull/12/head", "pull/12/head"):
            found = history.resolve("upstream", repository.url, ref)
            assert (found.commit, found.branch) == (pulled, None)
    assert history.merge_base(pulled, repository.first) == repository.first
    with pytest.raises(RecipeError, match="no branch, tag or commit 'refs/pull/13/head'"):
        history.resolve("upstream", repository.url, "refs/pull/13/head")


@pytest.mark.parametrize("ref", ["nope", "0" * 40, "deadbeef", "main~1", "-x", "HEAD^{tree}"])
def test_unknown(repository: Miniature, history: History, ref: str) -> None:
    """A name that means nothing is refused."""
    with pytest.raises(RecipeError):
        history.resolve("upstream", repository.url, ref)


def test_ambiguous(repository: Miniature, history: History) -> None:
    """A branch and a tag of one name, and the beginning of two commits, are refused: nobody guesses."""
    repository.branch("twice")
    repository.comment("x")
    repository.git("tag", "twice", "main")
    with pytest.raises(RecipeError, match="a branch and a tag"):
        history.resolve("upstream", repository.url, "twice")


def test_beginning_of_two_commits(repository: Miniature, history: History) -> None:
    """Seven digits that begin two commits are too few; the ids are made by counting until two meet."""
    # Two commits with the same first 7 digits would take 2**14 tries on average: quick with `commit-tree` in one go.
    tree, parent = repository.git("rev-parse", "main^{tree}"), repository.git("rev-parse", "main")
    import hashlib

    seen: dict[str, bytes] = {}
    pair: tuple[bytes, bytes] | None = None
    for number in range(200_000):
        body = (
            f"tree {tree}\nparent {parent}\nauthor A <a@b> {1700000000 + number} +0000\n"
            f"committer A <a@b> {1700000000 + number} +0000\n\nx\n"
        ).encode()
        name = hashlib.sha1(b"commit %d\0" % len(body) + body, usedforsecurity=False).hexdigest()[:7]
        if name in seen:
            pair = (seen[name], body)
            break
        seen[name] = body
    assert pair is not None
    import subprocess

    names = []
    for number, body in enumerate(pair):
        made = subprocess.run(
            ["git", "hash-object", "-t", "commit", "-w", "--stdin"],
            cwd=repository.path,
            input=body,
            capture_output=True,
            check=True,
        )
        names.append(made.stdout.decode().strip())
        repository.git("branch", f"twin{number}", names[-1])
    with pytest.raises(RecipeError, match="the beginning of several commits"):
        history.resolve("upstream", repository.url, names[0][:7])
    assert history.resolve("upstream", repository.url, names[0]).commit == names[0]


def test_fork_is_not_upstream(repository: Miniature, history: History, tmp_path: Path) -> None:
    """A fork's branch and commit are not the upstream's, though both are in one history."""
    fork = repository.fork(tmp_path / "fork")
    fork.branch("idea")
    idea = fork.comment("idea")
    assert history.resolve("forks/bob", fork.url, "idea").commit == idea
    for ref in ("idea", idea, idea[:10]):
        with pytest.raises(RecipeError):
            history.resolve("upstream", repository.url, ref)


def test_on_a_branch(repository: Miniature, history: History) -> None:
    """A commit that is asked for on a branch must be on it."""
    repository.branch("topic")
    topic = repository.comment("topic")
    assert history.resolve("upstream", repository.url, repository.first, branch="topic").branch == "topic"
    with pytest.raises(RecipeError, match="is not on the branch 'main'"):
        history.resolve("upstream", repository.url, topic, branch="main")
    with pytest.raises(RecipeError, match="no branch 'nope'"):
        history.resolve("upstream", repository.url, topic, branch="nope")


def test_merge_base(repository: Miniature, history: History) -> None:
    """Where a branch left another."""
    left = repository.comment("one")
    repository.branch("topic")
    topic = repository.commit("Topic", other="x")
    repository.back()
    main = repository.comment("two")
    history.fetch("upstream", repository.url)
    assert history.tip("upstream", "main") == main
    assert history.merge_base(topic, main) == left
    assert history.merge_base(left, main) == left


def test_between(repository: Miniature, history: History) -> None:
    """The commits of a range, oldest first, without its first; and the tags of a remote."""
    commits = [repository.comment(str(number)) for number in range(4)]
    repository.git("tag", "-a", "v3.11.1", "-m", "annotated", commits[2])
    history.fetch("upstream", repository.url)
    assert [commit.commit for commit in history.between(repository.first, commits[3])] == commits
    assert history.tags("upstream", "v3.11.*") == {"v3.11.0": repository.first, "v3.11.1": commits[2]}


def test_away(history: History, tmp_path: Path) -> None:
    """A remote that is not there is told in one line."""
    with pytest.raises(SourceError, match="git fetch failed") as caught:
        history.resolve("upstream", (tmp_path / "nowhere").as_uri(), "main")
    assert "\n" not in str(caught.value)


def test_known_commit_needs_no_remote(repository: Miniature, history: History) -> None:
    """A full commit that was seen before is good though the remote is away now."""
    history.fetch("upstream", repository.url)
    repository.path.rename(repository.path.with_name("away"))
    assert history.resolve("upstream", repository.url, repository.first).commit == repository.first
