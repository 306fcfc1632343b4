"""The service that watches series: once a result is stored, it looks whether its lane's levels have changed.

Results are facts of the history, as for notices, so none is missed whatever was killed meanwhile, and looking twice at
one makes nothing twice. What is looked at is read in the database's threads and thought about in another.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec
import sqlalchemy as sa
from buildbot.util.service import BuildbotService
from buildbot.util.twisted import async_to_deferred
from twisted.internet import defer, task, threads
from twisted.python import log

from benchyard.publish.notices.shifts import told_of
from benchyard.results.changepoints import NoChangePoints, method
from benchyard.results.series import Series, mean_series, series_of, values_of
from benchyard.results.shifts import Shift, shifts_of
from benchyard.store import history, notices, regressions
from benchyard.store.errors import NotFound
from benchyard.store.migrate import migrate
from benchyard.store.results import get_result
from benchyard.store.rows import BENCHMARKS, Change, Regression
from benchyard.store.series import known_floors, measured_values
from benchyard.store.transactions import in_transaction

T = TypeVar("T")

SERVICE = "benchyard-regressions"

#: Seconds between two looks at what was stored.
FOLLOW_S = 5.0

#: Changes of the history looked at in one go, and results that a lane is looked back at.
CHUNK, LOOK_BACK = 500, 500

#: Up to where the history was followed.
WATCH = "series"


class Lanes(NamedTuple):
    """Lanes of a host that differ in branch, suite and kind of interpreter only."""

    host: str
    flags: tuple[str, ...]


class Seen(NamedTuple):
    """Up to where the history was looked at, up to where it goes on, and the lanes that have results of these."""

    position: int
    until: int
    lanes: tuple[Lanes, ...]


class RegressionService(BuildbotService):
    """Keeps the records of what has changed in the lab's series, and tells of new ones; `url` is the lab's."""

    name = SERVICE

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._loop: task.LoopingCall | None = None
        self._busy = defer.DeferredLock()
        self._useless = False

    def checkConfig(self, *, url: str) -> None:
        super().checkConfig()

    @async_to_deferred
    async def reconfigService(self, *, url: str) -> None:
        await super().reconfigService()
        self.url = url

    @async_to_deferred
    async def startService(self) -> None:
        await self.master.db.pool.do_with_engine(migrate)
        await super().startService()
        self._loop = task.LoopingCall(self._once)
        self._loop.clock = self.master.reactor
        self._loop.start(FOLLOW_S, now=False)

    @async_to_deferred
    async def stopService(self) -> None:
        if self._loop is not None and self._loop.running:
            self._loop.stop()
        await self._busy.acquire()
        await super().stopService()

    def _once(self) -> Any:
        if self._busy.locked:
            return None
        done = self._busy.run(lambda: defer.ensureDeferred(self.follow()))
        return done.addErrback(log.err, f"benchyard: in {SERVICE}; it is tried again")

    async def follow(self) -> None:
        """Look at the lanes of all results that were stored, or changed, since the last look."""
        while (seen := await self.db(_unseen, now=self.seconds())) is not None:
            for lanes in seen.lanes:
                await self._look(lanes)
            await self.db(notices.advance, WATCH, seen=seen.position, position=seen.until)

    async def _look(self, lanes: Lanes) -> None:
        values = await self.db(measured_values, host=lanes.host, flags=lanes.flags, most=LOOK_BACK)
        floors = await self.db(known_floors, [lanes.host])
        try:
            found: list[Shift] = await threads.deferToThread(_shifts, values, floors)
        except NoChangePoints as exc:
            if not self._useless:
                log.msg(f"benchyard: series are not watched: {exc}")
            self._useless = True
            return
        if found:
            await self.db(_keep, found, now=self.seconds(), link=self.url)

    def seconds(self) -> float:
        """The present time in epoch seconds."""
        return float(self.master.reactor.seconds())

    @async_to_deferred
    async def db(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run a function of the store in a transaction, in the database's thread."""
        value, error = await self.master.db.pool.do(in_transaction, function, args, kwargs)
        if error is not None:
            raise error
        return value


def _unseen(conn: sa.Connection, *, now: float) -> Seen | None:
    """What comes after what was looked at; None where nothing does. A lab of before is looked at from its beginning."""
    watch = notices.find_watch(conn, WATCH) or notices.watch(conn, WATCH, now=now)
    changes = history.since(conn, watch.position, CHUNK)
    return Seen(watch.position, changes[-1].id, tuple(_lanes(conn, changes))) if changes else None


def _lanes(conn: sa.Connection, changes: Iterable[Change]) -> list[Lanes]:
    """The lanes of the results among what has changed."""
    found: dict[Lanes, None] = {}
    for id in dict.fromkeys(change.entity_id for change in changes if change.entity == "result"):
        try:
            result = get_result(conn, int(id))
        except NotFound:
            continue
        if result.kind == BENCHMARKS and result.commit is not None and result.path is not None:
            found[Lanes(result.host, result.flags)] = None
    return list(found)


def _shifts(rows: Sequence[Any], floors: Mapping[tuple[str, int | None, str], float]) -> list[Shift]:
    """The changes of all benchmarks, and of their geometric mean; takes a second for 500 results."""
    method()
    values = values_of(rows)
    noise = {(epoch, benchmark): floor for (_, epoch, benchmark), floor in floors.items()}
    found: list[Series] = [*series_of(values, noise=noise), *mean_series(values)]
    return list(shifts_of(found))


def _keep(conn: sa.Connection, found: Sequence[Shift], *, now: float, link: str) -> None:
    """Make records of what is new, move on those that are known, and write the notices of the former."""
    keys = [shift.key for shift in found]
    made: list[Regression] = []
    for shift in found:
        row = regressions.note_shift(
            conn,
            _columns(shift),
            near=shift.near,
            others=keys,
            confirmed_by=shift.confirmed_by,
            fixed_by=shift.fixed_by,
            now=now,
        )
        if row is not None:
            made.append(row)
    since = notices.watch(conn, WATCH, now=now).since
    for draft in told_of(conn, made, since=since, now=now, link=link):
        notices.add_notice(conn, **msgspec.structs.asdict(draft))


def _columns(shift: Shift) -> dict[str, Any]:
    """The columns of its record."""
    same = ("key", "epoch", "version", "benchmark", "unit", "commit", "commit_before", "found_by", "before", "after")
    return {
        **msgspec.structs.asdict(shift.lane),
        **{name: getattr(shift, name) for name in (*same, "step", "sure", "worse")},
        "result_id": shift.result,
        "result_before": shift.result_before,
    }
