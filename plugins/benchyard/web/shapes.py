"""Rows as the JSON that the REST interface shows; each kind in one place."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from benchyard.store.rows import Attempt, Job, Result


def time_text(seconds: float | None) -> str | None:
    """A time as ISO 8601 in UTC with milliseconds."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def job_shape(job: Job, *, attempts: Sequence[Attempt], results: Sequence[Result], lab_url: str) -> dict[str, Any]:
    """A job with its attempts, the ids of its results and what failed in its run."""
    progress = dict(job.progress) if job.progress else None
    if progress:
        progress["since"] = time_text(progress.get("since"))
    return {
        "id": job.id,
        "kind": job.kind,
        "target": job.target,
        "host": job.host,
        "status": job.status,
        "enabled": job.enabled,
        "owner": job.owner,
        "origin": job.origin,
        "reason": job.reason,
        "spec": job.spec,
        "error": job.error,
        "progress": progress,
        "attempts": [_attempt_shape(attempt) for attempt in attempts],
        "results": [result.id for result in results],
        "failed_benchmarks": list(attempts[-1].failed_benchmarks) if attempts else [],
        "url": f"{lab_url}#/buildrequests/{job.request_id}" if job.request_id else None,
        "created": time_text(job.created),
        "queued": time_text(job.queued),
        "started": time_text(job.started),
        "finished": time_text(job.finished),
    }


def _attempt_shape(attempt: Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "host": attempt.host,
        "status": attempt.status,
        "cause": attempt.cause,
        "started": time_text(attempt.started),
        "finished": time_text(attempt.finished),
    }


def result_shape(result: Result) -> dict[str, Any]:
    """A result's row of the index."""
    shape: dict[str, Any] = msgspec.to_builtins(result)
    shape["job"] = shape.pop("job_id")
    shape["created"], shape["changed"] = time_text(result.created), time_text(result.changed)
    shape["failed"] = [{"name": b["name"], "error": b.get("error")} for b in result.failed]
    return shape


def page_shape(items: Sequence[Mapping[str, Any]], limit: int) -> dict[str, Any]:
    """A page of at most `limit` of these items and the cursor of the next; one item more than fits tells of it."""
    shown = list(items[:limit])
    return {"items": shown, "next": str(shown[-1]["id"]) if len(items) > limit else None}
