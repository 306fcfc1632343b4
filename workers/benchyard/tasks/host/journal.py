"""The journal of a tuning: what every file held before, on disk before the first of them is written.

STATE/tuning.json   present as long as something may have to be put back
STATE/tuning.lock   held while somebody tunes or restores
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from benchyard.tasks.errors import HostBusyError, TuningError
from benchyard.tasks.files import sync_directory, write_atomically
from benchyard.tasks.host.knobs import KNOBS, Site
from benchyard.tasks.hostlock import hold_lock

_LOCK_LIMIT_S = 60.0


class Entry(msgspec.Struct, frozen=True):
    """A file by its name below the root, the value found, and the one we have set, or were about to."""

    knob: str
    name: str
    found: str
    set: str | None = None


class Journal(msgspec.Struct, frozen=True):
    """All files in the order of setting; `writing` is the knob whose files may be half written."""

    boot_id: str | None
    entries: tuple[Entry, ...]
    writing: str | None = None


def journal_path(state_dir: Path) -> Path:
    """Return where the journal of a state directory is."""
    return state_dir / "tuning.json"


def has_journal(state_dir: Path) -> bool:
    """Whether there is a journal; raises TuningError if that cannot be seen."""
    path = journal_path(state_dir)
    try:
        return path.exists()
    except OSError as exc:
        raise TuningError(f"cannot look for {path}: {exc.strerror}") from exc


def write_journal(state_dir: Path, journal: Journal) -> None:
    """Write the journal whole; raises TuningError."""
    path = journal_path(state_dir)
    try:
        write_atomically(path, msgspec.json.encode(journal))
    except OSError as exc:
        raise TuningError(f"cannot write {path}: {exc.strerror}; without it nothing can be put back") from exc


def read_journal(state_dir: Path) -> Journal | None:
    """Return the journal, None if there is none; raises TuningError for one that we have not written so.

    Who restores may be root and the journal another user's, so it can name nothing but files and values of knobs.
    """
    path = journal_path(state_dir)
    try:
        journal = msgspec.json.decode(path.read_bytes(), type=Journal)
        for entry in journal.entries:
            site = site_of(entry)
            for value in (entry.found, entry.set):
                if value is not None and site.parse(value) != value:
                    raise ValueError(f"{entry.name} cannot have held {value[:40]!r}")
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise TuningError(f"cannot read {path}: {exc.strerror}") from exc
    except (ValueError, msgspec.DecodeError) as exc:
        raise TuningError(
            f"{path} is damaged: {exc}; start the host anew, or remove it once the knobs are right"
        ) from exc
    return journal


def remove_journal(state_dir: Path) -> None:
    """Remove the journal for good."""
    path = journal_path(state_dir)
    try:
        path.unlink(missing_ok=True)
        sync_directory(path.parent)
    except OSError as exc:
        raise TuningError(f"cannot remove {path}: {exc.strerror}") from exc


def site_of(entry: Entry) -> Site:
    """Return the site of an entry's file; raises ValueError if its knob has no such file."""
    for knob in KNOBS:
        if knob.name == entry.knob and (site := knob.site_of(entry.name)) is not None:
            return site
    raise ValueError(f"{entry.name[:80]!r} is no file of a knob {entry.knob[:40]!r}")


@contextmanager
def hold_tuning(state_dir: Path) -> Iterator[None]:
    """Keep others from tuning and restoring by this state directory; raises HostBusyError after a minute."""
    path = state_dir / "tuning.lock"
    failure = HostBusyError(f"somebody else has been tuning this host for {_LOCK_LIMIT_S:g} s: {path} is held")
    with ExitStack() as held:
        try:
            held.enter_context(hold_lock(path, limit_s=_LOCK_LIMIT_S, failure=failure))
        except OSError as exc:
            raise TuningError(f"cannot use {path}: {exc.strerror}") from exc
        yield
