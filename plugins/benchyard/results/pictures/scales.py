"""Units for axes: one for all of an axis, so that its numbers are short."""

_TIMES = ((1.0, "seconds"), (1e-3, "milliseconds"), (1e-6, "microseconds"), (1e-9, "nanoseconds"))
_SIZES = ((1024.0**3, "GiB"), (1024.0**2, "MiB"), (1024.0, "KiB"), (1.0, "bytes"))


def scale_of(value: float, unit: str) -> tuple[float, str]:
    """What values like this one are multiplied by on an axis, and the unit that they are in then."""
    steps = {"second": _TIMES, "byte": _SIZES}.get(unit)
    if steps is None:
        return 1.0, {"integer": "count"}.get(unit, unit)
    size, name = next((step for step in steps if abs(value) >= step[0]), steps[-1])
    return 1.0 / size, name
