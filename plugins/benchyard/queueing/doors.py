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
FIELDS = (
    *("kind", "python", "ref", "remote", "branch", "flags", "suite", "benchmarks", "mode", "host", "affinity"),
    *("reason", "strict", "upload"),
)

#: What only a request by REST may say: it makes two jobs of one, or is a file, a result, or for admins.
_ELSEWHERE = ("patch", "also_base", "same_loops", "configure_args")

#: Of these, the lists that a form has as one text.
_LISTS = ("benchmarks", "flags")

#: And the yes or no.
_SWITCHES = ("strict", "upload")

_WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def spec_row(spec: JobSpec) -> dict[str, Any]:
    """The spec as it is kept in a job's row."""
    return dict(msgspec.to_builtins(spec))


def request_of_properties(
    properties: Mapping[str, Any], *, target: str, stamp: Any = None, remotes: Mapping[str, str] = {}
) -> JobRequest:
    """The job asked for by a form's or a schedule's properties, or by the source stamp of a change or of a try.

    `remotes` are the names of repositories by their addresses. Invalid where it makes no sense.
    """
    for name in _ELSEWHERE:
        if properties.get(name):
            raise Invalid(name, "this is not for properties; `benchyard submit` has it")
    asked = {name: properties[name] for name in FIELDS if properties.get(name) not in (None, "")}
    for name in _SWITCHES:
        if name in asked:
            asked[name] = _boolean(name, asked[name])
    for name in _LISTS:
        if isinstance(asked.get(name), str):
            asked[name] = split_selection(asked[name])
    if "python" not in asked:
        asked = {**_of_stamp(stamp, remotes), **asked}
    # A kind may know its interpreter by itself; one that does not is refused when it is checked.
    if not any(name in asked for name in ("python", "ref", "branch")) and "kind" not in asked:
        raise Invalid("python", "say which interpreter: the full path of one on the host, or a ref to build")
    return parse_request({**asked, "target": target, "again": True})


def _boolean(name: str, value: Any) -> bool:
    known = _WORDS.get(str(value).lower())
    if known is None:
        raise Invalid(name, f"{str(value)[:80]!r} is none of {', '.join(_WORDS)}")
    return known


def _of_stamp(stamp: Any, remotes: Mapping[str, str]) -> dict[str, Any]:
    """What a source stamp says: a commit of a repository, its branch, and a patch on top."""
    if stamp is None or not (stamp.revision or stamp.patch):
        return {}
    said: dict[str, Any] = {"ref": stamp.revision}
    if stamp.branch and stamp.patch is None:  # a try names the branch as its own working copy knows it
        said["branch"] = stamp.branch
    if stamp.repository and not stamp.repository.startswith("/"):  # else somebody's working copy
        said["remote"] = remotes.get(stamp.repository, stamp.repository)
    if stamp.patch is not None and stamp.patch.body:
        try:
            said["patch"] = stamp.patch.body.decode("utf-8")
        except UnicodeDecodeError as exc:
            raise Invalid("patch", "it is not UTF-8 text; make it with `git diff`") from exc
    if said["ref"] is None:
        raise Invalid("ref", "the patch says of no commit what it is for")
    return said


def request_of_job(job: Job) -> JobRequest:
    """The same job once more; what it builds is known from the job itself."""
    return request_of_spec(job, JobSpec.of(job.spec), reason=f"job {job.id} again")


def request_of_spec(job: Job, spec: JobSpec, **changed: Any) -> JobRequest:
    """A request for what a job does, with some fields changed."""
    fields: dict[str, Any] = {
        "kind": job.kind,
        "target": job.target,
        "host": job.host,
        "python": spec.python or None,
        "ref": spec.source.commit if spec.source is not None else None,
        "benchmarks": spec.selection,
        "mode": spec.mode,
        "affinity": spec.affinity,
        "suite": spec.suite or None,
        "same_loops": spec.same_loops,
        "strict": spec.strict,
        "upload": spec.upload,
        "again": True,
    }
    return JobRequest(**{**fields, **changed})


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
    door = str(properties.get("scheduler", "")).partition("-")[0]
    if door in ("force", "try"):
        return door, str(properties.get("owner") or "web")
    return ("poll" if door == "poll" else "nightly"), "lab"


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
