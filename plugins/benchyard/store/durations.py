"""How long jobs of one shape have taken: what may be expected of the next one."""

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa

from benchyard.store.tables import attempts, jobs

#: Measurements that are looked back at, the newest ones.
LOOK_BACK = 10

#: So many times as many are looked through for those of a mode.
OTHER_MODES = 20


def shape_of(kind: str, target: str, spec: Mapping[str, Any]) -> str:
    """What jobs that take about as long have in common: kind, target, benchmarks and mode, not the interpreter."""
    parts = [kind, target, sorted(spec.get("benchmarks", ())), spec.get("mode")]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def past_durations(conn: sa.Connection, shapes: Collection[str]) -> dict[str, tuple[float, ...]]:
    """Seconds from start to end of the newest successful measurements of each shape, newest first; empty if none."""
    return {shape: _durations(conn, shape) for shape in shapes}


def benchmark_durations(conn: sa.Connection, host: str, mode: str, kind: str) -> dict[str, tuple[float, ...]]:
    """Seconds of each benchmark in the newest good runs of a host for a kind of job in this mode, newest first."""
    good = (attempts.c.status == "success", attempts.c.report.is_not(None))
    rows = conn.execute(
        sa.select(jobs.c.id, jobs.c.spec)
        .join(attempts, jobs.c.id == attempts.c.job_id)
        .where(jobs.c.kind == kind, attempts.c.host == host, *good)
        .order_by(attempts.c.job_id.desc())
        .limit(OTHER_MODES * LOOK_BACK)
    )
    chosen = [row.id for row in rows if row.spec.get("mode") == mode][:LOOK_BACK]
    reports = sa.select(attempts.c.report).where(attempts.c.job_id.in_(chosen), *good)
    found: dict[str, list[float]] = {}
    for report in conn.execute(reports.order_by(attempts.c.job_id.desc())).scalars():
        for one in report.get("benchmarks", ()):
            if one.get("status") == "success":
                found.setdefault(one["name"], []).append(float(one["seconds"]))
    return {name: tuple(seconds) for name, seconds in found.items()}


def _durations(conn: sa.Connection, shape: str) -> tuple[float, ...]:
    rows = conn.execute(
        sa.select(attempts.c.started, attempts.c.finished)
        .join(jobs, jobs.c.id == attempts.c.job_id)
        .where(jobs.c.shape == shape, jobs.c.status == "success", attempts.c.status == "success")
        .order_by(jobs.c.id.desc())
        .limit(LOOK_BACK)
    )
    return tuple(row.finished - row.started for row in rows)
