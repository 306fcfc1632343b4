"""One lock for each machine: two hosts that are one machine do not measure at once."""

from typing import Any

from benchyard.config.settings import Host, Settings


def host_lock(settings: Settings) -> Any:
    """The exclusive lock of the machine that a step finds itself on.

    It spares a build a start in vain; the truth is the lock file on the host itself.
    """
    from buildbot.plugins import util

    machine_of = {name: machine(host) for name, host in settings.hosts.items()}
    locks = {name: util.MasterLock(f"machine {name}") for name in machine_of.values()}

    @util.renderer
    def access(properties: Any) -> list[Any]:
        found = machine_of.get(properties.getProperty("workername"))
        return [locks[found].access("exclusive")] if found is not None else []

    return access


def machine(host: Host) -> str:
    """What two hosts have in common that are one machine: the address, however this machine's own is spelled."""
    return "localhost" if host.is_local else host.address
