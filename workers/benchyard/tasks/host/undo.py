"""What a shield has changed on its host, noted before it was changed, so that it is undone whoever dies.

STATE/shields/KEY.json   a note for each shield that is up, or was when its supervisor was killed
"""

from contextlib import suppress
from pathlib import Path

import msgspec

from benchyard.tasks.cpus import online_cpus
from benchyard.tasks.errors import ShieldError
from benchyard.tasks.files import sync_directory, write_atomically
from benchyard.tasks.host import cgroups
from benchyard.tasks.host.pinned import Pinned, pin_again

_DIRECTORY = "shields"


class Group(msgspec.Struct, frozen=True):
    """A group to remove; what is in it goes to `home`, the topmost group if that is gone."""

    path: str
    home: str


class Note(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to undo a shield, by paths of its control groups, the measuring one first.

    `balanced` is whether cpuset.sched_load_balance was on at the top (v1), `enabled` whether the cpuset controller was
    enabled for the groups below the top by us (v2); `boot_id` tells whether any of it is left.
    """

    name: str
    boot_id: str | None
    hierarchy: str
    groups: tuple[Group, ...]
    balanced: bool = False
    enabled: bool = False
    pinned: tuple[Pinned, ...] = ()


def note_path(state_dir: Path, key: str) -> Path:
    """Return where the note of a shield is."""
    return state_dir / _DIRECTORY / f"{key}.json"


def note_paths(state_dir: Path) -> list[Path]:
    """Return the notes in a state directory, those of killed supervisors among them."""
    return sorted((state_dir / _DIRECTORY).glob("*.json"))


def read_note(path: Path) -> Note | None:
    """Return a note, None where there is none that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Note)
    except (OSError, msgspec.DecodeError):
        return None


def write_note(path: Path, note: Note) -> None:
    """Write a note; nothing may be changed before it is on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, msgspec.json.encode(note))


def undo(path: Path, boot_id: str | None) -> None:
    """Undo what a note says and remove it; raises ShieldError, and keeps the note, where that cannot be done.

    There is nothing to do without a note, and nothing but removing it after a restart of the host.
    """
    try:
        note = msgspec.json.decode(path.read_bytes(), type=Note)
    except FileNotFoundError:
        return
    except msgspec.DecodeError as exc:
        raise ShieldError(
            f"{path} is damaged ({exc}); remove it and the control groups benchyard-{path.stem}*"
        ) from exc
    hierarchy = Path(note.hierarchy)
    if note.boot_id == boot_id and hierarchy.is_dir():
        try:
            with cgroups.hold_hierarchy(hierarchy):
                _undo(note, hierarchy)
        except OSError as exc:
            raise ShieldError(f"the shield of {note.name} cannot be lowered: {exc}") from exc
    path.unlink(missing_ok=True)
    sync_directory(path.parent)


def _undo(note: Note, hierarchy: Path) -> None:
    for group in note.groups:
        # The CPUs of a partition go back at once; when its group is removed, they go back some time later.
        with suppress(OSError):
            cgroups.write_value(Path(group.path) / "cpuset.cpus.partition", "member")
    problems = [cgroups.clear_group(Path(group.path), Path(group.home), hierarchy) for group in note.groups]
    if note.balanced:
        cgroups.write_value(hierarchy / "cpuset.sched_load_balance", "1")
    if note.enabled and not _in_use(hierarchy):
        with suppress(OSError):  # a group deeper down uses it
            cgroups.write_value(hierarchy / "cgroup.subtree_control", f"-{cgroups.CONTROLLER}")
    pin_again(note.pinned, online_cpus())
    for problem in problems:
        if problem:
            raise ShieldError(f"the shield of {note.name} cannot be lowered: {problem}")


def _in_use(hierarchy: Path) -> bool:
    """Whether somebody else has begun to use the controller: taking it away would widen their groups."""
    return any(cgroups.read_value(path) for path in hierarchy.glob("*/cpuset.cpus"))
