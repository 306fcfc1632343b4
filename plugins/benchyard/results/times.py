"""When things were, as files say it: files of others say what their clocks did, or anything."""

import time
from datetime import UTC, datetime

#: Epoch seconds of 1990: there was no Python before.
EARLIEST = 631_152_000.0
#: Seconds by which the clock of another machine may be ahead.
AHEAD_S = 86_400.0


def moment_of(text: object) -> float | None:
    """Epoch seconds of an ISO date or time, of UTC where it does not say; None for what is none, or cannot be."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
        return known_moment((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None


def known_moment(seconds: float) -> float | None:
    """A time in epoch seconds; None where nothing can have been then: it would be the newest for ever."""
    return seconds if EARLIEST <= seconds <= time.time() + AHEAD_S else None
