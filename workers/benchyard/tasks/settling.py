"""Giving a run whose supervisor is gone its final state, after its remains have been ended, and its host back."""

import contextlib
import os
import time

import msgspec

from benchyard.tasks.errors import SupervisorError, TaskError
from benchyard.tasks.files import append_line
from benchyard.tasks.host.setup import mend_host
from benchyard.tasks.hostlock import try_lock
from benchyard.tasks.processes import kill_all, marked
from benchyard.tasks.rundir import RunDir, RunState, all_runs, boot_id


def settle(run: RunDir) -> RunState | None:
    """End what is left of a run without a supervisor and write its final state.

    Returns the run's state; None where it never had one. Nothing is done while the supervisor lives, or while
    another process settles the same run: alive.lock is the right to write the state.
    """
    fd = try_lock(run.alive_lock)
    if fd is None:
        return run.read_state()
    try:
        state = run.read_state()
        if state is None or state.final:
            return state
        asked = run.asked_outcome()
        final = msgspec.structs.replace(
            state, state=asked or "lost", reason=_reason(run, state), finished=time.time(), pid=None
        )
        run.write_state(final)
        if state.started is not None:
            run.log("END", state.supervisor, final.state)
        return final
    finally:
        os.close(fd)


def mend_after(run: RunDir) -> None:
    """Put back what the killed supervisor of a run has set up on this host, and tell the run's log what could not be.

    To be done when the run has its final state: the next one may start as soon as the host is put back. While somebody
    holds the host alone, it is left to them.
    """
    try:
        touched = run.setup.exists() or run.read_order().host is not None
        problems = mend_host(run.state_dir) if touched else []
    except (OSError, msgspec.DecodeError, TaskError) as exc:
        problems = [f"the host was not put back: {exc}"]
    with contextlib.suppress(OSError):  # a full disk keeps nobody from being told what became of the run
        for problem in problems:
            append_line(run.output, f"benchyard: {problem}")


def settle_others(own: RunDir) -> None:
    """Settle every other run without a supervisor; the caller holds the host and has ended all their
    processes.
    """
    for run in all_runs(own.state_dir):
        if run.run == own.run:
            continue
        try:
            state = run.read_state()
            if state is not None and not state.final and not run.alive():
                settle(run)
        except SupervisorError as exc:  # a damaged file of another run is no reason not to run this one
            with contextlib.suppress(OSError):  # nor is a log that is full
                print(f"benchyard: {exc}", flush=True)


def _reason(run: RunDir, state: RunState) -> str:
    here = boot_id()
    if state.boot_id and here and state.boot_id != here:
        return "the host was restarted"
    left = kill_all(lambda: marked(run.path))
    gone = f"supervisor {state.supervisor} was killed"
    return f"{gone}; these could not be ended: {left}" if left else gone
