"""Telling notices by one notifier: in order, by one master at a time, and until each was taken or never will be."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from twisted.python import log

from benchyard.publish.destinations import Refused, TryLater
from benchyard.publish.notices.reporting import send
from benchyard.publish.notices.settings import AnyNotifier, Mail
from benchyard.store import notices, users
from benchyard.store.rows import Notice

#: Seconds beyond what a notice takes after which another master may tell instead of one of which nothing is seen.
HOLD_S = 60.0

#: A notice that could not be told for so long is not told any more: an old lab does not send a flood when it is back.
FRESH_S = 2 * 86400.0

#: Seconds before a notifier in trouble is tried again: doubled at each try, up to the last.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 15.0, 900.0

#: Runs a function of the store in a transaction, awaited.
Db = Callable[..., Any]


class Teller:
    """Tells by one notifier; `holder` is what stands for this master, `reporter` gives Buildbot's one at each use."""

    def __init__(
        self, name: str, settings: AnyNotifier, *, holder: str, reporter: Callable[[], Any], db: Db, seconds: Any
    ) -> None:
        self.name, self.settings = name, settings
        self._holder, self._reporter, self._db, self._seconds = holder, reporter, db, seconds
        self._after = 0
        self._tries = 0
        self._not_before = 0.0

    async def tell(self) -> None:
        """Tell all that is untold, unless another master does, or the last try was not long ago."""
        if self._seconds() < self._not_before:
            return
        while found := await self._next():
            for notice in found:
                if not takes(self.settings, notice):
                    self._after = notice.id
                elif not await self._one(notice):
                    return

    async def _next(self) -> tuple[Notice, ...] | None:
        """The notice that follows, with the right to tell it; None where another master has that."""
        hold_s = 2 * self.settings.timeout_s + HOLD_S
        how = {"after": self._after, "now": self._seconds(), "hold_s": hold_s}
        found: tuple[Notice, ...] | None = await self._db(_hold_next, self.name, self._holder, **how)
        return found

    async def _one(self, notice: Notice) -> bool:
        """Tell one notice and keep what became of it; False where it must be tried again later."""
        outcome, words = "told", ""
        try:
            if isinstance(self.settings, Mail):
                addresses = await self._db(users.addresses_of, notice.users) if self.settings.owners else ()
                if not addresses and not self.settings.to:
                    outcome, words = "nobody", "none of those whom it is for has a mail address"
                else:
                    await send(self._reporter(), notice, addresses, timeout_s=self.settings.timeout_s)
            else:
                await send(self._reporter(), notice, notice.users, timeout_s=self.settings.timeout_s)
        except Refused as exc:
            outcome, words = "failed", str(exc)
            log.msg(f"benchyard: notifier {self.name} does not take notice {notice.id}: {exc}")
        except TryLater as exc:
            self._pause(notice, exc)
            return False
        self._tries, self._not_before = 0, 0.0
        await self._db(notices.note_telling, notice.id, self.name, outcome=outcome, words=words, now=self._seconds())
        self._after = notice.id
        return True

    def _pause(self, notice: Notice, why: TryLater) -> None:
        pause_s = max(min(FIRST_PAUSE_S * 2**self._tries, LONGEST_PAUSE_S), why.after_s or 0.0)
        self._tries = min(self._tries + 1, 10)
        self._not_before = self._seconds() + pause_s
        log.msg(f"benchyard: notifier {self.name} could not tell notice {notice.id}: {why}; again in {pause_s:.0f} s")


def takes(settings: AnyNotifier, notice: Notice) -> bool:
    """Whether a notifier tells a notice, by its settings.

    The end of a job that is a regression is told with that, where both are for the same person: one change, one
    message.
    """
    if settings.events and notice.kind not in settings.events:
        return False
    if settings.targets and notice.target not in settings.targets:
        return False
    if settings.users and not set(settings.users) & set(notice.users):
        return False
    both = not settings.events or "regression" in settings.events
    return not (notice.kind == "job_done" and notice.data.get("regressions") and both)


def _hold_next(
    conn: sa.Connection, name: str, holder: str, *, after: int, now: float, hold_s: float
) -> tuple[Notice, ...] | None:
    """What a notifier has to tell, and the right to tell it; where there is nothing, nothing is written."""
    known = notices.find_notifier(conn, name) or notices.make_notifier(conn, name, now=now)
    since = max(known.since, now - FRESH_S)
    found = notices.untold(conn, name, after=after, since=since, limit=1)
    if not found:
        return ()
    if not notices.hold(conn, name, holder, now=now, for_s=hold_s):
        return None
    # Once more: who has held it until now may have told it.
    return notices.untold(conn, name, after=after, since=since, limit=1)
