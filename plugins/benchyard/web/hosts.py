"""Hosts over REST."""

import statistics
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from benchyard.access.roles import Role
from benchyard.hosting.facts import HostFacts
from benchyard.hosting.inventory import means_else
from benchyard.hosting.registration import NAME_PATTERN
from benchyard.queueing import maintaining
from benchyard.queueing.cancellation import job_of_any_request
from benchyard.queueing.requests import Line
from benchyard.results.patterns import END
from benchyard.store import attempts, calibrations, epochs, jobs, maintenance, results
from benchyard.store import hosts as store
from benchyard.store.rows import Epoch, Host, Noise
from benchyard.web.calls import Call, Nothing, Paged, Reply, Route, entity_tag
from benchyard.web.filters import Wanted
from benchyard.web.hostviews import (
    BenchmarkNoise,
    HostStatus,
    HostView,
    NewHostView,
    NoiseView,
    WorkerAccess,
    WorkView,
    fitness_view,
)
from benchyard.web.problems import Problem
from benchyard.web.views import Page, known_time, time_text

HostName = Annotated[str, msgspec.Meta(pattern=NAME_PATTERN)]
#: These reach command lines: none may look like an option.
Address = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9:][A-Za-z0-9._:-]{0,199}" + END)]
Cpus = Annotated[
    str, msgspec.Meta(max_length=200, pattern=r"^([0-9]{1,4}(-[0-9]{1,4})?(,[0-9]{1,4}(-[0-9]{1,4})?)*)?" + END)
]
#: What tells jobs which machine a host is, and whose queue they are in.
KNOWN_BY = ("target", "address", "connection")
HostRole = Literal["worker", "isolated"]
GuardPolicy = Literal["strict", "warn", "off"]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=86400)]
Login = Annotated[str, msgspec.Meta(pattern=r"^([A-Za-z0-9_][A-Za-z0-9_.-]{0,63})?" + END)]


class HostFilter(Paged, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which hosts."""

    role: HostRole | None = None
    target: Wanted | None = None
    status: HostStatus | None = None


class NewHost(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A host that wants to join, how it is looked after when it measures, and how playbooks reach it."""

    name: HostName
    role: HostRole
    target: HostName
    address: Address
    cpus: Cpus = ""
    tune: bool = True
    shield: bool = True
    guard: GuardPolicy = "warn"
    guard_wait_s: Seconds = 60.0
    ansible_user: Login = ""
    connection: Login = ""


class HostChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is to be otherwise of a host."""

    target: HostName | msgspec.UnsetType = msgspec.UNSET
    address: Address | msgspec.UnsetType = msgspec.UNSET
    cpus: Cpus | msgspec.UnsetType = msgspec.UNSET
    tune: bool | msgspec.UnsetType = msgspec.UNSET
    shield: bool | msgspec.UnsetType = msgspec.UNSET
    guard: GuardPolicy | msgspec.UnsetType = msgspec.UNSET
    guard_wait_s: Seconds | msgspec.UnsetType = msgspec.UNSET
    ansible_user: Login | msgspec.UnsetType = msgspec.UNSET
    connection: Login | msgspec.UnsetType = msgspec.UNSET


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
    return await host_reply(call, name)


async def add_host(call: Call) -> Reply:
    """Let a host join; the answer has its worker's secret, which is never shown again."""
    new: NewHost = call.body
    lab = call.services.lab
    _known_target(call, new.target)
    if means_else(new.name, lab.targets):
        raise Problem(400, f"{new.name!r} is a name that the lab needs for itself; choose another", "name")

    async def add() -> str:
        secret: str = await lab.add_host(HostFacts(**msgspec.structs.asdict(new)))
        await call.jobs.db(store.ensure_host, new.name, now=call.now(), who=call.caller.name)
        return secret

    secret = await lab.changing(add)
    access = WorkerAccess(name=new.name, secret=secret, master_host=lab.worker_host, master_port=lab.worker_port)
    return Reply(NewHostView(await _view(call, lab.hosts[new.name]), access))


async def modify_host(call: Call, name: str) -> Reply:
    """Change what the settings say of a host; running jobs are not touched. Its target, address and connection change
    only while nothing is under way on it, nor waits to look after it: those jobs know it by them.
    """
    fields = {key: value for key, value in msgspec.structs.asdict(call.body).items() if value is not msgspec.UNSET}
    if "target" in fields:
        _known_target(call, fields["target"])

    async def modify() -> None:
        await _must_match(call, name)
        host = known_host(call, name)
        if any(fields.get(key, getattr(host, key)) != getattr(host, key) for key in KNOWN_BY):
            await call.jobs.db(maintenance.must_be_idle, name)
        await call.services.lab.modify_host(host, **fields)
        await call.jobs.db(store.change_host, name, fields, now=call.now(), who=call.caller.name)

    await call.services.lab.changing(modify)
    return await host_reply(call, name)


async def remove_host(call: Call, name: str) -> Reply:
    """Take a host out of the lab; not while it works. What waits to look after it is canceled."""
    return Reply(await call.services.lab.changing(lambda: _remove(call, name)))


async def _remove(call: Call, name: str) -> HostView:
    view = await _view(call, known_host(call, name))
    await _must_match(call, name)
    if view.status == "busy":
        job = f"job {view.current_job}" if view.current_job else "a job"
        raise Problem(409, f"host {name} is busy with {job}; disable it and wait for the end of that, or cancel it")
    await call.jobs.db(maintenance.close_host, name, now=call.now(), who=call.caller.name)
    await maintaining.forget(call.jobs, name, who=call.caller.name)
    await call.services.lab.remove_host(name)
    await call.jobs.db(store.remove_host, name, now=call.now(), who=call.caller.name)
    return view


async def enable_host(call: Call, name: str) -> Reply:
    """Let a host have jobs again."""
    return await _enable(call, name, True, "")


async def disable_host(call: Call, name: str) -> Reply:
    """Give a host no more jobs; the one it has goes on to its end."""
    return await _enable(call, name, False, call.body.reason)


async def _enable(call: Call, name: str, enabled: bool, reason: str) -> Reply:
    known_host(call, name)
    await call.jobs.db(store.ensure_host, name, now=call.now(), who="lab")
    await call.jobs.db(store.enable_host, name, enabled, now=call.now(), who=call.caller.name, reason=reason)
    call.jobs.poke(*call.jobs.lanes)
    return await host_reply(call, name)


def known_host(call: Call, name: str) -> HostFacts:
    """A host of the settings; Problem 404 where there is none of this name."""
    host: HostFacts | None = call.services.lab.hosts.get(name)
    if host is None:
        raise Problem(404, f"there is no host {name[:60]!r}; there are {', '.join(sorted(call.services.lab.hosts))}")
    return host


def _known_target(call: Call, target: str) -> None:
    if target not in call.services.lab.targets:
        raise Problem(400, f"unknown target {target!r}; there are {', '.join(call.services.lab.targets)}", "target")


async def _must_match(call: Call, name: str) -> None:
    call.must_match(*await _tagged(call, known_host(call, name)))


async def host_reply(call: Call, name: str) -> Reply:
    """What is answered of one host, with its entity tag."""
    host = known_host(call, name)
    view = await _view(call, host)
    return Reply(view, tag=entity_tag(*await _tagged(call, host)))


async def _tagged(call: Call, host: HostFacts) -> tuple[str, float]:
    """What the entity tag of a host is made of."""
    row = await call.jobs.db(store.find_host, host.name)
    return f"host-{host.name}", row.changed if row else 0.0


async def get_noise(call: Call, name: str) -> NoiseView:
    """How far two runs of the same differ on a host, by benchmark, in its present epoch."""
    known_host(call, name)
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
    lab, now = call.services.lab, call.now()
    row, running, maintained, found, grade = await call.jobs.db(_state, host.name)
    connection = lab.status_of(host.name)
    work = running or maintained or await _build_of(call, host.name)
    leased = row is not None and row.is_leased(now)
    at_work = maintained is not None or (work is not None and connection != "offline")
    status: HostStatus = "busy" if at_work else connection
    if row is not None and status != "busy":
        status = "quarantined" if row.quarantined is not None else "leased" if leased else status
    fitness = row.fitness if row else None
    kernel = {"kernel": str(found.epoch.fingerprint.get("kernel", "")).partition(" ")[0]} if found.epoch else {}
    return HostView(
        **msgspec.structs.asdict(host),
        id=host.name,
        enabled=row.enabled if row else True,
        reason=(row.reason if row else "") or "",
        status=status,
        current_job=work.job if work is not None else None,
        created=time_text(row.created) if row else None,
        changed=time_text(row.changed) if row else None,
        changed_by=row.changed_by if row else None,
        epoch=found.epoch.number if found.epoch else None,
        epoch_since=time_text(found.epoch.since) if found.epoch else None,
        calibrated=time_text(found.calibrated),
        noise_floor=found.median,
        connected=connection != "offline",
        last_seen=time_text(row.seen) if row else None,
        work=work,
        leased_until=time_text(row.leased_until) if row and leased else None,
        leased_by=row.leased_by if row and leased else None,
        lease_reason=(row.lease_reason or "") if row and leased else None,
        fitness=fitness_view(fitness),
        grade=grade,
        versions=fitness["versions"] if fitness else kernel,
        disk_free=fitness["disk_free"] if fitness else None,
    )


async def _build_of(call: Call, name: str) -> WorkView | None:
    """What the worker of a host does where its row does not tell: it prepares something."""
    work = call.services.lab.work_of(name)
    if work is None:
        return None
    lane = call.jobs.lanes.get(work.builder)
    job = await job_of_any_request(call.jobs, work.request_id)
    return WorkView(job, (lane.stage if lane is not None else None) or work.builder)


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
    return _Condition(epoch, made, last, tuple(calibrations.noise_of(conn, name, epoch.number).values()))


def _state(conn: Any, name: str) -> tuple[Host | None, WorkView | None, WorkView | None, _Condition, str | None]:
    running = next((attempt.job_id for attempt in attempts.running_attempts(conn) if attempt.host == name), None)
    measured = None
    if running is not None:
        progress = jobs.get_job(conn, running).progress or {}
        measured = WorkView(running, "measure", progress.get("benchmark"))
    under_way = (job for job in maintenance.wanted(conn, name) if job.status == "running")
    maintained = next((WorkView(job.id, job.kind) for job in under_way), None)
    newest = results.list_results(conn, host=name, limit=1)
    grade = newest[0].grade if newest else None
    return store.find_host(conn, name), measured, maintained, _condition(conn, name), grade


ROUTES = (
    Route("GET", "/hosts", Role.VIEWER, list_hosts, Page[HostView], query=HostFilter),
    Route("POST", "/hosts", Role.ADMIN, add_host, NewHostView, body=NewHost, status=201, secret=True),
    Route("GET", "/hosts/<name>", Role.VIEWER, get_host, HostView),
    Route("GET", "/hosts/<name>/noise", Role.VIEWER, get_noise, NoiseView),
    Route("PATCH", "/hosts/<name>", Role.ADMIN, modify_host, HostView, body=HostChange),
    Route("DELETE", "/hosts/<name>", Role.ADMIN, remove_host, HostView),
    Route("POST", "/hosts/<name>/enable", Role.ADMIN, enable_host, HostView, body=Nothing),
    Route("POST", "/hosts/<name>/disable", Role.ADMIN, disable_host, HostView, body=Reason),
)
