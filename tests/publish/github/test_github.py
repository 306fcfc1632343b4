"""Statuses and comments at GitHub: made once, changed, and withdrawn."""

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from githubserver import BODY, DESCRIPTION, Fault, GitHub
from publications import LAB_URL, UPSTREAM, file_of, measured, path_of, publication, pulled, real, small

from benchyard.publish.destinations import TryLater
from benchyard.publish.github.destination import marker
from benchyard.results.compare import compare
from benchyard.results.markdown import headline
from benchyard.results.reading import read_suite

MakeDestination = Callable[..., Any]


def test_pull_request(github: GitHub, destination: MakeDestination) -> None:
    """A pull request gets a comment with the table, its commit a status with the geometric mean and a link."""
    head = pulled(github, 3)
    receipt = destination().publish(head)
    (status,) = github.statuses
    comparison = compare(read_suite(head.base.data), read_suite(head.head.data)) if head.base else None
    assert comparison is not None
    assert status["context"] == "benchyard/linux-x86_64"
    assert status["state"] == "success"
    assert status["sha"] == head.head.result.commit
    assert status["description"] == f"result 3: {headline(comparison)}"
    assert status["description"].startswith("result 3: 2.00x faster, ")
    assert status["target_url"] == f"{LAB_URL}#/buildrequests/3"
    (comment,) = github.comments
    assert comment["issue"] == 12
    assert comment["body"].startswith("<!-- benchyard result 3 -->\n**2.00x faster**, geometric mean of 2 benchmarks")
    assert "| `nbody` | 200 ms +- 0 ms | 100 ms +- 0 ms | 2.00x faster |" in comment["body"]
    assert receipt.link == comment["html_url"]
    assert receipt.words == f"status at {status['sha'][:10]}, comment at #12"


def test_commit_without_pull_request(github: GitHub, destination: MakeDestination) -> None:
    """A commit of a branch gets a status alone; without a base it says what was measured."""
    head = publication(small(1))
    github.commits.add(str(head.head.result.commit))
    receipt = destination().publish(head)
    assert [status["description"] for status in github.statuses] == ["result 1: 2 benchmarks measured on bench1"]
    assert github.comments == []
    assert receipt.link is None


@pytest.mark.parametrize(("status", "comment"), [(True, False), (False, True)])
def test_only_one(github: GitHub, destination: MakeDestination, status: bool, comment: bool) -> None:
    """Either of both may be all that is wanted."""
    destination(status=status, comment=comment).publish(pulled(github))
    assert (len(github.statuses), len(github.comments)) == (int(status), int(comment))


def test_again(github: GitHub, destination: MakeDestination) -> None:
    """The same again makes and changes nothing, also by another master."""
    head = pulled(github)
    for _ in range(2):
        place = destination()
        place.publish(head)
        place.publish(head)
    assert (len(github.statuses), len(github.comments)) == (1, 1)
    assert [request.method for request in github.requests].count("POST") == 2
    assert "PATCH" not in {request.method for request in github.requests}


def test_changed(github: GitHub, destination: MakeDestination) -> None:
    """With other values the comment is changed in its place, and the status is set anew."""
    place = destination()
    place.publish(pulled(github, base=None))
    github.comment(12, "looks good")
    place.publish(pulled(github))
    (body,) = github.by("lab-bot")
    assert "2.00x faster" in body
    assert [status["description"].split(",")[0] for status in github.statuses] == [
        "result 1: 2 benchmarks measured on bench1",
        "result 1: 2.00x faster",
    ]


def test_results_of_one_commit(github: GitHub, destination: MakeDestination) -> None:
    """Each result has its comment; statuses are one for each target and kind of interpreter, of the last result."""
    place = destination()
    for number, columns in (
        (1, {}),
        (2, {"commit": "0000001".ljust(40, "0")}),
        (3, {"commit": "0000001".ljust(40, "0"), "flags": ("jit", "pgo")}),
        (4, {"commit": "0000001".ljust(40, "0"), "target": "linux-aarch64"}),
    ):
        place.publish(pulled(github, number, **columns))
    assert [body.split("\n")[0] for body in github.by("lab-bot")] == [
        f"<!-- benchyard result {number} -->" for number in (1, 2, 3, 4)
    ]
    assert [(status["context"], status["description"].split(":")[0]) for status in github.statuses] == [
        ("benchyard/linux-x86_64", "result 1"),
        ("benchyard/linux-x86_64", "result 2"),
        ("benchyard/linux-x86_64/JIT", "result 3"),
        ("benchyard/linux-aarch64", "result 4"),
    ]


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize(
    "fault", [Fault(done=True), Fault(done=True, status=502, body=b"<html>"), Fault(), Fault(status=500, body=b"")]
)
def test_no_answer(github: GitHub, destination: MakeDestination, method: str, fault: Fault) -> None:
    """What was done and not told, or not done and told badly, is there once in the end."""
    place = destination()
    if method == "PATCH":
        place.publish(pulled(github, base=None))
    # The status goes well, then the comment does not; and the other way round.
    for faults in ([None, fault], [fault]):
        github.faults[method] = deque(faults if method == "POST" else [fault])
        head = pulled(github)
        with pytest.raises(TryLater):
            place.publish(head)
        place.publish(head)
        assert len(github.by("lab-bot")) == 1
        assert "2.00x faster" in github.by("lab-bot")[0]
        contexts = [(status["context"], status["description"]) for status in github.statuses]
        assert sorted(contexts) == sorted(set(contexts))
        github.comments.clear()
        github.statuses.clear()
        if method == "PATCH":
            place.publish(pulled(github, base=None))


def test_many_comments(github: GitHub, destination: MakeDestination) -> None:
    """The comment is found on whatever page it is; the list is asked for in the largest pages there are."""
    place = destination()
    for number in range(120):
        github.comment(12, f"comment {number}")
    place.publish(pulled(github))
    for number in range(120):
        github.comment(12, f"more {number}")
    github.requests.clear()
    place.publish(pulled(github, base=None))
    assert len(github.by("lab-bot")) == 1
    asked = [request.query for request in github.requests if request.path.endswith("/issues/12/comments")]
    assert [(query["per_page"], query.get("page", "1")) for query in asked] == [
        ("100", "1"),
        ("100", "2"),
        ("100", "3"),
    ]


def test_many_statuses(github: GitHub, destination: MakeDestination) -> None:
    """The same for statuses, of which others may have set many."""
    head = publication(small(1))
    sha = str(head.head.result.commit)
    github.commits.add(sha)
    github.page = 10
    github.statuses += [{"sha": sha, "context": f"ci/{n}", "state": "failure", "description": ""} for n in range(25)]
    place = destination()
    place.publish(head)
    place.publish(head)
    assert len(github.statuses) == 26


def test_page_elsewhere(github: GitHub, destination: MakeDestination) -> None:
    """A next page at another address is not asked for: the token would go there."""
    link = {"Link": '<http://127.0.0.1:1/repos/anna/cpython/issues/12/comments?page=2>; rel="next"'}
    github.faults["GET"] = deque([None, Fault(status=200, headers=link, body=[])])
    with pytest.raises(TryLater, match="at another address"):
        destination(status=False).publish(pulled(github))


@pytest.mark.parametrize("token", ["secret-token", "app-token"])
def test_copies_of_the_marker(github: GitHub, destination: MakeDestination, secrets: Path, token: str) -> None:
    """A comment of somebody else's that begins with the marker, or one that quotes ours, is not ours."""
    github.apps["app-token"] = "lab[bot]"
    (secrets / "publish-gh").write_text(token)
    head = pulled(github)
    theirs = f"{marker(head.head.result)}\nmine"
    github.comment(12, theirs)
    login = "lab-bot" if token == "secret-token" else "lab[bot]"
    github.comment(12, f"> {marker(head.head.result)}\n\nquoted", login, "User" if login == "lab-bot" else "Bot")
    place = destination()
    place.publish(head)
    place.publish(head)
    assert github.by("somebody") == [theirs]
    assert len(github.by(login)) == 2
    assert "2.00x faster" in github.by(login)[1]


def test_withdraw(github: GitHub, destination: MakeDestination) -> None:
    """Withdrawn, the comment is one line that says so, and the status as well; twice is as once; it can come back."""
    place = destination()
    head = pulled(github)
    place.publish(head)
    for _ in range(2):
        receipt = place.withdraw(head)
        assert github.by("lab-bot") == ["<!-- benchyard result 1 -->\nresult 1: withdrawn by the lab\n"]
        assert [status["description"] for status in github.statuses][1:] == ["result 1: withdrawn by the lab"]
        assert receipt.words == f"withdrawn: status at {github.statuses[0]['sha'][:10]}, comment at #12"
    place.publish(head)
    (body,) = github.by("lab-bot")
    assert "2.00x faster" in body
    assert "2.00x faster" in github.statuses[-1]["description"]


def test_withdraw_older(github: GitHub, destination: MakeDestination) -> None:
    """A status that is of a later result by now stays."""
    place = destination()
    older, newer = pulled(github, 1), pulled(github, 2, commit="0000001".ljust(40, "0"))
    place.publish(older)
    place.publish(newer)
    place.withdraw(older)
    assert github.statuses[-1]["description"].startswith("result 2: 2.00x faster")
    assert [body.count("withdrawn") for body in github.by("lab-bot")] == [1, 0]


def test_withdraw_nothing(github: GitHub, destination: MakeDestination) -> None:
    """Where nothing is, nothing is made."""
    assert destination().withdraw(pulled(github)).words == "there was nothing to withdraw"
    assert (github.statuses, github.comments) == ([], [])


def test_large(github: GitHub, destination: MakeDestination) -> None:
    """A table that is too long for GitHub is cut, says so, and leads to the lab."""
    names = {f"benchmark_{number:05}_with_a_name_that_takes_some_room": [0.1, 0.1002] for number in range(1000)}
    head = measured(file_of(names), path_of(1), interpreter=UPSTREAM, branch=None)
    github.commits.add(str(head.result.commit))
    destination().publish(publication(head, head))
    (body,) = github.by("lab-bot")
    assert BODY * 0.9 < len(body) <= BODY
    said = body.rstrip().splitlines()[-1]
    assert said.endswith(f"more lines do not fit here; [all of it]({LAB_URL}#/buildrequests/1)")
    assert int(said.split()[0]) + body.count("\n| `benchmark_") == 1000
    assert len(github.statuses[0]["description"]) <= DESCRIPTION


def test_long_description(github: GitHub, destination: MakeDestination) -> None:
    """A description is never longer than GitHub takes."""
    head = measured(small(1).data, path_of(1), host="h" * 200)
    github.commits.add(str(head.result.commit))
    destination().publish(publication(head))
    assert len(github.statuses[0]["description"]) == DESCRIPTION


def test_real_file(github: GitHub, destination: MakeDestination, real_results: Path) -> None:
    """A real result of a hundred benchmarks fits as a whole."""
    folders = ("bm-20260712-3.16.0a0-832bc0b", "bm-20260712-3.16.0a0-832bc0b-JIT")
    base, head = (real(next((real_results / name).glob("*.gz")), n) for n, name in enumerate(folders, 1))
    row = msgspec.structs.replace(head.result, interpreter=UPSTREAM, branch=None)
    github.commits.add(str(row.commit))
    destination().publish(publication(msgspec.structs.replace(head, result=row), base))
    (body,) = github.by("lab-bot")
    assert body.count("\n| `") > 80
    assert "do not fit here" not in body


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"kind": "memory"}, "results of kind memory"),
        ({"commit": None}, "not known in full"),
        ({"commit": "0000001"}, "not known in full"),
        ({"interpreter": {**UPSTREAM, "patch": "c" * 64}}, "with a patch"),
    ],
)
def test_refusals(destination: MakeDestination, columns: dict[str, Any], words: str) -> None:
    """What says nothing of a commit is refused by its row alone."""
    assert words in destination().made.refusal(small(1, **columns).result)
    assert destination().made.refusal(small(1).result) is None


@pytest.mark.parametrize(
    ("interpreter", "branch", "number"),
    [
        (UPSTREAM, None, 12),
        ({**UPSTREAM, "ref": "refs/pull/12/merge"}, None, 12),
        ({**UPSTREAM, "ref": "pull/7/head"}, None, 7),
        ({**UPSTREAM, "url": "git@github.com:Anna/CPython.git"}, None, 12),
        ({**UPSTREAM, "url": "https://github.com/anna/cpython/"}, None, 12),
        # A branch that is called like one, another repository's, and what is none at all.
        ({**UPSTREAM, "ref": "pull/7/head"}, "pull/7/head", None),
        ({**UPSTREAM, "url": "https://github.com/bob/cpython"}, None, None),
        ({**UPSTREAM, "url": "https://github.com/not-anna/cpython"}, None, None),
        ({**UPSTREAM, "url": None}, None, None),
        ({**UPSTREAM, "ref": "main"}, "main", None),
        ({**UPSTREAM, "ref": "refs/pull/0/head"}, None, None),
        ({}, None, None),
        (None, None, None),
    ],
)
def test_which_pull_request(
    destination: MakeDestination, interpreter: dict[str, Any] | None, branch: str | None, number: int | None
) -> None:
    """A pull request is one that was asked for of this repository."""
    result = small(1, interpreter=interpreter, branch=branch).result
    place = destination(status=False).made
    assert place._pull(result) == number
    assert (place.refusal(result) is None) == (number is not None)
