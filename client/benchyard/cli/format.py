"""Times, durations and values as performance people write them, and text that is safe on a terminal."""

from datetime import datetime

TIME_UNITS = ("sec", "ms", "us", "ns")
CHANGE_WORDS = {"second": ("faster", "slower"), "byte": ("smaller", "larger"), "integer": ("less", "more")}
BYTE_UNITS = ((1024.0**3, "GiB"), (1024.0**2, "MiB"), (1024.0, "KiB"), (1.0, "bytes"))


def clean(text: str) -> str:
    """Return text from outside without what could move the cursor or forge lines on a terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def duration(seconds: float) -> str:
    """Write a stretch of time: "8 s", "2 min 5 s", "1 h 3 min"."""
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    if minutes:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{rest} s"


def local_time(moment: datetime | None, now: datetime | None = None) -> str:
    """Write a time in the local zone, the shorter the nearer: "11:03", "20 Nov 11:03", "2025-11-20"."""
    if moment is None:
        return ""
    local = moment.astimezone()
    today = (now or datetime.now().astimezone()).astimezone(local.tzinfo)
    if local.date() == today.date():
        return f"{local:%H:%M}"
    if local.year == today.year:
        return f"{local.day} {local:%b %H:%M}"
    return f"{local:%Y-%m-%d}"


def spent(start: datetime | None, end: datetime | None = None) -> str:
    """Write the time from start to end, or to now; empty if it has not begun."""
    if start is None:
        return ""
    return duration(((end or datetime.now().astimezone()) - start).total_seconds())


def measured(mean: float, stdev: float | None, unit: str) -> str:
    """Write mean and standard deviation in one unit, three digits of the mean: "12.3 ms +- 0.2 ms".

    As pyperf writes them (pyperf._formatter), so that numbers can be found again in its output.
    """
    numbers = [mean] if stdev is None else [mean, stdev]
    if unit == "second":
        texts = _seconds(numbers)
    elif unit == "byte":
        texts = _scaled(numbers, BYTE_UNITS, digits=1)
    else:
        texts = [f"{number:.6g}" for number in numbers]
    return " +- ".join(texts)


def level(value: float, unit: str, stdev: float | None = None) -> str:
    """Write a level of a series: a value in its unit, or the plain number that a geometric mean is, without one."""
    return measured(value, stdev, unit) if unit else f"{value:.4f}"


def sureness(sure: float) -> str:
    """Write how sure a change is, 0 to 1, never as certainty: "99.99 %"."""
    return f"{min(sure, 0.9999) * 100:.2f} %"


def percent(part: float | None) -> str:
    """Write a part of the whole with two digits or more: "1.3 %", "12 %"; empty for None."""
    if part is None:
        return ""
    return f"{part * 100:.{1 if part < 0.0995 else 0}f} %"


def change_words(unit: str) -> tuple[str, str]:
    """Return the words for better and worse values in a unit: "faster" and "slower" for times."""
    return CHANGE_WORDS.get(unit, ("smaller", "larger"))


def change_style(change: str) -> str:
    """Return the colour of a change: green for faster, red for slower, dim for neither."""
    return {"faster": "green", "slower": "red"}.get(change.rpartition(" ")[2], "dim")


def counted(number: int, noun: str) -> str:
    """Write a number of things: "1 benchmark", "3 benchmarks"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _seconds(numbers: list[float]) -> list[str]:
    # Compared with powers of ten, not divided: 1e-07 / 1e-09 is a little less than 100.
    exponent = next((each for each in range(2, -9, -1) if abs(numbers[0]) >= 10.0**each), -9)
    thousandths = -(exponent // 3) if exponent < 0 else 0
    digits = 2 - exponent % 3
    return [f"{number * 10 ** (3 * thousandths):.{digits}f} {TIME_UNITS[thousandths]}" for number in numbers]


def _scaled(numbers: list[float], units: tuple[tuple[float, str], ...], *, digits: int) -> list[str]:
    size, name = next((unit for unit in units if abs(numbers[0]) >= unit[0]), units[-1])
    return [f"{number / size:.{digits if size > 1 else 0}f} {name}" for number in numbers]
