"""The benchmarks of the suite, pyperformance, and how people select them."""

import difflib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from benchyard.tasks.errors import SelectionError

SUITE = "pyperformance"


def suite_version() -> str:
    """Return the version of the installed suite."""
    import pyperformance

    return str(pyperformance.__version__)


@lru_cache(maxsize=1)
def _manifest() -> Any:
    """Return pyperformance's own manifest; kept, as it reads some ninety files."""
    from pyperformance import _manifest

    return _manifest.load_manifest(None)


def load_benchmarks(names: Sequence[str]) -> list[Any]:
    """Return pyperformance's benchmark objects of names that `select_benchmarks` gave, in their order."""
    by_name = {benchmark.name: benchmark for benchmark in _manifest().benchmarks}
    return [by_name[name] for name in names]


def select_benchmarks(selections: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the selected benchmarks, sorted as pyperformance runs them.

    A selection is the name of a benchmark, group or tag; with a `-` before it, these are left out; several
    may stand in one string with commas between. Without any that includes, the suite's default group is
    taken. Raises SelectionError for an unknown name (with the nearest right one) and where nothing is left.
    """
    included: set[str] = set()
    excluded: set[str] = set()
    entries = [entry.strip() for selection in selections for entry in selection.split(",")]
    entries = [entry for entry in entries if entry]
    for entry in entries:
        if entry.startswith("-"):
            excluded.update(_resolve(entry[1:].strip()))
        else:
            included.update(_resolve(entry))
    if not any(not entry.startswith("-") for entry in entries):
        included.update(_resolve("default"))
    chosen = tuple(sorted(included - excluded))
    if not chosen:
        raise SelectionError(f"the selection {','.join(entries)!r} leaves no benchmark")
    return chosen


def _resolve(name: str) -> set[str]:
    manifest = _manifest()
    lowered = name.lower()
    names = {benchmark.name for benchmark in manifest.benchmarks}
    if lowered in names:
        return {lowered}
    if lowered in manifest.groups:
        return {benchmark.name for benchmark in manifest.resolve_group(lowered)}
    if lowered in manifest.tags:
        return {benchmark.name for benchmark in manifest.benchmarks if lowered in benchmark.tags}
    near = difflib.get_close_matches(lowered, [*names, *manifest.groups, *manifest.tags], n=1)
    # A hostile name is not echoed at full length: the message becomes one line of a log or page.
    shown = repr(name if len(name) <= 60 else name[:60] + "...")
    hint = f"did you mean {near[0]!r}?" if near else "see `pyperformance list` and `pyperformance list_groups`"
    raise SelectionError(f"unknown benchmark {shown}; {hint}")
