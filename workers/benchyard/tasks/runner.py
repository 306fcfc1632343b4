"""The durable runner: start a run or attach to it, stop it, list what runs.

A run is known by its name (JOB.ATTEMPT), for 90 days after its end at least: attaching again never starts it again,
whatever became of whoever attached before. See rundir.py for the files and supervisor.py for the process that does the
work.
"""

import hashlib
import math
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from benchyard.tasks.attached import outlives, start_attached
from benchyard.tasks.cpus import check_cpus
from benchyard.tasks.errors import OptionError, SupervisorError
from benchyard.tasks.files import tail
from benchyard.tasks.following import Follower, Sink
from benchyard.tasks.hostlock import try_lock
from benchyard.tasks.processes import AGAIN, MARK, kill_all, marked
from benchyard.tasks.rundir import STOP_OUTCOMES, HostOrder, Order, RunDir, RunState, all_runs
from benchyard.tasks.settling import mend_after, settle

# Exit codes of `benchyard task attach`; a run that is done has 0, or FAILED where its command failed. None is one that
# an interpreter or a command line gives of itself, so that a broken attach is not taken for a failed run.
FAILED = 73
EXIT_CODES = {"canceled": 74, "timeout": 75, "lost": 76, "interrupted": 77}

_POLL_S = 0.25
_START_LIMIT_S = 60.0
# The supervisor needs the grace of 2 s and up to 60 s for what is hard to kill.
_STOP_LIMIT_S = 90.0


class Outcome(msgspec.Struct, frozen=True):
    """The state a run has come to; `rc` is the command's exit code (negative: the signal) of a run that is
    done.
    """

    run: str
    state: str
    rc: int | None = None
    reason: str | None = None
    supervisor: int | None = None
    created: float | None = None
    started: float | None = None
    finished: float | None = None

    @property
    def exit_code(self) -> int:
        """The exit code of `benchyard task attach` for this outcome."""
        if self.state == "done":
            return 0 if self.rc == 0 else FAILED
        return EXIT_CODES.get(self.state, 1)


def attach(
    run: str,
    argv: Sequence[str],
    *,
    state: Path | str,
    limit_s: float | None = None,
    cpus: tuple[int, ...] | None = None,
    host: HostOrder | None = None,
    restarts: int = 0,
    seen: int | None = None,
    out: Sink,
) -> Outcome:
    """Start the run, or attach to it if it was ever started, and follow it to its end.

    Its whole output is copied to `out`, from the beginning each time; with `seen` as lines, without the first so many.
    `limit_s` (seconds), `cpus`, `host`, how to make the host ready, and `restarts` after a kill of the command count
    for a start only. Ending this process or closing `out` does not touch the run. Raises RunNameError, OptionError,
    CpuListError, and SupervisorError if it cannot be started.
    """
    directory = RunDir(state, run)
    if not argv or any("\0" in argument for argument in argv):
        raise OptionError(f"run {run}: there is no command to run" if not argv else f"run {run}: NUL in an argument")
    if limit_s is not None and not (math.isfinite(limit_s) and limit_s > 0):
        raise OptionError(f"run {run}: the time limit must be a positive number of seconds, not {limit_s}")
    order = Order(tuple(argv), str(Path.cwd()), limit_s, cpus, host, restarts)
    try:
        msgspec.json.encode(order)
    except UnicodeEncodeError as exc:
        raise OptionError(f"run {run}: the command or the working directory is not UTF-8 text") from exc
    if cpus is not None and directory.read_state() is None:
        check_cpus(cpus)  # of a run that is there they are of no interest; the host may have lost some since
    directory.make()
    with _control(directory):
        if directory.read_state() is None:
            asked = directory.asked_outcome()
            if asked is None and outlives():
                _start(directory, order)
            elif asked is None:
                start_attached(directory, order)
            else:
                _write_unstarted(directory, asked)
    return _follow(directory, Follower(directory.output, out, seen))


def stop(run: str, *, state: Path | str, outcome: str = "canceled") -> Outcome:
    """End a run with all its processes and return its outcome; one that has not started never will.

    `outcome` is "canceled", or "interrupted" where the lab shuts down. A run that is over stays what it is.
    Raises SupervisorError if it does not end within a minute and a half.
    """
    if outcome not in STOP_OUTCOMES:
        raise OptionError(f"run {run}: the outcome of a stop is one of {', '.join(STOP_OUTCOMES)}, not {outcome!r}")
    directory = RunDir(state, run)
    directory.make()
    # Before the lock: a supervisor that comes up right now must find it.
    current = directory.read_state()
    if current is None or not current.final:
        directory.ask_outcome(outcome)
    settled = False
    with _control(directory):
        deadline = time.monotonic() + _STOP_LIMIT_S
        while True:
            alive = directory.alive()
            current = directory.read_state()
            if current is not None and current.final and not alive:
                break  # its supervisor, which writes that state before it ends, has ended too
            if current is None:
                _write_unstarted(directory, directory.asked_outcome() or outcome)
            elif current.final:
                pass
            elif alive:
                _tell(directory)
            else:
                settle(directory)
                settled = True
            if time.monotonic() > deadline:
                raise SupervisorError(f"run {run}: its supervisor does not end; see {directory.output}")
            time.sleep(0.05)
    # What bears the mark without being below the supervisor; normally nothing.
    kill_all(lambda: marked(directory.path))
    if settled:
        mend_after(directory)
    return _outcome(directory, current)


def list_runs(state: Path | str) -> tuple[Outcome, ...]:
    """Return every run this host knows with its state, by name; a run without supervisor is shown as lost."""
    runs = []
    for directory in all_runs(state):
        try:
            current = directory.read_state()
            if current is not None and not current.final and not directory.alive():
                # Only shown: the one who attaches, or the next run, settles it.
                current = directory.read_state() or current
                if not current.final:
                    current = msgspec.structs.replace(current, state="lost", reason="its supervisor is gone")
        except SupervisorError as exc:
            current = RunState("lost", reason=str(exc))
        if current is not None:
            runs.append(_outcome(directory, current))
    return tuple(runs)


def active_runs(state: Path | str) -> tuple[str, ...]:
    """Return the runs whose supervisor lives, waiting ones too, by name."""
    return tuple(outcome.run for outcome in list_runs(state) if outcome.state in ("waiting", "running"))


def _outcome(directory: RunDir, state: RunState) -> Outcome:
    return Outcome(
        run=directory.run,
        state=state.state,
        rc=state.rc,
        reason=state.reason,
        supervisor=state.supervisor,
        created=state.created,
        started=state.started,
        finished=state.finished,
    )


@contextmanager
def _control(directory: RunDir) -> Iterator[None]:
    """Hold the run's control lock: starting and stopping exclude each other."""
    deadline = time.monotonic() + _STOP_LIMIT_S + _START_LIMIT_S
    while (fd := try_lock(directory.control_lock)) is None:
        if time.monotonic() > deadline:
            raise SupervisorError(f"run {directory.run}: {directory.control_lock} is held by another process")
        time.sleep(0.05)
    try:
        yield
    finally:
        os.close(fd)


def _start(directory: RunDir, order: Order) -> None:
    """Start the supervisor and return when it has written its first state."""
    directory.keep_room()
    if not directory.order.exists():  # else a supervisor is coming up whose starter was killed: it may read it now
        directory.write_order(order)
    scope = scope_command(directory.path)
    said = _started(directory, scope)
    if said is not None and scope:  # systemd does not let us: the worker's unit must then leave its processes alone
        said = _started(directory, [])
    if said is not None:
        why = f"the disk of {directory.path} is full: make room, and try again" if directory.is_full() else said
        directory.use_room()
        raise SupervisorError(f"run {directory.run}: its supervisor did not start: {why}")


def scope_command(run: Path, root: Path = Path("/")) -> list[str]:
    """What starts a command in a unit of its own where systemd rules, else nothing.

    In the unit of the worker daemon, the run would end with that: `KillMode=control-group` is the default. Nobody is
    asked for a password: who may not have such a unit does without.
    """
    if not (root / "run/systemd/system").is_dir() or shutil.which("systemd-run") is None:
        return []
    name = f"benchyard-{run.name}-{hashlib.sha256(os.fsencode(run)).hexdigest()[:8]}"
    return ["systemd-run", "--no-ask-password", "--scope", "--quiet", "--collect", f"--unit={name}", "--"]


def _started(directory: RunDir, scope: Sequence[str]) -> str | None:
    """Start the supervisor, in a unit of its own by `scope`; None when it has a state, else its last words."""
    environ = {name: value for name, value in os.environ.items() if name not in (MARK, AGAIN)}
    read_end, write_end = os.pipe()
    try:
        with directory.output.open("ab") as log:
            # All descriptors but these are closed, above all the control lock: the supervisor would hold it
            # for good.
            process = subprocess.Popen(
                [
                    *scope,
                    sys.executable,
                    "-P",
                    "-m",
                    "benchyard.tasks.supervisor",
                    str(directory.path),
                    str(write_end),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environ,
                pass_fds=(write_end,),
                start_new_session=True,
            )
        os.close(write_end)
        write_end = -1
        deadline = time.monotonic() + _START_LIMIT_S
        while directory.read_state() is None:
            ready, _, _ = select.select([read_end], [], [], 0.1)
            ended = bool(ready) and not os.read(read_end, 1)
            if ended and not directory.alive() and directory.read_state() is None:
                process.wait(timeout=_START_LIMIT_S)
                return tail(directory.output, 1) or "it said nothing"
            if time.monotonic() > deadline:
                raise SupervisorError(f"run {directory.run}: its supervisor did not start within {_START_LIMIT_S:g} s")
        process.wait(timeout=_START_LIMIT_S)  # it has forked and ended
        return None
    finally:
        os.close(read_end)
        if write_end >= 0:
            os.close(write_end)


def _write_unstarted(directory: RunDir, outcome: str) -> None:
    """Give a run that never started its final state, unless a supervisor comes up in this moment."""
    fd = try_lock(directory.alive_lock)
    if fd is None:
        return
    try:
        if directory.read_state() is None:
            now = time.time()
            directory.write_state(RunState(outcome, created=now, finished=now, reason="stopped before it started"))
    finally:
        os.close(fd)


def _tell(directory: RunDir) -> None:
    """Tell the living supervisor to look at the `cancel` file."""
    state = directory.read_state()
    if state is None or state.supervisor is None:
        return
    try:
        pidfd = os.pidfd_open(state.supervisor)
    except ProcessLookupError:
        return
    try:
        if directory.alive():  # so the number was not given to another process before we opened it
            signal.pidfd_send_signal(pidfd, signal.SIGTERM)
    except ProcessLookupError:
        pass  # it has ended since
    finally:
        os.close(pidfd)


def _follow(directory: RunDir, follower: Follower) -> Outcome:
    """Copy the output until the run has a final state."""
    while True:
        # In this order: what a run printed is in the file before its state is final, and its state is final
        # before its supervisor ends.
        alive = directory.alive()
        state = directory.read_state()
        follower.copy(ended=state is not None and state.final)
        if state is not None and state.final:
            return _outcome(directory, state)
        if alive:
            time.sleep(_POLL_S)
        elif state is None:
            raise SupervisorError(f"run {directory.run}: it has neither a state nor a supervisor; see {directory.path}")
        elif (settled := settle(directory)) is None or not settled.final:
            time.sleep(_POLL_S)  # another process settles it
        else:
            mend_after(directory)
