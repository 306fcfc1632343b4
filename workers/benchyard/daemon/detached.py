"""Starting a supervisor in the background, and ending it from another process."""

import contextlib
import os
import signal
import subprocess
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchyard.daemon.errors import AlreadyRunning
from benchyard.daemon.leftovers import clear_leftovers
from benchyard.daemon.lock import running
from benchyard.daemon.processes import wait_until


def spawn_detached(argv: Sequence[str], *, log: Path, cwd: Path, env: Mapping[str, str] | None = None) -> int:
    """Start a program that outlives its starter and its terminal; its process number.

    It has a session of its own, no input, and appends its output to `log`. `env` is the whole environment;
    None means the caller's. Raises OSError if the program cannot be started.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    pid = process.pid
    # Nobody waits for it, which is the point. `subprocess` warns of that, and reaps it if it ends before us.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        del process
    return pid


def stop(lock: Path, timeout_s: float) -> bool:
    """Ask the supervisor that holds `lock` to stop its programs and end; whether none is left running.

    It is never killed: its programs would live on. False means that it was still stopping after `timeout_s`.
    What a supervisor that somebody else killed left running is ended as well.
    """
    deadline = time.monotonic() + timeout_s
    pid = running(lock)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        if not wait_until(lambda: running(lock) != pid, timeout_s):
            return False
    try:
        return clear_leftovers(lock, say=lambda line: None, grace_s=max(0.0, deadline - time.monotonic()))
    except AlreadyRunning:
        return False  # somebody has just started it again
