"""The partition of cgroup v2: the kernel takes its CPUs from all other groups.

See "Cpuset" in Documentation/admin-guide/cgroup-v2.rst of Linux.
"""

from pathlib import Path

from benchyard.tasks.cpus import format_cpu_list
from benchyard.tasks.host import cgroups
from benchyard.tasks.host.plan import Made, NotHereError, Plan, check_free, other_cpus
from benchyard.tasks.host.undo import Group

# An isolated partition has no balancing of load. That is what one measuring CPU wants; but of several, all threads
# would stay on the one they were started on, so these rather get a partition of their own with balancing.
_LEVELS = ("isolated", "root")


def make_partition(plan: Plan) -> Made:
    """Make the group; raises NotHereError or OSError where there can be no valid partition."""
    check_free(plan)
    control = plan.hierarchy / "cgroup.subtree_control"
    group = plan.group()
    enabled = cgroups.CONTROLLER not in cgroups.read_value(control).split()
    plan.write_note(Group(str(group), str(plan.home)), enabled=enabled)
    if enabled:
        cgroups.write_value(control, f"+{cgroups.CONTROLLER}")
    cgroups.make_group(group)
    # The idle CPUs come along: outside, others would use them.
    cpus = tuple(sorted({*plan.measuring, *plan.idle}))
    cgroups.write_value(group / "cpuset.cpus", format_cpu_list(cpus))
    flaws: list[str] = []
    for level in _LEVELS if len(plan.measuring) == 1 else reversed(_LEVELS):
        flaw = _become(group, level, cpus)
        if flaw is None:
            return Made(group, tuple(flaws))
        flaws.append(flaw)
    raise NotHereError("; ".join(flaws))


def partition_problem(group: Path) -> str | None:
    """Return what a partition has become, None if it still is one."""
    said = cgroups.read_value(group / "cpuset.cpus.partition")
    return None if said in _LEVELS else f"cpuset.cpus.partition: {said}"


def _become(group: Path, level: str, cpus: tuple[int, ...]) -> str | None:
    """Ask for a level; returns why it was not reached, None if it was."""
    try:
        cgroups.write_value(group / "cpuset.cpus.partition", level)
    except OSError as exc:
        return f"cpuset.cpus.partition: {exc.strerror}"
    said = cgroups.read_value(group / "cpuset.cpus.partition")
    if said != level:  # for example "isolated invalid (Cpu list in cpuset.cpus not exclusive)"
        return f"cpuset.cpus.partition: {said}"
    return other_cpus(group / "cpuset.cpus.effective", cpus)
