"""What we lean on inside Buildbot 4.3, in one place: each piece says which upstream change would break it.

What we do otherwise with its database is in `database`.

Buildbot is held to `>=4.3,<4.4` for the sake of this module; `tests/queueing/test_engine.py` is its contract.
"""

import time
from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa
from buildbot.config import ConfigErrors
from buildbot.process import buildrequestdistributor
from buildbot.process.build import Build
from buildbot.process.builder import Builder
from buildbot.process.buildrequest import BuildRequest, BuildRequestCollapser
from buildbot.process.results import CANCELLED, EXCEPTION, RETRY
from buildbot.util.twisted import async_to_deferred
from buildbot.worker.protocols import pb
from twisted.internet import defer
from twisted.python import log

from benchyard.queueing import database, order

#: Characters that Buildbot's table keeps of a reason; PostgreSQL refuses more.
REASON_LENGTH = 256

#: Seconds between two questions to a worker, and within which it must answer: a connection that swallows everything
#: is given up after the two together.
PING_INTERVAL_S, PING_TIMEOUT_S = 60.0, 45.0

#: The name under which the job service is found in a master.
SERVICE = "benchyard-jobs"


class LabBuild(Build):
    """A build that cannot wedge its builder, and that goes back to the queue when the master stops.

    Four holes of 4.3.0 are closed: a worker lost while the build is prepared, and a request cancelled between claim and
    start, leave the request claimed for ever; a step that waits for a lock at shutdown ends CANCELLED, which outranks
    RETRY, and loses the job; a lost race for a worker-level lock quarantines the worker.
    """

    _requeue = False

    def stopBuild(self, reason: str = "<no reason given>", results: int = CANCELLED) -> Any:
        self._requeue = self._requeue or (results == RETRY and not self.stopped)
        return super().stopBuild(reason, results)

    def buildFinished(self, text: list[str], results: int) -> Any:
        worker_lost = self.workerforbuilder is not None and self.workerforbuilder.worker is None
        if self._requeue or (results == EXCEPTION and worker_lost):
            self.results = results = RETRY
        return super().buildFinished(text, results)

    @defer.inlineCallbacks
    def startBuild(self, workerforbuilder: Any) -> Any:
        try:
            yield super().startBuild(workerforbuilder)
        except Exception:
            # Whatever it was, a build that never started must not hold its request.
            log.err(None, "a build could not be started; its request goes back to the queue")
            if not self.finished and self.buildid is not None:
                yield self.buildFinished(["start", "failed"], RETRY)
            return
        if self.stopped and not self.finished and self._preparation_step is None:
            yield self.buildFinished(["cancelled"], CANCELLED)

    @defer.inlineCallbacks
    def buildPreparationFailure(self, why: Any, state: str) -> Any:
        worker_lost = self.workerforbuilder.worker is None
        lock_race_lost = why is False
        if (worker_lost or lock_race_lost) and not self.stopped:
            log.msg(f"{self}: {'worker' if worker_lost else 'lock'} lost while {state}; trying again")
            yield self.master.data.updates.finishStep(self._preparation_step.stepid, RETRY, False)
            return
        yield super().buildPreparationFailure(why, state)


class QueueChooser(buildrequestdistributor.BasicBuildChooser):
    """Asks the datastore for the one next request of a builder; never reads the queue.

    Stock loads all pending requests at each choice. Only requests that belong to a job are ever chosen.
    """

    @async_to_deferred
    async def popNextBuild(self) -> tuple[Any, Any]:
        service = self.master.service_manager.namedServices.get(SERVICE)
        lane = service.lanes.get(self.bldr.name) if service is not None and service.running else None
        # A worker that has gone since the pool was made has no name any more.
        names = {wfb.worker.workername: wfb for wfb in self.workerpool if wfb.worker is not None}
        free = [name for name in names if lane is not None and name in lane.workers]
        if not free:
            return None, None
        builderid = await self.bldr.getBuilderId()
        how = {"now": time.time(), "ending": tuple(service.ending), "away": service.away}
        found = await service.db(_next_with_row, self.master.db.buildrequests, lane, builderid, free, **how)
        if found is None:
            return None, None
        picked, model = found
        worker = names[picked.worker or free[0]]
        self.workerpool.remove(worker)
        return worker, await BuildRequest.fromBrdict(self.master, model)


def _next_with_row(
    conn: sa.Connection, requests: Any, lane: order.Lane, builderid: int, free: list[str], **how: Any
) -> tuple[order.Pick, Any] | None:
    """The next request, and what `getBuildRequest` would say of it after another change of threads."""
    model = requests.db.model
    picked = order.next_request(conn, model, lane, builderid, free, **how)
    if picked is None:
        return None
    query = requests._simple_sa_select_query().where(model.buildrequests.c.id == picked.request_id)
    return picked, requests._modelFromRow(conn.execute(query).one())


class NoCollapser(BuildRequestCollapser):
    """Keeps every request. Stock loads the whole queue at each submission before it finds collapsing is off."""

    @async_to_deferred
    async def collapse(self) -> list[int]:
        return []


def refuse_collapsing(master: Any, names: Collection[str]) -> None:
    """ConfigErrors if a builder of the lab's merges requests: jobs of one commit differ by more than the commit."""
    configured = {builder.name: builder.collapseRequests for builder in master.config.builders}
    merging = [
        name
        for name in sorted(names)
        if (master.config.collapseRequests if configured.get(name) is None else configured[name]) is not False
    ]
    if merging:
        raise ConfigErrors(
            [f"builder {merging[0]!r} merges requests and would lose jobs; set its collapseRequests=False"]
        )


@async_to_deferred
async def by_name(_master: Any, builders: list[Any]) -> list[Any]:
    """Order of builders at a round of choosing; stock asks each for its oldest request."""
    return sorted(builders, key=lambda b: b.name)


class LabBuilder(Builder):
    """Starts no build on a worker that has gone since it was chosen.

    Stock fails on it after the request was claimed, and the request stays claimed until the master restarts.
    """

    @async_to_deferred
    async def maybeStartBuild(self, workerforbuilder: Any, breqs: list[Any]) -> bool:
        if workerforbuilder.worker is None:
            return False  # the distributor gives the request back
        return await super().maybeStartBuild(workerforbuilder, breqs)


@async_to_deferred
async def ping(connection: Any) -> None:
    """Ask a worker for a sign of life; where none comes, its connection is cut, and its builds are tried again.

    Stock asks once an hour, waits for ever, and has the worker write a line into its log each time.
    """
    broker = connection.mind.broker
    try:
        await connection.mind.callRemote("getVersion").addTimeout(PING_TIMEOUT_S, connection.master.reactor)
    except defer.TimeoutError:
        log.msg(
            f"worker {connection.worker.workername} has not answered for {PING_TIMEOUT_S:.0f} s; its connection is cut"
        )
        broker.transport.abortConnection()
    except Exception:
        log.msg(f"worker {connection.worker.workername} went while it was asked for a sign of life")


def install() -> None:
    """Put our classes in the places of Buildbot's own; called when the configuration is made."""
    from buildbot.data import buildsets
    from buildbot.process import botmaster

    buildrequestdistributor.BuildRequestDistributor.BuildChooser = QueueChooser
    buildsets.BuildRequestCollapser = NoCollapser
    botmaster.Builder = LabBuilder
    database.install()
    pb.Connection.keepalive_interval = PING_INTERVAL_S
    pb.Connection._do_keepalive = ping


@async_to_deferred
async def requests_with_key(master: Any, key: str) -> list[tuple[int, bool]]:
    """(id, complete) of the requests whose buildset bears `key`, first made first."""
    model = master.db.model

    def query(conn: sa.Connection) -> list[tuple[int, bool]]:
        rows = conn.execute(
            sa.select(model.buildrequests.c.id, model.buildrequests.c.complete)
            .join(model.buildsets, model.buildsets.c.id == model.buildrequests.c.buildsetid)
            .where(model.buildsets.c.external_idstring == key, model.buildsets.c.rebuilt_buildid.is_(None))
            .order_by(model.buildrequests.c.id)
        )
        return [(row.id, bool(row.complete)) for row in rows]

    return await master.db.pool.do(query)


@async_to_deferred
async def ensure_request(
    master: Any,
    builder: str,
    key: str,
    *,
    reason: str,
    priority: int = 0,
    parent: int | None = None,
    source: Mapping[str, Any] = {},
    **properties: Any,
) -> tuple[int, bool]:
    """The request of `builder` that bears `key`, and whether it was made just now.

    The key is written with the buildset in one transaction, so whoever asks again after a crash adopts the request.
    """
    for request_id, _complete in await requests_with_key(master, key):
        return request_id, False
    builderid = await master.botmaster.builders[builder].getBuilderId()  # kept by it, where the data API asks again
    _bsid, requests = await master.data.updates.addBuildset(
        waited_for=False,  # a waited-for request is CANCELLED at an ordinary master stop
        sourcestamps=[{"codebase": "", "project": "", "repository": "", "branch": None, "revision": None, **source}],
        reason=reason[:REASON_LENGTH],
        properties={name: (value, "benchyard") for name, value in properties.items()},
        builderids=[builderid],
        external_idstring=key,
        parent_buildid=parent,
        parent_relationship="Triggered from" if parent else None,
        priority=priority,
    )
    return requests[builderid], True


def cancel_request(master: Any, request_id: int, reason: str) -> None:
    """Ask Buildbot to cancel a request, wherever it is; the request must exist (an unknown id would be poisoned)."""
    master.mq.produce(("control", "buildrequests", str(request_id), "cancel"), {"reason": reason})


def is_connected(master: Any, worker: str) -> bool:
    """Whether a worker of this name is connected to this master."""
    known = master.workers.workers.get(worker)
    return known is not None and known.conn is not None


def put_back(master: Any, builder: str, request_ids: Collection[int], reason: str) -> None:
    """Stop the builds of these requests that run in this master; the requests wait again."""
    for build in list(master.botmaster.builders[builder].building):
        if any(request.id in request_ids for request in build.requests):
            build.stopBuild(reason, RETRY)
