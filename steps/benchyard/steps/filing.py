"""From what a run left on its host to a stored result: delivered whole, kept under its name, known by its row."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchyard.results.errors import ResultError
from benchyard.results.files import store_file
from benchyard.results.layout import path_of_run
from benchyard.results.reading import read_suite
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


def file_result(
    root: Path, delivered: Path, attempt: Attempt, source: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Validate and keep the delivered file; gives the columns of its row that come from the run.

    `source` is what the job has built its interpreter from: an interpreter does not know whose its commit is.

    Safe to repeat: the same bytes have the same place. Blocks; ResultError if file or report are not usable.
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
    suite = read_suite(data)
    stored = store_file(root, place, data)
    return {
        **columns,
        "path": stored.path,
        "sha256": stored.sha256,
        "size": stored.size,
        "benchmarks": len(suite.benchmarks),
    }


def _origin(source: Mapping[str, Any] | None) -> dict[str, Any]:
    """Where a commit is from: what was asked for and where, and the last commit shared with the branch it is for."""
    if source is None:
        return {}
    committed = datetime.fromtimestamp(source["time"], UTC).date().isoformat()
    return {name: source[name] for name in ("remote", "url", "ref", "branch", "merge_base")} | {
        "commit_date": committed
    }
