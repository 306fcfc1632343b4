"""The supervisor of one run: a process of its own session that outlives whoever started it.

Started by `runner.attach` as `python -m benchyard.tasks.supervisor RUNDIR FD`. It takes the host, ends
orphans of runs whose supervisor was killed, runs the command, keeps its time limit, and leaves no process
behind. It does not poll while the command runs: it sleeps in the kernel until a child ends, a signal comes or
the time is over, so that it costs the measurement nothing.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from benchyard.tasks.cpus import format_cpu_list
from benchyard.tasks.host.setup import Setup, put_back, set_up
from benchyard.tasks.host.shield import left_behind, processes_of
from benchyard.tasks.hostlock import acquire_host, try_lock
from benchyard.tasks.processes import AGAIN, MARK, SETUP_VARIABLE, descendants, kill_all, marked, marked_by_others
from benchyard.tasks.rundir import Order, RunDir, RunState, boot_id, drop_old_runs
from benchyard.tasks.settling import settle_others

_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}
_STOP = {signal.SIGTERM, signal.SIGINT}
_POLL_S = 0.1
_ORPHAN_LIMIT_S = 600.0
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_COMMAND_NOT_FOUND = 127


class _Stopped(Exception):
    """The run is to end: `outcome` is its final state."""

    def __init__(self, outcome: str, reason: str | None = None) -> None:
        super().__init__(outcome)
        self.outcome = outcome
        self.reason = reason


def main(argv: list[str]) -> int:
    """Supervise the run with the directory argv[0]; a byte is written to descriptor argv[1] when it is under
    way.
    """
    path, ready = Path(argv[0]), int(argv[1])
    # The second fork (the first is the caller's): no session leader, and nobody's child to be waited for.
    if os.fork():
        return 0
    # From here on, signals are waited for, not handled: none is lost between a look at a flag and a sleep.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # children that leave their session stay below us
    run = RunDir(path.parent.parent, path.name)
    if not _take_alive(run):
        return 0  # another supervisor was faster: the run is its
    os.chdir("/")
    state = RunState(state="waiting", supervisor=os.getpid(), boot_id=boot_id(), created=time.time())
    try:
        run.write_state(state)
    except OSError as exc:
        _say(f"{exc}")
        return 1
    with contextlib.suppress(BrokenPipeError):  # whoever started us was killed: the run goes on
        os.write(ready, b"1")
    os.close(ready)
    host: int | None = None
    setup: Setup | None = None
    touched = False
    try:
        host = _take_host(run)
        _end_orphans(run)
        settle_others(run)
        drop_old_runs(run.state_dir)
        _say(*put_back(run.state_dir))
        state = msgspec.structs.replace(state, state="running", started=time.time())
        run.write_state(state)
        run.log("START", os.getpid(), "running")
        order = run.read_order()
        if order.host is not None:
            touched = True
            setup = set_up(run.state_dir, order.host, run=run.run, note=run.setup, supervisor=os.getpid())
        deadline = None if order.limit_s is None else time.monotonic() + order.limit_s
        for restarts_left in range(order.restarts, -1, -1):
            state = _execute(run, order, setup, state, libc, deadline)
            if restarts_left == 0 or state.rc is None or state.rc >= 0:
                break
            # Nothing of ours kills the command without an end of the run; what did so may have left its children.
            _say(f"the command was killed by signal {-state.rc}; it goes on where it was")
            if _end_everything(run, setup):
                break
    except _Stopped as stop:
        state = msgspec.structs.replace(state, state=stop.outcome, reason=stop.reason)
    except Exception as exc:  # whatever it is, the run must get a final state: nobody else would give it one now
        _say(f"the supervisor failed: {type(exc).__name__}: {exc}")
        state = msgspec.structs.replace(state, state="lost", reason=f"the supervisor failed: {exc}")
    left = _end_everything(run, setup)
    if left:
        _say(f"these processes could not be ended: {left}")
    if touched:  # by what is noted on disk: it may have failed half-way
        _say(*put_back(run.state_dir, setup.shield if setup is not None else None))
    _end(run, msgspec.structs.replace(state, finished=time.time(), pid=None))
    if host is not None:
        os.close(host)
    return 0


def _end(run: RunDir, state: RunState) -> None:
    """Say what became of the run, where everybody looks for it; room for that was kept."""
    full = state.state in ("done", "lost") and state.rc != 0 and run.is_full()
    run.use_room()
    if full:
        state = msgspec.structs.replace(state, reason=state.reason or f"the disk of {run.path} is full: make room")
        _say(f"the disk of {run.path} is full: make room, and try again")
    try:
        run.write_state(state)
        # The line is written before the host is free: in runs.log, no START stands between a START and its END.
        if state.started is not None:
            run.log("END", os.getpid(), state.state)
    except OSError as exc:  # whoever attaches next settles it
        _say(f"the end of the run could not be noted: {exc}")


def _take_alive(run: RunDir) -> bool:
    """Become the supervisor; False if the run already has, or had, another one."""
    for _ in range(500):
        fd = try_lock(run.alive_lock)
        if fd is not None:
            if run.read_state() is None:
                return True  # the descriptor is never closed: it lives as long as this process
            os.close(fd)
            return False
        if run.read_state() is not None:
            return False
        time.sleep(0.02)  # somebody looks whether we live: that takes no time
    return False


def _take_host(run: RunDir) -> int:
    def pause() -> bool:
        _check_stop(run, _POLL_S)
        return True

    _check_stop(run, 0)
    host = acquire_host(run.state_dir, shared=False, pause=pause)
    if host is None:
        raise _Stopped("lost", "the host's lock could not be taken")
    _check_stop(run, 0)
    return host


def _check_stop(run: RunDir, timeout_s: float) -> None:
    """Wait for a signal and raise _Stopped if one says so, or if somebody asked for the end before we could
    hear it.
    """
    info = signal.sigtimedwait(_SIGNALS, timeout_s)
    asked = run.asked_outcome()
    if asked is not None:
        raise _Stopped(asked)
    if info is not None and info.si_signo in _STOP:
        raise _Stopped("lost", f"the supervisor got {signal.Signals(info.si_signo).name}")


def _end_orphans(run: RunDir) -> None:
    """End what runs without supervisor have left: pyperf's workers hold no lock, only mark and measuring group tell."""
    deadline = time.monotonic() + _ORPHAN_LIMIT_S

    def find() -> list[int]:
        return sorted({*marked_by_others(run.runs, run.path), *left_behind(run.state_dir)})

    while left := kill_all(find, limit_s=10.0):
        _say(f"waiting for processes of an earlier run to end: {left}")
        _check_stop(run, 0)
        if time.monotonic() > deadline:
            raise _Stopped("lost", f"processes of an earlier run do not end: {left}")


def _execute(
    run: RunDir, order: Order, setup: Setup | None, state: RunState, libc: ctypes.CDLL, deadline: float | None
) -> RunState:
    """Run the command to its end, or raise _Stopped, at the latest at `deadline` of the monotonic clock."""
    parent = os.getpid()
    cpus = order.cpus if setup is None else setup.shield.housekeeping

    def prepare() -> None:  # in the child, before exec
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)  # the supervisor was killed before that took effect
        if cpus is not None:
            with contextlib.suppress(OSError) if setup is not None else contextlib.nullcontext():
                os.sched_setaffinity(0, cpus)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    environ = {**os.environ, MARK: str(run.path)}
    if setup is not None:
        environ[SETUP_VARIABLE] = str(run.setup)
    if state.rc is not None:  # it was killed
        environ[AGAIN] = "1"
    try:
        process = subprocess.Popen(
            order.argv,
            cwd=order.cwd,
            env=environ,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=prepare,
        )
    except (OSError, ValueError, subprocess.SubprocessError) as exc:
        reason = f"cannot run {order.argv[0]!r} in {order.cwd!r}: {exc}"
        if isinstance(exc, subprocess.SubprocessError) and order.cpus is not None:  # all in `prepare` that can fail
            reason = (
                f"CPU {format_cpu_list(order.cpus)} cannot be had here: it is switched off, or shielded from this run"
            )
        _say(reason)
        return msgspec.structs.replace(state, state="done", rc=_COMMAND_NOT_FOUND, reason=reason)
    state = msgspec.structs.replace(state, state="running", pid=process.pid, rc=None)
    run.write_state(state)
    while True:
        rc = _reap(process.pid)
        if rc is not None:
            return msgspec.structs.replace(state, state="done", rc=rc)
        timeout = 60.0 if deadline is None else max(0.0, min(60.0, deadline - time.monotonic()))
        try:
            _check_stop(run, timeout)
        except _Stopped:
            # It may have ended in the same moment; what was measured to its end is not thrown away.
            rc = _reap(process.pid)
            if rc is not None and run.asked_outcome() is None:
                return msgspec.structs.replace(state, state="done", rc=rc)
            raise
        if deadline is not None and time.monotonic() >= deadline:
            rc = _reap(process.pid)
            if rc is not None:
                return msgspec.structs.replace(state, state="done", rc=rc)
            reason = f"the time limit of {order.limit_s:g} s was reached"
            _say(reason)
            raise _Stopped("timeout", reason)


def _say(*lines: str) -> None:
    """Print lines into the run's log; a full disk must keep nobody from ending the run."""
    for line in lines:
        with contextlib.suppress(OSError):
            print(f"benchyard: {line}", flush=True)


def _reap(pid: int | None = None) -> int | None:
    """Collect every child that has ended, adopted ones too; returns the exit code of `pid` if it is among
    them.
    """
    code = None
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == pid:
                code = os.waitstatus_to_exitcode(ended[1])
    return code


def _end_everything(run: RunDir, setup: Setup | None) -> list[int]:
    """End all that descends from us, bears our mark or is in our measuring group; returns what cannot be ended."""

    def find() -> list[int]:
        inside = processes_of(setup.shield) if setup is not None else ()
        return sorted({*descendants(os.getpid()), *marked(run.path), *inside})

    def reap() -> None:
        _reap()

    return kill_all(find, reap=reap)


if __name__ == "__main__":
    status = main(sys.argv[1:])
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    # No clean-up of the interpreter: Popen would complain of a child that we have collected ourselves.
    os._exit(status)
