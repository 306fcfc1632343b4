"""What became of a run, told by the exit code of `benchyard task attach` and by the run's own report."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from buildbot.process.results import CANCELLED, FAILURE, SUCCESS

from benchyard.store.rows import Attempt


class Ending(NamedTuple):
    """How an attempt ended, Buildbot's result for it, and the cause in words."""

    status: str
    results: int
    cause: str | None = None

    @property
    def has_report(self) -> bool:
        """Whether the run came to its end, and so may have left a report."""
        return self.status in ("success", "failed")


LOST = Ending("lost", FAILURE, "the run's supervisor was killed, or the host was restarted")

#: By exit code of `benchyard task attach`; the codes are the tasks library's.
_ENDINGS: Mapping[int, Ending] = {
    0: Ending("success", SUCCESS),
    73: Ending("failed", FAILURE, "the run failed"),
    74: Ending("canceled", CANCELLED, "canceled"),
    75: Ending("timeout", FAILURE, "the run took longer than its time limit and was stopped"),
    76: LOST,
    77: Ending("interrupted", FAILURE, "stopped because the lab was shut down"),
}


def ending_of(exit_code: int | None) -> Ending | None:
    """How the run ended; None for an exit code that does not tell: the command was killed, or broke by itself."""
    return None if exit_code is None else _ENDINGS.get(exit_code)


def ending_of_attempt(attempt: Attempt) -> Ending:
    """The same for an attempt that has ended before."""
    return next(e for e in _ENDINGS.values() if e.status == attempt.status)._replace(cause=attempt.cause)


def failure_text(ending: Ending, report: Mapping[str, Any] | None, last_line: str) -> str:
    """One line that says why a run failed: its benchmarks' errors if it got so far, else the end of its log."""
    if ending.status != "failed" or ending.cause != _ENDINGS[73].cause:
        return ending.cause or ending.status
    guard = (report or {}).get("guard") or {}
    if guard and not guard.get("passed"):
        reasons = "; ".join(finding["message"] for finding in guard["findings"] if finding["severity"] == "refuse")
        return f"the host is not fit to measure, waited {guard['waited_s']:.0f} s: {reasons}"
    failed = [b for b in (report or {}).get("benchmarks", []) if b.get("status") != "success"]
    if failed:
        shown = "; ".join(f"{b['name']}: {b.get('error')}" for b in failed[:3])
        return "all benchmarks failed: " + shown + (" ..." if len(failed) > 3 else "")
    return f"the run failed: {last_line}" if last_line else "the run failed without a word; see its log"


def lost_for_good(tried: Sequence[Attempt]) -> str:
    """Why a job is given up: each lost attempt with its cause."""
    causes = "; ".join(f"attempt {a.number} on {a.host}: {a.cause}" for a in tried if a.status == "lost")
    return f"no attempts left ({causes})"
