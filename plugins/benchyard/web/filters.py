"""Filters of lists: moments, and words of a fixed set."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Annotated

import msgspec

from benchyard.results.patterns import PRINTABLE
from benchyard.web.problems import Problem

#: What a filter compares with: no control characters, which PostgreSQL refuses in part.
Wanted = Annotated[str, msgspec.Meta(max_length=200, pattern=PRINTABLE)]

Moment = Annotated[str, msgspec.Meta(max_length=40, extra_json_schema={"format": "date-time"})]


def moment(text: str | None, field: str) -> float | None:
    """A time in ISO 8601 as epoch seconds; one without zone is UTC."""
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as exc:
        raise Problem(400, f"{text!r} is not a time such as 2026-11-22T10:53:00Z", field) from exc


def split_words(text: str, known: Collection[str], field: str) -> tuple[str, ...]:
    """Words separated by commas, each one of those known."""
    words = tuple(word for word in text.split(",") if word)
    for word in words:
        if word not in known:
            raise Problem(400, f"{word[:40]!r} is not one of {', '.join(known)}", field)
    return words
