"""The service that watches series: once a result is stored, it looks whether its lane's levels have changed.

Results are facts of the history, as for notices, so none is missed whatever was killed meanwhile, and looking twice at
one makes nothing twice. What is looked at is read in the database's threads and thought about in another.

A result of one of the newest commits changes nothing of what is far before it: the newest commits are looked at then.
An older one, as of a history that is imported, has the whole lane looked at, from its oldest commit to the newest; one
benchmark after the other, so that no step is long.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from itertools import groupby
from typing import Any, NamedTuple, TypeVar

import msgspec
import sqlalchemy as sa
from buildbot.util.service import BuildbotService
from buildbot.util.twisted import async_to_deferred
from twisted.internet import defer, task, threads
from twisted.python import log

from benchyard.publish.notices.shifts import told_of
from benchyard.results.changepoints import NoChangePoints, method
from benchyard.results.means import mean_series, means_of
from benchyard.results.series import grouped, series_of, time_of, values_of
from benchyard.results.shifts import Shift, shifts_of
from benchyard.results.times import moment_of
from benchyard.store import history, notices, regressions
from benchyard.store.errors import NotFound
from benchyard.store.migrate import migrate
from benchyard.store.results import get_result
from benchyard.store.rows import BENCHMARKS, Change, Regression
from benchyard.store.series import (
    known_floors,
    measured_benchmarks,
    measured_means,
    measured_results,
    measured_values,
)
from benchyard.store.transactions import in_transaction

T = TypeVar("T")

SERVICE = "benchyard-regressions"

#: Seconds between two looks at what was stored.
FOLLOW_S = 5.0

#: Seconds that a master which stops waits for the benchmark that is being thought about.
STOP_S = 10.0

#: Changes of the history looked at in one go, and results of the newest commits that a lane is looked back at.
CHUNK, LOOK_BACK = 500, 500

#: Changes that are kept in one go, and more only where they are told together.
PART = 200

#: Results of a lane that are looked at where some are older: of one benchmark at a time.
WHOLE = 100_000

#: Up to where the history was followed.
WATCH = "series"


class Lanes(NamedTuple):
    """Lanes of a host that differ in branch, suite and kind of interpreter only."""

    host: str
    flags: tuple[str, ...]


class _Leaving(Exception):
    """The service stops, and what it is at is for the next one."""


class Seen(NamedTuple):
    """Up to where the history was looked at, up to where it goes on, and the lanes that have results of these."""

    position: int
    until: int
    lanes: dict[Lanes, set[int]]


class RegressionService(BuildbotService):
    """Keeps the records of what has changed in the lab's series, and tells of new ones; `url` is the lab's."""

    name = SERVICE

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._loop: task.LoopingCall | None = None
        self._busy = defer.DeferredLock()
        self._useless = self._leaving = False

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
        self._leaving = False
        self._loop = task.LoopingCall(self._once)
        self._loop.clock = self.master.reactor
        self._loop.start(FOLLOW_S, now=False)

    @async_to_deferred
    async def stopService(self) -> None:
        self._leaving = True
        if self._loop is not None and self._loop.running:
            self._loop.stop()
        await self._busy.acquire().addTimeout(STOP_S, self.master.reactor, lambda *_: None)
        await super().stopService()

    def _once(self) -> Any:
        if self._busy.locked:
            return None
        done = self._busy.run(lambda: defer.ensureDeferred(self.follow()))
        return done.addErrback(log.err, f"benchyard: in {SERVICE}; it is tried again")

    async def follow(self) -> None:
        """Look at the lanes of all results that were stored, or changed, since the last look.

        What a stop cuts off is looked at again: the history was not followed up to there.
        """
        with suppress(_Leaving):
            while (seen := await self.db(_unseen, now=self.seconds())) is not None:
                for lanes, ids in seen.lanes.items():
                    await self._try(lanes, ids)
                await self.db(notices.advance, WATCH, seen=seen.position, position=seen.until)

    async def _try(self, lanes: Lanes, ids: Set[int]) -> None:
        try:
            await self._look(lanes, ids)
        except NoChangePoints as exc:
            if not self._useless:
                log.msg(f"benchyard: series are not watched: {exc}")
            self._useless = True

    async def _look(self, lanes: Lanes, ids: Set[int]) -> None:
        """Look at a lane that has new results of these ids; its notices are of all benchmarks together."""
        newest = await self.db(_newest, lanes)
        which: list[dict[str, Any]] = [{"ids": newest.ids}] if ids - newest.older else []
        whole: dict[str, Any] = {"ids": newest.ids}
        if ids & newest.older:
            benchmarks = await self.db(measured_benchmarks, host=lanes.host, flags=lanes.flags)
            which = [{"benchmark": benchmark, "most": WHOLE} for benchmark in benchmarks]
            whole = {"most": WHOLE}
        floors = await self.db(known_floors, [lanes.host])
        found: list[Shift] = []
        for some in which:
            values = await self.db(measured_values, host=lanes.host, flags=lanes.flags, **some)
            found += await threads.deferToThread(_shifts, values, floors)
        means = await self.db(measured_means, host=lanes.host, flags=lanes.flags, **whole)
        found += await threads.deferToThread(_shifts_of_mean, means)
        for those, others in _in_parts(found):
            await self.db(_keep, those, others, now=self.seconds(), link=self.url)

    def seconds(self) -> float:
        """The present time in epoch seconds."""
        return float(self.master.reactor.seconds())

    @async_to_deferred
    async def db(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run a function of the store in a transaction, in the database's thread; not while the service stops."""
        if self._leaving:
            raise _Leaving
        value, error = await self.master.db.pool.do(in_transaction, function, args, kwargs)
        if error is not None:
            raise error
        return value


def _unseen(conn: sa.Connection, *, now: float) -> Seen | None:
    """What comes after what was looked at; None where nothing does. A lab of before is looked at from its beginning."""
    watch = notices.find_watch(conn, WATCH) or notices.watch(conn, WATCH, now=now)
    changes = history.since(conn, watch.position, CHUNK)
    return Seen(watch.position, changes[-1].id, _lanes(conn, changes)) if changes else None


class Newest(NamedTuple):
    """The results of a lane: those of its newest commits, and the others."""

    ids: list[int]
    older: frozenset[int]


def _newest(conn: sa.Connection, lanes: Lanes) -> Newest:
    rows = measured_results(conn, host=lanes.host, flags=lanes.flags)
    made = {
        commit: time_of((row.created, moment_of(row.commit_date or row.build_date)) for row in those)
        for commit, those in grouped(rows, lambda row: row.commit).items()
    }
    ids = [row.id for row in sorted(rows, key=lambda row: (made[row.commit], row.id))]
    return Newest(ids[-LOOK_BACK:], frozenset(ids[:-LOOK_BACK]))


def _lanes(conn: sa.Connection, changes: Iterable[Change]) -> dict[Lanes, set[int]]:
    """The lanes of the results among what has changed, with the ids of these."""
    found: dict[Lanes, set[int]] = {}
    for id in dict.fromkeys(change.entity_id for change in changes if change.entity == "result"):
        try:
            result = get_result(conn, int(id))
        except NotFound:
            continue
        if result.kind == BENCHMARKS and result.commit is not None and result.path is not None:
            found.setdefault(Lanes(result.host, result.flags), set()).add(result.id)
    return found


def _shifts(rows: Sequence[Any], floors: Mapping[tuple[str, int | None, str], float]) -> list[Shift]:
    """The changes of all benchmarks; takes a second for 500 results."""
    method()
    noise = {(epoch, benchmark): floor for (_, epoch, benchmark), floor in floors.items()}
    return list(shifts_of(series_of(values_of(rows), noise=noise)))


def _shifts_of_mean(rows: Sequence[Any]) -> list[Shift]:
    """The changes of the geometric mean of all."""
    method()
    return list(shifts_of(mean_series(means_of(rows))))


def _in_parts(found: Sequence[Shift]) -> Iterator[tuple[list[Shift], dict[str, list[str]]]]:
    """Changes to be kept at once, what is told together with one another; and the keys of all, by series."""
    series = {
        shift.key: "\0".join(map(str, (shift.lane, shift.epoch, shift.version, shift.benchmark))) for shift in found
    }
    keys: dict[str, list[str]] = {}
    for key, of in series.items():
        keys.setdefault(of, []).append(key)
    others = {key: keys[of] for key, of in series.items()}
    part: list[Shift] = []
    for _, together in groupby(sorted(found, key=_place), key=_place):
        part += together
        if len(part) >= PART:
            yield part, others
            part = []
    if part:
        yield part, others


def _place(shift: Shift) -> tuple[int, int]:
    return shift.result, shift.found_by


def _keep(
    conn: sa.Connection, found: Sequence[Shift], others: Mapping[str, Sequence[str]], *, now: float, link: str
) -> None:
    """Make records of what is new, move on those that are known, and write the notices of the former."""
    made: list[Regression] = []
    for shift in found:
        row = regressions.note_shift(
            conn,
            _columns(shift),
            near=shift.near,
            others=others[shift.key],
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
