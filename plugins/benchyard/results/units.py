"""Values as performance people write them: "12.3 ms +- 0.2 ms", "1.05x faster"."""

from collections.abc import Sequence

_TIME_UNITS = ("sec", "ms", "us", "ns")

# The words for a ratio above and below 1, where smaller is better; pyperf says "faster" of everything.
_WORDS = {"second": ("faster", "slower"), "byte": ("smaller", "larger"), "integer": ("less", "more")}


def format_value(value: float, unit: str = "second") -> str:
    """Write one value with three digits: "12.3 ms" (of seconds), "64.2 MiB" (of bytes), "1200"."""
    return _format_values((value,), unit)[0]


def format_mean(mean: float, stdev: float | None, unit: str = "second") -> str:
    """Write a mean and its standard deviation in the unit of the mean: "12.3 ms +- 0.2 ms"."""
    if stdev is None:
        return format_value(mean, unit)
    return " +- ".join(_format_values((mean, stdev), unit))


def format_change(ratio: float, unit: str = "second") -> str:
    """Write the ratio of base over head: 1.05 is "1.05x faster", 0.5 is "2.00x slower", 1 is "no change".

    A ratio that rounds to 1.00 keeps its word, as pyperf does: the difference was found significant.
    """
    better, worse = change_words(unit)
    if ratio == 1.0:
        return "no change"
    if ratio > 1.0:
        return f"{ratio:.2f}x {better}"
    return f"{1.0 / ratio:.2f}x {worse}"


def change_words(unit: str = "second") -> tuple[str, str]:
    """Return the words for better and worse: "faster" and "slower" for times."""
    return _WORDS.get(unit, ("smaller", "larger"))


def format_percent(part: float, *, sign: bool = False) -> str:
    """Write a part of the whole: 0.0123 is "1.2 %", with its sign "+1.2 %"."""
    return f"{part * 100:{'+' if sign else ''}.1f} %"


def _format_values(values: Sequence[float], unit: str) -> tuple[str, ...]:
    match unit:
        case "second":
            return _format_times(values)
        case "byte":
            return tuple(map(_format_size, values))
        case "integer":
            return tuple(f"{value:.0f}" for value in values)
        case _:
            return tuple(f"{value:.3g} {unit}" for value in values)


def _format_times(seconds: Sequence[float]) -> tuple[str, ...]:
    """Write times in the unit that gives the first of them three digits, as pyperf does."""
    magnitude = abs(seconds[0])
    exponent = next((exponent for exponent in range(2, -9, -1) if magnitude >= 10.0**exponent), -9)
    digits = 2 - exponent % 3
    step = -(exponent // 3) if exponent < 0 else 0
    return tuple(f"{value * 1000.0**step:.{digits}f} {_TIME_UNITS[step]}" for value in seconds)


def _format_size(size: float) -> str:
    if size < 10 * 1024:
        return f"{size:.0f} bytes" if round(size) != 1 else "1 byte"
    if size <= 10 * 1024**2:
        return f"{size / 1024:.1f} KiB"
    return f"{size / 1024**2:.1f} MiB"
