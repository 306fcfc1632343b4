"""What a shield has changed on its host, noted before it was changed, so that it is undone whoever dies.

STATE/shields/KEY.json            a note for each shield that is up, or was when its supervisor was killed
/run/benchyard/shields/KEY.json   the same, for the case that the state directory goes away meanwhile
"""

import hashlib
from contextlib import suppress
from pathlib import Path

import msgspec

from benchyard.tasks.cpus import online_cpus
from benchyard.tasks.errors import ShieldError
from benchyard.tasks.files import sync_directory, write_atomically
from benchyard.tasks.host import cgroups
from benchyard.tasks.host.pinned import Pinned, pin_again
from benchyard.tasks.rundir import boot_id

_DIRECTORY = "shields"
_OF_HOST = "run/benchyard"


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


def key_of(state_dir: Path, name: str) -> str:
    """Return what names the groups and notes of a run's shield, by the real path of its state directory."""
    return hashlib.sha256(f"{state_dir}\0{name}".encode()).hexdigest()[:12]


def note_path(state_dir: Path, key: str) -> Path:
    """Return where the note of a shield is."""
    return state_dir / _DIRECTORY / f"{key}.json"


def note_paths(state_dir: Path) -> list[Path]:
    """Return the notes in a state directory, those of killed supervisors among them."""
    return sorted((state_dir / _DIRECTORY).glob("*.json"))


def host_note_path(root: Path, key: str) -> Path:
    """Return where the host's own note of a shield is, whatever its state directory."""
    return note_path(root / _OF_HOST, key)


def host_note_paths(root: Path) -> list[Path]:
    """Return the host's own notes."""
    return note_paths(root / _OF_HOST)


def read_note(path: Path) -> Note | None:
    """Return a note, None where there is none that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Note)
    except (OSError, msgspec.DecodeError):
        return None


def write_note(path: Path, note: Note, root: Path) -> None:
    """Write a note; nothing may be changed before it is on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, msgspec.json.encode(note))
    own = host_note_path(root, path.stem)
    with suppress(OSError):  # only root may write there; the state directory has the other
        if (root / "run").is_dir():
            own.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(own, msgspec.json.encode(note))


def undo(path: Path, root: Path) -> None:
    """Undo what a note says and remove it; raises ShieldError, and keeps the note, where that cannot be done.

    Where it is gone with its state directory, the host's own note says the same. There is nothing to do without either,
    and nothing but removing them after a restart of the host.
    """
    own = host_note_path(root, path.stem)
    note = read_note(path) or read_note(own)
    if note is None:
        if path.exists():
            raise ShieldError(f"{path} is damaged; remove it and the control groups benchyard-{path.stem}*")
        return
    hierarchy = Path(note.hierarchy)
    if note.boot_id == boot_id(root) and hierarchy.is_dir():
        try:
            with cgroups.hold_hierarchy(hierarchy):
                undo_held(note, hierarchy)
        except OSError as exc:
            raise ShieldError(f"the shield of {note.name} cannot be lowered: {exc}") from exc
    with suppress(OSError):
        own.unlink()
    if path.exists():
        path.unlink(missing_ok=True)
        sync_directory(path.parent)


def undo_held(note: Note, hierarchy: Path) -> None:
    """Undo what a note says, for who holds the hierarchy of groups; raises ShieldError where that cannot be done."""
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
