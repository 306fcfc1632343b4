"""A part of a job's preparation on this host: never while it measures, and nothing of it lives on when it is over.

Who starts such a part for a lab says by BUILD_MARK in its environment which builder's folder it works in. All that is
started there bears that mark by inheritance. What cleared its environment is still found among the descendants, as long
as the part itself lives: it adopts those whose parents have ended.
"""

import ctypes
import math
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType

from benchyard.tasks.errors import BuildError, HostBusyError
from benchyard.tasks.hostlock import hold_host
from benchyard.tasks.processes import BUILD_MARK, descendants, kill_all, marked

#: The argument by which the lab says of a transfer of a file that it is such a part; see benchyard.worker.transfers.
PREPARES = "benchyard_prepares"

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_TERMINATED = 128 + signal.SIGTERM


@contextmanager
def preparing(state: Path | None, say: Callable[[str], None], *, shared: bool = True) -> Iterator[int | None]:
    """Hold the host at `state`, shared, for a part of a preparation; gives the lock's descriptor.

    Who looks after the host instead holds it alone.

    In a builder's folder, what an earlier part has left there is ended first: a worker that was killed ends nothing.
    The lock is given back when all that this part has started is ended, however it ends but by SIGKILL. HostBusyError
    where a process cannot be ended.
    """
    folder = os.environ.get(BUILD_MARK)
    if folder is not None:
        _end_with_worker()
        _end_all(Path(folder))  # before the lock, which it may hold
    # A measurement may take days; whoever started this decides how long to wait for it.
    lock = hold_host(state, shared=shared, timeout_s=math.inf, say=say) if state is not None else nullcontext()
    with lock as held:
        try:
            yield held
        finally:
            if folder is not None:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                _end_all(Path(folder))


def run_command(argv: Sequence[str], environ: Mapping[str, str], lock: int | None) -> int:
    """Run a command to its end and give its exit status as a shell does; BuildError where it cannot be run.

    It and all it starts hold the lock too, should this process be killed: no measurement begins while any of it lives.
    """
    own = os.getpid()

    def prepare() -> None:  # in the child, before exec
        _libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != own:
            os._exit(1)  # this process was killed before that took effect

    locks = () if lock is None else (lock,)
    try:
        status = subprocess.Popen(argv, env=environ, pass_fds=locks, preexec_fn=prepare).wait()
    except OSError as exc:
        raise BuildError(f"{argv[0]} cannot be run: {exc.strerror}") from exc
    return status if status >= 0 else 128 - status


def _end_with_worker() -> None:
    """Adopt what descends from this process, and come to an orderly end when the worker cancels it or is killed."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise SystemExit(_TERMINATED)

    signal.signal(signal.SIGTERM, stop)
    _libc().prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    _libc().prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _end_all(folder: Path) -> None:
    """End what descends from this process and what else works in this builder's folder."""
    left = kill_all(lambda: sorted({*descendants(os.getpid()), *marked(folder, BUILD_MARK)}))
    if left:
        raise HostBusyError(f"processes of a build in {folder} cannot be ended: {left}; look what they wait for")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)
