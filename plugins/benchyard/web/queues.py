"""Queues and the lab's health over REST."""

from importlib.metadata import version
from typing import Any

from benchyard.access.roles import Role
from benchyard.queueing import order
from benchyard.store import jobs
from benchyard.web.calls import Call, Route


async def list_queues(call: Call) -> dict[str, Any]:
    """The queue of each target, in the order in which its jobs will start."""
    model = call.services.master.db.model
    items = [
        {"target": target, "jobs": await call.services.jobs.db(order.queue_of, model, target)}
        for target in call.services.lab.targets
    ]
    return {"items": items, "next": None}


async def health(call: Call) -> dict[str, Any]:
    """Whether the lab can work: `degraded` while a host is not connected. Details are for those who may read."""
    lab = call.services.lab
    hosts = [
        {"name": host.name, "role": host.role, "connected": lab.status_of(host.name) != "offline"}
        for host in lab.hosts.values()
    ]
    status = "ok" if all(host["connected"] for host in hosts) else "degraded"
    shape: dict[str, Any] = {"status": status, "title": lab.title, "version": version("benchyard")}
    if call.caller.role >= Role.VIEWER:
        shape |= {"hosts": hosts, "jobs": await call.services.jobs.db(jobs.count_by_status)}
    return shape


ROUTES = (
    Route("GET", "/queues", Role.VIEWER, list_queues),
    Route("GET", "/health", Role.ANYONE, health),
)
