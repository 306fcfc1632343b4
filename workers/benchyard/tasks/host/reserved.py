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
    if not parts:
        return False
    others = [path for path in hierarchy.path.iterdir() if path.is_dir() and path.name != parts[0]]
    for group in others:
        inhabited = "populated 0" not in cgroups.read_value(group / "cgroup.events")
        # A group without a list of its own may use all CPUs.
        allowed = cpus_of(group / "cpuset.cpus")
        if inhabited and (not allowed or set(allowed) & set(measuring)):
            return False
    return all(is_kernel_thread(pid) for pid in cgroups.members_alone(hierarchy.path))
