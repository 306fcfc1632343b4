"""What sends to one destination, one thing at a time, for as long as its master runs."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from twisted.internet import defer, task, threads
from twisted.python import log

from benchyard.publish import sending
from benchyard.publish.destinations import Receipt, Refused, TryLater
from benchyard.publish.http import one_line
from benchyard.publish.outbox import Place
from benchyard.publish.sending import LEASE_S
from benchyard.store import senders, uploads
from benchyard.store.rows import PUBLISH, Upload

#: Seconds before an upload that met trouble is tried again: doubled at each try up to the last, at random below that.
FIRST_S, LONGEST_S = 10.0, 1800.0

#: So many uploads in a row that met trouble mean that the destination is down; the longest that it is left alone then.
ROW, LONGEST_PAUSE_S = 3, 300.0

#: The shortest time between two tries, and the longest between two looks at the outbox: another master may file, too.
SHORTEST_S, IDLE_S = 1.0, 300.0

#: Seconds after which one upload is given up for now, whatever its destination does.
LIMIT_S = 3600.0

#: Seconds before the outcome of a try is written once more, where the datastore is away.
WRITE_AGAIN_S = 5.0


class Lab(NamedTuple):
    """What senders use of the lab: the datastore, the clock, and where results are and are shown."""

    db: Callable[..., Any]
    clock: Any
    results_dir: Path
    url: str


class Sender:
    """Sends what the outbox has for one destination, as the holder of its lease.

    `holder` is the master's name, the same for nobody else. `told` is called with each upload that has changed.
    """

    def __init__(
        self,
        place: Place,
        lab: Lab,
        holder: str,
        told: Callable[[Upload], None] = lambda _upload: None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.place, self.lab, self.holder = place, lab, holder
        self._told, self._chance = told, chance
        #: Whether it waits for something to do.
        self.asleep = False
        self._stopping = False
        self._woken: defer.Deferred[None] = defer.Deferred()
        self._work: defer.Deferred[Any] | None = None
        self._ended: defer.Deferred[None] | None = None
        self._in_trouble: set[int] = set()
        self._pauses = 0
        self._paused_until = 0.0

    def start(self) -> None:
        """Begin to send; what was pending goes on."""
        self._ended = defer.ensureDeferred(self._run())

    def wake(self, *, at_once: bool = False) -> None:
        """Look at the outbox: something was filed; `at_once` also where the destination is left alone for a while."""
        if at_once:
            self._paused_until = 0.0
        if not self._woken.called:
            self._woken.callback(None)

    async def stop(self) -> None:
        """Stop sending and give the lease back; what is being sent now stays pending, and is sent again later."""
        self._stopping = True
        self.wake()
        if self._work is not None:
            self._work.cancel()
        if self._ended is not None:
            await self._ended
        try:
            await self.place.destination.close()
            await self.lab.db(senders.release_lease, self.place.name, self.holder)
        except Exception:
            log.err(None, f"benchyard: while the sender to {self.place.name} stopped")

    async def _run(self) -> None:
        while not self._stopping:
            self._woken = defer.Deferred()
            try:
                wait_s = await self._step()
            except Exception:
                log.err(None, f"benchyard: in the sender to {self.place.name}; it goes on")
                wait_s = FIRST_S
            if wait_s > 0:
                await self._sleep(wait_s)

    async def _sleep(self, seconds: float) -> None:
        if self._stopping:
            return
        timer = self.lab.clock.callLater(seconds, self.wake)
        self.asleep = True
        await self._woken
        self.asleep = False
        if timer.active():
            timer.cancel()

    async def _step(self) -> float:
        """Send the next upload, if there is one; gives the seconds to wait before the next look."""
        now = self.lab.clock.seconds()
        if self._paused_until > now:
            return self._paused_until - now
        taken = await self.lab.db(sending.take_next, self.place.name, self.holder, now=now)
        if taken.upload is None:
            return IDLE_S if taken.look_at is None else min(max(taken.look_at - now, SHORTEST_S), IDLE_S)
        await self._send(taken.upload)
        return 0.0

    async def _send(self, upload: Upload) -> None:
        renewing = task.LoopingCall(self._renew)
        renewing.clock = self.lab.clock
        renewing.start(LEASE_S / 3, now=False)
        try:
            self._work = defer.ensureDeferred(self._sent(upload))
            self._work.addTimeout(LIMIT_S, self.lab.clock)
            await self._settle(upload, await self._work)
        except Refused as exc:
            await self._refused(upload, exc)
        except TryLater as exc:
            await self._trouble(upload, one_line(str(exc)), exc.after_s)
        except defer.TimeoutError:
            await self._trouble(upload, f"it did not come to an end within {LIMIT_S / 3600:g} h", None)
        except Exception as exc:
            if not self._stopping:
                log.err(None, f"benchyard: while upload {upload.id} was sent to {self.place.name}; it is tried again")
            words = f"something went wrong in the lab ({type(exc).__name__}); the master's twistd.log says what"
            await self._trouble(upload, words, None)
        finally:
            self._work = None
            renewing.stop()

    async def _sent(self, upload: Upload) -> Receipt:
        """Send an upload to its end; raises Refused or TryLater."""
        destination = self.place.destination
        material = await self.lab.db(sending.material_of, upload)
        sending.check_still_allowed(self.place, upload, material.head)
        publication = await threads.deferToThread(
            sending.make_publication, self.lab.results_dir, material, upload, self.lab.url
        )
        if upload.action == PUBLISH:
            return await destination.publish(publication)
        return await destination.withdraw(publication)

    async def _settle(self, upload: Upload, receipt: Receipt) -> None:
        was_down = self._answered()
        # It is shown as a link in browsers, where there are addresses that run.
        link = receipt.link if receipt.link and receipt.link.startswith(("http://", "https://")) else None
        await self._note(sending.note_sent, upload, words=one_line(receipt.words), link=link)
        if was_down:
            await self.lab.db(uploads.hurry_all, self.place.name, now=self.lab.clock.seconds())

    async def _refused(self, upload: Upload, refused: Refused) -> None:
        self._answered()
        await self._note(sending.note_refused, upload, words=one_line(str(refused)))

    def _answered(self) -> bool:
        """Note that the destination is there; gives whether it was taken to be down, with more waiting for it."""
        was_down = len(self._in_trouble) >= ROW
        self._in_trouble.clear()
        self._pauses = 0
        return was_down

    async def _trouble(self, upload: Upload, words: str, after_s: float | None) -> None:
        """Let an upload wait; where several in a row met trouble, or the other side asks for it, let all wait."""
        if self._stopping:
            return  # it was we who ended it
        delay_s = max(self._delay(upload.attempts, LONGEST_S), after_s or 0.0)
        self._in_trouble.add(upload.id)
        down = len(self._in_trouble) >= ROW
        if down or after_s is not None:
            self._pauses += 1
            pause_s = self._delay(self._pauses, LONGEST_PAUSE_S) if after_s is None else after_s
            self._paused_until = self.lab.clock.seconds() + pause_s
        await self._note(sending.note_trouble, upload, words=words, delay_s=delay_s)
        if down:
            late = await self.lab.db(uploads.give_up, self.place.name, words=words, now=self.lab.clock.seconds())
            for failed in late:
                self._told(failed)

    def _delay(self, tries: int, longest_s: float) -> float:
        """Exponential backoff with full jitter, so that many who wait do not come back at the same time."""
        return max(SHORTEST_S, self._chance() * min(longest_s, FIRST_S * 2 ** min(tries - 1, 30)))

    async def _note(self, function: Callable[..., Upload], upload: Upload, **said: Any) -> None:
        """Write down what came of a try, however long the datastore is away: it is known here and nowhere else."""
        while True:
            try:
                noted = await self.lab.db(function, upload, now=self.lab.clock.seconds(), **said)
            except Exception:
                log.err(None, f"benchyard: what came of upload {upload.id} cannot be kept yet; trying again")
                if self._stopping:
                    return
                await task.deferLater(self.lab.clock, WRITE_AGAIN_S)
            else:
                self._told(noted)
                return

    def _renew(self) -> Any:
        now = self.lab.clock.seconds()
        renewed = defer.ensureDeferred(
            self.lab.db(senders.take_lease, self.place.name, self.holder, now=now, until=now + LEASE_S)
        )
        return renewed.addErrback(log.err, f"benchyard: the lease of {self.place.name} cannot be renewed yet")
