"""A run's name, JOB.ATTEMPT, and the keys by which Buildbot's requests are known as a job's."""

import re
from typing import NamedTuple

_PUSH = re.compile(r".+:push:([0-9]{1,9}):([0-9]{1,9})")
_RUN = re.compile(r"([0-9]{1,9})\.([0-9]{1,4})")


class Run(NamedTuple):
    """One attempt at a job, known on the host as JOB.ATTEMPT."""

    job: int
    attempt: int

    def __str__(self) -> str:
        return f"{self.job}.{self.attempt}"


def stage_key(builder: str, run: Run) -> str:
    """What names the one request of `builder` for this run: written with the request, in its transaction."""
    return f"{builder}:{run}"


def run_of_key(key: str | None) -> Run | None:
    """The run that a stage's key names, if it is one."""
    match = _RUN.fullmatch((key or "").rpartition(":")[2])
    return Run(int(match[1]), int(match[2])) if match else None


def push_key(target: str, job: int, push: int) -> str:
    """What names the request that a job's N-th push on the queue made."""
    return f"{target}:push:{job}:{push}"


def push_of_key(key: str | None) -> tuple[int, int] | None:
    """(job, push) of the key of a request that a push made, None for any other."""
    match = _PUSH.fullmatch(key or "")
    return (int(match[1]), int(match[2])) if match else None
