"""Sending results to a codespeed (https://github.com/tobami/codespeed).

It knows one value of a benchmark for a commit, branch, executable and environment, and takes a new one in its place
without a word. So to send a result again does no harm, and what a crash leaves open is sent again.
"""

import base64
import json
from collections.abc import Sequence
from urllib.parse import quote_plus

import msgspec
from twisted.internet import threads

from benchyard.publish.codespeed.answers import TooLarge, check_saved
from benchyard.publish.codespeed.items import Item, items_of, place_of, refusal
from benchyard.publish.destinations import Destination, Publication, Receipt, Refused, Site
from benchyard.publish.http import Http
from benchyard.publish.secrets import read_secret, secret_name
from benchyard.publish.settings import Codespeed
from benchyard.store.rows import Result

_PATH = "/result/add/json/"

_OPEN, _BETWEEN, _CLOSE = "json=" + quote_plus("["), quote_plus(","), quote_plus("]")


def make(name: str, settings: Codespeed, site: Site) -> Destination:
    """The destination of a `[publish.NAME]` table of this kind."""
    return CodespeedDestination(name, settings, site)


class CodespeedDestination:
    """A codespeed, as the lab sends to it."""

    #: It has no way to take a value back; its admin pages have.
    can_withdraw = False

    def __init__(self, name: str, settings: Codespeed, site: Site) -> None:
        self._name, self._settings = name, settings
        self._url = settings.url.rstrip("/") + _PATH
        self._secrets_dir = site.secrets_dir
        self._most_bytes = settings.max_body_kb * 1000
        self._http = Http(timeout_s=settings.timeout_s, ca_file=settings.ca_file)

    def refusal(self, result: Result) -> str | None:
        """Why codespeed can never take a result, by its row alone; None where it can."""
        return refusal(result, place_of(result, self._settings))

    def slot(self, result: Result) -> str:
        """The commit, branch, executable and environment that its values are for."""
        return json.dumps(msgspec.structs.astuple(place_of(result, self._settings)))

    async def publish(self, publication: Publication) -> Receipt:
        """Send all values of a result; Receipt only once codespeed has said of each part that it is saved."""
        items = await threads.deferToThread(items_of, publication, self._settings)
        parts = await self._send(items)
        # Its pages are about ids of its own, which it does not tell; that of changes by commit fails in 0.13.0.
        link = f"{self._settings.url.rstrip('/')}/timeline/"
        words = f"codespeed has saved {len(items)} values" + (f", sent in {parts} parts" if parts > 1 else "")
        return Receipt(words=words, link=link)

    async def withdraw(self, publication: Publication) -> Receipt:
        """Codespeed has no way to take a value back."""
        raise Refused("codespeed takes nothing back by itself; its admin pages can delete values")

    async def close(self) -> None:
        """Let go of the connection."""
        await self._http.close()

    async def _send(self, items: Sequence[Item]) -> int:
        """Send items in as few parts as the server takes, one after the other; gives how many parts.

        A part that is too large for it is sent again as smaller ones, and the next result begins with these.
        """
        left = [piece_of(item) for item in items]
        most, parts = self._most_bytes, 0
        while left:
            count = _fitting(left, most)
            body = body_of(left[:count])
            answer = await self._http.send("POST", self._url, data=body, headers=self._headers())
            try:
                check_saved(answer, self._settings, secret_name(self._name))
            except TooLarge as exc:
                if count == 1:
                    raise Refused(
                        f"{exc}, even to a single value; is `url` the name by which it knows itself?"
                    ) from exc
                most = len(body) / 2
            except Refused as exc:
                there = len(items) - len(left)
                raise Refused(f"{exc} ({there} of {len(items)} values are there)" if there else str(exc)) from exc
            else:
                left = left[count:]
                parts += 1
                self._most_bytes = most
        return parts

    def _headers(self) -> dict[str, str]:
        """What each part is sent with. The password is read each time: a new one counts at once, and none is kept."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if self._settings.user:
            # Not left to requests, whose names and passwords are in Latin 1; codespeed's are in UTF-8.
            secret = f"{self._settings.user}:{read_secret(self._secrets_dir, self._name)}"
            headers["Authorization"] = f"Basic {base64.b64encode(secret.encode()).decode('ascii')}"
        return headers


def piece_of(item: Item) -> str:
    """An item as it is in a body."""
    return quote_plus(msgspec.json.encode(item))


def body_of(pieces: Sequence[str]) -> bytes:
    """The body of a request: a form with one field, which is a list."""
    return (_OPEN + _BETWEEN.join(pieces) + _CLOSE).encode("ascii")


def _fitting(pieces: Sequence[str], most_bytes: float) -> int:
    """How many of the pieces, from the first on, go into one body; at least one."""
    size = len(_OPEN) + len(_CLOSE) - len(_BETWEEN)
    for count, piece in enumerate(pieces):
        size += len(piece) + len(_BETWEEN)
        if size > most_bytes and count:
            return count
    return len(pieces)
