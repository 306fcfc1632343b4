"""Results that were read lately, ready to be compared again; all of it may be forgotten at any time."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from benchyard.results.measured import MeasuredSuite, measure
from benchyard.results.reading import Suite

#: Results that are kept, each of about 1 MB.
MOST = 48


@dataclass(frozen=True)
class Kept:
    """A result that was read, and what comparing needs of it."""

    suite: Suite
    measured: MeasuredSuite


class KeptSuites:
    """Results by the SHA-256 of their files, those that were not asked for longest go first; for several threads."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self._lock = Lock()
        self._kept: OrderedDict[str, Kept] = OrderedDict()

    def find(self, sha256: str, read: Callable[[], Suite]) -> Kept:
        """Return a result, which is read if it is not kept; two threads may both read it."""
        with self._lock:
            found = self._kept.get(sha256)
            if found is not None:
                self._kept.move_to_end(sha256)
                return found
        suite = read()
        found = Kept(suite, measure(suite))
        with self._lock:
            self._kept[sha256] = found
            self._kept.move_to_end(sha256)
            while len(self._kept) > self.most:
                self._kept.popitem(last=False)
        return found

    def __contains__(self, sha256: object) -> bool:
        return sha256 in self._kept
