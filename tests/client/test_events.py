"""Server-sent events: read as they come, taken up again after a break."""

from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from benchyard.client import Client, Unavailable
from benchyard.client.events import Event, parse_events

if TYPE_CHECKING:
    from tests.client.conftest import Clock
    from tests.client.lab_server import LabServer

STREAM = 'id: 7\nevent: job\ndata: {"id": 1, "status": "queued"}\n\n: still here\n\n'


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_pieces_make_events(size: int) -> None:
    """Events are the same however the stream is cut; comments and what is no JSON object carry no kind."""
    stream = STREAM + "event: queue\r\ndata: {\r\ndata:}\r\n\r\ndata: 17\n\nevent: host\ndata: {}\n"
    events = list(parse_events(stream[at : at + size] for at in range(0, len(stream), size)))
    assert [event for event in events if event.kind] == [
        Event(kind="job", data={"id": 1, "status": "queued"}, id="7"),
        Event(kind="queue", data={}),
    ]


def test_listening_goes_on_after_a_break(client: Client, lab: "LabServer", server_module: ModuleType) -> None:
    """A connection that breaks is made anew, from the last event on."""
    lab.canned = [server_module.Answer(200, STREAM.encode() + b"id: 8\neve", "text/event-stream", cut=True)]
    lab.events = b'id: 9\nevent: host\ndata: {"id": "quiet-1", "status": "offline"}\n\n'
    events = client.events(after="6")
    assert [next(events).kind, next(events).data["status"]] == ["job", "offline"]
    asked = [seen.headers.get("last-event-id") for seen in lab.seen if seen.path.endswith("/events")]
    assert asked == ["6", "7"]
    assert lab.seen[0].headers["accept-encoding"] == "identity"


def test_a_lab_that_stays_away_is_given_up(
    client: Client, lab: "LabServer", clock: "Clock", server_module: ModuleType
) -> None:
    """A lab that does not come back ends the listening with Unavailable after some minutes."""
    lab.canned = [server_module.Answer(503)] * 2000
    with pytest.raises(Unavailable):
        next(client.events())
    assert 300 < clock.now < 330
