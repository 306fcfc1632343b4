"""Runs on systems without /proc, where no supervisor can find all that belongs to a run: they end with who attached.

Everything else is as with a supervisor: the host's lock, the state and log on disk, the time limit, and stopping. The
host is not made ready, a command that is killed is not started again, and what has left its session runs on.
"""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from benchyard.tasks.errors import SupervisorError
from benchyard.tasks.hostlock import acquire_host, try_lock
from benchyard.tasks.processes import MARK
from benchyard.tasks.rundir import Order, RunDir, RunState, drop_old_runs

# Ends a group of processes when nobody holds the other end of its input any more.
_END_GROUP = ("sh", "-c", 'read -r line; kill -s KILL -- "-$0"')
_POLL_S = 0.1
_GRACE_S = 5.0


def outlives(root: Path = Path("/")) -> bool:
    """Whether a run can outlive whoever started it on this system."""
    return hasattr(os, "fork") and (root / "proc/self/stat").exists()


def start_attached(run: RunDir, order: Order) -> None:
    """Start a run in a thread of this process, and return when it has its first state."""
    lock = try_lock(run.alive_lock)
    if lock is None:
        raise SupervisorError(f"run {run.run}: {run.alive_lock} is held by another process")
    run.write_order(order)
    run.write_state(RunState("waiting", created=time.time()))
    threading.Thread(target=_supervise, args=(run, order, lock), name=f"run {run.run}").start()


def _supervise(run: RunDir, order: Order, lock: int) -> None:
    state = run.read_state() or RunState("waiting")
    host: int | None = None
    try:
        host = acquire_host(run.state_dir, shared=False, pause=lambda: _pause(run))
        if host is None:
            run.write_state(RunState(run.asked_outcome() or "lost", finished=time.time()))
            return
        drop_old_runs(run.state_dir)
        started = time.time()
        run.log("START", None, "running")
        final = _execute(run, order, started)
        run.write_state(RunState(final[0], rc=final[1], created=state.created, started=started, finished=time.time()))
        run.log("END", None, final[0])
    finally:
        if host is not None:
            os.close(host)
        os.close(lock)


def _pause(run: RunDir) -> bool:
    time.sleep(_POLL_S)
    return run.asked_outcome() is None


def _execute(run: RunDir, order: Order, started: float) -> tuple[str, int | None]:
    """Run the command to its end; the final state and the exit code."""
    with run.output.open("ab") as log:
        log.write(b"benchyard: on this system a run does not outlive who attached to it\n")
        log.flush()
        try:
            process = subprocess.Popen(
                order.argv,
                cwd=order.cwd,
                env={**os.environ, MARK: str(run.path)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        except OSError as exc:
            log.write(f"benchyard: cannot run {order.argv[0]!r}: {exc.strerror}\n".encode())
            return "done", 127
        with _ending_with_us(process):
            run.write_state(RunState("running", pid=process.pid, started=started))
            deadline = None if order.limit_s is None else time.monotonic() + order.limit_s
            while process.poll() is None:
                asked = run.asked_outcome()
                if asked is not None or (deadline is not None and time.monotonic() > deadline):
                    _end(process)
                    return asked or "timeout", None
                time.sleep(_POLL_S)
            _kill_group(process, signal.SIGKILL)  # what it has left behind
            return "done", process.returncode


@contextlib.contextmanager
def _ending_with_us(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Have the process ended with its group, should this one be killed meanwhile: the kernel tells that by a pipe."""
    read_end, write_end = os.pipe()
    try:
        watcher = subprocess.Popen([*_END_GROUP, str(process.pid)], stdin=read_end, start_new_session=True)
    finally:
        os.close(read_end)
    try:
        yield
    finally:
        watcher.kill()  # before it can hear of the end
        watcher.wait()
        os.close(write_end)


def _end(process: "subprocess.Popen[bytes]") -> None:
    _kill_group(process, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=_GRACE_S)
    _kill_group(process, signal.SIGKILL)
    process.wait()


def _kill_group(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # all of it has ended
        os.killpg(process.pid, number)
