"""Names and addresses that come from outside and go to git."""

import pytest

from benchyard.tasks.errors import RecipeError, SourceError
from benchyard.tasks.git import check_ref, check_url, git, git_environ


@pytest.mark.parametrize("ref", ["main", "v3.14.0", "3.14", "user/some-branch", "0123abc", "gh-12345_x", "a" * 40])
def test_good_refs(ref: str) -> None:
    """Names of branches, tags and commits."""
    assert check_ref(ref) == ref


@pytest.mark.parametrize(
    "ref",
    ["", "-x", "--upload-pack=id", "a..b", "main~1", "main^", "a:b", "a b", "a\nb", "@{u}", "a.lock", "/a", "a/", "a?"],
)
def test_bad_refs(ref: str) -> None:
    """Options, expressions, patterns and what git would not have as a name."""
    with pytest.raises(RecipeError):
        check_ref(ref)


@pytest.mark.parametrize("ref", [".a", "a/.b", "a//b", "*", "@", "a" * 300, "a\\b", "b[1]"])
def test_more_bad_refs(ref: str) -> None:
    """What git itself would not have as a name."""
    with pytest.raises(RecipeError):
        check_ref(ref)


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/python/cpython",
        "https://example.org:8443/a/b.git",
        "git://example.org/x",
        "ssh://git@example.org/x.git",
        "file:///srv/git/cpython",
        "https://example.org/A%20Project/_git/x",
    ],
)
def test_good_urls(url: str) -> None:
    """Addresses that git fetches from."""
    assert check_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c id",
        "ext::https://x/",
        "fd::17",
        "--upload-pack=touch /tmp/x",
        "-uid",
        "https://ada:secret@example.org/x",
        "git@example.org:x/y",
        "/srv/git",
        "file://host/x",
        "https:///x",
        "https://-oProxyCommand=id/x",
        "ssh://-oProxyCommand=id/x",
        "ssh://-oProxyCommand@example.org/x",
        "https://example.org/a/../b",
        "https://example.org/a/%2e%2e/b",
        "file:///srv/a/%2E./b",
        "file:///srv/a/x%2f..%2f../b",
        "file:///srv/a/%252e%252e/b",
        "file:///srv/a%0ab",
        "ssh://%2doProxyCommand=id@example.org/x",
        "https://example.org/a?b=c",
        "https://example.org/a b",
        "https://example.org/\u00e9",
        "https://example.org:port/x",
        "",
    ],
)
def test_bad_urls(url: str) -> None:
    """What would run a program, read another file or show a password is refused before git sees it."""
    with pytest.raises(RecipeError) as caught:
        check_url(url)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_failure_is_one_line() -> None:
    """What git complains of is told in one line."""
    with pytest.raises(SourceError, match="git rev-parse failed: fatal: ") as caught:
        git(["rev-parse", "--resolve-git-dir", "/nonexistent"])
    assert "\n" not in str(caught.value)


def test_git_asks_nobody() -> None:
    """No prompt, and no transport that runs programs, whatever the caller's own variables say."""
    environ = git_environ()
    assert environ["GIT_TERMINAL_PROMPT"] == "0"
    assert "ext" not in environ["GIT_ALLOW_PROTOCOL"].split(":")
