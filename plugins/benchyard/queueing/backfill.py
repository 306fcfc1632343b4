"""Backfill: the commits of a range that nobody has measured yet, each as a job that lets all others go first."""

import statistics
import time
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from twisted.internet import threads

from benchyard.queueing import creation
from benchyard.queueing.requests import CheckedJob, Invalid, JobRequest, Ref, Source
from benchyard.store import durations, jobs
from benchyard.store.rows import FINAL_JOB_STATUSES, JOB_STATUSES

if TYPE_CHECKING:
    from benchyard.queueing.jobs import JobService

ORIGIN = "backfill"

#: Jobs that one backfill may make.
MOST = 500

_UNDER_WAY = tuple(status for status in JOB_STATUSES if status != "created" and status not in FINAL_JOB_STATUSES)


class BackfillRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which commits: those after `first` up to `last`, along the first parents.

    Of these every N-th counted from the last, or the last of each week, or those with a tag that matches. `job` says
    how each is measured, with its `again` also those that were measured before; `dry_run` only counts.
    """

    first: Ref
    last: Ref
    every: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1
    weekly: bool = False
    tags: Ref | None = None
    job: JobRequest = JobRequest()
    dry_run: bool = False


class Backfilled(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: the jobs made, how many commits these are of, and how many seconds they will take, if known."""

    jobs: tuple[int, ...]
    commits: int
    missing: int
    seconds: float | None


async def backfill(service: "JobService", request: BackfillRequest, *, owner: str) -> Backfilled:
    """Make the jobs that are missing; Invalid changes nothing."""
    sources: tuple[Source, ...] = await threads.deferToThread(service.expand, request)
    wanted: list[CheckedJob] = []
    for source in sources:
        asked = msgspec.structs.replace(request.job, ref=source.commit, remote=source.remote)
        checked = await service.checked(asked, source)
        if not await service.db(_is_known, checked, request.job.again):
            wanted.append(checked)
    if len(wanted) > MOST:
        raise Invalid("every", f"these are {len(wanted)} jobs, {MOST} are the most; take every N-th, or one a week")
    made = []
    for checked in () if request.dry_run else wanted:
        reason = request.job.reason or f"{request.first}..{request.last}"
        how: dict[str, Any] = {"owner": owner, "origin": ORIGIN, "reason": reason, "status": "queued"}
        job = await service.db(creation.create_checked, checked, now=time.time(), who=owner, **how)
        made.append((await service.ensure_queued(job)).id)
    seconds = await service.db(_seconds, wanted)
    return Backfilled(jobs=tuple(made), commits=len(sources), missing=len(wanted), seconds=seconds)


def _is_known(conn: Any, checked: CheckedJob, again: bool) -> bool:
    """Whether a job is under way that measures just this, or one has, by the rules for what is offered instead.

    One that has failed is tried again, one that was canceled as well.
    """
    identity = checked.spec.identity(checked.target, checked.kind)
    same = jobs.same_jobs(conn, identity, _UNDER_WAY) if identity is not None else ()
    if any(checked.host in (None, job.host) for job in same):
        return True
    return not again and creation.known_job(conn, checked) is not None


def _seconds(conn: Any, wanted: list[CheckedJob]) -> float | None:
    """How long one host is busy with all of them, by the jobs that took about as long before."""
    total = 0.0
    for checked in wanted:
        shape = durations.shape_of(checked.kind, checked.target, {**msgspec.to_builtins(checked.spec)})
        known = durations.past_durations(conn, [shape])[shape]
        if not known:
            return None
        total += statistics.median(known)
    return total
