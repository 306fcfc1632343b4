"""What GitHub's answers mean for a publish, and what becomes of the token."""

import json
import time
from collections import deque
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from githubserver import Fault, GitHub
from publications import publication, pulled, small

from benchyard.publish.destinations import Refused, TryLater

MakeDestination = Callable[..., Any]


def test_unknown_to_github(github: GitHub, destination: MakeDestination, secrets: Path) -> None:
    """What GitHub does not have or allow is refused in its words, with what to do."""
    head = pulled(github)
    place = destination()
    github.commits.clear()
    with pytest.raises(Refused, match=f"No commit found for SHA: {head.head.result.commit} .HTTP 422."):
        place.publish(head)
    github.commits.add(str(head.head.result.commit))
    github.locked.add(12)
    with pytest.raises(Refused, match=r"issue is locked. \(HTTP 403\); the token must be allowed"):
        place.publish(head)
    github.pulls.clear()
    with pytest.raises(Refused, match=r"Not Found \(HTTP 404\); is the repository's name right"):
        place.publish(head)
    (secrets / "publish-gh").write_text("other")
    with pytest.raises(Refused, match=r"Bad credentials \(HTTP 401\); put a token"):
        place.publish(head)


def test_validation_in_full(github: GitHub, destination: MakeDestination) -> None:
    """All that GitHub finds wrong is told."""
    errors = [{"resource": "Status", "field": "context", "code": "custom", "message": "too long"}, "and more"]
    github.faults["POST"] = deque([Fault(status=422, body={"message": "Validation Failed", "errors": errors})])
    with pytest.raises(Refused, match=r"GitHub: Validation Failed; too long; and more \(HTTP 422\)"):
        destination().publish(pulled(github))


def test_moved(github: GitHub, destination: MakeDestination) -> None:
    """A repository that was renamed is to be named anew; the token is not sent elsewhere."""
    moved = {"Location": "http://127.0.0.1:1/repositories/1"}
    github.faults["GET"] = deque([Fault(status=301, headers=moved, body={"message": "Moved Permanently"})])
    with pytest.raises(Refused, match="Moved Permanently .HTTP 301.: the repository has another name now"):
        destination().publish(pulled(github))


def _date(seconds: float) -> str:
    return formatdate(seconds, usegmt=True)


@pytest.mark.parametrize(
    ("status", "headers", "message", "after"),
    [
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1000090", "Date": _date(1_000_000)}, "limit", 90.0),
        (429, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1000090", "Date": _date(1_000_000)}, "limit", 90.0),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "999000", "Date": _date(1_000_000)}, "limit", 1.0),
        (403, {"X-RateLimit-Remaining": "0"}, "limit", 60.0),
        (
            403,
            {"Retry-After": "30", "X-RateLimit-Remaining": "4000"},
            "You have exceeded a secondary rate limit.",
            30.0,
        ),
        (403, {}, "You have exceeded a secondary rate limit. Please wait a few minutes", 60.0),
        (429, {"Retry-After": "7"}, "Too many requests", 7.0),
        (429, {}, "", 60.0),
        (503, {"Retry-After": "15"}, "Service Unavailable", 15.0),
        (502, {}, "Server Error", None),
    ],
)
def test_limits(
    github: GitHub,
    destination: MakeDestination,
    status: int,
    headers: dict[str, str],
    message: str,
    after: float | None,
) -> None:
    """A limit of requests is waited for as long as GitHub says, by its own clock."""
    github.faults["GET"] = deque([Fault(status=status, headers=headers, body={"message": message})])
    with pytest.raises(TryLater) as caught:
        destination().publish(pulled(github))
    assert caught.value.after_s == after
    assert f"HTTP {status}" in str(caught.value)
    assert (github.statuses, github.comments) == ([], [])


def test_unreachable(github: GitHub, destination: MakeDestination) -> None:
    """Where nobody answers, it is tried again."""
    with pytest.raises(TryLater, match="refused"):
        destination(api="http://127.0.0.1:1").publish(pulled(github))


def test_nonsense(github: GitHub, destination: MakeDestination) -> None:
    """A success that is none, as of a proxy's page, is not taken for one."""
    github.faults["GET"] = deque([Fault(status=200, body=b"<html>Log in</html>")])
    with pytest.raises(TryLater, match="no JSON"):
        destination().publish(pulled(github))


def test_token(
    github: GitHub,
    destination: MakeDestination,
    secrets: Path,
    logged: list[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The token is read each time it is sent, no other takes its place, and it is in no log and in no words."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login eve password other\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    place = destination()
    path = secrets / "publish-gh"
    words = []
    for text in ("", "two words", "line\nline", "wrong-secret", "ümlaut"):
        path.write_text(text)
        with pytest.raises((Refused, TryLater)) as caught:
            place.publish(pulled(github))
        words.append(str(caught.value))
    path.unlink()
    with pytest.raises(TryLater, match="publish-gh"):
        place.publish(pulled(github))
    path.write_text("secret-token\n")
    github.faults["POST"] = deque([Fault(done=True), None])
    with pytest.raises(TryLater) as caught_at_last:
        place.publish(pulled(github))
    words.append(str(caught_at_last.value))
    place.publish(pulled(github))
    assert len(github.by("lab-bot")) == 1
    reporters = [vars(place.made._statuses), vars(place.made._comments), place.made._statuses.getConfigDict()]
    everything = json.dumps([logged, words, [repr(one) for one in reporters]])
    for secret in ("secret-token", "wrong-secret", "two words", "ümlaut", "line line"):
        assert secret not in everything
    assert any("127.0.0.1" in line for line in logged)  # Python's own log of requests was heard


def test_buildbot_has_what_we_use(destination: MakeDestination, master: Any) -> None:
    """The reporters are services of the master, hear of no builds, and go away with the destination."""
    from buildbot.reporters.github import GitHubCommentPush, GitHubStatusPush

    place = destination()
    before = set(master.namedServices)
    assert isinstance(place.made._statuses, GitHubStatusPush)
    assert isinstance(place.made._comments, GitHubCommentPush)
    with pytest.raises(Refused):
        place.publish(publication(small(1)))
    new = {name: master.namedServices[name] for name in set(master.namedServices) - before}
    assert len(new) == 2
    assert all(service.running and service.generators == [] for service in new.values())
    place._spin(place.made.close())
    assert set(master.namedServices) == before


def test_made_anew_beside(destination: MakeDestination, github: GitHub) -> None:
    """While settings are read anew, a new destination of the same name works beside the old one."""
    old, new = destination(), destination()
    old.publish(pulled(github))
    new.publish(pulled(github))
    assert len(github.comments) == 1


def test_time_is_githubs(github: GitHub, destination: MakeDestination) -> None:
    """Without a date of GitHub's the lab's own clock says how long a limit lasts."""
    reset = str(int(time.time()) + 500)
    github.faults["GET"] = deque(
        [Fault(status=403, headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset, "Date": "?"}, body={})]
    )
    with pytest.raises(TryLater) as caught:
        destination().publish(pulled(github))
    assert caught.value.after_s is not None
    assert 400 < caught.value.after_s <= 500
