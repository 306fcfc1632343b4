"""Times that files tell."""

import time

import pytest

from benchyard.results.times import known_moment, moment_of


def test_moments() -> None:
    """Dates and times in ISO 8601 are epoch seconds, of UTC where they do not say; anything else is no time."""
    assert moment_of("2001-09-09 01:46:40.5") == 1_000_000_000.5
    assert moment_of("2001-09-09T03:46:40+02:00") == 1_000_000_000.0
    assert moment_of("20010909") == moment_of("2001-09-09") == 999_993_600.0
    assert [moment_of(text) for text in (None, "", "yesterday", 7, "Mar 1 2024")] == [None] * 5


@pytest.mark.parametrize(
    "text",
    [
        *("9999-12-31T23:59:59-23:00", "9999-12-31 23:59:59-12:00", "0001-01-01 00:00:00+05:00"),
        *("2150-01-01", "1970-01-01", "1989-12-31"),
    ],
)
def test_what_cannot_be(text: str) -> None:
    """Nothing was measured before there was Python, and nothing will be: such a date is not known."""
    assert moment_of(text) is None


def test_clocks_of_others() -> None:
    """They may be ahead, by some hours."""
    now = time.time()
    assert known_moment(now + 3600.0) == now + 3600.0
    assert known_moment(now + 2 * 86_400.0) is None
