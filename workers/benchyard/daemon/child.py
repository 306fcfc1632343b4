"""One program under supervision: starting it, watching it, ending it, and when to start it again."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

from benchyard.daemon.processes import MARK, end_group, group_members, start_time
from benchyard.daemon.program import Program

FIRST_DELAY_S = 1.0
LAST_DELAY_S = 30.0
STEADY_S = 60.0  # a program that lived this long starts with the first delay again
REMNANT_GRACE_S = 2.0
KILL_WAIT_S = 10.0


def next_delay(last: float | None, lived_s: float) -> float:
    """Seconds to wait before a restart: 1, 2, 4 ... 30, and 1 again after a life of 60 s."""
    if last is None or lived_s >= STEADY_S:
        return FIRST_DELAY_S
    return min(last * 2, LAST_DELAY_S)


class Child:
    """The present life, if any, of one program. Times are `time.monotonic()`."""

    def __init__(self, program: Program, mark: str, say: Callable[[str], None]) -> None:
        self.program = program
        self.due: float | None = None
        """When it is to be started next; None while it runs."""
        self._mark = mark
        self._say = say
        self._process: subprocess.Popen[bytes] | None = None
        self._identity: tuple[int, float] | None = None
        self._began = 0.0
        self._delay: float | None = None

    @property
    def identity(self) -> tuple[int, float] | None:
        """Process number and start time while it runs."""
        return None if self._process is None else self._identity

    def start(self) -> None:
        """Start it; where that fails, say why and try again later."""
        program = self.program
        self._began = time.monotonic()
        try:
            program.log.parent.mkdir(parents=True, exist_ok=True)
            with program.log.open("ab") as output, _on_cpus(program.cpus):
                self._process = subprocess.Popen(
                    list(program.argv),
                    cwd=program.cwd,
                    env={**program.env, MARK: self._mark},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    # It is a process group too, and Ctrl-C in the terminal reaches the supervisor alone.
                    start_new_session=True,
                )
        except OSError as exc:
            self._plan_restart(f"cannot start: {exc}")
            return
        self.due = None
        start = start_time(self._process.pid)
        self._identity = None if start is None else (self._process.pid, start)
        self._say(f"{program.name}: started as process {self._process.pid}")

    def look(self) -> bool:
        """Notice whether it ended by itself, and plan its next start; True if it did."""
        if self._process is None or self._process.poll() is None:
            return False
        process, self._process = self._process, None
        self._end_remnant(process.pid)
        self._plan_restart(_describe(process.returncode))
        return True

    def stop(self, grace_s: float) -> None:
        """End it and start it no more: SIGTERM to the program, `grace_s` later SIGKILL to all of its group.

        Only the program itself gets SIGTERM first, since it is the one that knows how to end its children.
        """
        self.due = None
        if self._process is None:
            return
        process, self._process = self._process, None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(KILL_WAIT_S)
            self._say(f"{self.program.name}: did not stop within {grace_s:g} s and was killed")
        self._end_remnant(process.pid)
        self._say(f"{self.program.name}: stopped")

    def _end_remnant(self, group: int) -> None:
        if group_members(group) and not end_group(group, REMNANT_GRACE_S, KILL_WAIT_S):
            self._say(f"{self.program.name}: processes of group {group} do not end, not even by SIGKILL")

    def _plan_restart(self, why: str) -> None:
        now = time.monotonic()
        self._delay = next_delay(self._delay, now - self._began)
        self.due = now + self._delay
        self._say(f"{self.program.name}: {why}, starting it again in {self._delay:g} s")


def _describe(returncode: int) -> str:
    if returncode >= 0:
        return f"ended with status {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"killed by signal {-returncode}"


@contextlib.contextmanager
def _on_cpus(cpus: tuple[int, ...] | None) -> Iterator[None]:
    """Be on `cpus` for the body, so that what is started there is on them from its first instruction."""
    if cpus is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
