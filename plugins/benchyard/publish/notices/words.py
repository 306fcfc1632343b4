"""What the texts of notices have in common: what a draft of one is, lines that every mail server takes, and names."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from benchyard.results.compare import Summary, summarize
from benchyard.results.reading import Suite
from benchyard.results.units import format_mean
from benchyard.store.rows import Result

#: Characters of a subject, and of a line: SMTP takes 998 bytes, and what is cut off is in the job's log.
LONGEST_SUBJECT, LONGEST_LINE = 150, 240

#: Benchmarks that a text names one by one; the rest is counted.
MOST_LINES = 100


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A notice that is not kept yet, as the store takes it."""

    key: str
    kind: str
    time: float
    subject: str
    body: str
    target: str | None = None
    users: tuple[str, ...] = ()
    data: dict[str, Any] = {}


def draft(
    kind: str,
    key: str,
    subject: str,
    lines: Iterable[str],
    *,
    time: float,
    target: str | None,
    users: Sequence[str] = (),
    **data: Any,
) -> Draft:
    """A draft of a notice whose text is safe in a header, a mail and on a terminal."""
    body = "\n".join(_cut(_printable(line), LONGEST_LINE) for text in lines for line in text.split("\n"))
    subject = _cut(" ".join(_printable(subject).split()), LONGEST_SUBJECT)
    return Draft(
        key=key,
        kind=kind,
        time=time,
        subject=subject,
        body=body.strip("\n") + "\n",
        target=target,
        users=tuple(dict.fromkeys(users)),
        data=data,
    )


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def _cut(text: str, length: int) -> str:
    return text.rstrip() if len(text) <= length else text[: length - 4].rstrip() + " ..."


def count(number: int, noun: str) -> str:
    """A number of things: `1 benchmark`, `3 benchmarks`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def moment(seconds: float) -> str:
    """A time as people of all zones read it: `2026-11-25 17:23 UTC`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def stretch(seconds: float) -> str:
    """A stretch of time: `27 s`, `4 min`, `2 h 5 min`, `3 days`."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    if minutes < 120:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    return f"{hours // 24} days"


def table(rows: Sequence[tuple[str, str]]) -> list[str]:
    """Lines of names and what is said of them, one below the other."""
    width = max((len(name) for name, _ in rows), default=0)
    return [f"{name:<{width}}  {text}" for name, text in rows]


def measured(result: Result) -> str:
    """What was measured, in the words of people: `main 1a2b3c4d5e`, or the version of an installed interpreter."""
    commit = (result.commit or "")[:10]
    patched = "+patch" if (result.interpreter or {}).get("patch") else ""
    return f"{result.branch or ''} {commit}{patched}".strip() or result.version or "an interpreter"


def described(result: Result) -> str:
    """The same with all that tells it from others."""
    name = measured(result)
    parts = [part for part in (result.version, " ".join(result.flags), result.mode) if part and part != name]
    return f"{name} ({', '.join(parts)})" if parts else name


def graded(result: Result) -> str:
    """How far a result can be trusted."""
    if result.grade is None:
        return "no grade"
    return f"grade {result.grade}" + (f" ({'; '.join(result.grade_reasons)})" if result.grade_reasons else "")


def value(summary: Summary) -> str:
    """A mean and how far single values are from it."""
    return format_mean(summary.mean, summary.stdev, summary.unit)


def means(suite: Suite) -> list[str]:
    """The means of a result, by benchmark."""
    names = sorted(suite.benchmarks)
    lines = table([(name, value(summarize(suite.benchmarks[name]))) for name in names[:MOST_LINES]])
    left = len(names) - MOST_LINES
    return [*lines, f"and {left} more"] if left > 0 else lines
