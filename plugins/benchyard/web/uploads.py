"""Uploads and destinations over REST: what is published where, and what is still on its way."""

from typing import Annotated, Any, Literal

import msgspec

from benchyard.access.roles import Role
from benchyard.publish.outbox import Places
from benchyard.publish.registry import kind_of, where_of
from benchyard.store import results, senders, uploads
from benchyard.store.rows import UPLOAD_STATES, Result, Upload
from benchyard.web.calls import MAX_ID, Call, Nothing, Paged, Route
from benchyard.web.filters import Wanted, split_words
from benchyard.web.jobs import page_of
from benchyard.web.views import Page, Time, known_time, time_text

#: Names of destinations; no more than a lab may have.
Destinations = Annotated[tuple[Wanted, ...], msgspec.Meta(max_length=100)]


class UploadFilter(Paged, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which uploads; `state` is one or several, with commas between."""

    state: Wanted = ""
    destination: Wanted | None = None
    result: Annotated[int, msgspec.Meta(ge=1, le=MAX_ID)] | None = None


class UploadRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a result is to be published; nothing named means wherever it may be.

    `again` sends it once more where it is already, and lets one that waits be tried now.
    """

    destinations: Destinations = ()
    again: bool = False


class RetryRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """At which destination what was refused or has failed is asked for again; null means at all."""

    destination: Wanted | None = None


class UploadView(msgspec.Struct, frozen=True):
    """What is to be, or was, done with a result at a destination; `words` are the destination's last.

    `sent` is since when it is known to be there. A pending one is tried next at `next_try`; trouble is given up at
    `deadline`.
    """

    id: int
    result: int
    destination: str
    action: Literal["publish", "withdraw"]
    state: Literal["pending", "sent", "refused", "failed"]
    words: str
    link: str | None
    attempts: int
    asked: Time
    asked_by: str
    next_try: Time | None
    deadline: Time | None
    sent: Time | None
    changed: Time


def upload_view(upload: Upload) -> UploadView:
    """An upload."""
    pending = upload.state == "pending"
    return UploadView(
        id=upload.id,
        result=upload.result_id,
        destination=upload.destination,
        action=upload.action,  # type: ignore[arg-type]
        state=upload.state,  # type: ignore[arg-type]
        words=upload.words,
        link=upload.link,
        attempts=upload.attempts,
        asked=known_time(upload.asked),
        asked_by=upload.asked_by,
        next_try=time_text(upload.next_try) if pending else None,
        deadline=time_text(upload.deadline) if pending else None,
        sent=time_text(upload.sent),
        changed=known_time(upload.changed),
    )


class DestinationView(msgspec.Struct, frozen=True):
    """A place that results are published at: its kind, and where it is.

    `automatic` says whether new results go there by themselves. `pending`, `refused` and `failed` count what is
    outstanding, `words` is what it said last, at `answered`. One that is not in the settings any more has no kind.
    """

    name: str
    kind: str | None
    where: str
    automatic: bool
    pending: int
    refused: int
    failed: int
    words: str
    answered: Time | None


async def list_uploads(call: Call) -> Page[UploadView]:
    """A page of uploads, newest first."""
    query: UploadFilter = call.query
    rows = await call.jobs.db(
        uploads.list_uploads,
        state=split_words(query.state, UPLOAD_STATES, "state"),
        destination=query.destination,
        result=query.result,
        before=query.cursor,
        limit=query.limit + 1,
    )
    return page_of([upload_view(row) for row in rows], query.limit)


async def list_destinations(call: Call) -> Page[DestinationView]:
    """The places that results are published at, with what is outstanding there."""
    places = call.services.publisher.places
    counts, said = await call.jobs.db(_state_of_destinations)
    names = [*places, *sorted(counts.keys() - places.keys())]
    return Page(tuple(_destination_view(name, places, counts.get(name, {}), said.get(name)) for name in names))


def _state_of_destinations(conn: Any) -> tuple[dict[str, dict[str, int]], dict[str, Any]]:
    said = {sender.destination: sender for sender in senders.list_senders(conn)}
    return uploads.count_outstanding(conn), said


def _destination_view(name: str, places: Places, counts: dict[str, int], sender: Any) -> DestinationView:
    settings = places[name].settings if name in places else None
    return DestinationView(
        name=name,
        kind=kind_of(settings) if settings is not None else None,
        where=where_of(settings) if settings is not None else "",
        automatic=settings.automatic if settings is not None else False,
        words=sender.words if sender is not None else "",
        answered=time_text(sender.answered) if sender is not None else None,
        **{state: counts.get(state, 0) for state in uploads.OUTSTANDING},
    )


async def upload_result(call: Call, result_id: int) -> Page[UploadView]:
    """Publish a result; Conflict, with the reason, where it may not be."""
    row: Result = await call.jobs.db(results.get_result, result_id)
    call.must_own(row.owner, f"result {result_id}")
    asked: UploadRequest = call.body
    filed = await call.services.publisher.ask(result_id, asked.destinations, again=asked.again, who=call.caller.name)
    return Page(tuple(upload_view(upload) for upload in filed))


async def retry_uploads(call: Call) -> Page[UploadView]:
    """Ask again for all that was refused or has failed: of the caller's own results, or for admins of all."""
    owner = None if call.caller.role >= Role.ADMIN else call.caller.name
    filed = await call.services.publisher.retry(call.body.destination, owner=owner, who=call.caller.name)
    return Page(tuple(upload_view(upload) for upload in filed))


ROUTES = (
    Route("GET", "/uploads", Role.VIEWER, list_uploads, Page[UploadView], query=UploadFilter),
    Route("POST", "/uploads/retry", Role.MEMBER, retry_uploads, Page[UploadView], body=RetryRequest),
    Route("GET", "/destinations", Role.VIEWER, list_destinations, Page[DestinationView], query=Nothing),
    Route(
        "POST",
        "/results/<int:result_id>/upload",
        Role.MEMBER,
        upload_result,
        Page[UploadView],
        body=UploadRequest,
    ),
)
