"""Import and export of results: directories of files, as pyperf, pyperformance, bench_runner and PORTAL leave them."""

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

import msgspec

from benchyard.client.entities import Document, Link, make_document
from benchyard.client.errors import Conflict, Invalid, NotFound, ServerError

if TYPE_CHECKING:
    from benchyard.client.results import BenchmarkResult

#: Bytes of a file that a lab takes; it may not have more unpacked either.
MOST_BYTES = 100_000_000

#: Files that are sent at a time: while the lab's disk makes one safe, another is read.
AT_ONCE = 3

_ENDS = (".json", ".json.gz")
_PACKED = ".json.gz"


class Transfer(msgspec.Struct, frozen=True):
    """What became of one file: `reason` says why it was skipped or has failed, `result` is its number in the lab.

    It has `failed` through a fault of the lab or of what it keeps, not of the file. One is `restored` if the lab had
    lost the file of a result, and has it again by this.
    """

    file: str
    outcome: Literal["imported", "known", "new", "restored", "exported", "skipped", "failed"]
    host: str = ""
    result: int | None = None
    reason: str = ""


class _Number(msgspec.Struct, frozen=True):
    id: int


class _Imported(Document, frozen=True, kw_only=True):
    outcome: Literal["imported", "known", "new", "restored"]
    host: str = ""
    result: _Number | None = None


def result_files(folder: Path) -> list[Path]:
    """The files below a folder that may be results, by name, hidden ones aside; it may be such a file itself."""
    if folder.is_file():
        return [folder]
    found = (path for path in folder.rglob("*.json*") if path.name.endswith(_ENDS) and path.is_file())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def import_files(
    link: Link,
    folder: Path,
    files: Iterable[Path],
    *,
    host: str | None = None,
    own_hosts: bool = False,
    dry_run: bool = False,
) -> Iterator[Transfer]:
    """Send files below a folder, a few at a time; those that cannot be results are skipped. Told in their order."""

    def send(path: Path) -> Transfer:
        shown = _readable(str(path.relative_to(folder)) if path != folder else path.name)
        params = {
            # Not resolved: what a link leads to has another name.
            "name": _readable("/".join(Path(os.path.abspath(path)).parts[1:][-3:])),  # noqa: PTH100
            "host": host,
            "own_hosts": "true" if own_hosts else None,
            "dry_run": "true" if dry_run else None,
        }
        try:
            if path.stat().st_size > MOST_BYTES:
                raise Invalid(f"it has more than the {MOST_BYTES / 1e6:g} MB that a result may have")
            answer = link.api.put_bytes("/results/import", path.read_bytes(), params)
        except (Invalid, Conflict, ServerError) as exc:
            return Transfer(shown, "failed" if isinstance(exc, ServerError) else "skipped", reason=str(exc))
        except OSError as exc:
            return Transfer(shown, "skipped", reason=f"it cannot be read: {exc.strerror}")
        done = make_document(_Imported, answer.document, link)
        return Transfer(shown, done.outcome, done.host, done.result.id if done.result else None)

    with ThreadPoolExecutor(AT_ONCE) as senders:
        try:
            yield from senders.map(send, files)
        finally:
            senders.shutdown(cancel_futures=True)


def _readable(name: str) -> str:
    """The name of a file as text that can be sent and shown: what is not UTF-8 in it is replaced."""
    return os.fsencode(name).decode("utf-8", "replace")


def export_results(results: "Iterable[BenchmarkResult]", folder: Path) -> Iterator[Transfer]:
    """Write the files of results below a folder, in bench_runner's layout; what is there already is not sent again.

    What belongs to a result besides, such as flame graphs, is beside its file, in the folder NAME.d. What is gone or
    damaged in the lab has failed. Raises OSError where the folder cannot be written.
    """
    for result in results:
        place = _place(result)
        if place is None:
            yield Transfer("", "skipped", result.host or "", result.id, "it has no file")
            continue
        outcome, reason = _export(result, folder / place)
        yield Transfer(str(place), outcome, result.host or "", result.id, reason)


def _export(result: "BenchmarkResult", target: Path) -> tuple[Literal["exported", "known", "skipped", "failed"], str]:
    """Write a file, after what belongs to it, so that an export that was cut off goes on there."""
    there = target.is_file()
    if there and hashlib.sha256(target.read_bytes()).hexdigest() != result.sha256:
        return "skipped", "another file is there: choose an empty directory"
    try:
        if result.job is not None or result.kind != "benchmarks":  # what was measured elsewhere has none
            _export_attachments(result, target.with_name(target.name + ".d"))
        if there:
            return "known", ""
        _write(target, result.read())
    except (NotFound, ServerError) as exc:  # gone or damaged there: the others are not
        return "failed", str(exc)
    return "exported", ""


def _export_attachments(result: "BenchmarkResult", folder: Path) -> None:
    for attachment in result.attachments():
        name = attachment.name
        if name.startswith(".") or PurePosixPath(name).name != name or (folder / name).is_file():
            continue
        _write(folder / name, result.attachment(name))


def _place(result: "BenchmarkResult") -> PurePosixPath | None:
    """Where a result's file goes; None for one that has none, or whose place would be elsewhere."""
    path = PurePosixPath(result.path or "")
    if result.status != "stored" or not path.name or path.is_absolute() or ".." in path.parts:
        return None
    return path.with_suffix("") if path.name.endswith(_PACKED) else path


def _write(target: Path, data: bytes) -> None:
    """All of it, or nothing: an export that was cut off is done again by the same command."""
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=".", suffix=".partial", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(name).chmod(0o644)
        Path(name).replace(target)
    finally:
        Path(name).unlink(missing_ok=True)
