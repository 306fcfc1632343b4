"""The publishing service of a master: the destinations of the settings, and a sender for each."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from buildbot.util.service import BuildbotService
from buildbot.util.twisted import async_to_deferred
from twisted.internet import defer, task
from twisted.python import log

from benchyard.publish import outbox, registry
from benchyard.publish.destinations import Site
from benchyard.publish.outbox import Place, Places
from benchyard.publish.sender import Lab, Sender
from benchyard.publish.settings import Policy
from benchyard.store import uploads
from benchyard.store.migrate import migrate
from benchyard.store.rows import Result, Upload
from benchyard.store.transactions import in_transaction

SERVICE = "benchyard-publish"

#: Of all messages about uploads, those of one have its number and then its state: "pending", "sent" and so on.
CHANGED = ("benchyard", "uploads")

#: Seconds between two looks at an upload that somebody waits for; another master may be the one that sends it.
LOOK_S = 0.25

#: Seconds that the end of what is being sent is waited for when the master stops.
STOP_S = 10.0

T = TypeVar("T")


class PublishFacts(msgspec.Struct, frozen=True):
    """What the settings say of the lab, as far as destinations need it; paths are absolute."""

    secrets: str
    work: str
    results: str
    url: str
    title: str


class PublishService(BuildbotService):
    """Files results in the outbox, and sends from there to all destinations.

    `destinations` are the `[publish.NAME]` tables. A destination whose settings change is made anew; others go on.
    """

    name = SERVICE

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.places: Places = {}
        self._senders: dict[str, Sender] = {}
        self._made_of: dict[str, tuple[Policy, PublishFacts]] = {}
        self._changing = defer.DeferredLock()

    def checkConfig(self, *, destinations: Mapping[str, Policy], facts: PublishFacts) -> None:
        super().checkConfig()

    @async_to_deferred
    async def reconfigService(self, *, destinations: Mapping[str, Policy], facts: PublishFacts) -> None:
        await super().reconfigService()
        # As in the lab's service: Buildbot compares with what the service was made with.
        self._config_kwargs = {"destinations": destinations, "facts": facts}
        self.destinations, self.facts = dict(destinations), facts
        if self.running:
            await self._changing.run(lambda: defer.ensureDeferred(self._arrange()))

    @async_to_deferred
    async def startService(self) -> None:
        await self.master.db.pool.do_with_engine(migrate)
        await super().startService()
        await self._changing.run(lambda: defer.ensureDeferred(self._arrange()))

    @async_to_deferred
    async def stopService(self) -> None:
        for name in list(self._senders):
            await self._end(name)
        await super().stopService()

    # What steps and REST ask for.

    @async_to_deferred
    async def db(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run a function of the store in a transaction, in the database's thread."""
        value, error = await self.master.db.pool.do(in_transaction, function, args, kwargs)
        if error is not None:
            raise error
        return value

    def now(self) -> float:
        """The present time in epoch seconds, as the senders have it."""
        seconds: float = self.master.reactor.seconds()
        return seconds

    @async_to_deferred
    async def ask(self, result_id: int, names: Sequence[str], *, again: bool, who: str) -> tuple[Upload, ...]:
        """File a result that somebody wants to be published; Conflict where policy forbids it."""
        how: dict[str, Any] = {"again": again, "now": self.now(), "who": who}
        filed = await self.db(outbox.file_asked, self.places, result_id, names, **how)
        self.wake(filed, at_once=True)
        return filed

    @async_to_deferred
    async def retry(self, destination: str | None, *, owner: str | None, who: str) -> tuple[Upload, ...]:
        """Ask again for all that was refused or has failed, of an owner's results or of all."""
        how: dict[str, Any] = {"destination": destination, "owner": owner, "now": self.now(), "who": who}
        filed = await self.db(outbox.ask_all_again, self.places, **how)
        self.wake(filed, at_once=True)
        return filed

    @async_to_deferred
    async def file_new(self, result: Result, *, wanted: bool) -> tuple[Upload, ...]:
        """File a new result wherever it goes by itself, or wherever it may go if it is `wanted`."""
        filed = await self.db(outbox.file_new, self.places, result, wanted=wanted, now=self.now())
        self.wake(filed)
        return filed

    def wake(self, filed: Sequence[Upload] = (), *, at_once: bool = False) -> None:
        """Let the senders of what was filed look at the outbox, or all senders where nothing is named."""
        names = {upload.destination for upload in filed} or set(self._senders)
        for name in names & set(self._senders):
            self._senders[name].wake(at_once=at_once)

    @async_to_deferred
    async def wait_for(self, upload_id: int, *, limit_s: float, gone: defer.Deferred[Any] | None = None) -> Upload:
        """The upload once it is not pending any more, or after a while, or when `gone` has fired."""
        until = time.monotonic() + limit_s
        while True:
            upload: Upload = await self.db(uploads.get_upload, upload_id)
            if upload.state != "pending" or time.monotonic() >= until or (gone is not None and gone.called):
                return upload
            await task.deferLater(self.master.reactor, LOOK_S)

    # Senders.

    async def _arrange(self) -> None:
        """Let there be a sender for each destination, made of the present settings."""
        wanted = {name: (settings, self.facts) for name, settings in self.destinations.items()}
        for name in [name for name in self._senders if self._made_of[name] != wanted.get(name)]:
            await self._end(name)
        for name, made_of in wanted.items():
            if name in self._senders:
                continue
            try:
                place = self._make(name, made_of[0])
            except Exception:
                log.err(None, f"benchyard: destination {name} cannot be made; nothing is sent there")
                continue
            lab = Lab(self.db, self.master.reactor, Path(self.facts.results), self.facts.url)
            sender = Sender(place, lab, self.master.name, self._tell)
            self._senders[name], self._made_of[name] = sender, made_of
            self.places = {**self.places, name: place}
            sender.start()

    def _make(self, name: str, settings: Policy) -> Place:
        work_dir = Path(self.facts.work) / name
        work_dir.mkdir(parents=True, exist_ok=True)
        facts = self.facts
        site = Site(Path(facts.secrets), work_dir, facts.url, facts.title, self.master)
        return Place(name, settings, registry.make(name, settings, site))

    async def _end(self, name: str) -> None:
        """Stop a sender; one that does not come to its end is left behind, as the master must stop."""
        sender = self._senders.pop(name)
        self.places = {other: place for other, place in self.places.items() if other != name}
        ended = defer.ensureDeferred(sender.stop())
        ended.addTimeout(STOP_S, self.master.reactor)
        ended.addErrback(log.err, f"benchyard: the sender to {name} does not stop")
        await ended

    def _tell(self, upload: Upload) -> None:
        """Tell whoever listens, on this master and others, what came of an upload."""
        message = {
            "id": upload.id,
            "result": upload.result_id,
            "destination": upload.destination,
            "action": upload.action,
            "state": upload.state,
            "words": upload.words,
            "asked_by": upload.asked_by,
        }
        self.master.mq.produce((*CHANGED, str(upload.id), upload.state), message)


def find_publisher(master: Any) -> PublishService | None:
    """The publishing service of a running master."""
    return master.service_manager.namedServices.get(SERVICE)
