"""The directory of a run: its name, its files, and who may write its state.

STATE/host.lock, STATE/host.turn   see hostlock.py
STATE/runs/runs.log                a line per START and END: ISO time, word, run, supervisor's pid, state
STATE/runs/RUN/order.json          what to run: arguments, directory, time limit, CPUs
               state.json          how far it is; written only by the holder of alive.lock
               output.log          what the command and its children print
               setup.json          what the host was made for it
               alive.lock          held by the supervisor as long as it lives
               control.lock        held by whoever starts or stops the run
               cancel              the outcome somebody asked for; it forbids a start
               reserve             room for what must be written at the end, should the disk be full by then
"""

import os
import re
import shutil
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from benchyard.tasks.errors import RunNameError, SupervisorError
from benchyard.tasks.files import append_line, is_full, write_atomically
from benchyard.tasks.hostlock import try_lock

#: How long the directory of a run is kept after its end, in seconds: its lab brings home what it left at once.
KEPT_S = 90 * 86400.0

#: Bytes of the room that a run keeps for its end.
RESERVE = 64 * 1024

FINAL_STATES = ("done", "canceled", "timeout", "interrupted", "lost")
STOP_OUTCOMES = ("canceled", "interrupted")
LOG_NAME = "runs.log"

# How a directory is called that is being removed: no run's name begins so.
_GONE = ".gone-"

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}", re.ASCII)


class HostOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a host is to be made ready: the CPUs that measure (None: choose), and what is to be left as it is."""

    cpus: tuple[int, ...] | None = None
    tune: bool = True
    shield: bool = True


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a run executes: `limit_s` are seconds from the command's start, `cpus` None means any.

    With `host`, the host is made ready first and put back afterwards, and the command runs on the housekeeping CPUs:
    what it measures, it puts on the others itself. A command that is killed is started again at most `restarts` times,
    with AGAIN in its environment: it must take up where it was.
    """

    argv: tuple[str, ...]
    cwd: str
    limit_s: float | None = None
    cpus: tuple[int, ...] | None = None
    host: HostOrder | None = None
    restarts: int = 0


class RunState(msgspec.Struct, frozen=True):
    """How far a run is: "waiting" for the host, "running" or one of FINAL_STATES; times are epoch seconds."""

    state: str
    supervisor: int | None = None
    boot_id: str | None = None
    pid: int | None = None
    rc: int | None = None
    created: float | None = None
    started: float | None = None
    finished: float | None = None
    reason: str | None = None

    @property
    def final(self) -> bool:
        """Whether this state never changes again."""
        return self.state in FINAL_STATES


class RunDir:
    """One run's directory; all paths are absolute and real, as the mark of its processes is compared with
    them.
    """

    def __init__(self, state: Path | str, run: str) -> None:
        if not _NAME.fullmatch(run) or run == LOG_NAME:
            shown = repr(run if len(run) <= 80 else run[:80] + "...")
            raise RunNameError(f"bad run name {shown}: letters, digits, '_', '.', '-', at most 64, no dot in front")
        self.run = run
        self.state_dir = Path(os.path.realpath(state))
        self.runs = self.state_dir / "runs"
        self.path = self.runs / run
        self.order = self.path / "order.json"
        self.state = self.path / "state.json"
        self.setup = self.path / "setup.json"
        self.output = self.path / "output.log"
        self.alive_lock = self.path / "alive.lock"
        self.control_lock = self.path / "control.lock"
        self.cancel = self.path / "cancel"
        self.reserve = self.path / "reserve"

    def make(self) -> None:
        """Make the directory, if it is not there."""
        self.path.mkdir(parents=True, exist_ok=True)

    def read_state(self) -> RunState | None:
        """Return the state, None before the supervisor has written its first."""
        try:
            data = self.state.read_bytes()
        except FileNotFoundError:
            return None
        try:
            return msgspec.json.decode(data, type=RunState)
        except msgspec.DecodeError as exc:
            raise SupervisorError(f"run {self.run}: {self.state} is damaged: {exc}") from exc

    def keep_room(self) -> None:
        """Make sure of the room for the end of the run; raises SupervisorError where there is none even now."""
        try:
            fd = os.open(self.reserve, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                os.posix_fallocate(fd, 0, RESERVE)
            finally:
                os.close(fd)
        except OSError as exc:
            self.use_room()
            raise SupervisorError(f"run {self.run}: {self.path} has no room for it: {exc.strerror}; make some") from exc

    def use_room(self) -> None:
        """Give back the room that was kept."""
        self.reserve.unlink(missing_ok=True)

    def is_full(self) -> bool:
        """Whether there is no room on the disk of the run but that which was kept."""
        try:
            return shutil.disk_usage(self.path).free < RESERVE // 4
        except FileNotFoundError:
            return False

    def write_state(self, state: RunState) -> None:
        """Write the state; only the holder of alive.lock may."""
        if state.final:
            self.use_room()
        write_atomically(self.state, msgspec.json.encode(state))

    def read_order(self) -> Order:
        """Return what to run."""
        return msgspec.json.decode(self.order.read_bytes(), type=Order)

    def write_order(self, order: Order) -> None:
        """Write what to run."""
        write_atomically(self.order, msgspec.json.encode(order))

    def asked_outcome(self) -> str | None:
        """Return the outcome somebody asked for, None if nobody did."""
        try:
            text = self.cancel.read_text("utf-8").strip()
        except FileNotFoundError:
            return None
        return text if text in STOP_OUTCOMES else "canceled"

    def ask_outcome(self, outcome: str) -> None:
        """Ask for an outcome; a person's cancel is not softened by a later shutdown of the lab."""
        if self.asked_outcome() != "canceled":
            try:
                write_atomically(self.cancel, outcome.encode())
            except OSError as exc:
                if not is_full(exc):
                    raise
                self.use_room()
                write_atomically(self.cancel, outcome.encode())

    def alive(self) -> bool:
        """Whether the supervisor lives: it holds alive.lock, and the kernel frees that, whatever ends it."""
        if not self.alive_lock.exists():
            return False
        fd = try_lock(self.alive_lock)
        if fd is not None:
            os.close(fd)
        return fd is None

    def log(self, word: str, supervisor: int | None, state: str) -> None:
        """Write a line of the host's history of runs."""
        now = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        append_line(self.runs / LOG_NAME, f"{now} {word} {self.run} {supervisor or '-'} {state}")


def all_runs(state: Path | str) -> list[RunDir]:
    """Return the runs a state directory knows, by name."""
    runs = Path(os.path.realpath(state)) / "runs"
    if not runs.is_dir():
        return []
    return [
        RunDir(state, entry.name) for entry in sorted(runs.iterdir()) if entry.is_dir() and _NAME.fullmatch(entry.name)
    ]


def drop_old_runs(state: Path | str) -> list[str]:
    """Remove the directories of runs that ended long ago; gives their names. The caller holds the host."""
    dropped = []
    for run in all_runs(state):
        try:
            known = run.read_state()
        except SupervisorError:
            continue
        if known is not None and known.final and known.finished and time.time() - known.finished > KEPT_S:
            with suppress(OSError):  # somebody else's is no reason not to run
                # Half a directory would be a run that never was.
                run.path.rename(run.runs / f"{_GONE}{run.run}")
                dropped.append(run.run)
    for path in (Path(os.path.realpath(state)) / "runs").glob(f"{_GONE}*"):
        shutil.rmtree(path, ignore_errors=True)
    return dropped


def boot_id(root: Path = Path("/")) -> str | None:
    """Return what tells one start of this host from the next, None where the kernel does not say."""
    try:
        return (root / "proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except (OSError, ValueError):
        return None
