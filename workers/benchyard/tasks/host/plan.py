"""What is to be done for a shield, and what came of it."""

from pathlib import Path

import msgspec

from benchyard.tasks.cpus import format_cpu_list, online_cpus, parse_cpu_list
from benchyard.tasks.errors import CpuListError
from benchyard.tasks.host.cgroups import read_value
from benchyard.tasks.host.pinned import pinned_threads
from benchyard.tasks.host.undo import Group, Note, write_note
from benchyard.tasks.rundir import boot_id

PREFIX = "benchyard-"


class NotHereError(Exception):
    """This kind of shield cannot be had; the message says why."""


class Made(msgspec.Struct, frozen=True):
    """The measuring group that was made, and in which ways it could be better."""

    group: Path
    flaws: tuple[str, ...]


class Plan(msgspec.Struct, frozen=True):
    """A shield to be made below `hierarchy`, where the control groups are mounted; `note` says how to undo it."""

    name: str
    key: str
    measuring: tuple[int, ...]
    housekeeping: tuple[int, ...]
    idle: tuple[int, ...]
    root: Path
    hierarchy: Path
    home: Path
    note: Path

    def group(self, suffix: str = "") -> Path:
        """Return the path of a group of this shield."""
        return self.hierarchy / f"{PREFIX}{self.key}{suffix}"

    def write_note(self, *groups: Group, balanced: bool = False, enabled: bool = False) -> None:
        """Note how to undo it; nothing may be changed before."""
        pinned = pinned_threads(online_cpus())
        here = str(self.hierarchy)
        note = Note(self.name, boot_id(self.root), here, groups, balanced, enabled, pinned)
        write_note(self.note, note, self.root)


def check_free(plan: Plan) -> None:
    """Raise NotHereError if another shield, or another partition (v2), has one of the measuring CPUs.

    It would break: a partition becomes invalid as soon as a group beside it is given one of its CPUs.
    """
    for group in sorted(entry for entry in plan.hierarchy.iterdir() if entry.is_dir()):
        both = {*plan.measuring, *plan.idle} & set(cpus_of(group / "cpuset.cpus"))
        kept = group.name.startswith(PREFIX) or read_value(group / "cpuset.cpus.partition") not in ("", "member")
        if both and kept:
            raise NotHereError(f"CPU {format_cpu_list(both)} is kept by {group.name}")


def cpus_of(path: Path) -> tuple[int, ...]:
    """Return the CPUs in a file of a group, none if it says nothing sensible."""
    try:
        return parse_cpu_list(read_value(path))
    except CpuListError:
        return ()


def other_cpus(path: Path, expected: tuple[int, ...]) -> str | None:
    """Return what is wrong with a file that should list these CPUs, None if it does."""
    return None if cpus_of(path) == expected else f"{path.name}: {read_value(path) or 'empty'}"
