"""Failed logins, counted for a minute: who guesses passwords is refused before anything is hashed."""

import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable

#: Failures within WINDOW_S seconds that are put up with, of one name and of one address.
ALLOWED = 10
WINDOW_S = 60.0

#: Names and addresses that are remembered at once; the ones that failed longest ago are forgotten first.
REMEMBERED = 10_000

Key = tuple[str, str]


class FailedLogins:
    """The failures of the last minute by address and by name; in memory, for this master alone."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, remembered: int = REMEMBERED) -> None:
        self._clock, self._remembered = clock, remembered
        self._failures: OrderedDict[Key, deque[float]] = OrderedDict()

    def check(self, address: str | None, name: str | None) -> float | None:
        """Whole seconds until this address and this name are looked at again; None: at once. None is not known."""
        now = self._clock()
        waits = [self._wait(key, now) for key in _keys(address, name)]
        longest = max(waits, default=0.0)
        return float(math.ceil(longest)) if longest > 0 else None

    def note(self, address: str | None, name: str | None) -> None:
        """A login has failed, or is about to be checked and is counted as failed until `forget`."""
        now = self._clock()
        for key in _keys(address, name):
            # One more than allowed tells all there is to know.
            self._failures.setdefault(key, deque(maxlen=ALLOWED + 1)).append(now)
            self._failures.move_to_end(key)
        while len(self._failures) > self._remembered:
            self._failures.popitem(last=False)

    def forget(self, address: str | None, name: str | None) -> None:
        """Take back the latest `note` of this address and this name: the login was good."""
        for key in _keys(address, name):
            times = self._failures.get(key)
            if times:
                times.pop()

    def _wait(self, key: Key, now: float) -> float:
        times = self._failures.get(key)
        return times[0] + WINDOW_S - now if times is not None and len(times) > ALLOWED else 0.0


def _keys(address: str | None, name: str | None) -> list[Key]:
    # A name nobody could have is cut: it must not fill the memory.
    return [(kind, value[:100]) for kind, value in (("address", address), ("name", name)) if value is not None]
