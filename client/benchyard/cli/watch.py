"""Watching a job: a live line on a terminal, plain lines elsewhere, and its outcome in words."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import click

from benchyard.cli.format import clean, counted, duration, spent
from benchyard.cli.output import make_console

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType

    from benchyard.client import Client, Job

REDRAWS_PER_S = 1.0
"""Once a second is enough for a clock, and the display may run on the host that measures."""

ROOM_FOR_A_BAR = 80
"""Columns of a terminal that has room for a bar beside the words."""

INTERRUPTED = 130

FARTHEST = 100
"""How far into a queue we look for a job: one page of it. Farther back its place says little."""


def attach(client: "Client", job: "Job", *, timeout_s: float | None = None, err: bool = False) -> "Job":
    """Show a job up to its end and return it; Ctrl-C leaves it running and says how to attach again."""
    console = make_console(err=err)
    live = console.is_terminal and not console.is_dumb_terminal
    display = live_display if live else plain_display
    last = job
    with left_running(job), display(console) as show:
        for last in job.attach(timeout_s=timeout_s):
            show(last, describe(last, jobs_ahead(client, last)))
    return last


@contextmanager
def left_running(job: "Job") -> Iterator[None]:
    """Say on Ctrl-C that the job goes on and how to attach to it, and end the command."""
    try:
        yield
    except KeyboardInterrupt:
        again = f"attach again with `benchyard job attach {job.id}`"
        click.echo(f"benchyard: job {job.id} goes on; {again}", err=True)
        click.get_current_context().exit(INTERRUPTED)


@contextmanager
def plain_display(console: "Console") -> "Iterator[Callable[[Job, str], None]]":
    """Print one line for each change, with its time."""
    last = ""

    def show(job: "Job", text: str) -> None:
        nonlocal last
        if text != last:
            console.print(f"{datetime.now():%H:%M:%S}  job {job.id}: {text}", soft_wrap=True)
        last = text

    yield show


@contextmanager
def live_display(console: "Console") -> "Iterator[Callable[[Job, str], None]]":
    """Keep one line up to date with where the job is and how long it took; each status stays above it."""
    from rich.live import Live

    status = ""
    with Live(console=console, refresh_per_second=REDRAWS_PER_S, transient=True) as live:

        def show(job: "Job", text: str) -> None:
            nonlocal status
            if job.status != status:
                # Which benchmark it is stands in the live line.
                said = text.partition(", benchmark ")[0]
                console.print(f"{datetime.now():%H:%M:%S}  job {job.id}: {said}")
            status = job.status
            live.update(LiveLine(job), refresh=True)

        yield show


class LiveLine:
    """The live line of a job; rich asks it anew for each redraw, so that the time goes on between changes."""

    def __init__(self, job: "Job") -> None:
        self.job = job

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "Iterator[RenderableType]":
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        job, progress = self.job, self.job.progress
        if job.ended:
            return
        line = Table.grid(padding=(0, 2, 0, 0))
        cells: list[RenderableType] = [Text(f"job {job.id}", "bold"), Text(job.status, "cyan")]
        for _ in cells:
            line.add_column(no_wrap=True)
        if progress and options.max_width >= ROOM_FOR_A_BAR:
            line.add_column(no_wrap=True)
            cells.append(
                ProgressBar(total=max(1, progress.total), completed=progress.index - 1, width=20, complete_style="cyan")
            )
        if progress:
            line.add_column()
            place = f"{progress.index} of {progress.total}: {clean(progress.benchmark)}"
            cells.append(Text(place, no_wrap=True, overflow="ellipsis"))
        line.add_column(no_wrap=True)
        cells.append(Text(spent(job.started or job.queued or job.created), "dim"))
        line.add_row(*cells)
        yield line


def describe(job: "Job", ahead: int | None = None) -> str:
    """Say in a few words where a job is; `ahead` is the number of jobs before it in its queue."""
    texts = {
        "created": f"not queued; queue it with `benchyard job run {job.id}`",
        "queued": "queued" + _turn(ahead),
        "building": "about to begin" if job.is_maintenance else "building: the interpreter is being prepared",
        "ready": "ready, waits for its host",
        "running": "running" + (f" on {job.place}" if job.place else "") + _doing(job),
        "storing": "storing the result",
    }
    return clean(outcome(job) if job.ended else texts.get(job.status, job.status))


def outcome(job: "Job") -> str:
    """Say how a job ended: "success in 2 min 5 s: result 3", "failed: no benchmark could be measured"."""
    text = job.status
    if job.started and job.finished:
        text += f" in {duration((job.finished - job.started).total_seconds())}"
    if job.results:
        text += f": result {', '.join(map(str, job.results))}"
    if job.error:
        text += f": {job.error}"
    elif job.summary:
        text += f": {job.summary}"
    if job.failed_benchmarks:
        names = ", ".join(failed.name for failed in job.failed_benchmarks)
        text += f" ({counted(len(job.failed_benchmarks), 'benchmark')} failed: {names})"
    return clean(text)


def jobs_ahead(client: "Client", job: "Job") -> int | None:
    """Return how many jobs of its target come before a queued one, or None if that cannot be told."""
    from benchyard.client import ClientError

    if job.status != "queued" or job.target is None:
        return None
    try:
        places = client.queue[job.target].list(limit=FARTHEST)
        return next((place.position - 1 for place in places if place.job == job.id), None)
    except ClientError:
        return None


def time_of(job: "Job") -> str:
    """Return how long a job took or takes since its run began; empty before."""
    return spent(job.started, job.finished)


def _doing(job: "Job") -> str:
    text = ""
    if len(job.attempts) > 1:
        text += f", attempt {job.attempts[-1].number}"
    if job.progress:
        text += f", benchmark {job.progress.index} of {job.progress.total}: {job.progress.benchmark}"
    return text


def _turn(ahead: int | None) -> str:
    if ahead is None:
        return ""
    return f", {counted(ahead, 'job')} ahead" if ahead else ", the next to start"
