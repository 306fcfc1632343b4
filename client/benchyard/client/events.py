"""Events: changes of jobs, queues and hosts as the lab tells of them, by server-sent events.

The format is https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream.
"""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from benchyard.client.entities import Link
from benchyard.client.errors import Unavailable


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A change: `kind` is job, queue or host, `data` says of which (`id` or `target`) and the new `status`.

    `id` is the event's own, with which a later listener may go on: `client.events(after=event.id)`.
    """

    kind: str
    data: dict[str, Any] = {}
    id: str | None = None


def listen(link: Link, after: str | None) -> Iterator[Event]:
    """Yield events as they come, on and on; a connection that breaks is made anew and goes on after the last one.

    Raises Unavailable when the lab stays away for longer than the patience of the client.
    """
    polling = link.polling
    heard = polling.clock()
    while True:
        headers = {"Accept": "text/event-stream"}
        if after:
            headers["Last-Event-ID"] = after
        try:
            for event in parse_events(link.api.stream_text("/events", headers=headers)):
                heard = polling.clock()
                after = event.id or after
                if event.kind:
                    yield event
        except Unavailable:
            if polling.clock() - heard > polling.patience_s:
                raise
        # A silent stream is no sign of a lost lab: ask before giving up.
        polling.sleep(polling.first_s)
        with contextlib.suppress(Unavailable):
            link.api.get("/health")
            heard = polling.clock()


def parse_events(pieces: Iterable[str]) -> Iterator[Event]:
    """Yield the events of a stream that comes in pieces; one that is cut off at the end is left out.

    An event without a known shape, and a comment that keeps the connection alive, is one without kind and data.
    """
    fields: dict[str, str] = {}
    for line in _lines(pieces):
        if line.startswith(":"):
            yield Event(kind="")
        elif line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            fields[name] = f"{fields[name]}\n{value}" if name == "data" and name in fields else value
        else:
            if fields:
                yield _event(fields)
            fields = {}


def _event(fields: dict[str, str]) -> Event:
    number = fields.get("id")
    try:
        data = msgspec.json.decode(fields.get("data", ""))
    except msgspec.DecodeError:
        data = None
    if not isinstance(data, dict):
        return Event(kind="", id=number)
    return Event(kind=fields.get("event", "message"), data=data, id=number)


def _lines(pieces: Iterable[str]) -> Iterator[str]:
    """Yield whole lines; the ends of lines are LF or CRLF, as servers write them."""
    rest = ""
    for piece in pieces:
        *lines, rest = (rest + piece).split("\n")
        yield from (line.removesuffix("\r") for line in lines)
