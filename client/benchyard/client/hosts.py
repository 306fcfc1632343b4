"""Hosts: the machines of a lab, and the collection `client.hosts`."""

from datetime import datetime
from typing import Any, ClassVar, Literal

import msgspec

from benchyard.client.entities import Document, Entity, ask, tie
from benchyard.client.jobs import Job
from benchyard.client.paging import Collection, Pages, pages

Role = Literal["worker", "isolated"]
Guard = Literal["strict", "warn", "off"]


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What a host does now: the job's number, its stage or kind, and the benchmark that runs, if one does."""

    job: int | None = None
    stage: str = ""
    benchmark: str | None = None


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a check has found: severity `refuse` (unfit), `warn` (in doubt) or `note` (cannot be known)."""

    check: str
    severity: str
    message: str = ""


class Knob(msgspec.Struct, frozen=True, kw_only=True):
    """How a knob is set while nothing is measured (`before`), and to what it is set for a measurement (`after`)."""

    knob: str
    status: str
    before: str | None = None
    after: str | None = None
    detail: str = ""


class Fitness(msgspec.Struct, frozen=True, kw_only=True):
    """What the last check of a host has found; it is `fit` where nothing refuses. `checks` are all that were made.

    `changed` is what has changed since the check before, `opens_epoch` for what of that the next result opens an epoch.
    """

    job: int
    fit: bool
    checked: datetime | None = None
    cpus: str = ""
    checks: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    knobs: tuple[Knob, ...] = ()
    changed: tuple[str, ...] = ()
    opens_epoch: tuple[str, ...] = ()


class Host(Entity, frozen=True, kw_only=True):
    """A machine of the lab; role "worker" builds, "isolated" measures.

    Status is online, offline, busy, leased (somebody works on it, until `leased_until`) or quarantined; `work` is what
    it does now. `reason` is why it was disabled, `current_job` the number of the job that it works on. `epoch` is the
    number of the stretch of its history that it is in, with one CPU, kernel, governor and so on, since `epoch_since`.
    In that it was `calibrated` last, and `noise_floor` is the median over the benchmarks of its noise(). `fitness` is
    what the last check() has found, `versions` and `disk_free` (bytes) are from that; `grade` is its newest result's.
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
    tune: bool = True
    shield: bool = True
    guard: str = "warn"
    guard_wait_s: float = 60.0
    ansible_user: str = ""
    connection: str = ""
    connected: bool = False
    last_seen: datetime | None = None
    work: Work | None = None
    leased_until: datetime | None = None
    leased_by: str | None = None
    lease_reason: str | None = None
    fitness: Fitness | None = None
    grade: str | None = None
    versions: dict[str, str] = msgspec.field(default_factory=dict)
    disk_free: int | None = None

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
        tune: bool | msgspec.UnsetType = msgspec.UNSET,
        shield: bool | msgspec.UnsetType = msgspec.UNSET,
        guard: Guard | msgspec.UnsetType = msgspec.UNSET,
        guard_wait_s: float | msgspec.UnsetType = msgspec.UNSET,
        ansible_user: str | msgspec.UnsetType = msgspec.UNSET,
        connection: str | msgspec.UnsetType = msgspec.UNSET,
        expect: bool = True,
    ) -> "Host":
        """Change what the lab knows of the host (as an admin); Stale if the same was changed meanwhile.

        For what each means, see Hosts.add(). Jobs that run are not touched.
        """
        where = {"target": target, "address": address, "ansible_user": ansible_user, "connection": connection}
        care = {"cpus": cpus, "tune": tune, "shield": shield, "guard": guard, "guard_wait_s": guard_wait_s}
        return self._modified({**where, **care}, expect=expect)

    def enable(self, reason: str | None = None) -> "Host":
        """Give the host jobs again."""
        return self._asked("POST", "/enable", _given(reason))

    def disable(self, reason: str | None = None) -> "Host":
        """Give the host no more jobs; the one that runs there ends. `reason` is for those who see the host."""
        return self._asked("POST", "/disable", _given(reason))

    def configure(self, *, check: bool = False, reason: str | None = None) -> Job:
        """Have the host set up as the lab wants it; returns the job that does. Conflict where nothing can do it.

        It waits for what is measured on the host, and nothing is measured there until it has ended. With `check` it
        changes nothing: the job's log() shows what would be. One that fails leaves the host disabled. One that changes
        the host waits for a check of it, `spec.before`, and after it followed_by() is another.
        """
        return self._maintained("configure", {"check": check}, reason)

    def update(self, *, check: bool = False, reboot: bool = False, reason: str | None = None) -> Job:
        """Have the host's software brought up to date, see configure(); with `reboot` it is started again if needed."""
        return self._maintained("update", {"check": check, "reboot": reboot}, reason)

    def check(self, *, reason: str | None = None) -> Job:
        """Have the host looked over for whether it is fit to measure; returns the job that does.

        What it finds is the host's `fitness`. Conflict while the host is offline.
        """
        return self._maintained("check", {}, reason)

    def lease(self, seconds: float, *, reason: str | None = None) -> "Host":
        """Keep the queue off the host for so long from now on, since you work on it; what it measures now goes on.

        Once more changes the end. Conflict while it is leased to somebody else.
        """
        return self._asked("POST", "/lease", {"seconds": seconds, **_given(reason)})

    def release(self) -> "Host":
        """End a lease before its time; Conflict where there is none."""
        return self._asked("POST", "/release")

    def followed_by(self, job: Job) -> Job | None:
        """The check that was made after a job has changed the host; None after one that has not."""
        for later in pages(Job, "/jobs", {"host": self.name, "kind": "check"}, self.link):
            if later.id < job.id:
                break
            if later.spec.after == job.id:
                return later
        return None

    def noise(self) -> "HostNoise":
        """How far two runs of the same interpreter differ on the host, by benchmark."""
        return ask(HostNoise, self.link, "GET", f"{self.path_}/noise")

    def remove(self) -> None:
        """Remove the host from the lab; Conflict while it measures. Its results stay."""
        super().remove()

    def _maintained(self, what: str, how: dict[str, bool], reason: str | None) -> Job:
        body = {**{name: True for name, on in how.items() if on}, **_given(reason)}
        return ask(Job, self.link, "POST", f"{self.path_}/{what}", body)


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
        tune: bool | None = None,
        shield: bool | None = None,
        guard: Guard | None = None,
        guard_wait_s: float | None = None,
        ansible_user: str | None = None,
        connection: str | None = None,
    ) -> AddedHost:
        """Tell the lab of a machine; the answer holds the secret of its worker, which is not told again.

        `cpus` measure. For the time of a run, `tune` sets the host's knobs, `shield` keeps others off these CPUs, and
        the `guard` waits at most `guard_wait_s` seconds for the host to be quiet; "strict" refuses to measure where it
        is not. `ansible_user` and `connection` are how playbooks reach it, if not by SSH as the lab's own user.
        """
        where = {"target": target, "address": address, "ansible_user": ansible_user, "connection": connection}
        care = {"cpus": cpus, "tune": tune, "shield": shield, "guard": guard, "guard_wait_s": guard_wait_s}
        given = {key: value for key, value in {**where, **care}.items() if value is not None}
        body = {"name": name, "role": role, **given}
        added = ask(AddedHost, self._link, "POST", self._path, body)
        tie(added.host, added.document["host"], self._link)
        return added

    def inventory(self) -> dict[str, Any]:
        """The hosts as Ansible knows them (as an admin): what a dynamic inventory script prints."""
        return self._link.api.ask("GET", "/inventory").document

    def remove(self, name: str) -> None:
        """Remove a host, see Host.remove()."""
        self._remove(name)


def _given(reason: str | None) -> dict[str, str]:
    return {} if reason is None else {"reason": reason}
