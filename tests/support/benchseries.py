"""What many results cost the lab: series of one benchmark over thousands of them, and lists.

Results are made by varying a real one (BENCHYARD_REAL_RESULTS): each is of a commit of its own, with all benchmarks of
that, some noise, and a few changes of the level. Two real masters are asked in turns (ABBA), one with few results and
one with many, of which `SERIES` are of the lane that is asked for; "noise" is the one with few against itself.

`series_ms` is the median of a whole answer with a series of `SERIES` points and its
changes, `list_ms` that of a page of the list of all, and `growth` the worst ratio of medians of what has as many rows
in both, many results over few.
"""

import contextlib
import gzip
import math
import os
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import sqlalchemy as sa
from servedlab import Server, served

from benchyard.results.reading import read_suite
from benchyard.results.suites import Suite
from benchyard.store.migrate import migrate
from benchyard.store.tables import measurements, results

FEW, MANY, SERIES = 100, 10_000, 2_000

#: Rounds of each question; in each both masters are asked twice.
ROUNDS = 20

HOST = "quiet-1"

#: Points at which the level of half of the benchmarks changes, and by how much.
CHANGES = ((400, 0.05), (900, -0.04), (1500, 0.02))


class Question(NamedTuple):
    """What is asked of both; one with a `bound` has as many rows in both answers."""

    what: str
    path: str
    bound: bool = True


def questions(benchmark: str) -> tuple[Question, ...]:
    """What is asked."""
    return (
        Question("series, one benchmark", f"results/series?benchmark={benchmark}&host={HOST}&branch=main", False),
        Question("the same as CSV", f"results/series.csv?benchmark={benchmark}&host={HOST}&branch=main", False),
        Question("series, geometric mean", f"results/series?mean=true&host={HOST}&branch=main", False),
        Question("list, a page", "results?limit=50"),
        Question("list, of a host", f"results?limit=50&host={HOST}"),
        Question("one result", "results/50"),
    )


def real_suite() -> Suite:
    """A real result."""
    paths = sorted(Path(os.environ["BENCHYARD_REAL_RESULTS"]).glob("bm-*/bm-*.json.gz"))
    return read_suite(gzip.decompress(paths[2].read_bytes()))


class Filler:
    """Puts varied results into the database of a lab."""

    def __init__(self, suite: Suite) -> None:
        self.suite = suite
        self.names = sorted(suite.benchmarks)

    def __call__(self, url: str, target: str, rows: int) -> None:
        engine = sa.create_engine(url)
        migrate(engine)
        random = np.random.default_rng(rows)
        lane = min(rows, SERIES)
        with engine.begin() as conn:
            for number in range(rows):
                of_lane = number >= rows - lane
                id = conn.execute(sa.insert(results).values(self._row(number, target, of_lane))).inserted_primary_key
                if of_lane and id is not None:
                    conn.execute(sa.insert(measurements), self._measured(random, id[0], number - rows + lane))
        engine.dispose()

    def _row(self, number: int, target: str, of_lane: bool) -> dict[str, object]:
        made = 1.7e9 + 3600.0 * number
        commit = f"{number:040x}"
        facts = {"id": commit, "commit": commit, "commit_date": datetime.fromtimestamp(made, UTC).isoformat()}
        facts |= {"implementation": "cpython", "configure_args": "'--enable-optimizations' " * 20}
        return {
            "status": "stored", "enabled": True, "host": HOST if of_lane else f"other-{number % 7}", "target": target,
            "interpreter": facts, "commit": commit, "branch": "main", "version": "3.16.0a0", "flags": ("lto", "pgo"),
            "suite": "pyperformance", "suite_version": "1.14.0", "mode": "full", "path": f"{number}.json",
            "sha256": f"{number:064x}", "size": 1_000_000, "benchmarks": len(self.names), "failed": (),
            "created": made, "changed": made, "changed_by": "lab", "owner": "anna", "note": "", "kind": "benchmarks",
            "grade": "A", "grade_reasons": (), "fingerprint_id": "f", "epoch": 1,
        }  # fmt: skip

    def _measured(self, random: np.random.Generator, id: int, place: int) -> list[dict[str, object]]:
        level = math.prod(1.0 + step for at, step in CHANGES if place >= at)
        rows: list[dict[str, object]] = []
        for number, name in enumerate(self.names):
            samples = self.suite.benchmarks[name]
            factor = math.exp(random.normal(0.0, 0.007)) * (level if number % 2 == 0 else 1.0)
            mean = statistics.fmean(samples.values) * factor
            spread = {"stdev": mean * 0.01, "median": mean, "mad": mean * 0.006, "minimum": mean, "maximum": mean}
            about = {"unit": samples.unit, "n": len(samples.values), "memory": None, "version": samples.version}
            rows.append({"result_id": id, "benchmark": name, "mean": mean, **spread, **about})
        return rows


def asked(few: Server, many: Server, path: str) -> tuple[list[float], list[float]]:
    """Seconds of both, asked in turns, after one request each that does not count."""
    times: dict[Server, list[float]] = {few: [], many: []}
    for server in (few, many):
        server.ask(path)
    for _ in range(ROUNDS):
        for server in (few, many, many, few):
            times[server].append(server.ask(path))
    return times[few], times[many]


def measured(folder: Path) -> dict[str, float]:
    """Measure in a folder, print the table, and give the keys of the last line."""
    filler = Filler(real_suite())
    last: dict[str, float] = {}
    growths: list[float] = []
    print(f"{'':26}{'median ms':>12}{'':12}{'growth':>8}{'noise':>8}")
    print(f"{'':26}{FEW:>12,}{MANY:>12,}")
    with contextlib.ExitStack() as stack:
        few, _ = stack.enter_context(served(folder / "few", FEW, filler))
        many, _ = stack.enter_context(served(folder / "many", MANY, filler))
        for question in questions(filler.names[0]):
            times = asked(few, many, question.path)
            growth, noise = ratio(times[1], times[0]), ratio(times[0][::2], times[0][1::2])
            medians = [statistics.median(each) * 1e3 for each in times]
            print(f"{question.what:26}{medians[0]:12.1f}{medians[1]:12.1f}{growth:8.2f}{noise:8.2f}", flush=True)
            last.setdefault(question.what, round(medians[1], 2))
            growths += [growth] if question.bound else []
    document = {"series_ms": last["series, one benchmark"], "list_ms": last["list, a page"]}
    return {**document, "growth": round(max(growths), 3)}


def ratio(one: Sequence[float], other: Sequence[float]) -> float:
    """The ratio of two medians."""
    return statistics.median(one) / statistics.median(other)
