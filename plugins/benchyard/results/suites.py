"""What is read from a result file: its benchmarks with their values."""

from collections.abc import Iterable, Mapping
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
    `python` is what benchmarks say of the interpreter, which the metadata of the file may lack.
    """

    metadata: dict[str, Any]
    benchmarks: dict[str, Samples]
    valueless: tuple[str, ...]
    date: str = ""
    python: dict[str, Any] = {}


#: What a file says of the interpreter: of each benchmark, where not all of them say the same.
PYTHON = ("python_version", "python_implementation", "python_executable", "python_config_args", "python_compiler")


def told_of_python(file: Mapping[str, Any], benchmarks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What a file does not say of the interpreter, of the first benchmark that does; those of commands do not."""
    wanted = [name for name in PYTHON if name not in file]
    found: dict[str, Any] = {}
    for metadata in benchmarks:
        if len(found) == len(wanted):
            break
        found = {name: metadata[name] for name in wanted if name in metadata} | found
    return found
