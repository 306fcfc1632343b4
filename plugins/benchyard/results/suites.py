"""What is read from a result file: its benchmarks with their values."""

from typing import Any

import msgspec


class Samples(msgspec.Struct, frozen=True):
    """The values of one benchmark over all its runs, without warmups; `unit` is second, byte or integer.

    `processes` are the numbers of values that the processes gave in which it ran, in their order: values of one process
    are more alike than those of several. `version` is the benchmark's own, `tags` are those of its suite, `memory` is
    the most that one of the processes had, in bytes, None where the file does not say.
    """

    values: tuple[float, ...]
    unit: str
    processes: tuple[int, ...] = ()
    version: str = ""
    tags: tuple[str, ...] = ()
    memory: float | None = None


class Suite(msgspec.Struct, frozen=True):
    """A result file: what it says of itself, and the benchmarks by name.

    `valueless` names those that were calibrated only: they are in the file, and there is nothing to compare. `date` is
    when its first run began, as the file has it, empty where it does not say.
    """

    metadata: dict[str, Any]
    benchmarks: dict[str, Samples]
    valueless: tuple[str, ...]
    date: str = ""
