"""Queues: what waits for each target, in order; the collection `client.queues`."""

from benchyard.client.entities import Entity, Link
from benchyard.client.errors import NotFound
from benchyard.client.paging import Pages


class Queue(Entity, frozen=True, kw_only=True):
    """The waiting jobs of a target, as job numbers, the next one first."""

    target: str
    jobs: tuple[int, ...] = ()


class Queues:
    """The queues of a lab, one for each target."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def list(self) -> Pages[Queue]:
        """Iterate over all queues."""
        return Pages(Queue, "/queues", {}, self._link)

    def get(self, target: str) -> Queue:
        """Return the queue of the target; NotFound if there is none."""
        for queue in self.list():
            if queue.target == target:
                return queue
        raise NotFound(f"target {target!r} has no queue")
