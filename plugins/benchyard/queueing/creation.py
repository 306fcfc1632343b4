"""From a request that was found good to the rows of a job, or to the job that has measured just this before."""

from typing import Any

from benchyard.queueing import doors
from benchyard.queueing.requests import CheckedJob, JobRequest, JobSpec
from benchyard.store import interpreters, jobs, results
from benchyard.store.rows import Job


def create(
    conn: Any, request: JobRequest, checked: CheckedJob, *, now: float, owner: str, origin: str, base_job: int | None
) -> Job:
    """Make the job that a request asks for."""
    status = "queued" if request.run else "created"
    how: dict[str, Any] = {"owner": owner, "origin": origin, "reason": request.reason, "status": status}
    return create_checked(conn, checked, now=now, who=owner, base_job=base_job, **how)


def create_checked(conn: Any, checked: CheckedJob, **columns: Any) -> Job:
    """Make the job of a request that was found good, and keep its patch."""
    source = checked.spec.source
    if checked.patch is not None and source is not None and source.patch is not None:
        interpreters.keep_patch(conn, source.patch, checked.patch)
    return jobs.create_job(
        conn,
        kind=checked.kind,
        target=checked.target,
        host=checked.host,
        spec=doors.spec_row(checked.spec),
        identity=checked.spec.identity(checked.target, checked.kind),
        **columns,
    )


def known_job(conn: Any, checked: CheckedJob) -> Job | None:
    """The job that has measured just this, with today's tools, on the host that is asked for; None where none has.

    Its result must still be there, and be enabled. One that lacks benchmarks, as these do not run, is not what a
    strict request asks for; any other gets it, as a benchmark that needs a newer Python would lack each time.
    """
    identity = None if checked.repeats else checked.spec.identity(checked.target, checked.kind)
    newest = interpreters.newest_toolchain(conn, checked.target)
    for job in jobs.same_jobs(conn, identity, ("success",)) if identity is not None else ():
        built = interpreters.find_interpreter(conn, (job.prepared or {}).get("interpreter", ""))
        if built is None or built.toolchain != newest:
            continue
        for id in results.ids_of_jobs(conn, [job.id]).get(job.id, ()):
            result = results.get_result(conn, id)
            good = result.enabled and result.status == "stored" and not (checked.spec.strict and result.failed)
            if good and checked.host in (None, result.host):
                return job
    return None


def source_stamp(conn: Any, job: Job) -> dict[str, Any]:
    """What a job builds, as Buildbot's Git step takes it and its pages show it; empty for an installed interpreter."""
    source = JobSpec.of(job.spec).source
    if source is None:
        return {}
    stamp: dict[str, Any] = {
        "repository": source.url,
        "project": source.remote,
        "branch": source.branch,
        "revision": source.commit,
    }
    if source.patch is not None:
        body = interpreters.get_patch(conn, source.patch).encode()
        stamp |= {"patch_body": body, "patch_level": source.patch_level, "patch_subdir": ""}
        stamp |= {"patch_author": job.owner, "patch_comment": job.reason}
    return stamp
