"""Sending results to a codespeed (https://github.com/tobami/codespeed).

It knows one value of a benchmark for a commit, branch, executable and environment, and takes a new one in its place
without a word. So to send a result again does no harm, and what a crash leaves open is sent again.
"""

import json
from collections import deque
from collections.abc import Sequence
from urllib.parse import quote_plus, urlencode

import msgspec
from twisted.internet import threads

from benchyard.publish.codespeedanswers import TooLarge, check_saved
from benchyard.publish.codespeeditems import Item, items_of, place_of, refusal
from benchyard.publish.destinations import Destination, Publication, Receipt, Refused, Site
from benchyard.publish.http import Http
from benchyard.publish.settings import Codespeed
from benchyard.store.rows import Result

_PATH = "/result/add/json/"
_FIELD = "json="
_OPEN, _BETWEEN, _CLOSE = map(quote_plus, "[,]")


def make(name: str, settings: Codespeed, site: Site) -> Destination:
    """The destination of a `[publish.NAME]` table of this kind."""
    return CodespeedDestination(name, settings, site)


class CodespeedDestination:
    """A codespeed, as the lab sends to it."""

    #: It has no way to take a value back; its admin pages have.
    can_withdraw = False

    def __init__(self, name: str, settings: Codespeed, site: Site) -> None:
        self._settings = settings
        self._url = settings.url.rstrip("/") + _PATH
        self._secret = f"publish-{name}"
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
        link = f"{self._settings.url.rstrip('/')}/changes/?{urlencode({'rev': items[0].commitid})}"
        return Receipt(words=f"codespeed has saved {len(items)} values, in {parts} {"part" if parts == 1 else "parts"}", link=link)

    async def withdraw(self, publication: Publication) -> Receipt:
        """Codespeed has no way to take a value back."""
        raise Refused("codespeed takes nothing back by itself; its admin pages can delete the values")

    async def close(self) -> None:
        """Let go of the connection."""
        self._http.close()

    async def _send(self, items: Sequence[Item]) -> int:
        """Send items in as few parts as the server takes, one after the other; gives how many parts.

        A part that is too large for it is sent anew as smaller ones, and the next result begins with these.
        """
        left = [quote_plus(msgspec.json.encode(item)) for item in items]
        most, parts = self._most_bytes, 0
        while left:
            count = _fitting(left, most)
            body = _FIELD + _OPEN + _BETWEEN.join(left[:count]) + _CLOSE
            answer = await self._http.post(
                self._url,
                data=body.encode("ascii"),
                headers={"Content-Type": "application/x-www-form-urlencoded"},
                auth=self._credentials(),
            )
            try:
                check_saved(answer, self._settings, f"secrets/{self._secret}")
            except TooLarge as exc:
                if count == 1:
                    raise Refused(f"{exc}, also to a single value; does it know itself as {self._settings.url!r}?") from exc
                most = len(body) / 2
            else:
                left = left[count:]
                parts += 1
        self._most_bytes = most
        return parts

    def _credentials(self) -> tuple[bytes, bytes] | None:
        """User and password; read each time, so that a new password counts at once, and kept nowhere."""
        if not self._settings.user:
            return None
        try:
            password = (self._secrets_dir / self._secret).read_text(encoding="utf-8").strip()
        except OSError as exc:
            raise Refused(
                f"the password of {self._settings.user!r} cannot be read from secrets/{self._secret}: {exc.strerror}"
            ) from exc
        return self._settings.user.encode(), password.encode()


def _fitting(pieces: Sequence[str], most_bytes: float) -> int:
    """How many of the pieces, from the first on, go into one body; at least one."""
    size = len(_FIELD) + len(_OPEN) + len(_CLOSE) - len(_BETWEEN)
    for count, piece in enumerate(pieces):
        size += len(piece) + len(_BETWEEN)
        if size > most_bytes and count:
            return count
    return len(pieces)
