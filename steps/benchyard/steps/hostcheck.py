"""Jobs that look a host over, on itself while it measures nothing; what they find is kept as the host's fitness."""

import posixpath
import time
from typing import Any

import msgspec
from buildbot.process.results import SUCCESS

from benchyard.steps.base import STATE_VARIABLE
from benchyard.steps.fetch import fetch_file
from benchyard.steps.maintain import Maintained, MaintenanceStep
from benchyard.steps.progress import TailObserver
from benchyard.store import epochs, hosts, jobs, maintenance
from benchyard.store.history import LAB, record
from benchyard.store.rows import Job
from benchyard.tasks.host.lookover import LookOver

#: Seconds that a host is given to be quiet: what has just started the check is still at work.
QUIET_S = 10

#: What tuning does not change: where one of these differs from the present epoch, the next result opens another.
LASTING = ("cpu", "cpus", "microcode", "kernel", "mitigations", "virtual")


class CheckHost(MaintenanceStep):
    """Looks the worker's own host over and keeps what was found."""

    async def look_after(self, job: Job, host: Maintained) -> int:
        observer = TailObserver()
        self.addLogObserver("stdio", observer)
        state = self.environ[STATE_VARIABLE]
        folder, name = report_place(state, job)
        output = posixpath.join(folder, name)
        cpus = ("--cpus", host.cpus) if host.cpus else ()
        rc = await self.task("host-report", "--state", state, *cpus, "--wait", str(QUIET_S), "--output", output)
        if rc is None:
            return self.released()
        if rc != 0:
            return await self.fail(job, observer.last_error or f"the check ended with exit status {rc}")
        data = await fetch_file(self, folder, name)
        if self.cut_off:
            return self.released()
        try:
            report = msgspec.json.decode(data or b"", type=LookOver)
        except msgspec.DecodeError as exc:
            return await self.fail(job, f"the report of the check is not usable: {exc}")
        summary = await self.service.db(_note, job, report, time.time())
        self.descriptionDone = summary
        return int(SUCCESS)


def report_place(state: str, job: Job) -> tuple[str, str]:
    """Where a check leaves its report on the host: a folder and a name there, the same for the next one.

    A machine may be several hosts, and is checked as one at a time.
    """
    return posixpath.join(state, "checks"), f"{job.host}.json"


def _note(conn: Any, job: Job, report: LookOver, now: float) -> str:
    """Keep what a check has found, with what has changed since the one before; returns that in one line.

    After a change that is the check before the change: others may have been made since.
    """
    name = job.host or ""
    last = hosts.lock_host(conn, name).fitness or {}
    changer = maintenance.changer(conn, job)
    before = ((changer.prepared or {}).get("before") if changer else None) or last.get("host")
    seen = msgspec.to_builtins(report.host)
    changed = sorted(epochs.changes(before, seen)) if before is not None else []
    epoch = epochs.current_epoch(conn, name)
    opens = sorted(epochs.changes(_lasting(epoch.fingerprint), _lasting(seen))) if epoch is not None else []
    found = {**msgspec.to_builtins(report), "job": job.id, "changed": changed, "opens_epoch": opens}
    hosts.set_fitness(conn, name, found)
    if changed:
        record(conn, "host", name, now=now, who=LAB, change={"checked": job.id, "changed": changed})
    summary = "; ".join([*_summary(report, changed, opens), *_unsure(changer)])
    jobs.set_prepared(conn, job.id, {**(jobs.get_job(conn, job.id).prepared or {}), "summary": summary})
    return summary


def _lasting(fingerprint: dict[str, Any]) -> dict[str, Any]:
    return {name: fingerprint[name] for name in LASTING if name in fingerprint}


def _unsure(changer: Job | None) -> list[str]:
    """Why a check after a change of the host does not tell what that has changed, if it does not."""
    if changer is None or "before" in (changer.prepared or {}):
        return []
    check = changer.spec.get("before")
    why = "the host was not connected before it" if check is None else f"the check before it, job {check}, was not made"
    return [f"what the change did is not known: {why}"]


def _summary(report: LookOver, changed: list[str], opens: list[str]) -> list[str]:
    unfit = [finding.message for finding in report.guard.findings if finding.severity == "refuse"]
    said = ["fit to measure" if not unfit else f"not fit to measure: {'; '.join(unfit[:3])}"]
    said += [f"changed since the check before: {', '.join(changed)}"] if changed else []
    said += [f"the next result opens an epoch: {', '.join(opens)}"] if opens else []
    return said
