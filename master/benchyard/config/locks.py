"""One lock for each machine: exclusive to measure, shared to prepare."""

from typing import Any

from benchyard.config.settings import Settings

#: More preparing steps at once than any machine should have.
_MANY = 1000


def host_lock(settings: Settings, mode: str) -> Any:
    """The lock access, `exclusive` or `counting`, of the machine that a step finds itself on.

    The lock spares waiting builds a start in vain; the truth is the lock file on the host itself.
    """
    from buildbot.plugins import util

    locks = {host.address: util.MasterLock(f"host {host.address}", maxCount=_MANY) for host in settings.hosts.values()}
    machine_of = {name: host.address for name, host in settings.hosts.items()}

    @util.renderer
    def access(properties: Any) -> list[Any]:
        machine = machine_of.get(properties.getProperty("workername"))
        return [locks[machine].access(mode)] if machine is not None else []

    return access
