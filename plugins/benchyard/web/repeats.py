"""Requests that are sent again: with the same Idempotency-Key they are done once, and answered alike."""

import hashlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet import defer

from benchyard.store import answers
from benchyard.web.calls import Caller, Reply, Services
from benchyard.web.problems import Problem

Do = Callable[[], Awaitable[Reply | None]]

KEY_LENGTH = 100


class Repeats:
    """Remembers the answers to requests that bear a key, by user and key, in the datastore."""

    def __init__(self) -> None:
        self._under_way: dict[tuple[str, str], defer.DeferredLock] = {}

    async def once(self, services: Services, caller: Caller, request: Any, body: bytes, do: Do) -> Reply | None:
        """What `do` answers, or has answered to the same request before."""
        header = request.getHeader(b"idempotency-key")
        if header is None:
            return await do()
        key = _checked(header)
        fingerprint = hashlib.sha256(request.uri + b"\0" + body).hexdigest()
        lock = self._under_way.setdefault((caller.name, key), defer.DeferredLock())
        await lock.acquire()
        try:
            return await self._first_or_again(services, caller.name, key, fingerprint, do)
        finally:
            lock.release()
            if not lock.locked:
                self._under_way.pop((caller.name, key), None)

    async def _first_or_again(self, services: Services, user: str, key: str, fingerprint: str, do: Do) -> Reply | None:
        known = await services.jobs.db(answers.recall, user, key, time.time())
        if known is not None:
            if known.fingerprint != fingerprint:
                raise Problem(422, "this Idempotency-Key was used for another request; take a new one")
            if known.status == answers.UNFINISHED:
                raise Problem(409, "a request with this Idempotency-Key was cut off; look what came of it first")
            return Reply(known.body.encode(), known.status)
        await self._note(services, user, key, fingerprint, answers.UNFINISHED, "")
        try:
            reply = await do()
        except Exception:
            # It changed nothing, by the rule of this interface; so it may be tried again.
            await services.jobs.db(answers.forget, user, key)
            raise
        if reply is not None:
            await self._note(services, user, key, fingerprint, reply.status or 200, reply.body.decode())
        return reply

    async def _note(self, services: Services, user: str, key: str, fingerprint: str, status: int, body: str) -> None:
        await services.jobs.db(
            answers.remember, user=user, key=key, fingerprint=fingerprint, status=status, body=body, now=time.time()
        )


def _checked(header: bytes) -> str:
    key = header.decode("latin-1")
    if not 1 <= len(key) <= KEY_LENGTH or not all("!" <= character <= "~" for character in key):
        raise Problem(400, f"1 to {KEY_LENGTH} printable ASCII characters", "Idempotency-Key")
    return key
