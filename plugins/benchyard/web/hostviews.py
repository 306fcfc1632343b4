"""What the REST interface shows of hosts; see `views`."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from benchyard.web.views import Time, known_time

HostStatus = Literal["online", "offline", "busy", "leased", "quarantined"]


class WorkView(msgspec.Struct, frozen=True):
    """What a host does now: the job, its stage or kind, and the benchmark that runs, if one does."""

    job: int | None
    stage: str
    benchmark: str | None = None


class FindingView(msgspec.Struct, frozen=True):
    """What one of a guard's checks has found: `refuse` (unfit), `warn` (in doubt) or `note` (cannot be known)."""

    check: str
    severity: str
    message: str


class KnobView(msgspec.Struct, frozen=True):
    """How a knob is set while nothing is measured (`before`), and to what it is set for a measurement (`after`)."""

    knob: str
    status: str
    before: str | None = None
    after: str | None = None
    detail: str = ""


class FitnessView(msgspec.Struct, frozen=True):
    """What the last check of a host has found; `fit` where nothing refuses. `checks` are all that were made.

    `changed` is what has changed since the check before, `opens_epoch` for what of that the next result opens an epoch.
    """

    job: int
    checked: Time
    fit: bool
    cpus: str
    checks: tuple[str, ...]
    findings: tuple[FindingView, ...]
    knobs: tuple[KnobView, ...]
    changed: tuple[str, ...]
    opens_epoch: tuple[str, ...]


def fitness_view(found: Mapping[str, Any] | None) -> FitnessView | None:
    """A host's fitness as it is kept; None before the first check."""
    if found is None:
        return None
    findings = msgspec.convert(found["guard"]["findings"], tuple[FindingView, ...])
    return FitnessView(
        job=found["job"],
        checked=known_time(found["made"]),
        fit=all(finding.severity != "refuse" for finding in findings),
        cpus=found["cpus"],
        checks=tuple(found["checks"]),
        findings=findings,
        knobs=msgspec.convert(found["knobs"], tuple[KnobView, ...]),
        changed=tuple(found["changed"]),
        opens_epoch=tuple(found["opens_epoch"]),
    )


class HostView(msgspec.Struct, frozen=True):
    """A host: what the settings say of it, what it does now, and what is known of it.

    `last_seen` is when its worker was last noted to be there: once an hour, and when it came or went. Until
    `leased_until` somebody works on it. `fitness` is what the last check has found, and `versions` and `disk_free`
    (bytes) are from that as well; `grade` is that of its newest result.
    `epoch` is the number of the stretch of its history that it is in, since `epoch_since`: the time with the same CPU,
    kernel, governor and so on. In that it was `calibrated` last, and `noise_floor` is the median over the benchmarks
    of how far two runs of the same differ, relative.
    """

    id: str
    name: str
    role: Literal["worker", "isolated"]
    target: str
    address: str
    cpus: str
    enabled: bool
    reason: str
    status: HostStatus
    current_job: int | None
    created: Time | None
    changed: Time | None
    changed_by: str | None
    epoch: int | None = None
    epoch_since: Time | None = None
    calibrated: Time | None = None
    noise_floor: float | None = None
    tune: bool = True
    shield: bool = True
    guard: str = "warn"
    guard_wait_s: float = 60.0
    ansible_user: str = ""
    connection: str = ""
    connected: bool = False
    last_seen: Time | None = None
    work: WorkView | None = None
    leased_until: Time | None = None
    leased_by: str | None = None
    lease_reason: str | None = None
    fitness: FitnessView | None = None
    grade: str | None = None
    versions: dict[str, str] = {}
    disk_free: int | None = None


class BenchmarkNoise(msgspec.Struct, frozen=True):
    """How far two runs of one interpreter differ: by no more than `floor`, relative, in 95 of 100 pairs.

    Learned from so many `runs`, whose means are `center` (their median) in `unit`.
    """

    name: str
    floor: float
    runs: int
    center: float
    unit: str
    updated: Time


class NoiseView(msgspec.Struct, frozen=True):
    """The noise of a host in its present epoch, by benchmark; `median` is of their floors.

    `calibrations` is how often it was calibrated in this epoch, and `calibrated` when it was last.
    """

    host: str
    epoch: int | None
    since: Time | None
    calibrations: int
    calibrated: Time | None
    median: float | None
    benchmarks: tuple[BenchmarkNoise, ...]


class WorkerAccess(msgspec.Struct, frozen=True):
    """What a new host's worker needs to connect; the secret is never shown again."""

    name: str
    secret: str
    master_host: str
    master_port: int


class NewHostView(msgspec.Struct, frozen=True):
    """The answer to a host that joins."""

    host: HostView
    worker: WorkerAccess
