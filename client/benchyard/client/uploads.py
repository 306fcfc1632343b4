"""Uploads: what the lab publishes of its results, and where; the collection `client.uploads`."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

import msgspec

from benchyard.client.entities import Document, Link, ask
from benchyard.client.paging import Pages, pages
from benchyard.client.waiting import watch


class Upload(Document, frozen=True, kw_only=True):
    """What is to be, or was, done with a result at a destination; there is one for each such pair.

    `action` is "publish" or "withdraw". `state` is "pending" until the destination has answered, whatever happens
    meanwhile, then "sent", "refused" (it will not take it) or "failed" (trouble up to the `deadline`). `words` are the
    destination's last, `address` is where it shows the result, and `sent` since when it is known to be there.
    """

    id: int
    result: int
    destination: str
    action: str
    state: str
    words: str = ""
    address: str | None = msgspec.field(default=None, name="link")
    attempts: int = 0
    asked: datetime | None = None
    asked_by: str = ""
    next_try: datetime | None = None
    deadline: datetime | None = None
    sent: datetime | None = None
    changed: datetime | None = None

    @property
    def pending(self) -> bool:
        """Whether it is still on its way."""
        return self.state == "pending"


class Destination(Document, frozen=True, kw_only=True):
    """A place that the lab publishes at, with what is outstanding there, and what it said last, at `answered`.

    New results go there by themselves if it is `automatic`. One that is not in the lab's settings any more has no kind.
    """

    name: str
    kind: str | None = None
    where: str = ""
    automatic: bool = False
    pending: int = 0
    refused: int = 0
    failed: int = 0
    words: str = ""
    answered: datetime | None = None


class _Uploads(Document, frozen=True, kw_only=True):
    items: tuple[Upload, ...] = ()


class _Destinations(Document, frozen=True, kw_only=True):
    items: tuple[Destination, ...] = ()


class Uploads:
    """The uploads of a lab, newest first."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def list(
        self,
        *,
        state: str | Sequence[str] = (),
        destination: str | None = None,
        result: int | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Pages[Upload]:
        """Iterate over uploads, newest first; of what is given only. `state` is one or several."""
        states = state if isinstance(state, str) else ",".join(state)
        filters = {"state": states or None, "destination": destination, "result": result}
        return pages(Upload, "/uploads", filters, self._link, limit=limit, cursor=cursor)

    def retry(self, destination: str | None = None) -> tuple[Upload, ...]:
        """Ask again for all that was refused or has failed, of your own results; for admins, of all."""
        return ask_uploads(self._link, "/uploads/retry", {"destination": destination})

    def destinations(self) -> tuple[Destination, ...]:
        """Return the places that the lab publishes at."""
        return ask(_Destinations, self._link, "GET", "/destinations").items

    def wait(
        self,
        uploads: Iterable[Upload],
        timeout_s: float | None = None,
        on_change: Callable[[Upload], object] | None = None,
    ) -> tuple[Upload, ...]:
        """Return the uploads once none of them is pending; `on_change` is called with each that has changed."""
        known = {upload.id: upload for upload in uploads}
        results = sorted({upload.result for upload in known.values() if upload.pending})

        def look() -> dict[int, Upload]:
            return {upload.id: upload for result in results for upload in self.list(result=result)}

        if results:
            for found in watch(look, self._link.polling, what="the upload", timeout_s=timeout_s):
                for id, upload in known.items():
                    if id in found and found[id] != upload and on_change is not None:
                        on_change(found[id])
                known |= {id: found[id] for id in known if id in found}
                if not any(upload.pending for upload in known.values()):
                    break
        return tuple(known.values())


def ask_uploads(link: Link, path: str, body: object) -> tuple[Upload, ...]:
    """Ask for something that is answered with uploads."""
    return ask(_Uploads, link, "POST", path, body).items
