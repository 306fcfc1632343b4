"""From what a run left on its host to a stored result: delivered whole, kept under its name, known by its row."""

import os
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchyard.results.attachments import Attachment, attachments_folder, read_attachments, store_attachment
from benchyard.results.errors import ResultError
from benchyard.results.files import store_file
from benchyard.results.index import index_suite
from benchyard.results.layout import path_of_run, path_without_values
from benchyard.results.reading import read_suite
from benchyard.steps.kinds import Kind
from benchyard.steps.trust import trust_columns
from benchyard.store.rows import Attempt


def delivery_path(incoming: Path, attempt: Attempt) -> Path:
    """Where the result file of an attempt's run is delivered, to be filed from there."""
    return incoming / f"{attempt.run}.json"


def deliver(incoming: Path, attempt: Attempt, data: bytes) -> None:
    """Put what was fetched from the host on the lab's disk, all of it or nothing. Blocks."""
    target = delivery_path(incoming, attempt)
    partial = target.with_suffix(".part")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(target)


def deliver_attachment(incoming: Path, attempt: Attempt, name: str, data: bytes) -> None:
    """The same for a file that belongs to the result; its name was checked. Blocks."""
    folder = attachments_folder(delivery_path(incoming, attempt))
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)


def attachments_of(report: Mapping[str, Any] | None) -> tuple[Attachment, ...]:
    """What a run's report says that there is besides its result; ResultError where that cannot be."""
    return read_attachments((report or {}).get("attachments", ()))


def forget_delivery(delivered: Path) -> None:
    """Remove what was delivered, once it is filed."""
    shutil.rmtree(attachments_folder(delivered), ignore_errors=True)
    delivered.unlink(missing_ok=True)


def file_result(
    root: Path, delivered: Path, attempt: Attempt, kind: Kind, source: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Validate and keep the delivered files; gives the columns of the row that come from the run.

    `source` is what the job has built its interpreter from: an interpreter does not know whose its commit is. Where the
    kind has no values, its result is no pyperf file, and is not named like one.

    Safe to repeat: the same bytes have the same place. Blocks; ResultError if files or report are not usable.
    """
    report = attempt.report or {}
    try:
        data = delivered.read_bytes()
        interpreter: Mapping[str, Any] = {**report["interpreter"], **_origin(source)}
        place = path_of_run(interpreter, host=attempt.host or "host", started=report["started"])
        columns = {
            "interpreter": dict(interpreter),
            "commit": interpreter["commit"],
            "branch": interpreter["branch"],
            "version": interpreter["version"],
            "flags": tuple(interpreter["flags"]),
            "suite": report["suite"],
            "suite_version": report["suite_version"],
            "mode": report["mode"],
            **trust_columns(report),
        }
    except FileNotFoundError as exc:
        raise ResultError(f"run {attempt.run} delivered no file") from exc
    except KeyError as exc:
        raise ResultError(f"the report of run {attempt.run} lacks {exc}") from exc
    indexed: dict[str, Any] = {}
    if kind.has_values:
        suite = read_suite(data)
        benchmarks, indexed = len(suite.benchmarks), index_suite(suite)
    else:
        benchmarks = sum(one["status"] == "success" for one in report["benchmarks"])
        place = path_without_values(place, kind.name)
    stored = store_file(root, place, data)
    for attachment in attachments_of(report):
        store_attachment(root, stored.path, attachment, attachments_folder(delivered) / attachment.name)
    return {
        **columns,
        "path": stored.path,
        "sha256": stored.sha256,
        "size": stored.size,
        "benchmarks": benchmarks,
        **indexed,
    }


def _origin(source: Mapping[str, Any] | None) -> dict[str, Any]:
    """Where a commit is from: what was asked for and where, and the last commit shared with the branch it is for."""
    if source is None:
        return {}
    committed = datetime.fromtimestamp(source["time"], UTC).isoformat(timespec="seconds")
    return {name: source[name] for name in ("remote", "url", "ref", "branch", "merge_base")} | {
        "commit_date": committed
    }
