"""Keeping everybody else off the measuring CPUs for the time of a run.

The best that can be had is taken, and what was achieved is said, never what was asked for:

partition   a group of cgroup v2 that the kernel gives its CPUs alone (partition.py)
cpuset      two groups of cgroup v1, the other one for every process that can be moved (cpusets.py)
kernel, slice   no group can be made, and none is needed: the system itself keeps others off (reserved.py)
affinity    no groups: the benchmark's processes keep to the measuring CPUs, but others may come there, too
none        nothing: the system has no affinity

Only pyperf's worker processes go into the measuring group, by the program that `wrapper.write_wrapper` writes.
Groups outlive whoever made them, so they are noted on disk first (undo.py). Who has made them keeps the measuring one
locked as long as it lives: so other labs on this host know which shields nobody looks after any more (abandoned.py).
"""

import os
import shutil
import threading
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from benchyard.tasks.cpus import format_cpu_list
from benchyard.tasks.errors import CpuListError, ShieldError
from benchyard.tasks.host import cgroups
from benchyard.tasks.host.cpusets import cpusets_problem, make_cpusets
from benchyard.tasks.host.partition import make_partition, partition_problem
from benchyard.tasks.host.plan import NotHereError, Plan
from benchyard.tasks.host.reserved import reserved_by
from benchyard.tasks.host.undo import key_of, note_path, note_paths, read_note, undo

Kind = Literal["partition", "cpuset", "kernel", "slice", "affinity", "none"]


class Shield(msgspec.Struct, frozen=True):
    """What protects a run: `detail` says why it is not better, "" if it is the best there is.

    `measuring` are the CPUs the benchmark's processes really get, `group` is the control group they are put into,
    `note` the file that says how to undo it.
    """

    name: str
    kind: Kind
    detail: str
    measuring: tuple[int, ...]
    housekeeping: tuple[int, ...]
    group: str | None = None
    note: str | None = None


def raise_shield(
    name: str,
    *,
    measuring: tuple[int, ...],
    housekeeping: tuple[int, ...],
    idle: tuple[int, ...] = (),
    state_dir: Path,
    root: Path = Path("/"),
) -> Shield:
    """Keep others off the measuring CPUs, and off the `idle` ones that share their cores; returns what was achieved.

    `name` is the run's, unique within `state_dir`, which must outlive it. Who has the same CPUs already keeps them:
    the later one gets no more than affinity. Raises CpuListError for an empty list, and ShieldError if a shield of
    the same name is up and cannot be lowered.
    """
    if not measuring or not housekeeping:
        raise CpuListError("a shield needs a CPU to measure on and one for the housekeeping")
    measuring, housekeeping = tuple(sorted(set(measuring))), tuple(sorted(set(housekeeping)))
    state_dir = Path(os.path.realpath(state_dir))
    key = key_of(state_dir, name)
    note = note_path(state_dir, key)
    undo(note, root)
    try:
        both = set(measuring) & set(housekeeping)
        if both:
            raise NotHereError(f"CPU {format_cpu_list(both)} measures and keeps house")
        hierarchy = cgroups.find_hierarchy(root)
        if hierarchy is None:
            raise NotHereError("no cpuset controller is mounted here")
        home = cgroups.own_group(hierarchy, root)
        plan = Plan(name, key, measuring, housekeeping, idle, root, hierarchy.path, home, note)
        with cgroups.hold_hierarchy(hierarchy.path):
            made = make_partition(plan) if hierarchy.version == 2 else make_cpusets(plan)
            cgroups.keep_held(made.group)
        kind: Kind = "partition" if hierarchy.version == 2 else "cpuset"
        return Shield(name, kind, "; ".join(made.flaws), measuring, housekeeping, str(made.group), str(note))
    except (NotHereError, OSError) as exc:
        undo(note, root)
        why = f"{exc.filename}: {exc.strerror}" if isinstance(exc, OSError) and exc.filename else str(exc)
        return _on_reserved(by_affinity(name, why, measuring, housekeeping), measuring, root)


def lower(shield: Shield, *, root: Path = Path("/")) -> None:
    """Undo a shield; again does nothing. Raises ShieldError if it cannot be undone."""
    if shield.note is not None:
        undo(Path(shield.note), root)


def lower_leftovers(root: Path, state_dir: Path) -> None:
    """Undo every shield of a state directory whose supervisor was killed; the caller knows that no run is alive.

    Raises ShieldError, after all were tried, if one cannot be undone.
    """
    problem = None
    for note in note_paths(Path(os.path.realpath(state_dir))):
        try:
            undo(note, root)
        except ShieldError as exc:
            problem = exc
    if problem is not None:
        raise problem


def processes_of(shield: Shield) -> list[int]:
    """Return the processes in the measuring group: those, too, that have left their session, parent and mark."""
    return [] if shield.group is None else cgroups.members(Path(shield.group))


def left_behind(state_dir: Path) -> list[int]:
    """Return the processes in the measuring groups of a state directory's shields: what killed supervisors left."""
    notes = [read_note(path) for path in note_paths(Path(os.path.realpath(state_dir)))]
    groups = {note.groups[0].path for note in notes if note is not None and note.groups}
    return sorted({pid for group in groups for pid in cgroups.members(Path(group))})


def problem_of(shield: Shield) -> str | None:
    """Return in which way a shield is no longer what was achieved, None if it is; to be asked before lowering."""
    if shield.group is None:
        return None
    group = Path(shield.group)
    if not group.is_dir():
        return f"{group} is gone"
    return partition_problem(group) if shield.kind == "partition" else cpusets_problem(group, shield.measuring)


def by_affinity(name: str, why: str, measuring: tuple[int, ...], housekeeping: tuple[int, ...]) -> Shield:
    """Return what is left where no group keeps others off: the run's own affinity, to the CPUs that it can have."""
    if not hasattr(os, "sched_setaffinity"):
        return Shield(name, "none", f"{why}; this system has no CPU affinity", measuring, housekeeping)
    if shutil.which("taskset") is None:
        return Shield(name, "none", f"{why}; there is no taskset (util-linux) here", measuring, housekeeping)
    reached = _reachable(measuring)
    if reached != measuring:
        why += f"; CPU {format_cpu_list(measuring)} cannot be had, only {format_cpu_list(reached)}"
    return Shield(name, "affinity", why, reached, housekeeping)


def _on_reserved(shield: Shield, measuring: tuple[int, ...], root: Path) -> Shield:
    """Return the shield as what it is where the system itself keeps others off: affinity is enough then.

    But of several CPUs that the kernel isolates, all threads stay on the one they were started on.
    """
    reserved = reserved_by(measuring, root) if shield.kind == "affinity" and shield.measuring == measuring else None
    if reserved is None:
        return shield
    flaw = "nothing balances load between these CPUs" if reserved == "kernel" and len(measuring) > 1 else ""
    return msgspec.structs.replace(shield, kind=reserved, detail=flaw)


def _reachable(cpus: tuple[int, ...]) -> tuple[int, ...]:
    """Return which of the CPUs a process of ours can be put on; those it is on where it is none of them."""
    reached: list[tuple[int, ...]] = []

    def probe() -> None:
        with suppress(OSError):  # none of them is in the cpuset this process lives in
            os.sched_setaffinity(0, cpus)
        reached.append(tuple(sorted(os.sched_getaffinity(0))))

    # In a thread of its own, as affinity is a thread's: this one's stays what it is.
    thread = threading.Thread(target=probe)
    thread.start()
    thread.join()
    return reached[0]
