"""The benchmarks of a suite, pyperformance's at one version, and how people select them.

One suite is installed beside this program; others are kept as directories (see suitemaking.py):

SUITE/suite.json           its label, where it came from, its id
      MANIFEST             includes those below
      pyperformance/       the benchmarks of one version of pyperformance
      manifest-1/ ...      those of further manifests
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from benchyard.tasks.errors import ArchiveError, SelectionError, SuiteError

SUITE = "pyperformance"
RECORD, MANIFEST = "suite.json", "MANIFEST"


class SuiteRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a kept suite is: the SHA-256 of its content, its label, and the version and commit of its pyperformance."""

    id: str
    label: str
    version: str
    commit: str | None = None
    repository: str | None = None
    manifests: int = 0


@dataclass(frozen=True)
class Suite:
    """The benchmarks of one manifest; `label` is what they are called in results, `1.14.0` or `1.14.0+g1a2b3c4d`.

    `id` is None for the suite that is installed beside this program.
    """

    label: str
    id: str | None = None
    folder: Path | None = None

    def load(self, names: Sequence[str]) -> list[Any]:
        """Return pyperformance's benchmark objects of names that `select` gave, in their order."""
        by_name = {benchmark.name: benchmark for benchmark in _manifest(self.folder).benchmarks}
        return [by_name[name] for name in names]

    def select(self, selections: Sequence[str]) -> tuple[str, ...]:
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
                excluded.update(self._resolve(entry[1:].strip()))
            else:
                included.update(self._resolve(entry))
        if not any(not entry.startswith("-") for entry in entries):
            included.update(self._resolve("default"))
        chosen = tuple(sorted(included - excluded))
        if not chosen:
            raise SelectionError(f"the selection {','.join(entries)!r} leaves no benchmark")
        return chosen

    def _resolve(self, name: str) -> set[str]:
        manifest = _manifest(self.folder)
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


@cache
def installed_suite() -> Suite:
    """The suite that is installed beside this program."""
    import pyperformance

    return Suite(str(pyperformance.__version__))


def open_suite(folder: Path) -> Suite:
    """The suite that is kept in a directory; SuiteError where there is none that can be read."""
    record = read_suite_record(folder)
    return Suite(record.label, record.id, folder)


def read_suite_record(folder: Path) -> SuiteRecord:
    """What a directory says of the suite in it; SuiteError where it says nothing that can be read."""
    try:
        return msgspec.json.decode((folder / RECORD).read_bytes(), type=SuiteRecord)
    except (OSError, msgspec.DecodeError) as exc:
        raise SuiteError(f"{folder} is no suite: {exc}; make one with `benchyard task make-suite`") from exc


def check_suite_tree(tree: Path, id: str) -> None:
    """ArchiveError where a directory holds another suite than the one with this id."""
    if read_suite_record(tree).id != id:
        raise ArchiveError(f"the archive holds another suite than {id[:12]}")


@cache
def _manifest(folder: Path | None) -> Any:
    """Return the manifest of a suite, None being pyperformance's own; kept, as it reads some ninety files."""
    from pyperformance import _manifest

    if folder is None:
        return _manifest.load_manifest(None)
    version = read_suite_record(folder).version

    def resolve(benchmark: Any) -> Any:
        """Benchmarks of pyperformance have no version but its own, which it gives to the installed ones only."""
        if not benchmark.spec.version:
            benchmark.spec = benchmark.spec._replace(version=version)
        return benchmark

    try:
        return _manifest.load_manifest(str(folder / MANIFEST), resolve=resolve)
    except (AttributeError, OSError, ValueError, NotImplementedError) as exc:
        raise SuiteError(f"the manifest of {folder} cannot be read: {exc}") from exc
