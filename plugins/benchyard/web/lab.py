"""The lab as a whole over REST: its health, its numbers, and the description of this interface."""

from importlib.metadata import version
from typing import Any

from benchyard.access.roles import Role
from benchyard.publish.notices.service import find_notices
from benchyard.store import jobs, queues, uploads
from benchyard.store.rows import JOB_STATUSES
from benchyard.web.calls import Call, Reply, Route
from benchyard.web.views import HealthView, HostHealth, StaleLane, known_time


async def health(call: Call) -> HealthView:
    """Whether the lab can work: `degraded` while a host is not connected."""
    lab = call.services.lab
    hosts = tuple(
        HostHealth(host.name, host.role, lab.status_of(host.name) != "offline") for host in lab.hosts.values()
    )
    view = HealthView("ok" if all(host.connected for host in hosts) else "degraded", lab.title, version("benchyard"))
    if call.caller.role < Role.VIEWER:
        return view
    return HealthView(
        view.status,
        view.title,
        view.version,
        user=call.caller.name or None,
        targets=tuple(lab.targets),
        hosts=hosts,
        jobs=await call.jobs.db(jobs.count_by_status),
        uploads=_in_all(await call.jobs.db(uploads.count_outstanding)),
        stale=await _stale(call),
    )


async def _stale(call: Call) -> tuple[StaleLane, ...]:
    service = find_notices(call.services.master)
    found = await service.stale() if service is not None and service.running else ()
    return tuple(StaleLane(one.subject, one.target, known_time(one.data["since"])) for one in found)


def _in_all(outstanding: dict[str, dict[str, int]]) -> dict[str, int]:
    """Uploads by state, over all destinations; empty where none is outstanding."""
    if not outstanding:
        return {}
    return {state: sum(counts[state] for counts in outstanding.values()) for state in uploads.OUTSTANDING}


async def metrics(call: Call) -> Reply:
    """The lab's numbers in the text format of Prometheus."""
    lab = call.services.lab
    counts, lengths, outstanding = await call.jobs.db(_numbers, lab.targets)
    lines = ["# HELP benchyard_jobs Jobs by status.", "# TYPE benchyard_jobs gauge"]
    lines += [f'benchyard_jobs{{status="{status}"}} {counts.get(status, 0)}' for status in JOB_STATUSES]
    lines += ["# HELP benchyard_queue_length Jobs that wait, by target.", "# TYPE benchyard_queue_length gauge"]
    lines += [f'benchyard_queue_length{{target="{target}"}} {length}' for target, length in lengths.items()]
    lines += ["# HELP benchyard_host_up Whether a host is connected.", "# TYPE benchyard_host_up gauge"]
    lines += [
        f'benchyard_host_up{{host="{host.name}",role="{host.role}"}} {int(lab.status_of(host.name) != "offline")}'
        for host in lab.hosts.values()
    ]
    lines += ["# HELP benchyard_uploads Uploads that are outstanding, by destination and state."]
    lines += ["# TYPE benchyard_uploads gauge"]
    for name in dict.fromkeys((*call.services.publisher.places, *outstanding)):
        by_state = outstanding.get(name, {})
        lines += [
            f'benchyard_uploads{{destination="{name}",state="{state}"}} {by_state.get(state, 0)}'
            for state in uploads.OUTSTANDING
        ]
    return Reply(("\n".join(lines) + "\n").encode(), content_type="text/plain; version=0.0.4; charset=utf-8")


def _numbers(conn: Any, targets: tuple[str, ...]) -> tuple[dict[str, int], dict[str, int], dict[str, dict[str, int]]]:
    lengths = {target: queues.length(conn, target) for target in targets}
    return jobs.count_by_status(conn), lengths, uploads.count_outstanding(conn)


async def describe(_call: Call) -> Reply:
    """This interface, as OpenAPI 3.1."""
    from benchyard.web.openapi import document
    from benchyard.web.routes import ROUTES as ALL

    return Reply(document(ALL))


ROUTES = (
    Route("GET", "/health", Role.ANYONE, health, HealthView),
    Route("GET", "/metrics", Role.VIEWER, metrics, str, content_type="text/plain"),
    Route("GET", "/openapi.json", Role.ANYONE, describe, dict[str, Any]),
)
