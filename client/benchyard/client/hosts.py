"""Hosts: the machines of a lab, and the collection `client.hosts`."""

from datetime import datetime
from typing import Any, ClassVar, Literal

import msgspec

from benchyard.client.entities import Document, Entity, ask, tie
from benchyard.client.jobs import Job
from benchyard.client.paging import Collection, Pages

Role = Literal["worker", "isolated"]


class Host(Entity, frozen=True, kw_only=True):
    """A machine of the lab; role "worker" builds, "isolated" measures; status online, offline, busy or quarantined.

    `reason` is why it was disabled, `current_job` the number of the job that it works on. `epoch` is the number of the
    stretch of its history that it is in, with one CPU, kernel, governor and so on, since `epoch_since`. In that it was
    `calibrated` last, and `noise_floor` is the median over the benchmarks of its noise().
    """

    name: str
    id: str = ""
    role: str = "worker"
    target: str | None = None
    address: str | None = None
    cpus: str | None = None
    reason: str | None = None
    current_job: int | None = None
    epoch: int | None = None
    epoch_since: datetime | None = None
    calibrated: datetime | None = None
    noise_floor: float | None = None

    collection_: ClassVar[str] = "hosts"

    @property
    def key_(self) -> str:
        return self.name

    def modify(
        self,
        *,
        target: str | msgspec.UnsetType = msgspec.UNSET,
        address: str | msgspec.UnsetType = msgspec.UNSET,
        cpus: str | msgspec.UnsetType = msgspec.UNSET,
        expect: bool = True,
    ) -> "Host":
        """Change what the lab knows of the host (as an admin); Stale if the same was changed meanwhile."""
        return self._modified({"target": target, "address": address, "cpus": cpus}, expect=expect)

    def enable(self, reason: str | None = None) -> "Host":
        """Give the host jobs again."""
        return self._asked("POST", "/enable", _given(reason))

    def disable(self, reason: str | None = None) -> "Host":
        """Give the host no more jobs; the one that runs there ends. `reason` is for those who see the host."""
        return self._asked("POST", "/disable", _given(reason))

    def configure(self) -> Job:
        """Have the host set up as the lab wants it; returns the job that does. Conflict where nothing can do it."""
        return self._maintained("configure")

    def update(self) -> Job:
        """Have the host's software brought up to date; returns the job that does, see configure()."""
        return self._maintained("update")

    def check(self) -> Job:
        """Have the host looked over for whether it is fit to measure; returns the job that does."""
        return self._maintained("check")

    def noise(self) -> "HostNoise":
        """How far two runs of the same interpreter differ on the host, by benchmark."""
        return ask(HostNoise, self.link, "GET", f"{self.path_}/noise")

    def remove(self) -> None:
        """Remove the host from the lab; Conflict while it measures. Its results stay."""
        super().remove()

    def _maintained(self, what: str) -> Job:
        return ask(Job, self.link, "POST", f"{self.path_}/{what}")


class BenchmarkNoise(msgspec.Struct, frozen=True, kw_only=True):
    """The noise of one benchmark: two runs of an interpreter differ by no more than `floor`, relative (0.01 is 1 %).

    So in 95 of 100 pairs, as learned from `runs`, whose means have the median `center`, in `unit`.
    """

    name: str
    floor: float
    runs: int
    center: float
    unit: str = "second"
    updated: datetime | None = None


class HostNoise(Document, frozen=True, kw_only=True):
    """The noise of a host in its present epoch; `median` is of the floors of its benchmarks.

    It was calibrated `calibrations` times in that epoch, the last time at `calibrated`; without enough of them,
    nothing is known of its noise.
    """

    host: str
    epoch: int | None = None
    since: datetime | None = None
    calibrations: int = 0
    calibrated: datetime | None = None
    median: float | None = None
    benchmarks: tuple[BenchmarkNoise, ...] = ()


class WorkerAccess(msgspec.Struct, frozen=True, kw_only=True):
    """What the worker on a new host needs to reach its master; the secret is kept out of the repr."""

    name: str
    secret: str
    master_host: str
    master_port: int

    def __repr__(self) -> str:
        return f"WorkerAccess(name={self.name!r}, master={self.master_host}:{self.master_port})"

    def __rich_repr__(self) -> Any:
        yield "name", self.name
        yield "master", f"{self.master_host}:{self.master_port}"


class AddedHost(Document, frozen=True, kw_only=True):
    """A new host and, told this once only, how its worker reaches the master."""

    host: Host
    worker: WorkerAccess


class Hosts(Collection[Host]):
    """The hosts of a lab."""

    def list(
        self,
        *,
        role: Role | None = None,
        target: str | None = None,
        status: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Pages[Host]:
        """Iterate over hosts; of a role, of a target, of a status where given."""
        return self._listed({"role": role, "target": target, "status": status}, limit, cursor)

    def get(self, name: str) -> Host:
        """Return the host of this name; NotFound if there is none."""
        return self._get(name)

    def add(
        self,
        name: str,
        *,
        role: Role,
        target: str,
        address: str,
        cpus: str | None = None,
    ) -> AddedHost:
        """Tell the lab of a machine; the answer holds the secret of its worker, which is not told again."""
        body = {"name": name, "role": role, "target": target, "address": address}
        if cpus is not None:
            body["cpus"] = cpus
        added = ask(AddedHost, self._link, "POST", self._path, body)
        tie(added.host, added.document["host"], self._link)
        return added

    def remove(self, name: str) -> None:
        """Remove a host, see Host.remove()."""
        self._remove(name)


def _given(reason: str | None) -> dict[str, str]:
    return {} if reason is None else {"reason": reason}
