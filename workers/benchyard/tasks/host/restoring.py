"""Putting the knobs of a host back to what they were, from the journal that tuning has left."""

from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from benchyard.tasks.host.journal import (
    Entry,
    has_journal,
    hold_tuning,
    read_journal,
    remove_journal,
    site_of,
)
from benchyard.tasks.host.knobreport import KnobReport, Outcome, Status, report_knob
from benchyard.tasks.host.knobs import KNOBS
from benchyard.tasks.host.rootfiles import read_text, write_text
from benchyard.tasks.rundir import boot_id

_KEEPING = (Status.FAILED, Status.NOT_PERMITTED)


class RestoreReport(msgspec.Struct, frozen=True):
    """What became of each knob of the journal; none if there was no journal or the host has been started anew."""

    knobs: tuple[KnobReport, ...] = ()
    journal: bool = False
    rebooted: bool = False
    # What could not be put back; as long as there is any, the journal stays.
    left: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether nothing is left to be put back."""
        return not self.left


@dataclass
class _File:
    entry: Entry
    # Whatever it holds now is our doing: tuning was killed while it wrote this knob.
    ours: bool
    outcome: Outcome = field(init=False)

    def __post_init__(self) -> None:
        self.outcome = Outcome(self.entry.name)


def restore(state_dir: Path, *, root: Path = Path("/")) -> RestoreReport:
    """Put back what an earlier `tune` has found, the last that was set first; does nothing where there is no journal.

    What somebody else has changed meanwhile is left alone, and named "changed since". Where something could not be
    put back, the journal stays and the next call tries again. A start of the host has undone everything: then the
    journal is dropped. Raises TuningError if the journal is damaged or cannot be removed, HostBusyError while
    somebody else tunes.
    """
    if not has_journal(state_dir):
        return RestoreReport()
    with hold_tuning(state_dir):
        return restore_held(state_dir, root)


def restore_held(state_dir: Path, root: Path) -> RestoreReport:
    """The same for who holds the lock of tuning."""
    journal = read_journal(state_dir)
    if journal is None:
        return RestoreReport()
    if journal.boot_id != boot_id(root):
        remove_journal(state_dir)
        return RestoreReport(journal=True, rebooted=True)
    files = [_File(entry, entry.knob == journal.writing) for entry in reversed(journal.entries)]
    for file in files:
        _put_back(root, file)
    # Some follow others: a frequency above the limit that a boost has lifted. By now all others are as they were.
    for file in files:
        if file.outcome.status in (Status.FAILED, Status.CHANGED):
            _put_back(root, file)
    knobs = _reports(files)
    left = tuple(f"/{file.entry.name}" for file in files if file.outcome.status in _KEEPING)
    if not left:
        remove_journal(state_dir)
    return RestoreReport(knobs=knobs, journal=True, left=left)


def _put_back(root: Path, file: _File) -> None:
    entry, outcome = file.entry, file.outcome
    parse = site_of(entry).parse
    try:
        try:
            present = parse(read_text(root, entry.name))
        except ValueError as exc:  # not what a kernel shows: somebody else's, unless we were killed while writing it
            if not file.ours:
                outcome.end(Status.CHANGED, f"{exc}; left as it is")
                return
            present = None
        outcome.before = outcome.before or present
        outcome.after = present
        if present == entry.found:
            outcome.end(Status.RESTORED if outcome.before != present else Status.ALREADY)
            return
        if not file.ours and present != entry.set:
            outcome.end(Status.CHANGED, f"is {present}, was {entry.found}, and we set {entry.set or 'nothing'}")
            return
        file.ours = True
        write_text(root, entry.name, entry.found)
        outcome.after = parse(read_text(root, entry.name))
    except (OSError, ValueError) as exc:
        outcome.end_by(exc)
        return
    if outcome.after == entry.found:
        outcome.end(Status.RESTORED)
    else:
        outcome.end(Status.FAILED, f"was written {entry.found}, and reads {outcome.after}")


def _reports(files: list[_File]) -> tuple[KnobReport, ...]:
    reports = []
    for knob in KNOBS:
        outcomes = [file.outcome for file in reversed(files) if file.entry.knob == knob.name]
        if outcomes:
            reports.append(report_knob(knob, outcomes))
    return tuple(reports)
