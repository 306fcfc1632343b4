"""Setting the knobs of a host for a measurement, so that they can be put back after whatever happens in between.

`tune` reads every knob, keeps what it found in STATE/tuning.json, and only then writes; `restore` puts that back. A
process killed between any two writes leaves a journal by which the rest is put back. Where something is not
permitted, the measurement is less steady, not wrong: it is reported knob by knob, for the grade of the result.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from benchyard.tasks.errors import OptionError, TuningError
from benchyard.tasks.host.journal import (
    Entry,
    Journal,
    hold_tuning,
    remove_journal,
    write_journal,
)
from benchyard.tasks.host.knobreport import GOOD, KnobReport, Outcome, Status, report_knob
from benchyard.tasks.host.knobs import KNOBS, Context, Knob, Site
from benchyard.tasks.host.restoring import RestoreReport, restore, restore_held
from benchyard.tasks.host.rootfiles import read_text, write_text
from benchyard.tasks.rundir import boot_id

__all__ = ["RestoreReport", "TuningReport", "look_at_knobs", "restore", "tune"]


class TuningReport(msgspec.Struct, frozen=True):
    """What became of each knob; `earlier` says what was put back first, if an earlier tuning had not been."""

    knobs: tuple[KnobReport, ...]
    earlier: RestoreReport | None = None

    @property
    def failed(self) -> tuple[KnobReport, ...]:
        """The knobs that failed; one that is not there or not permitted has not."""
        return tuple(knob for knob in self.knobs if knob.status is Status.FAILED)

    @property
    def tuned(self) -> bool:
        """Whether every knob that is there is as wanted."""
        return all(knob.status in GOOD or knob.status is Status.ABSENT for knob in self.knobs)


@dataclass
class _File:
    knob: Knob
    site: Site
    outcome: Outcome
    set: str | None = None

    def entry(self) -> Entry | None:
        """What the journal keeps, None if there is nothing to be kept."""
        before = self.outcome.before
        return None if before is None else Entry(self.knob.name, self.outcome.name, before, self.set)


@dataclass
class _Tuning:
    """One tuning under way."""

    state_dir: Path
    context: Context
    boot_id: str | None
    files: list[_File] = field(default_factory=list)

    def write(self, writing: str | None = None) -> None:
        entries = tuple(entry for file in self.files if (entry := file.entry()) is not None)
        write_journal(self.state_dir, Journal(self.boot_id, entries, writing))

    def look(self, knob: Knob) -> None:
        """Read every file of a knob."""
        for site, name in knob.find(self.context):
            outcome = Outcome(name)
            self.files.append(_File(knob, site, outcome))
            try:
                outcome.before = outcome.after = site.parse(read_text(self.context.root, name))
            except (OSError, ValueError) as exc:
                outcome.end_by(exc)

    def set(self, knob: Knob) -> None:
        """Write every file of a knob that is not as wanted, and read it back."""
        files = [file for file in self.files if file.knob is knob]
        changing = [(file, wanted) for file in files if (wanted := self._wanted(file)) is not None]
        if not changing:
            return
        for file, wanted in changing:
            file.set = wanted
        self.write(writing=knob.name)
        for file, wanted in changing:
            self._write(file, wanted)

    def plan(self, knob: Knob) -> None:
        """Say what would be written into each file of a knob."""
        for file in self.files:
            if file.knob is knob and (wanted := self._wanted(file)) is not None:
                file.outcome.after = wanted
                file.outcome.end(Status.TO_BE_SET)

    def _wanted(self, file: _File) -> str | None:
        """Return what a file is to hold, None if it is to stay as it is."""
        outcome = file.outcome
        if outcome.before is None:
            return None
        try:
            wanted = file.site.wanted(self.context, outcome.name, outcome.before)
        except ValueError as exc:
            outcome.end_by(exc)
            return None
        if wanted == outcome.before:
            outcome.end(Status.ALREADY)
            return None
        return wanted

    def _write(self, file: _File, wanted: str) -> None:
        outcome, root = file.outcome, self.context.root
        refusal = None
        try:
            write_text(root, outcome.name, wanted)
        except OSError as exc:
            refusal = exc
        try:
            outcome.after = file.site.parse(read_text(root, outcome.name))
        except (OSError, ValueError) as exc:
            outcome.end_by(refusal or exc)
            return
        if outcome.after == wanted:
            outcome.end(Status.DONE)
            return
        # The journal says what it is by our doing, so that this is not taken for somebody else's.
        file.set = None if outcome.after == outcome.before else outcome.after
        if refusal is not None:
            outcome.end_by(refusal)
        else:
            outcome.end(Status.FAILED, f"was written {wanted}, and reads {outcome.after}")

    def report(self, knob: Knob) -> KnobReport:
        """Return what became of a knob."""
        outcomes = [file.outcome for file in self.files if file.knob is knob]
        if not outcomes:
            return KnobReport(knob.name, Status.ABSENT, detail=knob.pointless(self.context) or knob.absent)
        report = report_knob(knob, outcomes)
        note = knob.note(self.context) if report.status in GOOD else None
        return report_knob(knob, outcomes, note) if note else report


def look_at_knobs(
    *, measuring: tuple[int, ...], housekeeping: tuple[int, ...], root: Path = Path("/")
) -> tuple[KnobReport, ...]:
    """How the knobs are set that a measurement would set, and to what; nothing is changed.

    A knob is `already` as wanted, or `to be set`; the optional ones are left out.
    """
    context = Context(root, tuple(measuring), tuple(housekeeping))
    tuning = _Tuning(Path(), context, None)
    chosen = [knob for knob in KNOBS if not knob.optional]
    for knob in chosen:
        if knob.pointless(context) is None:
            tuning.look(knob)
            tuning.plan(knob)
    return tuple(tuning.report(knob) for knob in chosen)


def tune(
    state_dir: Path,
    *,
    measuring: tuple[int, ...],
    housekeeping: tuple[int, ...],
    root: Path = Path("/"),
    smt: bool = False,
    skip: Collection[str] = (),
) -> TuningReport:
    """Set every knob but those in `skip` for measuring on the CPUs `measuring`; `restore` puts back what was there.

    With `smt`, siblings of measuring CPUs are taken offline. A tuning that was not restored is restored first. Raises
    TuningError if that leaves something, or if the journal cannot be kept (then nothing has changed); OptionError for
    an unknown name in `skip`; HostBusyError while somebody else tunes.
    """
    names = [knob.name for knob in KNOBS]
    for name in skip:
        if name not in names:
            raise OptionError(f"there is no knob {name[:80]!r}; knobs are {', '.join(names)}")
    chosen = [knob for knob in KNOBS if knob.name not in skip and (smt or not knob.optional)]
    context = Context(root, tuple(measuring), tuple(housekeeping))
    with hold_tuning(state_dir):
        earlier = restore_held(state_dir, root)
        if earlier.left:
            raise TuningError(
                f"an earlier tuning could not be put back: {', '.join(earlier.left[:3])}"
                f"{' and more' if len(earlier.left) > 3 else ''}; see `benchyard task host-restore`"
            )
        tuning = _Tuning(state_dir, context, boot_id(root))
        applicable = [knob for knob in chosen if knob.pointless(context) is None]
        for knob in applicable:
            tuning.look(knob)
        tuning.write()
        try:
            for knob in applicable:
                tuning.set(knob)
            tuning.write()
        except TuningError:  # no room for the journal: what it has already is enough to put everything back
            restore_held(state_dir, root)
            raise
        if all(file.set is None for file in tuning.files):
            remove_journal(state_dir)
    return TuningReport(tuple(tuning.report(knob) for knob in chosen), earlier if earlier.journal else None)
