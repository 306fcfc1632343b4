"""Waiting for something in the lab to change, by asking now and then.

Asking is rare on purpose (1 s at first, 5 s later): the lab may be on the very host that measures.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from benchyard.client.errors import Unavailable, WaitTimeout

T = TypeVar("T")


@dataclass(frozen=True)
class Polling:
    """How often to ask, and how long a lab that does not answer is waited for; times in seconds.

    A lab that restarts loses no measurement, so neither should whoever waits for one: `patience_s` is how
    long it may be away.
    """

    first_s: float = 1.0
    longest_s: float = 5.0
    growth: float = 1.25
    patience_s: float = 300.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def watch(ask: Callable[[], T], polling: Polling, *, what: str, timeout_s: float | None = None) -> Iterator[T]:
    """Yield what `ask` returns again and again, a pause before each; the caller stops when it has enough.

    Raises WaitTimeout after `timeout_s`, and the Unavailable of a lab that is away for longer than the
    patience.
    """
    deadline = None if timeout_s is None else polling.clock() + timeout_s
    heard = polling.clock()
    pause_s = polling.first_s
    while True:
        now = polling.clock()
        if deadline is not None and now >= deadline:
            raise WaitTimeout(f"{what} has not ended after {timeout_s:g} s; it goes on")
        polling.sleep(pause_s if deadline is None else max(0.0, min(pause_s, deadline - now)))
        pause_s = min(pause_s * polling.growth, polling.longest_s)
        try:
            answer = ask()
        except Unavailable:
            if polling.clock() - heard > polling.patience_s:
                raise
            continue
        heard = polling.clock()
        yield answer
