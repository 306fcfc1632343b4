"""What changes, as it changes: server-sent events, https://html.spec.whatwg.org/multipage/server-sent-events.html"""

import time
from typing import Any

import msgspec
from twisted.internet import task

from benchyard.access.roles import Role
from benchyard.store import history
from benchyard.web.calls import Call, Route
from benchyard.web.problems import Problem

#: Seconds between two looks, changes taken at once, and seconds after which a silent stream says that it is alive.
POLL_S, CHUNK, ALIVE_S = 0.5, 200, 15.0

#: Kinds of entities whose changes are of interest to everybody who may read.
KINDS = ("job", "queue", "host", "result", "upload")


async def stream(call: Call) -> None:
    """Changes of jobs, queues, hosts, results and uploads from now on, or after the event named by `Last-Event-ID`."""
    request, gone = call.request, list[bool]()
    request.notifyFinish().addBoth(lambda _: gone.append(True))
    last = await _begin(call)
    request.setHeader(b"Content-Type", b"text/event-stream; charset=utf-8")
    request.setHeader(b"Cache-Control", b"no-store")
    request.setHeader(b"X-Accel-Buffering", b"no")
    request.write(b": the lab's changes\n\n")
    told = time.monotonic()
    while not gone and call.jobs.running:
        found = await call.jobs.db(history.since, last, CHUNK)
        for change in found:
            last = change.id
            if change.entity in KINDS and not gone:
                request.write(_event(change))
                told = time.monotonic()
        if not found:
            if time.monotonic() - told > ALIVE_S and not gone:
                request.write(b": alive\n\n")
                told = time.monotonic()
            await task.deferLater(call.services.master.reactor, POLL_S)


async def _begin(call: Call) -> int:
    header = call.request.getHeader(b"last-event-id")
    if header is None:
        return int(await call.jobs.db(history.last_id))
    text = header.decode("latin-1")
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise Problem(400, "not the id of an event", "Last-Event-ID")
    return int(text)


def _event(change: Any) -> bytes:
    name = "target" if change.entity == "queue" else "id"
    data = msgspec.json.encode({name: change.entity_id, "who": change.who, **change.change})
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (change.id, change.entity.encode(), data)


ROUTES = (Route("GET", "/events", Role.VIEWER, stream, str, content_type="text/event-stream"),)
