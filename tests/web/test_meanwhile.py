"""Changes that are meant for a state that somebody has seen: of several at once, only one is done."""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from benchyard.store import regressions

if TYPE_CHECKING:
    from tests.web.conftest import Lab

#: Changes for one state that are asked for at once.
AT_ONCE = 6


@pytest.fixture(scope="module")
def paths(lab: "Lab") -> dict[str, str]:
    """One of each kind, by the field that is changed."""
    shift = {
        "key": "meanwhile", "host": "h", "flags": (), "branch": "main", "implementation": "cpython", "epoch": 1,
        "suite": "pyperformance", "suite_version": "1.14.0", "mode": "full", "benchmark": "nbody", "version": "",
        "unit": "second", "commit": "c2", "commit_before": "c1", "result_id": 2, "result_before": 1, "found_by": 3,
        "before": 1.0, "after": 1.1, "step": 0.1, "sure": 0.9999, "worse": True,
    }  # fmt: skip
    with lab.engine().begin() as conn:
        made = regressions.note_shift(conn, shift, confirmed_by=None, fixed_by=None, now=1.0)
    assert made is not None
    result = lab.call("POST", "/results", "ada", json={"host": "h"})
    assert result.status_code == 201, result.text
    lab.add_user("meg", "member")
    return {
        "comment": f"/regressions/{made.id}",
        "reason": f"/jobs/{lab.submit('ada')['id']}",
        "note": f"/results/{result.json()['id']}",
        "mail": "/users/meg",
    }


@pytest.mark.parametrize("field", ["comment", "reason", "note", "mail"])
def test_one_of_several(lab: "Lab", paths: dict[str, str], field: str) -> None:
    """They are all made for what was seen, so only one of them can be right; it is the one that is there afterwards."""
    path = paths[field]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for round_ in range(3):
            headers = {"If-Match": lab.call("GET", path, "admin").headers["ETag"]}
            texts = [f"{round_}-{number}@example.org" for number in range(AT_ONCE)]
            asked = [pool.submit(lab.call, "PATCH", path, "admin", json={field: t}, headers=headers) for t in texts]
            found = {text: answer.result() for text, answer in zip(texts, asked, strict=True)}
            assert sorted(answer.status_code for answer in found.values()) == [200, *[412] * (AT_ONCE - 1)]
            (done,) = [text for text, answer in found.items() if answer.status_code == 200]
            assert lab.call("GET", path, "admin").json()[field] == done
            assert all("read it again" in each.json()["detail"] for each in found.values() if each.status_code == 412)


@pytest.mark.parametrize("field", ["comment", "reason", "note", "mail"])
def test_whatever_it_is_by_now(lab: "Lab", paths: dict[str, str], field: str) -> None:
    """Without If-Match, or with `*`, a change is meant for any state."""
    path = paths[field]
    for headers in ({}, {"If-Match": "*"}):
        answer = lab.call("PATCH", path, "admin", json={field: "any@example.org"}, headers=headers)
        assert answer.status_code == 200, answer.text
