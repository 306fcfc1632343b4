"""Reads a run's progress from its log, for display."""

from collections.abc import Callable

from buildbot.process.logobserver import LogLineObserver

from benchyard.tasks.progress import Progress, parse_progress


class ProgressObserver(LogLineObserver):
    """Calls `show` for each line that says that a benchmark starts."""

    def __init__(self, show: Callable[[Progress], None]) -> None:
        super().__init__()
        self._show = show

    def outLineReceived(self, line: str) -> None:
        progress = parse_progress(line)
        if progress is not None:
            self._show(progress)
