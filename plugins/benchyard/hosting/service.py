"""The lab as a running master knows it: its folders, its targets, and its hosts with what they do now."""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from threading import Event
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec
from buildbot.util.service import BuildbotService
from buildbot.util.twisted import async_to_deferred
from twisted.internet import defer, task, threads
from twisted.python import log

from benchyard.hosting.reconciling import Lab as ReconciledLab
from benchyard.hosting.reconciling import empty_trash, reconcile
from benchyard.hosting.registration import HostExists, forget_host, register_host, write_host
from benchyard.results import trash
from benchyard.results.kept import KeptSuites
from benchyard.store import answers, filed, trashed
from benchyard.store import hosts as store
from benchyard.store.history import LAB
from benchyard.store.retention import prunable
from benchyard.store.rows import Result

T = TypeVar("T")

SERVICE = "benchyard-lab"

#: Seconds within which a reconfiguration that is under way must come to its end.
RECONFIG_S = 60

#: Seconds between two rounds of tidying up.
TIDY_S = 3600

#: The hour of the day in which old results are pruned.
NIGHT = 3

#: Seconds between two result files that are looked into in the background.
PAUSE_S = 0.03


class HostRefused(Exception):
    """The master could not take a host into its configuration."""


class HostFacts(msgspec.Struct, frozen=True):
    """What the settings say of a host."""

    name: str
    role: str
    target: str
    address: str
    cpus: str
    tune: bool = True
    shield: bool = True
    guard: str = "warn"
    guard_wait_s: float = 60.0
    ansible_user: str = ""
    connection: str = ""


class LabFacts(msgspec.Struct, frozen=True):
    """What the settings say of the lab, as far as the web needs it.

    All results stay for `keep_all_days`; with `prunes` the older ones are thinned out each night. With a
    `worker_certificate`, a file, workers are spoken to by TLS. With `own_playbooks`, those that come with benchyard are
    not used.
    """

    directory: str
    results: str
    title: str
    url: str
    targets: tuple[str, ...]
    hosts: tuple[HostFacts, ...]
    worker_port: int
    anonymous_read: bool
    trash_days: float
    keep_all_days: float = 730.0
    prunes: bool = False
    worker_certificate: str = ""
    own_playbooks: bool = False

    @property
    def worker_host(self) -> str:
        """Where workers reach the master: the host of the lab's own address."""
        return urlsplit(self.url).hostname or "localhost"


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
    results that were read lately.
    """

    name = SERVICE

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kept = KeptSuites()
        self._changing = defer.DeferredLock()
        self._consumers: list[Any] = []
        self._tidying = task.LoopingCall(self._tidy)
        self._pruned = 0.0
        self._leaving = Event()
        self._reconciling: Any = None

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
        self.facts, self.tags, self.all_tagged = facts, tags, all_tagged
        self.lab_dir, self.results_dir = Path(facts.directory), Path(facts.results)
        self.hosts: Mapping[str, HostFacts] = {host.name: host for host in facts.hosts}

    @async_to_deferred
    async def startService(self) -> None:
        await super().startService()
        self._tidying.clock = self.master.reactor
        self._tidying.start(TIDY_S, now=False)
        self._leaving.clear()
        self._reconcile()
        listen = self.master.mq.startConsuming
        self._consumers = [
            await listen(self._on_seen, ("workers", None, event)) for event in ("connected", "disconnected")
        ]

    @async_to_deferred
    async def stopService(self) -> None:
        if self._tidying.running:
            self._tidying.stop()
        for consumer in self._consumers:
            consumer.stopConsuming()
        self._leaving.set()
        if self._reconciling is not None:
            await self._reconciling  # its thread needs the reactor to come to its end
        await super().stopService()

    def _reconcile(self) -> None:
        """Hold files and index against each other, then empty the trash; in a thread, unless that is under way."""
        if self._reconciling is None:
            done = threads.deferToThread(self._reconciled).addErrback(log.err, "benchyard: while reconciling results")
            self._reconciling = done
            done.addCallback(lambda _: setattr(self, "_reconciling", None))

    def _reconciled(self) -> None:
        pool = self.master.db.pool

        def transact(*work: Any, **how: Any) -> Any:
            return threads.blockingCallFromThread(self.master.reactor, pool.do_with_transaction, *work, **how)

        def say(text: str) -> None:
            log.msg(f"benchyard: {text}")

        # The wait keeps most of the time for everything else.
        lab = ReconciledLab(self.results_dir, transact, tuple(self.hosts), lambda: self._leaving.wait(PAUSE_S), say)
        say(f"results: {reconcile(lab)}")
        if emptied := empty_trash(lab, days=self.facts.trash_days):
            say(f"{emptied} results that were in the trash for {self.facts.trash_days:g} days are gone for good")

    def _tidy(self) -> Any:
        """Look after results, whose trash is emptied then, and forget answers that nobody asks for again."""
        self._reconcile()
        now = time.time()
        if self.facts.prunes and time.localtime(now).tm_hour == NIGHT and now - self._pruned > 2 * TIDY_S:
            self._pruned = now
            done = self.prune(who=LAB, keep_all_days=self.facts.keep_all_days)
            done.addErrback(log.err, "benchyard: while pruning results")
        return defer.gatherResults(
            [
                self.master.db.pool.do_with_transaction(answers.forget_old, time.time()),
                self.master.db.pool.do_with_transaction(_note_all_seen, self._connected(), time.time()),
            ],
            consumeErrors=True,
        ).addErrback(log.err, "benchyard: while tidying up")

    @async_to_deferred
    async def prune(self, *, who: str, keep_all_days: float, dry_run: bool = False) -> tuple[Result, ...]:
        """Put the results into the trash that the policy has no use for; gives them as they were.

        What was published of them stays: that somebody saw a result is no less true once the lab has no room for it.
        """
        tagged = tuple(await threads.deferToThread(self.all_tagged))
        transact = self.master.db.pool.do_with_transaction
        rows = await transact(prunable, keep_all_days=keep_all_days, now=time.time(), tagged=tagged)
        for row in () if dry_run else rows:
            await transact(trashed.trash_result, row.id, now=time.time(), who=who)
            if await transact(filed.is_free, str(row.path)):
                await threads.deferToThread(trash.throw_away, self.results_dir, row.id, str(row.path), row.sha256)
        if rows and not dry_run:
            log.msg(f"benchyard: {len(rows)} results older than {keep_all_days:g} days are in the trash")
        return tuple(rows)

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


__all__ = ["HostExists", "HostFacts", "HostRefused", "LabFacts", "LabService", "Work", "find_lab"]
