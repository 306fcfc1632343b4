"""What became of the knobs of a host, one line each however many files a knob has."""

import errno
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

import msgspec

from benchyard.tasks.host.knobs import Knob

_VALUES_SHOWN = 3
_REASONS_SHOWN = 2


class Status(StrEnum):
    """What became of a file, and of its knob: the first of these that one of its files has."""

    FAILED = "failed"
    NOT_PERMITTED = "not permitted"
    # Restoring: neither what we had set nor what was there before; left alone.
    CHANGED = "changed since"
    RESTORED = "restored"
    # Looking only.
    TO_BE_SET = "to be set"
    DONE = "done"
    ALREADY = "already"
    ABSENT = "absent"


GOOD = frozenset({Status.DONE, Status.ALREADY})


class KnobReport(msgspec.Struct, frozen=True):
    """A knob's outcome; `files` counts its files by their own outcome, where there are several."""

    knob: str
    status: Status
    before: str | None = None
    after: str | None = None
    detail: str = ""
    files: dict[str, int] = {}


@dataclass
class Outcome:
    """What became of one file."""

    name: str
    status: Status = Status.ABSENT
    before: str | None = None
    after: str | None = None
    detail: str = ""

    def end(self, status: Status, detail: str = "") -> None:
        """Say how it ended."""
        self.status, self.detail = status, detail

    def end_by(self, exc: OSError | ValueError) -> None:
        """Say that it ended by an error."""
        self.end(*explain(exc))


def explain(exc: OSError | ValueError) -> tuple[Status, str]:
    """Return what an error of reading or writing a knob's file means, and in words."""
    if not isinstance(exc, OSError):
        return Status.FAILED, str(exc)
    detail = exc.strerror or str(exc)
    # ENODEV and EBUSY: the files of a CPU that is offline.
    if exc.errno in (errno.ENOENT, errno.ENODEV, errno.EBUSY):
        return Status.ABSENT, detail
    # EIO is what older Linux says of an interrupt that must stay where it is.
    if exc.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO):
        return Status.NOT_PERMITTED, detail
    return Status.FAILED, detail


def report_knob(knob: Knob, outcomes: Sequence[Outcome], note: str | None = None) -> KnobReport:
    """Return the report of a knob from those of its files; `note` is added to the detail."""
    statuses = Counter(outcome.status for outcome in outcomes)
    told = dict(statuses)
    if knob.some_refuse and any(status in told for status in (*GOOD, Status.RESTORED)):
        told.pop(Status.NOT_PERMITTED, None)
    status = next((status for status in Status if status in told), Status.ABSENT)
    details = [*_reasons(outcomes), *([note] if note else [])]
    return KnobReport(
        knob=knob.name,
        status=status,
        before=_summary(outcome.before for outcome in outcomes),
        after=_summary(outcome.after for outcome in outcomes),
        detail="; ".join(details),
        files={str(status): statuses[status] for status in Status if statuses[status]} if len(outcomes) > 1 else {},
    )


def _reasons(outcomes: Sequence[Outcome]) -> list[str]:
    """Each reason once, with the first file it holds for and for how many of them."""
    reasons: dict[str, list[str]] = {}
    for outcome in sorted(outcomes, key=lambda outcome: list(Status).index(outcome.status)):
        if outcome.detail:
            reasons.setdefault(outcome.detail, []).append(outcome.name)
    said = []
    for detail, names in list(reasons.items())[:_REASONS_SHOWN]:
        place = "/".join(PurePosixPath(names[0]).parts[-2:])
        said.append(f"{place}: {detail}" + (f" ({len(names)} of {len(outcomes)})" if len(outcomes) > 1 else ""))
    return said + ["..."] * (len(reasons) > _REASONS_SHOWN)


def _summary(values: Iterable[str | None]) -> str | None:
    counts = Counter(value for value in values if value is not None)
    if len(counts) < 2:
        return next(iter(counts), None)
    shown = [f"{count} x {value}" for value, count in counts.most_common(_VALUES_SHOWN)]
    return "; ".join(shown + ["..."] * (len(counts) > _VALUES_SHOWN))
