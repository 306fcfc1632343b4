"""Putting the values of single benchmarks together into the one pyperf file of a run."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchyard.tasks.errors import OptionError
from benchyard.tasks.files import sync_directory
from benchyard.tasks.interpreter import Interpreter

_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}", re.ASCII)
# What the run itself says; a caller's value would be a lie. The branch is often known to who had it built alone.
_OWN_KEYS = {
    "name",
    "performance_version",
    "commit_id",
    "benchyard_interpreter",
    "benchyard_patch",
    "benchyard_flags",
    "benchyard_configure_args",
    "benchyard_compiler",
    "benchyard_libc",
    "benchyard_build_cpus",
}


def check_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return metadata that may be added to a result; raises OptionError for a key or value pyperf cannot
    take.
    """
    from pyperf._metadata import METADATA

    for key, value in metadata.items():
        if not _KEY.fullmatch(key):
            raise OptionError(f"bad metadata key {key[:80]!r}: letters, digits, '_', '.', '-', at most 64")
        if key in METADATA or key in _OWN_KEYS:
            raise OptionError(f"metadata key {key!r} is written by the run itself; choose another")
        if not value or not value.isprintable() or len(value) > 4096:
            raise OptionError(f"metadata {key!r} must be printable text of at most 4096 characters, not empty")
    return dict(metadata)


def interpreter_metadata(interpreter: Interpreter) -> dict[str, str | int]:
    """What a file says of the interpreter, so that one who has nothing else knows what was measured.

    `benchyard_patch` is the SHA-256 of the patch on top of `commit_id`, `benchyard_compiler` the first line of
    `CC --version` where that is known.
    """
    toolchain = interpreter.toolchain
    facts: dict[str, str | int | None] = {
        "commit_id": interpreter.commit,
        "commit_branch": interpreter.branch,
        "benchyard_interpreter": interpreter.id,
        "benchyard_patch": interpreter.patch,
        "benchyard_flags": ",".join(interpreter.flags),
        "benchyard_configure_args": interpreter.configure_args.strip(),
        "benchyard_compiler": toolchain.cc_version if toolchain else interpreter.compiler,
        "benchyard_libc": toolchain.libc if toolchain else interpreter.libc,
        "benchyard_build_cpus": toolchain.cpus if toolchain else None,
    }
    return {key: value for key, value in facts.items() if value}


def load_values(path: Path, known: set[str]) -> list[Any]:
    """Return the pyperf benchmarks of one file; raises ValueError if it is no such file or repeats a known
    name.
    """
    import pyperf

    try:
        suite = pyperf.BenchmarkSuite.load(str(path))
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise ValueError(f"it left no valid result: {exc}") from exc
    benchmarks = list(suite.get_benchmarks())
    for benchmark in benchmarks:
        if benchmark.get_name() in known:
            raise ValueError(f"it reports {benchmark.get_name()!r}, which another benchmark has reported")
    return benchmarks


def write_result(benchmarks: Sequence[Any], metadata: Mapping[str, str | int], output: Path) -> None:
    """Write one pyperf file, atomically and synced; its name's end (.gz) says whether it is compressed."""
    import pyperf

    if metadata:
        for benchmark in benchmarks:
            benchmark.update_metadata(dict(metadata))
    temporary = output.with_name(f".{os.getpid()}.{output.name}")
    try:
        pyperf.BenchmarkSuite(list(benchmarks)).dump(str(temporary), replace=True)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(output)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(output.parent)
