"""Hosts over REST."""

import re
from typing import Annotated, Any, Literal

import msgspec

from benchyard.access.roles import Role
from benchyard.hosting.registration import NAME_RULE, is_name
from benchyard.hosting.service import HostFacts
from benchyard.web.calls import Call, Reply, Route
from benchyard.web.problems import Problem

_CPUS = re.compile(r"[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*")
_ADDRESS = re.compile(r"[A-Za-z0-9._:-]{1,200}")


class NewHost(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A host that wants to join."""

    name: str
    role: Literal["worker", "isolated"]
    target: str
    address: str
    cpus: Annotated[str, msgspec.Meta(max_length=200)] = ""


async def list_hosts(call: Call) -> dict[str, Any]:
    """All hosts of the lab."""
    return {"items": [_shape(call, host) for host in call.services.lab.hosts.values()], "next": None}


async def add_host(call: Call) -> Reply:
    """Let a host join; the answer has its secret, which is never shown again."""
    new = call.read(NewHost)
    lab = call.services.lab
    if not is_name(new.name):
        raise Problem(400, f"{new.name[:60]!r} is no name; use {NAME_RULE}", "name")
    if new.target not in lab.targets:
        raise Problem(400, f"unknown target {new.target[:60]!r}; there are {', '.join(lab.targets)}", "target")
    if not _ADDRESS.fullmatch(new.address):
        raise Problem(400, "a host name or an IP address", "address")
    if new.cpus and not _CPUS.fullmatch(new.cpus):
        raise Problem(400, f"{new.cpus[:60]!r} is not a CPU list such as 2-3,6", "cpus")
    facts = HostFacts(name=new.name, role=new.role, target=new.target, address=new.address, cpus=new.cpus)
    secret = await lab.add_host(facts)
    worker = {
        "name": new.name,
        "secret": secret,
        "master_host": call.request.getRequestHostname().decode(),
        "master_port": lab.worker_port,
    }
    return Reply({"host": _shape(call, lab.hosts[new.name]), "worker": worker}, status=201)


def _shape(call: Call, host: HostFacts) -> dict[str, Any]:
    return {**msgspec.to_builtins(host), "enabled": True, "status": call.services.lab.status_of(host.name)}


ROUTES = (
    Route("GET", "/hosts", Role.VIEWER, list_hosts),
    Route("POST", "/hosts", Role.ADMIN, add_host),
)
