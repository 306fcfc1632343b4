"""The lab as a running master knows it: its folders, its targets, and its hosts with what they do now."""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
from buildbot.util.service import BuildbotService
from buildbot.util.twisted import async_to_deferred
from twisted.internet import defer, task, threads
from twisted.python import log

from benchyard.hosting.facts import HostFacts, LabFacts
from benchyard.hosting.registration import HostExists, forget_host, register_host, write_host
from benchyard.hosting.upkeep import ResultUpkeep
from benchyard.results.kept import KeptSuites
from benchyard.store import answers
from benchyard.store import hosts as store

T = TypeVar("T")

SERVICE = "benchyard-lab"

#: Seconds within which a reconfiguration that is under way must come to its end.
RECONFIG_S = 60

#: Seconds between two times that hosts which are connected are noted as seen.
SEEN_S = 3600


class HostRefused(Exception):
    """The master could not take a host into its configuration."""


class Work(msgspec.Struct, frozen=True):
    """What a worker does: a build of this builder, for this request."""

    builder: str
    request_id: int


#: Finds the commits that remotes have a tag on; it may block.
Tags = Callable[[str], Iterable[str]]


def no_tags(name: str) -> Iterable[str]:
    """The tags of a lab without remotes."""
    return ()


def none_tagged() -> Iterable[str]:
    """The commits with tags of a lab without remotes."""
    return ()


class LabService(BuildbotService):
    """Knows the lab's hosts and lets them join, change and leave without a restart.

    `tags` finds the commits of a tag in what was fetched of the remotes, and `all_tagged` those of all; `kept` are
    results that were read lately, and `upkeep` looks after all of them.
    """

    name = SERVICE

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kept = KeptSuites()
        self._changing = defer.DeferredLock()
        self._consumers: list[Any] = []
        self._looking = task.LoopingCall(self._look)
        self.upkeep = ResultUpkeep(kwargs["facts"], none_tagged)

    def checkConfig(
        self, *, facts: LabFacts, tags: Tags = no_tags, all_tagged: Callable[[], Iterable[str]] = none_tagged
    ) -> None:
        super().checkConfig()

    @async_to_deferred
    async def reconfigService(
        self, *, facts: LabFacts, tags: Tags = no_tags, all_tagged: Callable[[], Iterable[str]] = none_tagged
    ) -> None:
        await super().reconfigService()
        # Buildbot compares with what the service was made with: a host that came and went would be seen for ever.
        self._config_kwargs = {"facts": facts, "tags": tags, "all_tagged": all_tagged}
        self.facts, self.tags = facts, tags
        self.upkeep.facts, self.upkeep.all_tagged = facts, all_tagged
        self.lab_dir, self.results_dir = Path(facts.directory), Path(facts.results)
        self.hosts: Mapping[str, HostFacts] = {host.name: host for host in facts.hosts}

    @async_to_deferred
    async def startService(self) -> None:
        await super().startService()
        self._looking.clock = self.master.reactor
        self._looking.start(SEEN_S, now=False)
        self.upkeep.start(self.master)
        listen = self.master.mq.startConsuming
        self._consumers = [
            await listen(self._on_seen, ("workers", None, event)) for event in ("connected", "disconnected")
        ]

    @async_to_deferred
    async def stopService(self) -> None:
        if self._looking.running:
            self._looking.stop()
        for consumer in self._consumers:
            consumer.stopConsuming()
        await self.upkeep.stop()
        await super().stopService()

    def _look(self) -> Any:
        """Note who is there, and forget answers that nobody asks for again."""
        transact, now = self.master.db.pool.do_with_transaction, time.time()
        done = [transact(answers.forget_old, now), transact(_note_all_seen, self._connected(), now)]
        return defer.gatherResults(done, consumeErrors=True).addErrback(log.err, "benchyard: while tidying up")

    def _connected(self) -> list[str]:
        return [name for name in self.hosts if self.status_of(name) != "offline"]

    def _on_seen(self, _key: Any, msg: Mapping[str, Any]) -> None:
        """A host's worker has come or gone."""
        if self.running and msg["name"] in self.hosts:
            self.master.db.pool.do_with_transaction(_note_all_seen, [msg["name"]], time.time()).addErrback(
                log.err, "benchyard: while noting that a host was seen"
            )

    @property
    def title(self) -> str:
        """The lab's title."""
        return self.facts.title

    @property
    def targets(self) -> Sequence[str]:
        """The lab's targets."""
        return self.facts.targets

    def measuring(self, target: str) -> Sequence[HostFacts]:
        """The isolated hosts of a target."""
        return [host for host in self.hosts.values() if host.target == target and host.role == "isolated"]

    @property
    def anonymous_read(self) -> bool:
        """Whether people may read without logging in."""
        return self.facts.anonymous_read

    @property
    def worker_host(self) -> str:
        """Where workers reach the master."""
        return self.facts.worker_host

    @property
    def worker_port(self) -> int:
        """The port on which they do."""
        return self.facts.worker_port

    @async_to_deferred
    async def changing(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do what changes hosts while nobody else does: what it has found of them is so to its end.

        add_host(), modify_host() and remove_host() are called in such work.
        """
        return await self._changing.run(lambda: defer.ensureDeferred(work()))

    async def add_host(self, host: HostFacts) -> str:
        """Let a host join and give its secret; running jobs are not touched. HostExists if the name is taken."""
        secret = await threads.deferToThread(register_host, self.lab_dir, **_fields(host))
        await self._reconfigure()
        if host.name not in self.hosts:
            await threads.deferToThread(forget_host, self.lab_dir, host.name)
            await self._reconfigure()
            raise HostRefused(f"host {host.name!r} was not accepted; the master's twistd.log says why")
        return str(secret)

    async def modify_host(self, host: HostFacts, **changes: Any) -> None:
        """Change what the settings say of a host; HostRefused, with nothing changed, if that makes them wrong."""
        changed = msgspec.structs.replace(host, **changes)
        await threads.deferToThread(write_host, self.lab_dir, **_fields(changed))
        await self._reconfigure()
        if self.hosts.get(host.name) != changed:
            await threads.deferToThread(write_host, self.lab_dir, **_fields(host))
            await self._reconfigure()
            raise HostRefused(f"the change of host {host.name!r} was not accepted; the master's twistd.log says why")

    async def remove_host(self, name: str) -> None:
        """Take a host out of the lab: its file, its secret, and its worker's connection."""
        await threads.deferToThread(forget_host, self.lab_dir, name)
        await self._reconfigure()

    async def _reconfigure(self) -> None:
        """Read the settings again; a reconfiguration that is under way may have read them before our change."""
        for _ in range(RECONFIG_S * 10):
            if not self.master.reconfig_active:
                break
            await task.deferLater(self.master.reactor, 0.1)
        await self.master.reconfig()

    def status_of(self, name: str) -> Literal["online", "offline", "busy"]:
        """`busy` while the host builds or measures, else `online` or `offline`, from its connection alone."""
        worker = self.master.workers.workers.get(name)
        if worker is None or worker.conn is None:
            return "offline"
        return "busy" if any(wfb.isBusy() for wfb in worker.workerforbuilders.values()) else "online"

    def runs_worker_of(self, name: str) -> bool:
        """Whether the worker of a host is a program of the lab's own, beside its master."""
        return (self.lab_dir / "workers" / name / "worker.toml").is_file()

    def work_of(self, name: str) -> Work | None:
        """What the worker of a host does now, the newest build where there are several."""
        builds = [
            build
            for builder in self.master.botmaster.builders.values()
            for build in builder.building
            if build.requests and build.workerforbuilder is not None and _worker_name(build) == name
        ]
        if not builds:
            return None
        newest = max(builds, key=lambda build: build.buildid or 0)
        return Work(newest.builder.name, newest.requests[0].id)


def _worker_name(build: Any) -> str | None:
    worker = build.workerforbuilder.worker
    return None if worker is None else str(worker.workername)


def _note_all_seen(conn: Any, names: Sequence[str], now: float) -> None:
    for name in names:
        store.ensure_host(conn, name, now=now, who="lab")
        store.note_seen(conn, name, now=now)


def _fields(host: HostFacts) -> dict[str, Any]:
    return msgspec.structs.asdict(host)


def find_lab(master: Any) -> LabService | None:
    """The lab service of a running master."""
    return master.service_manager.namedServices.get(SERVICE)


__all__ = ["HostExists", "HostRefused", "LabService", "Work", "find_lab"]
