"""The service that tells people what has happened in the lab: notices, from the facts to those who are to know.

It follows the history, so a fact has its notice whatever was killed meanwhile; it looks for lanes in which nothing
happens; and it hands each notice to the notifiers, which are Buildbot's reporters, until it was taken.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa
from buildbot.util.service import BuildbotService
from buildbot.util.twisted import async_to_deferred
from twisted.internet import defer, task, threads
from twisted.python import log

from benchyard.publish.notices import jobs, others, stale
from benchyard.publish.notices.facts import Fact, fact_of
from benchyard.publish.notices.reporting import SERVICE as REPORTER
from benchyard.publish.notices.settings import AnyNotifier
from benchyard.publish.notices.telling import Teller
from benchyard.publish.notices.words import Draft, draft
from benchyard.results.regressions import Thresholds
from benchyard.store import history, notices
from benchyard.store.migrate import migrate
from benchyard.store.rows import Change
from benchyard.store.transactions import in_transaction

T = TypeVar("T")

SERVICE = "benchyard-notices"

#: Seconds between two looks at what has happened, and between two looks for lanes that are stale.
FOLLOW_S, LOOK_S = 2.0, 300.0

#: Seconds after the start before lanes are looked at: what waits for the lab's own start is not stale.
GRACE_S = 3600.0

#: Changes of the history looked at in one go.
CHUNK = 200

#: Seconds that notices are kept.
KEPT_S = 90 * 86400.0

#: Seconds that a master which stops waits for a message that is being sent.
STOP_S = 10.0

#: Where the history was followed up to.
HISTORY = "history"


class NoticeFacts(msgspec.Struct, frozen=True):
    """What the settings say of the lab, as far as notices need it; `hosts` are the targets of its hosts."""

    results: str
    url: str
    targets: tuple[stale.TargetLane, ...]
    schedules: tuple[stale.ScheduleLane, ...]
    hosts: dict[str, str]
    thresholds: Thresholds
    stale_s: float
    branches: tuple[stale.BranchLane, ...] = ()


class NoticeService(BuildbotService):
    """Writes notices and tells them; `notifiers` are the settings of those by whose reporters it does."""

    name = SERVICE

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._tellers: dict[str, Teller] = {}
        self._busy: dict[str, defer.DeferredLock] = {}
        self._loops: list[task.LoopingCall] = []
        self._begun = 0.0

    def checkConfig(self, *, facts: NoticeFacts, notifiers: Mapping[str, AnyNotifier]) -> None:
        super().checkConfig()

    @async_to_deferred
    async def reconfigService(self, *, facts: NoticeFacts, notifiers: Mapping[str, AnyNotifier]) -> None:
        await super().reconfigService()
        self.facts = facts
        known = self._tellers
        self._tellers = {
            name: known[name] if name in known and known[name].settings == settings else self._teller(name, settings)
            for name, settings in notifiers.items()
        }

    def _teller(self, name: str, settings: AnyNotifier) -> Teller:
        return Teller(
            name,
            settings,
            holder=self.master.name,  # the same after a restart, which then goes on at once
            reporter=lambda: self.master.service_manager.namedServices[REPORTER.format(name=name)],
            db=self.db,
            seconds=lambda: self.seconds(),
        )

    def seconds(self) -> float:
        """The present time in epoch seconds."""
        return float(self.master.reactor.seconds())

    @async_to_deferred
    async def startService(self) -> None:
        await self.master.db.pool.do_with_engine(migrate)
        await super().startService()
        self._begun = self.seconds()
        await self.db(_begin, tuple(self._tellers), now=self._begun)
        for work, every_s in ((self.follow, FOLLOW_S), (self.look, LOOK_S)):
            loop = task.LoopingCall(self._once, work.__name__, work)
            loop.clock = self.master.reactor
            loop.start(every_s, now=False)
            self._loops.append(loop)

    @async_to_deferred
    async def stopService(self) -> None:
        for loop in self._loops:
            if loop.running:
                loop.stop()
        self._loops.clear()
        ended = defer.DeferredList([lock.acquire() for lock in self._busy.values()])
        ended.addTimeout(STOP_S, self.master.reactor, lambda *_: None)
        if await ended is not None:
            await self.db(notices.let_go, self.master.name)
        await super().stopService()

    def _once(self, name: str, work: Callable[[], Any]) -> Any:
        """Do one round of work unless it is being done; what goes wrong in it must not be the last of it."""
        lock = self._busy.setdefault(name, defer.DeferredLock())
        if lock.locked:
            return None
        done = lock.run(lambda: defer.ensureDeferred(work()))
        return done.addErrback(log.err, f"benchyard: in {SERVICE}, {name}; it is tried again")

    # From facts to notices.

    async def follow(self) -> None:
        """Write the notices of all that has happened since the last look, then tell what is untold."""
        while (seen := await self.db(_unseen)) is not None:
            position, changes = seen
            drafts = [made for change in changes for made in await self._drafts(change)]
            await self.db(_keep, drafts, seen=position, position=changes[-1].id)
        for name, teller in self._tellers.items():
            self._once(f"notify.{name}", teller.tell)

    async def _drafts(self, change: Change) -> Sequence[Draft]:
        fact = fact_of(change)
        if fact is None:
            return ()
        try:
            return await self._compose(fact)
        except sa.exc.SQLAlchemyError:
            raise  # the datastore is away: the same again later
        except Exception:
            log.err(None, f"benchyard: while the notice of {fact.kind} {fact.id} was written")
            words = f"{fact.kind.replace('_', ' ')}: {fact.id}"
            return [draft(fact.kind, fact.key, words, [words, self.facts.url], time=change.time, target=None)]

    async def _compose(self, fact: Fact) -> Sequence[Draft]:
        match fact.kind:
            case "job_done":
                return await self._job_done(fact)
            case "host_quarantined":
                how: dict[str, Any] = {"targets": self.facts.hosts, "link": self.facts.url}
                return [await self.db(others.host_quarantined, fact, **how)]
            case _:
                made = await self.db(others.upload_refused, fact, link=self.facts.url)
                return [made] if made is not None else []

    async def _job_done(self, fact: Fact) -> Sequence[Draft]:
        ended = await self.db(jobs.gather, fact)
        if ended is None:
            return []
        job = ended.job
        link = f"{self.facts.url}#/buildrequests/{job.request_id}" if job.request_id else self.facts.url
        made: Sequence[Draft] = await threads.deferToThread(
            jobs.compose,
            fact,
            ended,
            results_dir=Path(self.facts.results),
            thresholds=self.facts.thresholds,
            link=link,
        )
        return made

    # What does not happen.

    async def look(self) -> None:
        """Write the notices of lanes that are stale, and drop old ones."""
        now, stale_s = self.seconds(), self.facts.stale_s
        await self.db(notices.forget_old, now - KEPT_S)
        if now - self._begun < min(GRACE_S, stale_s):
            return
        await self.db(_add, await self.stale())

    async def stale(self) -> list[Draft]:
        """What is to be said of the lanes that are stale just now, told of or not."""
        workers = self.master.workers.workers
        connected = {name: name in workers and workers[name].conn is not None for name in self.facts.hosts}
        view = stale.View(
            now=self.seconds(), stale_s=self.facts.stale_s, connected=connected, link=self.facts.url
        )  # fmt: skip
        found: list[Draft] = await self.db(_stale, self.facts, view)
        return found

    @async_to_deferred
    async def db(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run a function of the store in a transaction, in the database's thread."""
        value, error = await self.master.db.pool.do(in_transaction, function, args, kwargs)
        if error is not None:
            raise error
        return value


def _begin(conn: sa.Connection, notifiers: Sequence[str], *, now: float) -> None:
    """What happened before the lab had notices is not told, nor is by a notifier what was before that."""
    if notices.find_watch(conn, HISTORY) is None:
        notices.watch(conn, HISTORY, now=now, position=history.last_id(conn))
    for name in notifiers:
        notices.make_notifier(conn, name, now=now)


def _unseen(conn: sa.Connection) -> tuple[int, tuple[Change, ...]] | None:
    """Up to where the history was looked at, and what comes after; None where nothing does."""
    watch = notices.find_watch(conn, HISTORY)
    changes = history.since(conn, watch.position, CHUNK) if watch is not None else ()
    return (watch.position, changes) if watch is not None and changes else None


def _keep(conn: sa.Connection, drafts: Sequence[Draft], *, seen: int, position: int) -> None:
    """Keep notices, and up to where the history was looked at for them; not if another master was quicker."""
    if notices.advance(conn, HISTORY, seen=seen, position=position):
        _add(conn, drafts)


def _stale(conn: sa.Connection, facts: NoticeFacts, view: stale.View) -> list[Draft]:
    return [
        *stale.stale_targets(conn, facts.targets, view),
        *stale.stale_schedules(conn, facts.schedules, view),
        *stale.stale_branches(conn, facts.branches, view),
    ]


def _add(conn: sa.Connection, drafts: Sequence[Draft]) -> None:
    for made in drafts:
        notices.add_notice(conn, **msgspec.structs.asdict(made))


def find_notices(master: Any) -> NoticeService | None:
    """The notice service of a running master."""
    found: NoticeService | None = master.service_manager.namedServices.get(SERVICE)
    return found
