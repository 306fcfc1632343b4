"""Looking after hosts over REST: jobs that configure, update and check them, leases, and the inventory for Ansible."""

from typing import Annotated, Any

import msgspec

from benchyard.access.roles import Role
from benchyard.hosting.inventory import inventory
from benchyard.queueing import leases, maintaining
from benchyard.queueing.requests import Line
from benchyard.store.rows import CHECK, CONFIGURE, UPDATE
from benchyard.web.calls import Call, Nothing, Reply, Route
from benchyard.web.hosts import host_reply, known_host
from benchyard.web.hostviews import HostView
from benchyard.web.jobs import get_job
from benchyard.web.problems import Problem
from benchyard.web.views import JobView

#: The longest lease, in seconds: who needs a host for longer disables it.
LONGEST_S = 30 * 86400

#: Why the playbooks that come with benchyard leave a host alone whose worker the lab runs: what would come of each.
_BESIDE = {
    CONFIGURE: "a second one would be set up beside it; see what is amiss by `benchyard host check {name}`",
    UPDATE: "another benchyard would be installed beside the lab's own; update that while the lab is down",
}


class Configure(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a host is configured: with `check`, nothing is changed, and the job's log shows what would be."""

    check: bool = False
    reason: Line = ""


class Update(Configure, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The same for an update; with `reboot`, the host is started again if that is needed."""

    reboot: bool = False


class Check(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Why a host is looked over."""

    reason: Line = ""


class Lease(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """For how long somebody works on a host, from now on, and at what."""

    seconds: Annotated[float, msgspec.Meta(ge=1, le=LONGEST_S)]
    reason: Line = ""


async def configure(call: Call, name: str) -> Reply:
    """Have a host set up as the lab wants it, by a job; not while it measures, nor where the lab runs its worker."""
    return await _change(call, CONFIGURE, name)


async def update(call: Call, name: str) -> Reply:
    """Have a host's software brought up to date, by a job; not while it measures, nor where the lab runs its worker."""
    return await _change(call, UPDATE, name)


async def check(call: Call, name: str) -> Reply:
    """Have a host looked over for whether it is fit to measure, by a job; not while it measures."""
    host = known_host(call, name)
    if call.services.lab.status_of(name) == "offline":
        raise Problem(409, f"host {name} is offline; it is looked over by its own worker: start that first")
    return await _submit(call, CHECK, host.target, name)


async def _change(call: Call, kind: str, name: str) -> Reply:
    lab = call.services.lab
    if lab.runs_worker_of(name) and not lab.facts.own_playbooks:
        why = _BESIDE[kind].format(name=name)
        playbooks = "or name playbooks of your own as `ansible` in [lab]"
        raise Problem(409, f"the lab itself runs the worker of host {name}, and {why}, {playbooks}")
    return await _submit(call, kind, known_host(call, name).target, name)


async def _submit(call: Call, kind: str, target: str, name: str) -> Reply:
    given: dict[str, Any] = msgspec.structs.asdict(call.body)
    job = await maintaining.submit(call.jobs, kind, host=name, target=target, owner=call.caller.name, **given)
    return (await get_job(call, job.id))._replace(status=202)


async def lease(call: Call, name: str) -> Reply:
    """Keep the queue off a host for some time, since somebody works on it; what it measures now goes on."""
    known_host(call, name)
    asked: Lease = call.body
    await leases.lease(call.jobs, name, seconds=asked.seconds, who=call.caller.name, reason=asked.reason)
    return await host_reply(call, name)


async def release(call: Call, name: str) -> Reply:
    """End a lease before its time."""
    known_host(call, name)
    await leases.release(call.jobs, name, who=call.caller.name)
    return await host_reply(call, name)


async def get_inventory(call: Call) -> dict[str, Any]:
    """The hosts as Ansible knows them: what a dynamic inventory script prints."""
    return inventory(call.services.lab.facts)


ROUTES = (
    Route("POST", "/hosts/<name>/configure", Role.ADMIN, configure, JobView, body=Configure, status=202),
    Route("POST", "/hosts/<name>/update", Role.ADMIN, update, JobView, body=Update, status=202),
    Route("POST", "/hosts/<name>/check", Role.ADMIN, check, JobView, body=Check, status=202),
    Route("POST", "/hosts/<name>/lease", Role.ADMIN, lease, HostView, body=Lease),
    Route("POST", "/hosts/<name>/release", Role.ADMIN, release, HostView, body=Nothing),
    Route("GET", "/inventory", Role.ADMIN, get_inventory, dict[str, Any]),
)
