"""Shields that nobody looks after any more: who raised them was killed, and their state directory may be gone.

Another lab on the same host has a state directory that we do not know. So what can be seen of the system decides: a
shield is somebody's while the process that has raised it lives, or any process of its run.
"""

import re
from pathlib import Path

from benchyard.tasks.errors import ShieldError
from benchyard.tasks.host import cgroups
from benchyard.tasks.host.cgroups import Hierarchy
from benchyard.tasks.host.plan import PREFIX
from benchyard.tasks.host.undo import Group, Note, host_note_path, host_note_paths, key_of, read_note, undo_held
from benchyard.tasks.processes import living_runs
from benchyard.tasks.rundir import boot_id

_GROUP = re.compile(rf"{PREFIX}(?P<key>[0-9a-f]{{12}})(-measure|-rest)?", re.ASCII)


def lower_abandoned(root: Path) -> list[str]:
    """Lower every shield on this host that nobody looks after any more; returns what could not be done.

    Where the groups are not to be changed by this user, they are left alone.
    """
    hierarchy = cgroups.find_hierarchy(root)
    if hierarchy is None:
        return []
    found = [_GROUP.fullmatch(path.name) for path in hierarchy.path.iterdir()]
    keys = {match["key"] for match in found if match is not None} | {path.stem for path in host_note_paths(root)}
    problems = []
    for key in sorted(keys):
        try:
            with cgroups.hold_hierarchy(hierarchy.path):  # nobody raises or lowers one meanwhile
                problem = _lower(key, hierarchy, root)
        except (OSError, ShieldError) as exc:
            problem = f"{exc}"
        if problem is not None:
            problems.append(f"the control groups {PREFIX}{key}* of a run that is over are still there: {problem}")
    return problems


def _lower(key: str, hierarchy: Hierarchy, root: Path) -> str | None:
    named = [hierarchy.path / f"{PREFIX}{key}{suffix}" for suffix in ("", "-measure", "-rest")]
    groups = [path for path in named if path.is_dir()]
    note = host_note_path(root, key)
    if not groups:
        note.unlink(missing_ok=True)
        return None
    if not cgroups.may_change(groups[0]) or cgroups.is_held(groups[0]):
        return None
    if key in {key_of(run.parent.parent, run.name) for run in living_runs()}:
        return None
    if measuring := cgroups.members(groups[0]) if not groups[0].name.endswith("-rest") else []:
        return f"these processes measure there: {measuring}; end them"
    undo_held(_known(note, root) or _guessed(key, groups, hierarchy), hierarchy.path)
    note.unlink(missing_ok=True)
    return None


def _known(path: Path, root: Path) -> Note | None:
    note = read_note(path)
    return note if note is not None and note.boot_id == boot_id(root) else None


def _guessed(key: str, groups: list[Path], hierarchy: Hierarchy) -> Note:
    """What a shield without a note has most likely changed: it was alone, on a host as the kernel makes it."""
    others = [path for path in hierarchy.path.glob(f"{PREFIX}*") if path.is_dir() and path not in groups]
    top = str(hierarchy.path)
    balanced = hierarchy.version == 1 and not others
    return Note(key, None, top, tuple(Group(str(path), top) for path in groups), balanced=balanced)
