"""Jobs that look after a host: what they mean for it while they change it, and once they have ended."""

from typing import Any

import sqlalchemy as sa

from benchyard.store import hosts as host_store
from benchyard.store import jobs as job_store
from benchyard.store.errors import Conflict, NotFound
from benchyard.store.history import LAB, record
from benchyard.store.rows import CHECK, FINAL_JOB_STATUSES, MAINTENANCE, Host, Job
from benchyard.store.tables import attempts, hosts, jobs

#: Statuses of a job of maintenance that is wanted, and of one that is under way.
WANTED = ("queued", "building", "ready", "running")
UNDER_WAY = WANTED[1:]


def spec_of(
    *, check: bool = False, reboot: bool = False, before: int | None = None, after: int | None = None
) -> dict[str, Any]:
    """The spec of such a job: `check` only shows what would change.

    `before` is the check that was asked for before the host is changed, `after` the job whose outcome a check looks at.
    """
    measured: dict[str, Any] = {"python": "", "benchmarks": [], "selection": [], "mode": "default", "affinity": None}
    return {**measured, "check": check, "reboot": reboot, "before": before, "after": after}


def create(
    conn: sa.Connection,
    kind: str,
    *,
    host: str,
    target: str,
    owner: str,
    now: float,
    origin: str = "rest",
    reason: str = "",
    **spec: Any,
) -> Job:
    """Make a job that looks after a host, in front of those that measure."""
    host_store.ensure_host(conn, host, now=now, who=LAB)
    return job_store.create_job(
        conn,
        now=now,
        who=owner,
        kind=kind,
        target=target,
        host=host,
        spec=spec_of(**spec),
        owner=owner,
        origin=origin,
        reason=reason or f"{kind} of host {host}",
        status="queued",
    )


def create_checked(
    conn: sa.Connection, kind: str, *, host: str, target: str, owner: str, now: float, checked: bool, **more: Any
) -> tuple[Job, ...]:
    """The same, behind a check of the host where it is to be `checked`; in order."""
    how: dict[str, Any] = {"host": host, "target": target, "owner": owner, "now": now}
    if not checked:
        return (create(conn, kind, **how, **more),)
    check = create(conn, CHECK, **how, origin=LAB, reason=f"before {kind}")
    return check, create(conn, kind, **how, **more, before=check.id)


def wanted(conn: sa.Connection, host: str | None = None) -> tuple[Job, ...]:
    """Return the jobs of maintenance that wait or are under way, of one host or of all, oldest first."""
    known = sa.select(jobs.c.id).where(
        jobs.c.kind.in_(MAINTENANCE), jobs.c.status.in_(WANTED), jobs.c.removed.is_(None)
    )
    found = (job_store.get_job(conn, job_id) for job_id in sorted(conn.execute(known).scalars()))
    return tuple(job for job in found if host in (None, job.host))


def measured_hosts(conn: sa.Connection) -> dict[str, int]:
    """Return the hosts on which a run has started and not ended, as far as the lab knows, with the job of each.

    What is left of the run of a canceled job does not count: the host may never come back to tell of it.
    """
    statement = (
        sa.select(attempts.c.host, attempts.c.job_id)
        .join(jobs, jobs.c.id == attempts.c.job_id)
        .where(attempts.c.status == "running", jobs.c.status.not_in(FINAL_JOB_STATUSES))
    )
    return {row.host: row.job_id for row in conn.execute(statement)}


def close_host(conn: sa.Connection, name: str, *, now: float, who: str) -> None:
    """Let a host that is to leave the lab begin nothing any more; Conflict while a run or a job that looks after it is
    under way, as far as the lab knows, be its worker there or not.
    """
    host_store.ensure_host(conn, name, now=now, who=LAB)
    host_store.lock_host(conn, name)
    must_be_idle(conn, name, UNDER_WAY)
    host_store.enable_host(conn, name, False, now=now, who=who, reason="it leaves the lab")


def must_be_idle(conn: sa.Connection, name: str, statuses: tuple[str, ...] = WANTED) -> None:
    """Conflict while a job has a run on a host, or one that looks after it has one of these statuses."""
    for_it = (job.id for job in wanted(conn, name) if job.status in statuses)
    busy_with = measured_hosts(conn).get(name) or next(for_it, None)
    if busy_with is not None:
        raise Conflict(
            f"host {name} is busy with job {busy_with}; disable it and wait for the end of that, or cancel it"
        )


def begin_changes(conn: sa.Connection, job: Job, *, now: float) -> None:
    """Note that a job changes its host from now on: until its end is known, nothing is measured there."""
    host = host_store.lock_host(conn, job.host or "")
    if host.maintained != job.id:
        conn.execute(sa.update(hosts).where(hosts.c.name == host.name).values(maintained=job.id))
        _note_before(conn, job.id, host)
        record(conn, "host", host.name, now=now, who=LAB, change={"maintained": job.id, "by": job.kind})


def _note_before(conn: sa.Connection, job_id: int, host: Host) -> None:
    """Keep with a job how its host is now, as far as the check before it has told."""
    job = job_store.get_job(conn, job_id)
    check, known = job.spec.get("before"), host.fitness or {}
    if check is not None and known.get("job", 0) >= check:
        job_store.set_prepared(conn, job_id, {**(job.prepared or {}), "before": known["host"]})


def changer(conn: sa.Connection, check: Job) -> Job | None:
    """Return the job whose outcome a check looks at, None where it looks at the host alone."""
    try:
        return job_store.get_job(conn, check.spec["after"]) if check.spec.get("after") is not None else None
    except NotFound:  # somebody has removed it
        return None


def end_check(conn: sa.Connection, job: Job, *, now: float) -> None:
    """End the check before a job that begins without it: made later, it would tell what is after it."""
    if any(check.id == job.spec.get("before") for check in wanted(conn, job.host)):
        why = f"host {job.host} has gone, and job {job.id} begins without it"
        job_store.set_status(conn, job.spec["before"], "canceled", now=now, who=LAB, error=why)


def give_up(conn: sa.Connection, job: Job) -> None:
    """Note that a job has not changed its host after all, unless an earlier try of it was cut off: that may have."""
    if int((job_store.get_job(conn, job.id).prepared or {}).get("begun", 1)) > 1:
        return
    mine = sa.and_(hosts.c.name == job.host, hosts.c.maintained == job.id)
    conn.execute(sa.update(hosts).where(mine).values(maintained=None))


def end(
    conn: sa.Connection,
    job_id: int,
    status: str,
    *,
    now: float,
    who: str = LAB,
    error: str | None = None,
    target: str | None = None,
) -> Job | None:
    """End a job of maintenance, with all that means for its host; safe to repeat. Returns the check that follows.

    `target` is the host's by now, where that may be another than the job's.

    One that ends otherwise than well after it has begun to change the host leaves that disabled, until another ends
    well or somebody enables it; a quarantine is for somebody to end. After one that ends well the host is checked.
    """
    job = job_store.set_status(conn, job_id, status, now=now, who=who, error=error)
    host = host_store.find_host(conn, job.host or "")
    if host is None or host.maintained != job.id:
        return None
    host = host_store.lock_host(conn, host.name)
    change: dict[str, Any] = {"maintained": None}
    if job.status == "success":
        if host.broken_by is not None:
            change |= {"broken_by": None}
            change |= {"enabled": True, "reason": ""} if host.quarantined is None else {}
    else:
        what = "was canceled halfway" if job.status == "canceled" else f"failed: {job.error}"
        why = f"{job.kind} {what} (job {job.id})"
        if host.enabled or (host.broken_by is not None and host.quarantined is None):
            change |= {"broken_by": job.id, "enabled": False, "reason": why}
        elif why not in host.reason:
            change |= {"reason": "; ".join(part for part in (host.reason, why) if part)}
    conn.execute(sa.update(hosts).where(hosts.c.name == host.name).values(**change, changed=now, changed_by=who))
    record(conn, "host", host.name, now=now, who=who, change=change)
    if job.status != "success":
        return None
    reason = f"after {job.kind}, job {job.id}"
    how: dict[str, Any] = {"host": host.name, "target": target or job.target, "owner": job.owner, "origin": LAB}
    return create(conn, CHECK, now=now, reason=reason, after=job.id, **how)
