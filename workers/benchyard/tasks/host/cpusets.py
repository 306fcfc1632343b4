"""The two cpusets of cgroup v1: one measures, and every process that can be moved goes into the other.

This is what `cset shield` does; see Documentation/admin-guide/cgroup-v1/cpusets.rst of Linux.
"""

from pathlib import Path

from benchyard.tasks.cpus import format_cpu_list
from benchyard.tasks.host import cgroups
from benchyard.tasks.host.pinned import is_kernel_thread
from benchyard.tasks.host.plan import Made, NotHereError, Plan, check_free, cpus_of, other_cpus
from benchyard.tasks.host.undo import Group

_PASSES = 10
_BALANCE = "cpuset.sched_load_balance"


def make_cpusets(plan: Plan) -> Made:
    """Make the groups and move all others; raises NotHereError or OSError where that cannot be."""
    top = plan.hierarchy
    measure, rest = plan.group("-measure"), plan.group("-rest")
    check_free(plan)
    flaws = _neighbours(top, plan.measuring)
    balanced = cgroups.read_value(top / _BALANCE) == "1"
    plan.write_note(Group(str(measure), str(plan.home)), Group(str(rest), str(top)), balanced=balanced)
    memory = cgroups.read_value(top / "cpuset.mems")
    for group, cpus in ((measure, plan.measuring), (rest, plan.housekeeping)):
        cgroups.make_group(group)
        cgroups.write_value(group / "cpuset.mems", memory)
        cgroups.write_value(group / "cpuset.cpus", format_cpu_list(cpus))
    problem = cpusets_problem(measure, plan.measuring)
    if problem:
        raise NotHereError(problem)
    # The topmost group must not balance, or its domain still spans all CPUs; nor must the measuring one, unless it
    # has several CPUs: all threads would stay on the one they were started on.
    wishes = [(measure / "cpuset.cpu_exclusive", "1"), (top / _BALANCE, "0")]
    if len(plan.measuring) == 1:
        wishes.append((measure / _BALANCE, "0"))
    for path, value in wishes:
        try:
            cgroups.write_value(path, value)
        except OSError as exc:
            flaws.append(f"{path.name}: {exc.strerror}")
    return Made(measure, (*flaws, *_move_all(top, rest)))


def cpusets_problem(measure: Path, measuring: tuple[int, ...]) -> str | None:
    """Return what the measuring group has become, None if it has its CPUs."""
    return other_cpus(measure / "cpuset.effective_cpus", measuring)


def _neighbours(top: Path, measuring: tuple[int, ...]) -> list[str]:
    """Return which other groups, such as those of containers, have members that may use measuring CPUs, too."""
    groups = sorted(entry for entry in top.iterdir() if entry.is_dir())
    shared = [path.name for path in groups if set(measuring) & set(cpus_of(path / "cpuset.cpus"))]
    shared = [name for name in shared if cgroups.members(top / name)]
    return [f"these groups share CPUs with it: {', '.join(shared)}"] if shared else []


def _move_all(top: Path, rest: Path) -> list[str]:
    """Move every process of the topmost group that can be moved; returns how many cannot."""
    refused: set[int] = set()
    for _ in range(_PASSES):  # those that are started meanwhile are still in the topmost group
        todo = [pid for pid in cgroups.members_alone(top) if pid not in refused]
        if not todo:
            break
        refused.update(pid for pid in todo if not cgroups.move(pid, rest))
    kernel = sum(is_kernel_thread(pid) for pid in refused)
    flaws = [f"{kernel} kernel threads cannot be moved"] if kernel else []
    return flaws + ([f"{len(refused) - kernel} processes cannot be moved"] if len(refused) > kernel else [])
