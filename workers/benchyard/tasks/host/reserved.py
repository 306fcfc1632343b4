"""CPUs that the system itself keeps from all others, for good: nothing of ours has to be made for a run then.

kernel   the host was started with `isolcpus=` and the like
slice    every other group of cgroup v2 is kept off them, as systemd does it by `AllowedCPUs=` of its slices

So a worker without any privilege measures on CPUs of its own. It only has to see it.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Literal

from benchyard.tasks.cpus import parse_cpu_list
from benchyard.tasks.errors import CpuListError
from benchyard.tasks.host import cgroups
from benchyard.tasks.host.pinned import is_kernel_thread
from benchyard.tasks.host.plan import cpus_of

Reserved = Literal["kernel", "slice"]

# systemd's own topmost groups: whoever is in one of them shares it with the host's other programs.
_SHARED = ("init.scope", "machine.slice", "system.slice", "user.slice")


def reserved_by(measuring: Collection[int], root: Path = Path("/")) -> Reserved | None:
    """Return what keeps all others off the measuring CPUs, None if nothing does."""
    if set(measuring) <= set(_isolated(root)):
        return "kernel"
    return "slice" if _others_kept_off(measuring, root) else None


def _isolated(root: Path) -> tuple[int, ...]:
    try:
        return parse_cpu_list(cgroups.read_value(root / "sys/devices/system/cpu/isolated"))
    except CpuListError:
        return ()


def _others_kept_off(measuring: Collection[int], root: Path) -> bool:
    """Whether no process but those of this one's own topmost group, and kernel threads, may come to these CPUs."""
    hierarchy = cgroups.find_hierarchy(root)
    if hierarchy is None or hierarchy.version != 2:
        return False
    parts = cgroups.own_group(hierarchy, root).relative_to(hierarchy.path).parts
    if not parts or parts[0] in _SHARED:
        return False
    kept_off = False
    for group in hierarchy.path.iterdir():
        if not group.is_dir() or group.name == parts[0]:
            continue
        # A group without a list of its own may use all CPUs.
        allowed = cpus_of(group / "cpuset.cpus")
        if set(allowed) & set(measuring) or (not allowed and _inhabited(group)):
            return False
        kept_off = kept_off or bool(allowed)
    # Where nobody else is there now, nothing keeps off who comes next.
    return kept_off and all(is_kernel_thread(pid) for pid in cgroups.members_alone(hierarchy.path))


def _inhabited(group: Path) -> bool:
    return "populated 0" not in cgroups.read_value(group / "cgroup.events")
