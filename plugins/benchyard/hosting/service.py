"""The lab as a running master knows it: its folders, its targets, and its hosts with what they do now."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from buildbot.util.service import BuildbotService
from buildbot.util.twisted import async_to_deferred
from twisted.internet import threads

from benchyard.hosting.registration import HostExists, forget_host, register_host

SERVICE = "benchyard-lab"


class HostFacts(msgspec.Struct, frozen=True):
    """What the settings say of a host."""

    name: str
    role: str
    target: str
    address: str
    cpus: str


class LabService(BuildbotService):
    """Knows the lab's hosts and lets new ones join without a restart."""

    name = SERVICE

    def checkConfig(
        self,
        *,
        lab_dir: str,
        results_dir: str,
        title: str,
        targets: Sequence[str],
        hosts: Sequence[HostFacts],
        worker_port: int,
        anonymous_read: bool,
    ) -> None:
        super().checkConfig()

    @async_to_deferred
    async def reconfigService(
        self,
        *,
        lab_dir: str,
        results_dir: str,
        title: str,
        targets: Sequence[str],
        hosts: Sequence[HostFacts],
        worker_port: int,
        anonymous_read: bool,
    ) -> None:
        await super().reconfigService()
        self.lab_dir, self.results_dir = Path(lab_dir), Path(results_dir)
        self.title, self.targets, self.worker_port = title, tuple(targets), worker_port
        self.anonymous_read = anonymous_read
        self.hosts: Mapping[str, HostFacts] = {host.name: host for host in hosts}

    @async_to_deferred
    async def add_host(self, host: HostFacts) -> str:
        """Let a host join and give its secret; running jobs are not touched. HostExists if the name is taken."""
        secret = await threads.deferToThread(
            register_host,
            self.lab_dir,
            host.name,
            role=host.role,
            target=host.target,
            address=host.address,
            cpus=host.cpus,
        )
        await self.master.reconfig()
        if host.name not in self.hosts:
            await threads.deferToThread(forget_host, self.lab_dir, host.name)
            raise HostRefused(f"host {host.name!r} was not accepted; the master's twistd.log says why")
        return secret

    def status_of(self, name: str) -> str:
        """`busy` while the host builds or measures, else `online` or `offline`, from its connection alone."""
        worker = self.master.workers.workers.get(name)
        if worker is None or worker.conn is None:
            return "offline"
        return "busy" if any(wfb.isBusy() for wfb in worker.workerforbuilders.values()) else "online"


class HostRefused(Exception):
    """The master could not take a new host into its configuration."""


def find_lab(master: Any) -> LabService | None:
    """The lab service of a running master."""
    return master.service_manager.namedServices.get(SERVICE)


__all__ = ["HostExists", "HostFacts", "HostRefused", "LabService", "find_lab"]
