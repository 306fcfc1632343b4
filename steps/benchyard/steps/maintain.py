"""Jobs that change a host: one of the lab's playbooks, run in the master while nothing is measured there."""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from buildbot.process.results import CANCELLED, FAILURE, SUCCESS

from benchyard.steps.base import PYTHON_VARIABLE, STATE_VARIABLE, JobStep, TaskStep
from benchyard.steps.playbook import PlaybookObserver, why_failed
from benchyard.steps.prepare import END_S, build_variables
from benchyard.store import jobs, maintenance
from benchyard.store.rows import Job
from benchyard.tasks.playbooks import NOT_BEGUN

#: Builds of one job that may be cut off, as when its worker is killed, before it is given up.
TRIES = 3


class Maintained(NamedTuple):
    """A host that is looked after: its machine, whether that is the master's own, and how it is measured on."""

    machine: str
    is_local: bool
    cpus: str = ""


@dataclass(frozen=True)
class Inventory:
    """All hosts as Ansible knows them; Buildbot logs the arguments of steps, where these would be long."""

    hosts: Mapping[str, Any] = field(repr=False)


class MaintenanceStep(TaskStep, JobStep):
    """The step of a job that looks after a host. `hosts` are those of the lab.

    It holds the lock of the host's machine in the master, and looks again whether a run is on it: one that has lost its
    worker goes on without that lock.
    """

    def __init__(self, *, hosts: Mapping[str, Maintained], **kwargs: Any) -> None:
        super().__init__(sigtermTime=END_S, **kwargs)
        self.hosts = dict(hosts)

    @property
    def variables(self) -> dict[str, str]:
        return build_variables(self)

    async def do_for(self, job: Job) -> int:
        host = self.hosts.get(job.host or "")
        if host is None:
            return await self.fail(job, f"host {job.host} is not in the lab any more")
        if job.cancel_by is not None:
            return int(CANCELLED)
        there = [name for name, other in self.hosts.items() if other.machine == host.machine]
        begun = await self.service.db(_begin, job, there, time.time())
        if begun == 0:
            return await self.later("a run is on the host; it is waited for")
        if begun > TRIES:
            return await self.fail(job, f"it was cut off {TRIES} times; see {self.log_of_worker}")
        return await self.look_after(job, host)

    async def look_after(self, job: Job, host: Maintained) -> int:
        """Do the job's work and give Buildbot's result code."""
        raise NotImplementedError

    async def fail(self, job: Job, why: str) -> int:
        await self.service.db(maintenance.end, job.id, "failed", now=time.time(), error=why)
        self.descriptionDone = why
        return int(FAILURE)

    @property
    def log_of_worker(self) -> str:
        """Which log tells what has become of the worker."""
        return f"twistd.log of worker {self.getProperty('workername')}"


class Maintain(MaintenanceStep):
    """Runs the playbook of the job's kind for its host; `inventory` has all hosts, `folder` the playbooks.

    `variables` is the folder where the lab keeps values for them, if it has any.

    Where the host is the master's own machine, the lock file there, in its `state`, is held as well: nothing is
    prepared meanwhile.
    """

    log_of_worker = "the master's twistd.log"

    def __init__(
        self, *, inventory: Inventory, folder: Path | None, variables: Path, state: Path, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.inventory, self.folder, self.variables_dir, self.state_dir = inventory, folder, variables, state

    @property
    def environ(self) -> dict[str, str]:
        """That of a worker in the master: it has the master's Python."""
        return {**super().environ, PYTHON_VARIABLE: sys.executable, STATE_VARIABLE: str(self.state_dir)}

    async def look_after(self, job: Job, host: Maintained) -> int:
        observer = PlaybookObserver()
        self.addLogObserver("stdio", observer)
        dry = bool(job.spec.get("check"))
        if not dry:
            await self.service.db(maintenance.begin_changes, job, now=time.time())
        rc = await self.task("playbook", job.kind, *self._options(job, host), stdin=self._inventory())
        if rc is None:
            return self.released()
        if rc == NOT_BEGUN:
            await self.service.db(maintenance.give_up, job)
            return await self.fail(job, observer.last_error or "the playbook could not be started")
        if rc != 0:
            if observer.untouched:
                await self.service.db(maintenance.give_up, job)
            return await self.fail(job, why_failed(observer, rc))
        summary = observer.summary(dry=dry)
        await self.service.db(_summarize, job.id, summary)
        self.descriptionDone = summary
        return int(SUCCESS)

    def _options(self, job: Job, host: Maintained) -> list[str]:
        options = ["--host", str(job.host), "--variables", str(self.variables_dir)]
        options += ["--folder", str(self.folder)] if self.folder is not None else []
        options += ["--state", self.environ[STATE_VARIABLE]] if host.is_local else []
        options += [f"--{switch}" for switch in ("check", "reboot") if job.spec.get(switch)]
        return options

    def _inventory(self) -> str:
        return msgspec.json.encode(self.inventory.hosts).decode()


def _begin(conn: Any, job: Job, hosts: list[str], now: float) -> int:
    """Note that the job runs, and how often it has begun; 0 if a run is on one of these hosts, all of one machine."""
    if not maintenance.measured_hosts(conn).keys().isdisjoint(hosts):
        return 0
    maintenance.end_check(conn, job, now=now)
    jobs.set_status(conn, job.id, "running", now=now, who="lab")
    begun = int((job.prepared or {}).get("begun", 0)) + 1
    jobs.set_prepared(conn, job.id, {**(job.prepared or {}), "begun": begun})
    return begun


def _summarize(conn: Any, job_id: int, summary: str) -> None:
    jobs.set_prepared(conn, job_id, {**(jobs.get_job(conn, job_id).prepared or {}), "summary": summary})
