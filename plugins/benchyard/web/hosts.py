"""Hosts over REST."""

import statistics
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from benchyard.access.roles import Role
from benchyard.hosting.registration import NAME_PATTERN
from benchyard.hosting.service import HostFacts
from benchyard.queueing.requests import Line
from benchyard.store import attempts, calibrations, epochs
from benchyard.store import hosts as store
from benchyard.store.rows import Epoch, Host, Noise
from benchyard.web.calls import Call, Nothing, Paged, Reply, Route, entity_tag
from benchyard.web.filters import Wanted
from benchyard.web.problems import Problem
from benchyard.web.views import (
    BenchmarkNoise,
    HostView,
    NewHostView,
    NoiseView,
    Page,
    WorkerAccess,
    known_time,
    time_text,
)

HostName = Annotated[str, msgspec.Meta(pattern=NAME_PATTERN)]
Address = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._:-]{1,200}$")]
Cpus = Annotated[
    str, msgspec.Meta(max_length=200, pattern=r"^([0-9]{1,4}(-[0-9]{1,4})?(,[0-9]{1,4}(-[0-9]{1,4})?)*)?$")
]
HostRole = Literal["worker", "isolated"]


class HostFilter(Paged, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which hosts."""

    role: HostRole | None = None
    target: Wanted | None = None
    status: Literal["online", "offline", "busy", "quarantined"] | None = None


class NewHost(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A host that wants to join."""

    name: HostName
    role: HostRole
    target: HostName
    address: Address
    cpus: Cpus = ""


class HostChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is to be otherwise of a host."""

    target: HostName | msgspec.UnsetType = msgspec.UNSET
    address: Address | msgspec.UnsetType = msgspec.UNSET
    cpus: Cpus | msgspec.UnsetType = msgspec.UNSET


class Reason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why."""

    reason: Line = ""


async def list_hosts(call: Call) -> Page[HostView]:
    """The lab's hosts by name."""
    query: HostFilter = call.query
    views = [await _view(call, host) for host in sorted(call.services.lab.hosts.values(), key=lambda h: h.name)]
    wanted = [
        view
        for view in views
        if query.role in (None, view.role)
        and query.target in (None, view.target)
        and query.status in (None, view.status)
    ]
    first = query.cursor or 0
    following = str(first + query.limit) if len(wanted) > first + query.limit else None
    return Page(tuple(wanted[first : first + query.limit]), following)


async def get_host(call: Call, name: str) -> Reply:
    """One host."""
    return await _reply(call, name)


async def add_host(call: Call) -> Reply:
    """Let a host join; the answer has its worker's secret, which is never shown again."""
    new: NewHost = call.body
    lab = call.services.lab
    _known_target(call, new.target)
    facts = HostFacts(name=new.name, role=new.role, target=new.target, address=new.address, cpus=new.cpus)
    secret = await lab.add_host(facts)
    await call.jobs.db(store.ensure_host, new.name, now=call.now(), who=call.caller.name)
    access = WorkerAccess(name=new.name, secret=secret, master_host=lab.worker_host, master_port=lab.worker_port)
    return Reply(NewHostView(await _view(call, lab.hosts[new.name]), access))


async def modify_host(call: Call, name: str) -> Reply:
    """Change what the settings say of a host; running jobs are not touched."""
    fields = {key: value for key, value in msgspec.structs.asdict(call.body).items() if value is not msgspec.UNSET}
    if "target" in fields:
        _known_target(call, fields["target"])
    await _must_match(call, name)
    await call.services.lab.modify_host(_known(call, name), **fields)
    await call.jobs.db(store.change_host, name, fields, now=call.now(), who=call.caller.name)
    return await _reply(call, name)


async def remove_host(call: Call, name: str) -> Reply:
    """Take a host out of the lab; not while it works."""
    view = await _view(call, _known(call, name))
    await _must_match(call, name)
    if view.status == "busy":
        raise Problem(409, f"host {name} is busy; disable it and wait for the end of its job, or cancel that")
    await call.services.lab.remove_host(name)
    # A host that came with the lab's settings has no row before its first change.
    await call.jobs.db(store.ensure_host, name, now=call.now(), who="lab")
    await call.jobs.db(store.remove_host, name, now=call.now(), who=call.caller.name)
    return Reply(view)


async def enable_host(call: Call, name: str) -> Reply:
    """Let a host have jobs again."""
    return await _enable(call, name, True, "")


async def disable_host(call: Call, name: str) -> Reply:
    """Give a host no more jobs; the one it has goes on to its end."""
    return await _enable(call, name, False, call.body.reason)


async def _enable(call: Call, name: str, enabled: bool, reason: str) -> Reply:
    _known(call, name)
    await call.jobs.db(store.ensure_host, name, now=call.now(), who="lab")
    await call.jobs.db(store.enable_host, name, enabled, now=call.now(), who=call.caller.name, reason=reason)
    call.jobs.poke(*call.jobs.lanes)
    return await _reply(call, name)


async def maintain(call: Call, name: str) -> Reply:
    """Configure, update or check a host; there is no engine for it yet."""
    _known(call, name)
    raise Problem(409, "no engine for the maintenance of hosts is configured in this lab")


def _known(call: Call, name: str) -> HostFacts:
    host: HostFacts | None = call.services.lab.hosts.get(name)
    if host is None:
        raise Problem(404, f"there is no host {name[:60]!r}; there are {', '.join(sorted(call.services.lab.hosts))}")
    return host


def _known_target(call: Call, target: str) -> None:
    if target not in call.services.lab.targets:
        raise Problem(400, f"unknown target {target!r}; there are {', '.join(call.services.lab.targets)}", "target")


async def _must_match(call: Call, name: str) -> None:
    call.must_match((await _reply(call, name)).tag or "")


async def _reply(call: Call, name: str) -> Reply:
    host = _known(call, name)
    view = await _view(call, host)
    row = await call.jobs.db(store.find_host, name)
    return Reply(view, tag=entity_tag(f"host-{name}", row.changed if row else 0.0))


async def get_noise(call: Call, name: str) -> NoiseView:
    """How far two runs of the same differ on a host, by benchmark, in its present epoch."""
    _known(call, name)
    found = await call.jobs.db(_condition, name)
    return NoiseView(
        host=name,
        epoch=found.epoch.number if found.epoch else None,
        since=time_text(found.epoch.since) if found.epoch else None,
        calibrations=found.calibrations,
        calibrated=time_text(found.calibrated),
        median=found.median,
        benchmarks=tuple(
            BenchmarkNoise(row.benchmark, row.floor, row.runs, row.center, row.unit, known_time(row.updated))
            for row in found.noise
        ),
    )


async def _view(call: Call, host: HostFacts) -> HostView:
    row, job, found = await call.jobs.db(_state, host.name)
    status = call.services.lab.status_of(host.name)
    quarantined = row is not None and row.quarantined is not None and status != "busy"
    return HostView(
        id=host.name,
        name=host.name,
        role=host.role,  # type: ignore[arg-type]
        target=host.target,
        address=host.address,
        cpus=host.cpus,
        enabled=row.enabled if row else True,
        reason=(row.reason if row else "") or "",
        status="quarantined" if quarantined else status,
        current_job=job,
        created=time_text(row.created) if row else None,
        changed=time_text(row.changed) if row else None,
        changed_by=row.changed_by if row else None,
        epoch=found.epoch.number if found.epoch else None,
        epoch_since=time_text(found.epoch.since) if found.epoch else None,
        calibrated=time_text(found.calibrated),
        noise_floor=found.median,
    )


class _Condition(NamedTuple):
    """What results say of a host: its epoch, and its calibrations and noise in that."""

    epoch: Epoch | None
    calibrations: int
    calibrated: float | None
    noise: tuple[Noise, ...]

    @property
    def median(self) -> float | None:
        return statistics.median(row.floor for row in self.noise) if self.noise else None


def _condition(conn: Any, name: str) -> _Condition:
    epoch = epochs.current_epoch(conn, name)
    if epoch is None:
        return _Condition(None, 0, None, ())
    made, last = calibrations.last_calibrated(conn, name, epoch.number)
    return _Condition(epoch, made, last, calibrations.noise_of(conn, name, epoch.number))


def _state(conn: Any, name: str) -> tuple[Host | None, int | None, _Condition]:
    running = (attempt.job_id for attempt in attempts.running_attempts(conn) if attempt.host == name)
    return store.find_host(conn, name), next(running, None), _condition(conn, name)


ROUTES = (
    Route("GET", "/hosts", Role.VIEWER, list_hosts, Page[HostView], query=HostFilter),
    Route("POST", "/hosts", Role.ADMIN, add_host, NewHostView, body=NewHost, status=201, secret=True),
    Route("GET", "/hosts/<name>", Role.VIEWER, get_host, HostView),
    Route("GET", "/hosts/<name>/noise", Role.VIEWER, get_noise, NoiseView),
    Route("PATCH", "/hosts/<name>", Role.ADMIN, modify_host, HostView, body=HostChange),
    Route("DELETE", "/hosts/<name>", Role.ADMIN, remove_host, HostView),
    Route("POST", "/hosts/<name>/enable", Role.ADMIN, enable_host, HostView, body=Nothing),
    Route("POST", "/hosts/<name>/disable", Role.ADMIN, disable_host, HostView, body=Reason),
    *(
        Route("POST", f"/hosts/<name>/{what}", Role.ADMIN, maintain, HostView, body=Nothing)
        for what in ("configure", "update", "check")
    ),
)
