"""What a lab has measured, as it is after it: rows of jobs, attempts and results, and their files; no run needed."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchyard.store import attempts, epochs, jobs, results
from benchyard.store.rows import Job, Result

Values = Mapping[str, Sequence[float]]


def around(mean: float, *, spread: float = 0.01, n: int = 20) -> tuple[float, ...]:
    """Values with this mean, as far from it as `spread` (relative) says."""
    return tuple(mean * (1.0 + (spread if i % 2 else -spread)) for i in range(n))


def pyperf_file(values: Values) -> bytes:
    """A file that pyperf takes for its own."""
    benchmarks = [
        {
            "metadata": {"name": name, "unit": "second"},
            "runs": [{"values": list(each), "metadata": {"loops": 1}}],
        }
        for name, each in values.items()
    ]
    return json.dumps({"version": "1.0", "benchmarks": benchmarks}).encode()


def shift(key: str) -> dict[str, Any]:
    """The columns of a change of a series, as what watches them finds it; each key is another change."""
    lane = ("host", "branch", "implementation", "suite", "suite_version", "mode", "benchmark", "version")
    levels = {"before": 1.0, "after": 1.1, "step": 0.1, "sure": 0.9999, "worse": True, "unit": "second"}
    found = {"commit": "c2", "commit_before": "c1", "result_id": 2, "result_before": 1, "found_by": 3, "epoch": 1}
    return {"key": key, "flags": (), **dict.fromkeys(lane, key), **levels, **found}


class MeasuredLab:
    """Puts rows and files where the lab has them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def job(self, conn: sa.Connection, *, now: float = 100.0, **given: Any) -> Job:
        """A job that somebody has submitted."""
        values: dict[str, Any] = {
            "who": "ada",
            "kind": "benchmarks",
            "target": "linux",
            "host": None,
            "spec": {"python": "/p", "benchmarks": ["nbody"], "mode": "fast"},
            "owner": "ada",
            "origin": "rest",
            "reason": "",
            "status": "queued",
        }
        return jobs.create_job(conn, now=now, **values | given)

    def result(self, conn: sa.Connection, job: Job, values: Values, *, now: float = 200.0, **given: Any) -> Result:
        """The job's run, its result with its file, and its success; as the store step has it."""
        commit = given.setdefault("commit", hashlib.sha1(str(job.id).encode()).hexdigest())  # noqa: S324
        host = given.pop("host", "bench")
        fingerprint = given.pop("machine", "one kernel")
        report = {"benchmarks": [{"name": name, "status": "success"} for name in values], **given.pop("report", {})}
        attempts.new_attempt(conn, job.id, now=now)
        attempts.place_attempt(conn, job.id, 1, host=host, now=now)
        jobs.set_status(conn, job.id, "running", now=now, who="lab")
        attempts.end_attempt(conn, job.id, 1, status="success", cause=None, now=now + 27.0, report=report)
        data = pyperf_file(values)
        path = f"{job.id}.json"
        (self.folder / path).write_bytes(data)
        columns: dict[str, Any] = {
            "target": job.target,
            "interpreter": {"id": f"interpreter of {commit}"},
            "branch": "main",
            "version": "3.16.0a0",
            "flags": ("jit", "pgo"),
            "suite": "pyperformance",
            "suite_version": "1.14.0",
            "mode": "fast",
            "path": path,
            "sha256": hashlib.sha256(data).hexdigest(),
            "size": len(data),
            "benchmarks": len(values),
            "kind": job.kind,
            "grade": "B",
            "grade_reasons": ("a virtual machine",),
        }
        row = results.add_result(
            conn, now=now + 27.0, who="lab", job_id=job.id, attempt=1, host=host, **columns | given
        )
        epochs.place_result(
            conn,
            row.id,
            fingerprint={"kernel": fingerprint},
            host_fingerprint=fingerprint,
            measured=now,
            now=now + 27.0,
        )
        jobs.set_status(conn, job.id, "success", now=now + 27.0, who="lab")
        return results.get_result(conn, row.id)

    def measured(self, conn: sa.Connection, values: Values, *, now: float = 100.0, **given: Any) -> Result:
        """A job and its result; what is no column of a result is one of the job."""
        mine = {key: given.pop(key) for key in ("owner", "origin", "reason", "base_job", "target") if key in given}
        return self.result(conn, self.job(conn, now=now, **mine), values, now=now + 100.0, **given)
