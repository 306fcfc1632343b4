"""Uploads: asked for, listed, waited for, and asked for again."""

from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from benchyard.client import Client, Conflict, NotFound

if TYPE_CHECKING:
    from tests.client.lab_server import LabServer


def test_no_destination(client: Client, lab: "LabServer") -> None:
    """A lab that publishes nowhere says so."""
    with pytest.raises(Conflict, match=r"such as \[publish\.NAME\] to its settings and start the lab anew$"):
        client.results.get(lab.add_result()).upload()
    assert client.uploads.destinations() == ()


def test_a_result_is_uploaded(client: Client, lab: "LabServer", server_module: ModuleType) -> None:
    """upload() asks for all destinations or those named, and says what is on its way."""
    lab.destinations = [server_module.a_destination("speed"), server_module.a_destination("hook", kind="webhook")]
    result = client.results.get(lab.add_result())
    assert [(upload.destination, upload.pending) for upload in result.upload()] == [("speed", True), ("hook", True)]
    assert lab.seen[-1].body == {"destinations": [], "again": False}
    (upload,) = result.upload(["hook"], again=True)
    assert lab.seen[-1].body == {"destinations": ["hook"], "again": True}
    assert (upload.result, upload.action, upload.asked_by) == (result.id, "publish", "anna")
    with pytest.raises(NotFound, match="there are: speed, hook"):
        result.upload(["hok"])
    assert [(found.name, found.kind) for found in client.uploads.destinations()] == [
        ("speed", "codespeed"),
        ("hook", "webhook"),
    ]


def test_listed(client: Client, lab: "LabServer", server_module: ModuleType) -> None:
    """Uploads are listed newest first, by state, destination and result."""
    for number, state in enumerate(("sent", "pending", "refused"), 1):
        lab.uploads[number] = server_module.an_upload(number, state=state, result=number)
    assert [upload.id for upload in client.uploads.list()] == [3, 2, 1]
    assert [upload.id for upload in client.uploads.list(state=("pending", "refused"))] == [3, 2]
    assert [upload.id for upload in client.uploads.list(state="sent", result=1, destination="speed")] == [1]
    assert [upload.id for upload in client.uploads.retry()] == [3]
    assert lab.seen[-1].body == {"destination": None}


def test_waited_for(client: Client, lab: "LabServer", server_module: ModuleType) -> None:
    """wait() returns when none is pending any more, and tells of each change on the way."""
    lab.destinations = [server_module.a_destination("speed")]
    uploads = client.results.get(lab.add_result()).upload()
    lab.upload_scripts = [(1, {}), (1, {"words": "connection refused"}), (1, {"state": "sent", "words": "202"})]
    told: list[str] = []
    (upload,) = client.uploads.wait(uploads, on_change=lambda upload: told.append(f"{upload.state}: {upload.words}"))
    assert (upload.state, upload.words) == ("sent", "202")
    assert told == ["pending: connection refused", "sent: 202"]
    asked = len(lab.seen)
    assert client.uploads.wait([upload]) == (upload,)
    assert len(lab.seen) == asked, "nothing is asked for what has ended"
