"""Times, durations and values in words."""

from datetime import UTC, datetime, timedelta

import pytest

from benchyard.cli.format import change_style, clean, counted, duration, local_time, measured


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"),
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (3659, "1 h"),
        (86399, "23 h 59 min"),
        (90061, "25 h 1 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    """A duration has its two largest units, and no unit that is nothing."""
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("mean", "stdev", "unit", "text"),
    [
        (0.0123, 0.0002, "second", "12.3 ms +- 0.2 ms"),
        (2.5, 0.03, "second", "2.50 sec +- 0.03 sec"),
        (0.25, None, "second", "250 ms"),
        (1.5e-9, 2e-12, "second", "1.50 ns +- 0.00 ns"),
        (0.0, 0.0, "second", "0.00 ns +- 0.00 ns"),
        (3 * 1024**2, 1024**2 / 10, "byte", "3.0 MiB +- 0.1 MiB"),
        (100, 1, "byte", "100 bytes +- 1 bytes"),
        (42, 1.5, "integer", "42 +- 1.5"),
    ],
)
def test_values(mean: float, stdev: float | None, unit: str, text: str) -> None:
    """Mean and deviation are written in the unit that suits the mean."""
    assert measured(mean, stdev, unit) == text


def test_values_are_written_as_pyperf_does() -> None:
    """Every magnitude of time is written as pyperf writes it."""
    formatter = pytest.importorskip("pyperf._formatter")
    for exponent in range(-9, 3):
        for digits in (1.0, 2.34, 9.87):
            mean = digits * 10.0**exponent
            theirs = " +- ".join(formatter.format_timedeltas((mean, mean / 50)))
            assert measured(mean, mean / 50, "second") == theirs


def test_times_are_the_shorter_the_nearer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Today has a time, this year a day, other years a date."""
    now = datetime.now().astimezone().replace(month=6, day=15, hour=12, minute=30)
    assert local_time(now.astimezone(UTC), now) == "12:30"
    assert local_time(now - timedelta(days=3), now) == "12 Jun 12:30"
    assert local_time(now.replace(year=now.year - 1), now) == f"{now.year - 1}-06-15"
    assert local_time(None) == ""


def test_text_is_cleaned() -> None:
    """Control characters become blanks, letters of any script stay."""
    assert clean("a\x1b[1mb\nc\u202ed fünf 五") == "a [1mb c d fünf 五"


def test_small_words() -> None:
    """Numbers agree with their nouns, and changes have a colour."""
    assert (counted(1, "job"), counted(0, "job")) == ("1 job", "0 jobs")
    styles = [change_style(text) for text in ("1.05x faster", "2.00x slower", "not significant")]
    assert styles == ["green", "red", "dim"]
