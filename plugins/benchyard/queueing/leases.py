"""Leases: somebody works on a host, and the queue keeps off it until a time."""

import time
from typing import TYPE_CHECKING

from benchyard.store import hosts
from benchyard.store.rows import Host

if TYPE_CHECKING:
    from benchyard.queueing.jobs import JobService


async def lease(service: "JobService", name: str, *, seconds: float, who: str, reason: str = "") -> Host:
    """Lease a host for so long from now on; once more by the same person changes the end."""
    now = time.time()
    await service.db(hosts.ensure_host, name, now=now, who="lab")
    host = await service.db(hosts.lease_host, name, until=now + seconds, now=now, who=who, reason=reason)
    await watch(service)
    return host


async def release(service: "JobService", name: str, *, who: str) -> Host:
    """End a lease before its time."""
    host = await service.db(hosts.release_host, name, now=time.time(), who=who)
    service.poke(*service.lanes)
    return host


async def watch(service: "JobService") -> None:
    """Let jobs start again when the next lease ends."""
    now = time.time()
    ends = await service.db(hosts.next_expiry, now=now)
    if service.lease_timer is not None and service.lease_timer.active():
        service.lease_timer.cancel()
    # The last bit of a clock's second: a timer that comes early would find the lease still there.
    delay = None if ends is None else ends - now + 0.01
    service.lease_timer = None if delay is None else service.master.reactor.callLater(delay, _over, service)


def _over(service: "JobService") -> None:
    service.poke(*service.lanes)
    service.in_background(watch, service)
