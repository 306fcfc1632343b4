"""The lab's results, looked after in the background: held against their index, thinned out, and out of the trash."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Event
from typing import Any

from buildbot.util.twisted import async_to_deferred
from twisted.internet import task, threads
from twisted.python import log

from benchyard.hosting.facts import LabFacts
from benchyard.hosting.reconciling import Lab, empty_trash, reconcile
from benchyard.results import trash
from benchyard.store import filed, trashed
from benchyard.store.history import LAB
from benchyard.store.retention import prunable
from benchyard.store.rows import Result

#: Seconds between two rounds of tidying up.
TIDY_S = 3600

#: The hour of the day in which old results are pruned.
NIGHT = 3

#: Seconds between two result files that are looked into in the background.
PAUSE_S = 0.03


class ResultUpkeep:
    """Looks after the results of a running master, by what the settings say of the lab now.

    `all_tagged` finds the commits that remotes have a tag on: their results stay. It may block.
    """

    def __init__(self, facts: LabFacts, all_tagged: Callable[[], Iterable[str]]) -> None:
        self.facts, self.all_tagged = facts, all_tagged
        self._rounds = task.LoopingCall(self._round)
        self._pruned = 0.0
        self._leaving = Event()
        self._reconciling: Any = None

    def start(self, master: Any) -> None:
        """Begin with what is there, and go on each hour."""
        self._reactor, self._transact = master.reactor, master.db.pool.do_with_transaction
        self._leaving.clear()
        self._rounds.clock = self._reactor
        self._rounds.start(TIDY_S, now=False)
        self._reconcile()

    @async_to_deferred
    async def stop(self) -> None:
        """Leave what is under way; done again, nothing of it is lost."""
        if self._rounds.running:
            self._rounds.stop()
        self._leaving.set()
        if self._reconciling is not None:
            await self._reconciling  # its thread needs the reactor to come to its end

    def _round(self) -> None:
        self._reconcile()
        now = time.time()
        if self.facts.prunes and time.localtime(now).tm_hour == NIGHT and now - self._pruned > 2 * TIDY_S:
            self._pruned = now
            done = self.prune(who=LAB, keep_all_days=self.facts.keep_all_days)
            done.addErrback(log.err, "benchyard: while pruning results")

    def _reconcile(self) -> None:
        """Hold files and index against each other, then empty the trash; in a thread, unless that is under way."""
        if self._reconciling is None:
            done = threads.deferToThread(self._reconciled).addErrback(log.err, "benchyard: while reconciling results")
            self._reconciling = done
            done.addCallback(lambda _: setattr(self, "_reconciling", None))

    def _reconciled(self) -> None:
        facts = self.facts

        def transact(*work: Any, **how: Any) -> Any:
            return threads.blockingCallFromThread(self._reactor, self._transact, *work, **how)

        def say(text: str) -> None:
            log.msg(f"benchyard: {text}")

        # The wait keeps most of the time for everything else.
        hosts = tuple(host.name for host in facts.hosts)
        lab = Lab(Path(facts.results), transact, hosts, lambda: self._leaving.wait(PAUSE_S), say)
        say(f"results: {reconcile(lab)}")
        if emptied := empty_trash(lab, days=facts.trash_days):
            say(f"{emptied} results that were in the trash for {facts.trash_days:g} days are gone for good")

    @async_to_deferred
    async def prune(self, *, who: str, keep_all_days: float, dry_run: bool = False) -> tuple[Result, ...]:
        """Put the results into the trash that the policy has no use for; gives them as they were.

        What was published of them stays: that somebody saw a result is no less true once the lab has no room for it.
        """
        tagged = tuple(await threads.deferToThread(self.all_tagged))
        root, transact = Path(self.facts.results), self._transact
        rows = await transact(prunable, keep_all_days=keep_all_days, now=time.time(), tagged=tagged)
        for row in () if dry_run else rows:
            await transact(trashed.trash_result, row.id, now=time.time(), who=who)
            if await transact(filed.is_free, str(row.path)):
                await threads.deferToThread(trash.throw_away, root, row.id, str(row.path), row.sha256)
        if rows and not dry_run:
            log.msg(f"benchyard: {len(rows)} results older than {keep_all_days:g} days are in the trash")
        return tuple(rows)
