"""One lock for each machine: two hosts that are one machine do not measure at once."""

from typing import Any

from benchyard.config.settings import Host, Settings
from benchyard.hosting.machines import HERE, machine_of


def host_lock(settings: Settings, named_by: str = "workername") -> Any:
    """The exclusive lock of the machine that a step finds itself on, or of the host that a property names.

    It spares a build a start in vain; the truth is the lock file on the host itself.
    """
    from buildbot.plugins import util

    machine_of = machines(settings)
    locks = {name: util.MasterLock(f"machine {name}") for name in machine_of.values()}

    @util.renderer
    def access(properties: Any) -> list[Any]:
        found = machine_of.get(properties.getProperty(named_by))
        return [locks[found].access("exclusive")] if found is not None else []

    return access


def machines(settings: Settings) -> dict[str, str]:
    """The machines of all hosts."""
    return {name: machine(host) for name, host in settings.hosts.items()}


def machine(host: Host) -> str:
    """What two hosts have in common that are one machine: the address, however it is spelled."""
    return HERE if host.is_local else machine_of(host.address)
