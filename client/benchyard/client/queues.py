"""Queues: what waits for each target, in order; `client.queue`, and the collection `client.queues`."""

from collections.abc import Iterator
from datetime import datetime

import msgspec

from benchyard.client.entities import Document, Link, ask
from benchyard.client.errors import ClientError, Invalid
from benchyard.client.http import segment
from benchyard.client.jobs import Job
from benchyard.client.paging import Pages, pages


class ExpectedStart(msgspec.Struct, frozen=True, kw_only=True):
    """The range in which a job may start, by how long such jobs took before; `latest` is None where nobody knows."""

    earliest: datetime
    latest: datetime | None = None


class QueuedJob(Document, frozen=True, kw_only=True):
    """A job's place in its queue, counted from 1; `why` says why it is not running, `expected` when it may."""

    position: int
    job: int
    status: str = "queued"
    owner: str | None = None
    reason: str = ""
    why: str = ""
    expected: ExpectedStart | None = None


class Queue(Document, frozen=True, kw_only=True):
    """The state of a target's queue; `version` changes with each change of its order or pause.

    `jobs` are the first ones of `length`; iterating over `client.queue[target]` brings all of them.
    """

    target: str
    paused: bool = False
    paused_by: str | None = None
    paused_at: datetime | None = None
    reason: str | None = None
    version: int = 0
    length: int = 0
    jobs: tuple[QueuedJob, ...] = ()


class TargetQueue:
    """A target's queue as something to act on; nothing of it is kept, each call asks the lab.

    `client.queue` is the one of the lab's only target, `client.queue["linux-x86_64"]` that of a target by name.
    """

    def __init__(self, link: Link, target: str | None = None) -> None:
        self._link = link
        self._target = target

    def __getitem__(self, target: str) -> "TargetQueue":
        return TargetQueue(self._link, target)

    def __iter__(self) -> Iterator[QueuedJob]:
        return self.list()

    def __repr__(self) -> str:
        return f"TargetQueue({self._target or 'the only target'!r})"

    @property
    def target(self) -> str:
        """The target's name; ClientError where none was named and the lab has several."""
        if self._target is None:
            targets = sorted(queue.target for queue in Queues(self._link).list())
            if len(targets) != 1:
                raise ClientError(
                    f"the lab has {len(targets)} targets ({', '.join(targets)}); name one: client.queue[TARGET]"
                )
            self._target = targets[0]
        return self._target

    @property
    def path_(self) -> str:
        """The queue's address below the API's."""
        return f"/queues/{segment(self.target)}"

    def list(self, *, limit: int | None = None, cursor: str | None = None) -> Pages[QueuedJob]:
        """Iterate over the jobs in the queue, the next one first."""
        return pages(QueuedJob, self.path_, {}, self._link, limit=limit, cursor=cursor, items="jobs")

    def get(self) -> Queue:
        """Return the queue's state and its first jobs; NotFound if there is no such target."""
        return ask(Queue, self._link, "GET", self.path_)

    def push(self, job: Job | int) -> Queue:
        """Put a job that is not queued at the end."""
        return self._act("push", {"job": _number(job)})

    def pop(self) -> Job:
        """Take the first job off the queue and return it; its status is `created` again. Conflict if there is none."""
        return ask(Job, self._link, "POST", f"{self.path_}/pop", {})

    def move(self, job: Job | int, to: int | str, *, version: int | None = None) -> Queue:
        """Move a job to a position (3 or "3", from 1), later ("+2"), earlier ("-1"), or to "first" or "last".

        With `version` only if the queue has it still, else Stale: positions mean little once others have moved.
        """
        if isinstance(to, int) and to < 1:
            raise Invalid(f"positions begin at 1; to move a job earlier say {str(to)!r}", field="to")
        etag = None if version is None else f'"{version}"'
        return self._act("move", {"job": _number(job), "to": str(to)}, etag=etag)

    def remove(self, job: Job | int) -> Queue:
        """Take a job off the queue; its status is `created` again."""
        return self._act("remove", {"job": _number(job)})

    def pause(self, reason: str | None = None, *, now: bool = False) -> Queue:
        """Let no more jobs start; the running one ends. Conflict if it is paused already.

        `now` is always Invalid: a pause never ends a measurement, `Job.cancel()` does.
        """
        body: dict[str, object] = {} if reason is None else {"reason": reason}
        return self._act("pause", {**body, "now": True} if now else body)

    def unpause(self) -> Queue:
        """Let jobs start again; Conflict if it is not paused."""
        return self._act("unpause", {})

    def _act(self, action: str, body: dict[str, object], *, etag: str | None = None) -> Queue:
        return ask(Queue, self._link, "POST", f"{self.path_}/{action}", body, etag=etag)


class Queues:
    """The queues of a lab, one for each target."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def __iter__(self) -> Iterator[Queue]:
        return self.list()

    def __getitem__(self, target: str) -> TargetQueue:
        return TargetQueue(self._link, target)

    def list(self, *, limit: int | None = None, cursor: str | None = None) -> Pages[Queue]:
        """Iterate over all queues."""
        return pages(Queue, "/queues", {}, self._link, limit=limit, cursor=cursor)

    def get(self, target: str) -> Queue:
        """Return the state of the target's queue; NotFound if there is no such target."""
        return self[target].get()


def _number(job: Job | int) -> int:
    return job if isinstance(job, int) else job.id
