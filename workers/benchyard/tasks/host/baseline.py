"""How warm this host is when it does nothing: the lowest temperature of each sensor, kept in STATE/baseline.json.

A fixed limit does not say whether a host has cooled down: the next one idles 20 °C above it. The lowest value
ever does not either: a cold night would keep a lab from measuring all summer. So the lowest of each day is
kept, for a week, and the lowest of these counts.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from benchyard.tasks.files import write_atomically
from benchyard.tasks.host.readings import COLDEST_C, HOTTEST_C, Sensor

FILE = "baseline.json"
DAYS = 7
_DAY_S = 86400.0
# A host has some dozens of sensors; one whose names change would fill the file.
_MOST_SENSORS = 1000


class Baseline(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The lowest temperature (°C) by sensor and day (days since 1970, as text: JSON has no other keys)."""

    sensors: Mapping[str, Mapping[str, float]] = {}

    def lowest(self, sensor: str) -> float | None:
        """Return the lowest temperature of a sensor that is kept; None if it was never seen."""
        return min(self.sensors.get(sensor, {}).values(), default=None)

    def seen(self, temperatures: Iterable[Sensor], now: float) -> "Baseline":
        """Return the baseline with the temperatures of an idle host at the time `now` (epoch seconds)."""
        today = int(now // _DAY_S)
        kept = {name: _recent(days, today) for name, days in self.sensors.items()}
        for name, celsius in temperatures:
            days = kept.setdefault(name, {})
            days[str(today)] = min(celsius, days.get(str(today), celsius))
        named = [(name, days) for name, days in kept.items() if days]
        return Baseline(dict(named[-_MOST_SENSORS:]))


def read_baseline(state: Path) -> Baseline:
    """Return the baseline of a host; a missing or damaged file is an empty one, which the next idle look fills."""
    try:
        baseline = msgspec.json.decode((state / FILE).read_bytes(), type=Baseline)
    except (OSError, ValueError):  # msgspec's errors are ValueErrors
        return Baseline()
    values = [celsius for days in baseline.sensors.values() for celsius in days.values()]
    return baseline if all(COLDEST_C <= celsius <= HOTTEST_C for celsius in values) else Baseline()


def write_baseline(state: Path, baseline: Baseline) -> None:
    """Keep the baseline of a host; OSError where the state directory cannot be written."""
    state.mkdir(parents=True, exist_ok=True)
    write_atomically(state / FILE, msgspec.json.format(msgspec.json.encode(baseline), indent=1))


def _recent(days: Mapping[str, float], today: int) -> dict[str, float]:
    """Leave out days that are over, and those that are yet to come: the host's clock was wrong then."""
    return {day: celsius for day, celsius in days.items() if day.isdigit() and 0 <= today - int(day[:9]) < DAYS}
