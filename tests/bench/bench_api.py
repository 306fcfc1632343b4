"""Latency of the REST interface's lists and gets, and how it grows from 100 to 10,000 jobs and results.

Two real masters run side by side, one with few rows and one with many, and are asked in turns (ABBA). "noise" is the
one with few rows against itself. The last line is a JSON object: `list_p95_ms` and `get_p95_ms` are the worst of all
lists and gets with many rows, `list_growth` and `get_growth` the worst ratio of medians, many rows over few.
"""

import contextlib
import hashlib
import json
import statistics
import tempfile
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa
from servedlab import Server, served

from benchyard.store import attempts, jobs, results
from benchyard.store.migrate import migrate

FEW, MANY = 100, 10_000

#: Rounds of each operation; in each both masters are asked twice.
ROUNDS = 40

#: (what, path); `{last}` is the newest job and result, `{commit}` that of the oldest result. Both masters answer with
#: as many rows: 50 of a list, one where a filter fits few.
LISTS = (
    ("jobs", "jobs"),
    ("jobs, status", "jobs?status=success"),
    ("jobs, rare status", "jobs?status=failed&limit=1"),
    ("jobs, target", "jobs?target={target}"),
    ("jobs, user", "jobs?user=user7&limit=1"),
    ("jobs, host", "jobs?host=bench7&limit=1"),
    ("jobs, branch", "jobs?branch=branch7&limit=1"),
    ("jobs, commit", "jobs?commit={commit}"),
    ("jobs, since", "jobs?since=2026-11-22T00:00:00Z"),
    ("results", "results"),
    ("results, host", "results?host=bench7&limit=1"),
    ("results, user", "results?user=user7&limit=1"),
    ("results, branch", "results?branch=branch7&limit=1"),
    ("results, commit", "results?commit={commit}"),
    ("queue", "queues/{target}?limit=10"),
    ("hosts", "hosts"),
    ("users", "users"),
)
GETS = (("job", "jobs/{last}"), ("oldest job", "jobs/1"), ("result", "results/{last}"), ("health", "health"))


class Row(NamedTuple):
    """What was measured of one operation, in seconds."""

    what: str
    few: list[float]
    many: list[float]

    @property
    def growth(self) -> float:
        """The median with many rows over that with few."""
        return statistics.median(self.many) / statistics.median(self.few)

    @property
    def noise(self) -> float:
        """The same for every second request with few rows over the others."""
        return statistics.median(self.few[::2]) / statistics.median(self.few[1::2])


def fill(url: str, target: str, rows: int) -> None:
    """Jobs and their results; the last tenth of the jobs wait on the queue."""
    engine = sa.create_engine(url)
    migrate(engine)
    with engine.begin() as conn:
        for number in range(1, rows + 1):
            odd = number % 97
            waiting = number > rows * 0.9
            now = 1.7e9 + number
            job = jobs.create_job(
                conn,
                now=now,
                who="admin",
                kind="benchmarks",
                target=target,
                host=None,
                spec={
                    "python": "/p",
                    "benchmarks": ["nbody"],
                    "selection": ["nbody"],
                    "mode": "fast",
                    "affinity": None,
                },
                owner=f"user{odd}",
                origin="rest",
                reason="",
                status="queued" if waiting else "failed" if odd == 13 else "success",
            )
            host = f"bench{odd}"
            attempts.new_attempt(conn, job.id, now=now)
            if not waiting:
                attempts.place_attempt(conn, job.id, 1, host=host, now=now)
                attempts.end_attempt(conn, job.id, 1, status="success", cause=None, now=now + 60)
            results.add_result(
                conn,
                now=now,
                who="lab",
                job_id=job.id,
                attempt=1,
                host=host,
                target=target,
                interpreter={"id": "i", "version": "3.15"},
                commit=commit_of(number),
                branch=f"branch{odd}",
                version="3.15",
                flags=(),
                suite="pyperformance",
                suite_version="1",
                mode="fast",
                path=f"{number}.json",
                sha256=hashlib.sha256(str(number).encode()).hexdigest(),
                size=1,
                benchmarks=1,
            )
    engine.dispose()


def commit_of(number: int) -> str:
    """The commit of a result."""
    return hashlib.sha1(str(number).encode(), usedforsecurity=False).hexdigest()


def measure(few: Server, many: Server, what: str, path: str, target: str) -> Row:
    """Ask both in turns, after one request each that does not count."""
    paths = {s: path.format(last=s.rows, commit=commit_of(1), target=target) for s in (few, many)}
    for server in (few, many):
        server.ask(paths[server])
    row = Row(what, [], [])
    for _ in range(ROUNDS):
        for server, times in ((few, row.few), (many, row.many), (many, row.many), (few, row.few)):
            times.append(server.ask(paths[server]))
    return row


def p95(times: list[float]) -> float:
    """The time within which 95 of 100 are over, in milliseconds."""
    return statistics.quantiles(times, n=20)[-1] * 1e3


def main() -> None:
    """Measure, and print the table and the last line."""
    with tempfile.TemporaryDirectory(prefix="benchyard-bench-") as folder, contextlib.ExitStack() as stack:
        few, target = stack.enter_context(served(Path(folder, "few"), FEW, fill))
        many, _ = stack.enter_context(served(Path(folder, "many"), MANY, fill))
        found = {
            kind: [measure(few, many, what, path, target) for what, path in operations]
            for kind, operations in (("list", LISTS), ("get", GETS))
        }
    print(f"{'':20}{FEW:>9} rows{'':10}{MANY:>9} rows")
    print(f"{'':20}{'p50 ms':>10}{'p95 ms':>10}{'p50 ms':>12}{'p95 ms':>10}{'growth':>9}{'noise':>8}")
    for rows in found.values():
        for row in rows:
            half = [statistics.median(times) * 1e3 for times in (row.few, row.many)]
            print(
                f"{row.what:20}{half[0]:10.1f}{p95(row.few):10.1f}{half[1]:12.1f}{p95(row.many):10.1f}"
                f"{row.growth:9.2f}{row.noise:8.2f}"
            )
    last = {}
    for kind, rows in found.items():
        last[f"{kind}_p95_ms"] = round(max(p95(row.many) for row in rows), 2)
        last[f"{kind}_growth"] = round(max(row.growth for row in rows), 3)
    print(json.dumps(last))


if __name__ == "__main__":
    main()
