"""From what a run left on its host to a stored result: delivered whole, kept under its name, known by its row."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import structs

from benchyard.results.attachments import Attachment, attachments_folder, read_attachments, store_attachment
from benchyard.results.errors import ResultError
from benchyard.results.files import store_file
from benchyard.results.index import index_suite
from benchyard.results.layout import path_of_run, path_without_values
from benchyard.results.reading import read_suite
from benchyard.results.runs import check_run, with_run
from benchyard.steps.commands import commit_date
from benchyard.steps.kinds import Kind
from benchyard.steps.trust import host_print_of, trust_columns
from benchyard.store.rows import Attempt, Job


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


def file_result(root: Path, delivered: Path, job: Job, attempt: Attempt, kind: Kind) -> dict[str, Any]:
    """Validate and keep the delivered files; gives the columns of the row.

    An interpreter does not know whose its commit is: the job knows what it has built it from. All of it is written into
    the file, which thus makes the row again by itself. Where the kind has no values, its result is no pyperf file, and
    is not named like one.

    Safe to repeat: the same run has the same bytes, and these have the same place. Blocks; ResultError if files or
    report are not usable.
    """
    report = attempt.report or {}
    try:
        data = delivered.read_bytes()
        interpreter: Mapping[str, Any] = {**report["interpreter"], **_origin(job.spec.get("source"))}
        place = path_of_run(interpreter, host=attempt.host or "host", started=report["started"])
        said = {
            "job": job.id,
            "attempt": attempt.number,
            "started": report["started"],
            "created": attempt.finished or report.get("finished") or report["started"],
            "kind": job.kind,
            "host": attempt.host or "host",
            "target": job.target,
            "interpreter": dict(interpreter),
            "commit": interpreter["commit"],
            "branch": interpreter["branch"],
            "version": interpreter["version"],
            "flags": interpreter["flags"],
            "suite": report["suite"],
            "suite_version": report["suite_version"],
            "mode": report["mode"],
            "benchmarks": 0,
            "failed": failed_of(job, attempt),
            **trust_columns(report),
            "host_print": host_print_of(report),
        }
    except FileNotFoundError as exc:
        raise ResultError(f"run {attempt.run} delivered no file") from exc
    except KeyError as exc:
        raise ResultError(f"the report of run {attempt.run} lacks {exc}") from exc
    run = check_run(said)
    if kind.has_values:
        run = structs.replace(run, benchmarks=len(read_suite(data).benchmarks))
        data = with_run(data, run)
        indexed: dict[str, Any] = index_suite(read_suite(data))
    else:
        run = structs.replace(run, benchmarks=sum(one["status"] == "success" for one in report["benchmarks"]))
        data, indexed = with_run(data, run), {}
        place = path_without_values(place, kind.name)
    stored = store_file(root, place, data)
    for attachment in attachments_of(report):
        store_attachment(root, stored.path, attachment, attachments_folder(delivered) / attachment.name)
    return {**run.columns, "path": stored.path, "sha256": stored.sha256, "size": stored.size, **indexed}


def failed_of(job: Job, attempt: Attempt) -> tuple[dict[str, Any], ...]:
    """The benchmarks of a job without values: those left out after their smoke, and those that failed in the run."""
    return (*(job.prepared or {}).get("left_out", ()), *attempt.failed_benchmarks)


def _origin(source: Mapping[str, Any] | None) -> dict[str, Any]:
    """Where a commit is from: what was asked for and where, and the last commit shared with the branch it is for."""
    if source is None:
        return {}
    origin = {name: source[name] for name in ("remote", "url", "ref", "branch", "merge_base")}
    return origin | {"commit_date": commit_date(source)}
