"""The supervisor: takes the lock, starts the programs, restarts what ends, stops all when asked."""

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from benchyard.daemon.child import Child
from benchyard.daemon.errors import DaemonError
from benchyard.daemon.leftovers import end_leftovers, forget, remember
from benchyard.daemon.lock import held
from benchyard.daemon.program import Program

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def supervise(
    programs: Sequence[Program],
    *,
    lock: Path,
    say: Callable[[str], None],
    stop_order: Sequence[str] | None = None,
    grace_s: float = 30.0,
) -> None:
    """Keep `programs` running until SIGTERM, SIGINT or SIGHUP, then stop them and return.

    They start in the given order and stop in `stop_order` (names; by default the reverse), each with
    `grace_s` seconds between SIGTERM and SIGKILL. One that ends is started again after 1 s, then 2, 4 and so
    on up to 30 s. Call it in the main thread, since it handles signals; between events it sleeps and uses no
    CPU. `say` gets one line per event. Raises AlreadyRunning if another supervisor holds `lock`.
    """
    order = _checked_order(programs, stop_order)
    with held(lock), _Wakeup() as wakeup, contextlib.ExitStack() as at_end:
        end_leftovers(lock, say, grace_s)
        mark = str(lock.resolve())
        children = {program.name: Child(program, mark, say) for program in programs}
        # Last in, first out; each is done even if one before it (`say`, a closed pipe) fails.
        at_end.callback(forget, lock)
        for name in reversed(order):
            at_end.callback(children[name].stop, grace_s)
        for child in children.values():
            if wakeup.asked_to_stop:
                break
            child.start()
            _remember(lock, children)
        while not wakeup.asked_to_stop:
            _tend(lock, children)
            wakeup.wait(_seconds_to_next_start(children))
        say("asked to stop")


def _checked_order(programs: Sequence[Program], stop_order: Sequence[str] | None) -> list[str]:
    names = [program.name for program in programs]
    if len(set(names)) != len(names):
        raise DaemonError(f"two programs have the same name: {', '.join(names)}")
    order = list(reversed(names)) if stop_order is None else list(stop_order)
    if sorted(order) != sorted(names):
        raise DaemonError(f"stop_order must name each of these once: {', '.join(names)}")
    return order


def _tend(lock: Path, children: dict[str, Child]) -> None:
    changed = [child.look() for child in children.values()]
    now = time.monotonic()
    for child in children.values():
        if child.due is not None and child.due <= now:
            child.start()
            changed.append(True)
    if any(changed):
        _remember(lock, children)


def _remember(lock: Path, children: dict[str, Child]) -> None:
    remember(lock, {name: child.identity for name, child in children.items() if child.identity is not None})


def _seconds_to_next_start(children: dict[str, Child]) -> float | None:
    due = [child.due for child in children.values() if child.due is not None]
    return max(0.0, min(due) - time.monotonic()) if due else None


class _Wakeup:
    """Turns signals into an end of waiting: those to stop, and SIGCHLD when a program has ended.

    Python writes each signal's number into a pipe, so none is lost between looking and waiting.
    """

    def __init__(self) -> None:
        self.asked_to_stop = False

    def __enter__(self) -> "_Wakeup":
        with contextlib.ExitStack() as stack:
            self._reader, writer = os.pipe()
            stack.callback(os.close, self._reader)
            stack.callback(os.close, writer)
            os.set_blocking(self._reader, False)
            os.set_blocking(writer, False)
            stack.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(writer, warn_on_full_buffer=False))
            for number in (*STOP_SIGNALS, signal.SIGCHLD):
                if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                    continue  # nohup: the user wants it to outlive the terminal
                handler = self._on_child if number == signal.SIGCHLD else self._on_stop
                stack.callback(signal.signal, number, signal.signal(number, handler))
            self._exit = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._exit.close()

    def wait(self, timeout_s: float | None) -> None:
        """Wait for a signal, at most `timeout_s` seconds (None: for as long as it takes)."""
        select.select([self._reader], [], [], timeout_s)
        with contextlib.suppress(BlockingIOError):
            while os.read(self._reader, 4096):
                pass

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        self.asked_to_stop = True

    def _on_child(self, number: int, frame: FrameType | None) -> None:
        """Only the byte in the pipe matters."""
