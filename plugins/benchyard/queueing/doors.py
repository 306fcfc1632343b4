"""Requests that come by Buildbot's own doors (force form, schedules, rebuild), read as requests for a job."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from benchyard.queueing.requests import Invalid, JobRequest, JobSpec, parse_request, split_selection
from benchyard.queueing.runs import push_of_key
from benchyard.store.rows import FINAL_JOB_STATUSES, Job
from benchyard.store.tables import jobs

#: Properties of a forced or scheduled request that say what to measure.
FIELDS = ("python", "benchmarks", "mode", "host", "affinity", "reason")


def spec_row(spec: JobSpec) -> dict[str, Any]:
    """The spec as it is kept in a job's row."""
    return dict(msgspec.to_builtins(spec))


def request_of_properties(properties: Mapping[str, Any], *, target: str) -> JobRequest:
    """The job asked for by a form's or a schedule's properties; Invalid where they make no sense."""
    asked = {name: properties[name] for name in FIELDS if properties.get(name) not in (None, "")}
    if isinstance(asked.get("benchmarks"), str):
        asked["benchmarks"] = split_selection(asked["benchmarks"])
    if "python" not in asked:
        raise Invalid("python", "say which interpreter: the full path of a Python on the measuring host")
    return parse_request({**asked, "target": target})


def request_of_job(job: Job) -> JobRequest:
    """The same job once more."""
    spec = JobSpec.of(job.spec)
    return JobRequest(
        target=job.target,
        host=job.host,
        python=spec.python,
        benchmarks=spec.selection,
        mode=spec.mode,
        affinity=spec.affinity,
        reason=f"job {job.id} again",
    )


def refused_spec(properties: Mapping[str, Any]) -> dict[str, Any]:
    """What a refused job keeps of what was asked, as far as it can be read."""
    return {
        "python": str(properties.get("python", "")),
        "benchmarks": [],
        "selection": split_selection(str(properties.get("benchmarks", ""))),
        "mode": "default",
        "affinity": None,
    }


def origin_of(buildset: Any, properties: Mapping[str, Any]) -> tuple[str, str]:
    """(door, owner) of a request: the owner of a forced job is set by Buildbot from the login."""
    if buildset.rebuilt_buildid is not None:
        # Set by the lab's own rebuild; "owner" is that of the request which is repeated.
        return "rebuild", str(properties.get("rebuilt_by") or "web")
    if properties.get("scheduler", "").startswith("force-"):
        return "force", str(properties.get("owner") or "web")
    return "nightly", "lab"


def push_of(buildset: Any) -> tuple[int, int] | None:
    """(job, push) where a push on the queue made this buildset; a rebuild copies the key and is a job of its own."""
    return push_of_key(buildset.external_idstring) if buildset.rebuilt_buildid is None else None


def requests_without_job(conn: sa.Connection, model: Any, builders: Sequence[str]) -> list[int]:
    """Pending requests of these builders that no job stands for: the master died before it made the row."""
    requests = model.buildrequests
    unknown = ~sa.exists().where(jobs.c.request_id == requests.c.id)
    return [row.id for row in conn.execute(_pending(model, builders).where(unknown))]


def requests_of_ended_jobs(conn: sa.Connection, model: Any, builders: Sequence[str]) -> list[int]:
    """Pending requests of these builders whose jobs have ended: the master died before their builds did."""
    requests = model.buildrequests
    ended = sa.exists().where(jobs.c.request_id == requests.c.id, jobs.c.status.in_(FINAL_JOB_STATUSES))
    return [row.id for row in conn.execute(_pending(model, builders).where(ended))]


def _pending(model: Any, builders: Sequence[str]) -> sa.Select[Any]:
    requests, names = model.buildrequests, model.builders
    return (
        sa.select(requests.c.id)
        .join(names, names.c.id == requests.c.builderid)
        .where(names.c.name.in_(builders), requests.c.complete == 0)
        .order_by(requests.c.id)
    )
