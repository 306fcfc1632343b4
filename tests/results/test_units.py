"""Values and changes in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyperf._formatter import format_filesizes, format_timedeltas

from benchyard.results.units import format_change, format_mean, format_percent, format_value


@given(st.lists(st.floats(1e-9, 1e4), min_size=1, max_size=2))
def test_times_as_pyperf(seconds: list[float]) -> None:
    """Times are written as pyperf writes them, the deviation in the unit of the mean."""
    assert " +- ".join(format_timedeltas(seconds)) == format_mean(seconds[0], [*seconds, None][1])


@given(st.floats(0, 1e12))
def test_sizes_as_pyperf(size: float) -> None:
    """Sizes are written as pyperf writes them, but for one thing: it takes 1.2 bytes for several."""
    if round(size) != 1:
        assert format_value(size, "byte") == format_filesizes([size])[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (format_mean(0.0123, 0.0002), "12.3 ms +- 0.2 ms"),
        (format_mean(1.5, None), "1.50 sec"),
        (format_mean(123.4, 1.0), "123 sec +- 1 sec"),
        (format_value(0.0), "0.00 ns"),
        (format_value(67 * 1024**2, "byte"), "67.0 MiB"),
        (format_value(1.0, "byte"), "1 byte"),
        (format_value(1200.4, "integer"), "1200"),
        (format_value(0.12345, "joule"), "0.123 joule"),
        (format_change(1.05), "1.05x faster"),
        (format_change(0.5), "2.00x slower"),
        (format_change(1.0), "no change"),
        (format_change(0.999), "1.00x slower"),
        (format_change(2.0, "byte"), "2.00x smaller"),
        (format_change(0.5, "byte"), "2.00x larger"),
        (format_change(0.5, "integer"), "2.00x more"),
    ],
)
def test_words(text: str, expected: str) -> None:
    """Values read as performance people write them; a doubled time is "2.00x slower"."""
    assert text == expected


def test_percent() -> None:
    """Parts of the whole have one digit, and a sign where they are changes."""
    assert format_percent(0.0123) == "1.2 %"
    assert [format_percent(part, sign=True) for part in (0.05, -0.2, 0.0)] == ["+5.0 %", "-20.0 %", "+0.0 %"]
