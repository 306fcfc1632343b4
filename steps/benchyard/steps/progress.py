"""Reads a run's log while it is written: progress for display, and the end of it for an error's text."""

from collections import deque
from collections.abc import Callable, Iterable

from buildbot.process.logobserver import LogLineObserver

from benchyard.tasks.hostlock import GOING_ON, WAITING
from benchyard.tasks.progress import Progress, parse_progress

#: Lines of a log that are kept for an error's text.
TAIL = 20


class TailObserver(LogLineObserver):
    """Keeps the end of what a command printed and of its errors."""

    def __init__(self) -> None:
        super().__init__()
        self._out: deque[str] = deque(maxlen=TAIL)
        self._err: deque[str] = deque(maxlen=TAIL)

    @property
    def last_line(self) -> str:
        """The last line printed with something in it; empty if there is none."""
        return _last(self._out)

    @property
    def last_error(self) -> str:
        """The same of the command's errors."""
        return _last(self._err)

    @property
    def lines(self) -> tuple[str, ...]:
        """The last lines printed."""
        return tuple(self._out)

    def take_up(self, lines: Iterable[str]) -> None:
        """Keep what was printed before to someone else."""
        self._out.extend(lines)

    def outLineReceived(self, line: str) -> None:
        self._out.append(line)

    def errLineReceived(self, line: str) -> None:
        self._err.append(line)


def _last(lines: Iterable[str]) -> str:
    full = [line.strip() for line in lines if line.strip()]
    return full[-1].removeprefix("benchyard: ") if full else ""


class WaitObserver(LogLineObserver):
    """Calls `show` with whether a command waits for a measurement on its host to end, each time that changes."""

    def __init__(self, show: Callable[[bool], None]) -> None:
        super().__init__()
        self._show = show
        self._waits = False

    def outLineReceived(self, line: str) -> None:
        waits = line.startswith(WAITING) or (self._waits and not line.startswith(GOING_ON))
        if waits != self._waits:
            self._waits = waits
            self._show(waits)

    errLineReceived = outLineReceived


class ProgressObserver(TailObserver):
    """Calls `show` for each line that says that a benchmark starts, too."""

    def __init__(self, show: Callable[[Progress], None]) -> None:
        super().__init__()
        self._show = show

    def outLineReceived(self, line: str) -> None:
        super().outLineReceived(line)
        progress = parse_progress(line)
        if progress is not None:
            self._show(progress)
