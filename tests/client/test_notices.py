"""Notices through the real client."""

from typing import TYPE_CHECKING

import pytest

from benchyard.client import Client, NotFound

if TYPE_CHECKING:
    from tests.client.lab_server import LabServer


def test_notices_are_read(client: Client, lab: "LabServer") -> None:
    """list() asks for kinds with commas between, get() for one; numbers are in `data`, who told it in `tellings`."""
    notice = {"id": 3, "kind": "job_done", "subject": "job 3 success", "users": ["anna"], "data": {"job": 3}}
    told = {"notifier": "mail", "time": "2025-11-22T10:53:00.000Z", "outcome": "told", "words": ""}
    lab.notices[3] = {**notice, "tellings": [told]}
    (found,) = client.notices.list(user="anna")
    assert (found.id, found.users, found.data) == (3, ("anna",), {"job": 3})
    assert [(each.notifier, each.outcome) for each in client.notices.get(3).tellings] == [("mail", "told")]
    list(client.notices.list(kind=["job_done", "regression"]))
    assert lab.seen[-1].query["kind"] == ["job_done,regression"]
    with pytest.raises(NotFound):
        client.notices.get(4)
