"""Which results go to which destinations: the functions that file uploads, in the transaction of whoever calls them."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from twisted.python import log

from benchyard.publish.destinations import Destination
from benchyard.publish.policy import refusal
from benchyard.publish.settings import Policy
from benchyard.store import jobs, results, uploads
from benchyard.store.errors import Conflict, NotFound
from benchyard.store.history import LAB
from benchyard.store.rows import PUBLISH, WITHDRAW, Result, Upload

#: Uploads that are asked for again at once.
MOST_AT_ONCE = 500


class Place(NamedTuple):
    """A destination, with what the settings say of it."""

    name: str
    settings: Policy
    destination: Destination

    @property
    def give_up_s(self) -> float:
        """Seconds after which trouble is given up."""
        return self.settings.give_up_h * 3600

    def refusal(self, result: Result) -> str | None:
        """Why a result may not go there."""
        return refusal(self.settings, self.destination, result)


Places = Mapping[str, Place]


def file_new(conn: Any, places: Places, result: Result, *, wanted: bool, now: float) -> tuple[Upload, ...]:
    """File a new result for all automatic destinations that may have it, or for all if it is `wanted`.

    What was filed before stays as it is, whatever has come of it.
    """
    chosen = [place for place in places.values() if place.settings.automatic or wanted]
    return tuple(
        uploads.find_upload(conn, result.id, place.name) or _file(conn, place, result, now=now, who=LAB)
        for place in chosen
        if _may_go(place, result)
    )


def file_asked(
    conn: Any, places: Places, result_id: int, names: Sequence[str], *, again: bool, now: float, who: str
) -> tuple[Upload, ...]:
    """File a result that somebody wants to be published: at the destinations named, or at all that may have it.

    Conflict, with nothing filed, where one that is named may not have it, or none may.
    """
    result = results.get_result(conn, result_id)
    if not places:
        raise Conflict(
            "the lab has no destination; add a table such as [publish.NAME] to its settings and start the lab anew"
        )
    chosen = [find_place(places, name) for name in dict.fromkeys(names)] or list(places.values())
    refused = {place.name: why for place in chosen if (why := place.refusal(result)) is not None}
    if refused and (names or len(refused) == len(chosen)):
        raise Conflict("; ".join(f"{name}: {why}" for name, why in refused.items()))
    good = [place for place in chosen if place.name not in refused]
    return tuple(_file(conn, place, result, again=again, now=now, who=who) for place in good)


def ask_all_again(
    conn: Any, places: Places, *, destination: str | None, owner: str | None, now: float, who: str
) -> tuple[Upload, ...]:
    """Ask again for what was refused or has failed, of an owner's results or of all, as far as it may be there now."""
    if destination is not None:
        find_place(places, destination)
    found: list[Upload] = []
    states, before = ("refused", "failed"), None
    while len(found) < MOST_AT_ONCE:
        page = uploads.list_uploads(conn, state=states, destination=destination, before=before, limit=MOST_AT_ONCE)
        if not page:
            break
        before = page[-1].id
        for upload in reversed(page):
            place, result = places.get(upload.destination), results.get_result(conn, upload.result_id)
            if place is None or (owner is not None and result.owner != owner):
                continue
            if upload.action == PUBLISH and place.refusal(result) is not None:
                continue
            found.append(uploads.ask_again(conn, upload.id, give_up_s=place.give_up_s, now=now, who=who))
    return tuple(found)


def take_back(conn: Any, places: Places, result: Result, *, now: float, who: str) -> tuple[Upload, ...]:
    """A result was disabled, or put into the trash: nothing more of it is sent, and what is there is taken back."""
    able = {place.name: place.give_up_s for place in places.values() if place.destination.can_withdraw}
    why = f"result {result.id} was {'disabled' if result.status == 'stored' else result.status}"
    return uploads.withdraw_uploads(conn, result.id, able=able, why=why, now=now, who=who)


def put_back(conn: Any, places: Places, result: Result, *, now: float, who: str) -> tuple[Upload, ...]:
    """A result was enabled again: what was taken back, or not sent for that reason, is published again."""
    before = [
        upload
        for upload in uploads.uploads_of_result(conn, result.id)
        if upload.action == WITHDRAW or upload.state == "failed"
    ]
    chosen = [places[upload.destination] for upload in before if upload.destination in places]
    good = [place for place in chosen if place.refusal(result) is None]
    return tuple(_file(conn, place, result, now=now, who=who) for place in good)


def base_has_ended(conn: Any, job_id: int, *, now: float) -> None:
    """Let go what waits for the result of a job, or for the job's end."""
    heads = results.ids_of_jobs(conn, [job.id for job in jobs.jobs_based_on(conn, job_id)])
    uploads.hurry(conn, [id for ids in heads.values() for id in ids], now=now)


def find_place(places: Places, name: str) -> Place:
    """The destination of this name; NotFound, with the nearest, where there is none."""
    if name not in places:
        close = difflib.get_close_matches(name, list(places), n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(places) or 'none'}"
        raise NotFound(f"there is no destination {name!r}; {hint}")
    return places[name]


def _may_go(place: Place, result: Result) -> bool:
    """Whether policy lets a new result go; a fault in a destination costs no job, and is told when it is sent."""
    try:
        return place.refusal(result) is None
    except Exception:
        log.err(None, f"benchyard: destination {place.name} cannot tell whether it takes result {result.id}")
        return True


def _slot(place: Place, result: Result) -> str:
    try:
        return place.destination.slot(result)
    except Exception:
        log.err(None, f"benchyard: destination {place.name} cannot tell the place of result {result.id}")
        return f"result {result.id}"


def _file(conn: Any, place: Place, result: Result, *, now: float, who: str, again: bool = False) -> Upload:
    slot = _slot(place, result)
    how: dict[str, Any] = {"slot": slot, "give_up_s": place.give_up_s, "again": again}
    return uploads.file_upload(conn, result.id, place.name, **how, now=now, who=who)
