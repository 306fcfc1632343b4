"""What is built for a request: from names to commits, by real repositories."""

from collections.abc import Callable
from pathlib import Path

import pytest
from miniature import Miniature

from benchyard.config.settings import Settings, load_settings
from benchyard.config.sources import base_of, commits_of, resolve_source, tagged
from benchyard.queueing.backfill import BackfillRequest
from benchyard.queueing.requests import Invalid, JobRequest

MakeLab = Callable[..., Path]


@pytest.fixture
def upstream(tmp_path: Path) -> Miniature:
    """The repository that the lab builds from."""
    return Miniature(tmp_path / "git" / "upstream")


@pytest.fixture
def settings(lab: MakeLab, upstream: Miniature, tmp_path: Path) -> Settings:
    """A lab that builds from it, and from what is below a folder."""
    allowed = (tmp_path / "git" / "allowed").as_uri()
    text = f'[lab]\nremote_urls = ["{allowed}"]\n[targets.linux]\n[remotes.upstream]\nurl = "{upstream.url}"\n'
    return load_settings(lab(text))


def test_range_of_a_branch_has_its_base(settings: Settings, upstream: Miniature) -> None:
    """Each commit of a range on a branch is to be compared with where the branch was on `main` at that commit."""
    left = upstream.comment("left")
    upstream.branch("topic")
    first = upstream.commit("First", topic="1")
    upstream.back()
    later = upstream.comment("later")
    upstream.git("checkout", "--quiet", "topic")
    upstream.git("merge", "--quiet", "--no-edit", "main")
    merged, last = upstream.git("rev-parse", "HEAD"), upstream.commit("Last", topic="2")
    upstream.back()
    upstream.comment("latest")
    sources = commits_of(settings, BackfillRequest(first=left, last="topic", job=JobRequest(target="linux")))
    assert [source.commit for source in sources] == [first, merged, last]
    assert [base_of(source) for source in sources] == [left, later, later]


def test_range_of_the_base_branch(settings: Settings, upstream: Miniature) -> None:
    """What is on the base branch itself has no other base, and that is said."""
    commits = [upstream.comment(str(number)) for number in range(3)]
    asked = BackfillRequest(first=upstream.first, last="main", job=JobRequest(target="linux"))
    sources = commits_of(settings, asked)
    assert [source.merge_base for source in sources] == commits
    with pytest.raises(Invalid, match="on the base branch itself"):
        base_of(sources[0])


def test_no_way_out_of_an_allowed_address(settings: Settings, upstream: Miniature, tmp_path: Path) -> None:
    """An address that means one outside of those allowed is refused, however it is written; one inside is good."""
    allowed = upstream.fork(tmp_path / "git" / "allowed" / "x y")
    upstream.fork(tmp_path / "git" / "secret")
    source = resolve_source(settings, "linux", JobRequest(ref="main", remote=allowed.url))
    assert (source.url, source.commit) == (allowed.url, upstream.first)
    for way in ("/../secret", "/%2e%2e/secret", "/.%2E/secret", "/x%20y/%2e%2e/%2e%2e/secret", "/x%2f..%2f..%2fsecret"):
        url = allowed.path.parent.as_uri() + way
        with pytest.raises(Invalid) as refused:
            resolve_source(settings, "linux", JobRequest(ref="main", remote=url))
        assert refused.value.field == "remote"


def test_commits_of_a_tag(settings: Settings, upstream: Miniature) -> None:
    """A tag means its commit once the remote was fetched, be it annotated or not; a pattern means nothing."""
    assert tagged(settings, "v1.0") == ()
    upstream.git("tag", "v1.0")
    later = upstream.comment("later")
    upstream.git("tag", "--annotate", "--message", "a release", "v2.0")
    resolve_source(settings, "linux", JobRequest(ref="main"))
    assert (tagged(settings, "v1.0"), tagged(settings, "v2.0")) == ((upstream.first,), (later,))
    for name in ("v3.0", "v*", "v?.0", "v[12].0", "../heads/main", "main", "", "-x", "a b"):
        assert tagged(settings, name) == (), name
