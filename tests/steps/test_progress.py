"""What a step reads of a run's log."""

from benchyard.steps.progress import ProgressObserver, WaitObserver
from benchyard.tasks.hostlock import GOING_ON, WAITING
from benchyard.tasks.progress import Progress, format_progress


def test_progress_is_shown() -> None:
    """Each line that says that a benchmark starts is shown; all others are not."""
    shown: list[Progress] = []
    observer = ProgressObserver(shown.append)
    progress = Progress(index=2, total=3, benchmark="nbody")
    for line in ("hello", format_progress(progress), format_progress(progress) + " and more", ""):
        observer.outLineReceived(line)
    assert shown == [progress]


def test_last_words() -> None:
    """The last line with something in it is kept of output and errors, without our own name before it."""
    observer = ProgressObserver(lambda _progress: None)
    assert (observer.last_line, observer.last_error) == ("", "")
    for line in ("first", "  benchyard: second  ", " ", ""):
        observer.outLineReceived(line)
    observer.errLineReceived("benchyard: no such file")
    assert (observer.last_line, observer.last_error) == (
        "benchyard: second".removeprefix("benchyard: "),
        "no such file",
    )


def test_waiting_is_told_until_the_host_is_free() -> None:
    """Each change is told once: the line is repeated each minute, and other lines do not end the wait."""
    told: list[bool] = []
    observer = WaitObserver(told.append)
    for line in ("hello", f"{WAITING} (0 s so far)", "warning: x", f"{WAITING} (60 s so far)", GOING_ON, "built"):
        observer.errLineReceived(line)
    assert told == [True, False]
