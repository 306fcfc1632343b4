"""Notices and mail addresses over REST: who reads what."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from benchyard.store import notices

if TYPE_CHECKING:
    from tests.web.conftest import Lab


@pytest.fixture(scope="module")
def told(lab: "Lab") -> Iterator[Any]:
    """A notice for ada that was told."""
    with lab.engine().begin() as conn:
        how: dict[str, Any] = {"kind": "regression", "time": 1795345200.0, "target": lab.target}
        made = notices.add_notice(
            conn, key="regression:7:8", subject="s", body="b\n", users=("ada",), data={"geometric_mean": 0.9}, **how
        )
        assert made is not None
        notices.note_telling(conn, made.id, "mail", outcome="failed", words="550 <ada@example.org>", now=1795345201.0)
    yield made


def test_notice(lab: "Lab", told: Any) -> None:
    """Who may read the lab reads it whole; by whom it was told, with what a mail server said, is for admins."""
    expected = {
        "id": told.id,
        "key": "regression:7:8",
        "kind": "regression",
        "time": "2026-11-22T11:00:00.000Z",
        "target": lab.target,
        "subject": "s",
        "body": "b\n",
        "users": ["ada"],
        "data": {"geometric_mean": 0.9},
        "tellings": [],
    }
    for who in (None, "vic", "ada"):
        assert lab.call("GET", f"/notices/{told.id}", who).json() == expected
    (telling,) = lab.call("GET", f"/notices/{told.id}", "admin").json()["tellings"]
    assert telling == {
        "notifier": "mail",
        "time": "2026-11-22T11:00:01.000Z",
        "outcome": "failed",
        "words": "550 <ada@example.org>",
    }
    assert lab.call("GET", "/notices/99999", "admin").status_code == 404


def test_lists(lab: "Lab", told: Any) -> None:
    """Notices are found by kind, user, target and time; a kind that there is not is refused."""

    def found(who: str = "vic", **query: Any) -> list[int]:
        answer = lab.call("GET", "/notices", who, params=query)
        assert answer.status_code == 200, answer.text
        return [item["id"] for item in answer.json()["items"]]

    assert found(kind="regression,lane_stale", user="ada") == [told.id]
    assert found(kind="regression", user="bob") == []
    assert found(kind="regression", since="2026-11-22T11:00:00Z", until="2026-11-22T11:00:01Z") == [told.id]
    assert found(kind="regression", target="nowhere") == []
    (item,) = lab.call("GET", "/notices", "admin", params={"kind": "regression"}).json()["items"]
    assert item["tellings"][0]["outcome"] == "failed"
    assert lab.call("GET", "/notices", "vic", params={"kind": "gossip"}).json()["field"] == "kind"


def test_what_happens_is_noted(lab: "Lab") -> None:
    """The lab writes a notice of each job that ends, whether anybody is told or not."""
    job = lab.submit("bob")
    lab.call("POST", f"/jobs/{job['id']}/run", "bob", json={})
    assert lab.call("POST", f"/jobs/{job['id']}/cancel", "admin", json={}).status_code == 200
    deadline, items = time.monotonic() + 60.0, list[Any]()
    while not items:
        assert time.monotonic() < deadline, lab.log()
        items = lab.call("GET", "/notices", "vic", params={"user": "bob"}).json()["items"]
        time.sleep(0.1)
    (notice,) = items
    assert (notice["kind"], notice["data"]["status"], notice["target"]) == ("job_done", "canceled", lab.target)


def test_mail_address(lab: "Lab") -> None:
    """A user sees and changes their own, admins everybody's, and nobody else sees it."""
    assert lab.call("PATCH", "/users/me", "ada", json={"mail": "ada@example.org"}).json()["mail"] == "ada@example.org"
    assert lab.call("GET", "/users/ada", "admin").json()["mail"] == "ada@example.org"
    assert lab.call("GET", "/users/ada", "bob").status_code == 403
    wrong = lab.call("PATCH", "/users/me", "ada", json={"mail": "a@example.org\r\nBcc: b@example.org"})
    assert (wrong.status_code, wrong.json()["field"]) == (400, "mail")
    assert lab.call("PATCH", "/users/ada", "admin", json={"mail": ""}).json()["mail"] == ""
