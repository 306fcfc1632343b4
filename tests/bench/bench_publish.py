"""Throughput of the outbox to a real codespeed, beside a plain loop that posts the same bodies one after the other.

Three codespeeds of their own get the same results in the same order: one from the lab's publishing service, two from
loops that have nothing to do but to post. They take turns (ABBA), so that whatever else the machine does meets all.
What arrived is read back from codespeed's database and compared with what was measured. The last line is a JSON object:
`uploads_per_s` and `loop_per_s` are results per second, `lost` and `doubled` values that are not there as measured, and
values or posts that are there more than once. `loop_ratio` is the loop against itself.
"""

import argparse
import json
import math
import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import codespeed
import requests
from publishing import Publisher
from twisted.internet import defer, reactor
from twisted.internet.threads import deferToThread

from benchyard.publish.codespeed.destination import body_of, piece_of
from benchyard.publish.codespeed.items import Item, items_of
from benchyard.publish.destinations import Measured, Publication
from benchyard.results.statistics import t_quantile_95
from benchyard.store import uploads

RESULTS, BENCHMARKS, ROUNDS = 200, 100, 8

#: As pyperformance measures: processes, and values of each.
PROCESSES, VALUES = 20, 3


class Prepared(NamedTuple):
    """A result as a pyperf file, what codespeed is to have of it, and the body that says so."""

    data: bytes
    items: tuple[Item, ...]
    body: bytes


def make_file(number: int, benchmarks: int) -> bytes:
    """A pyperf file as pyperformance leaves one: each value with its run, and runs with what pyperf notes of them."""
    noise = random.Random(number)  # noqa: S311 (no secret)
    when = "2026-01-01 00:00:00.000000"
    documents = []
    for index in range(benchmarks):
        centre = 10 ** noise.uniform(-5, 1)
        runs = [
            {
                "metadata": {
                    "date": when,
                    "duration": 1.25,
                    "load_avg_1min": 1.0,
                    "uptime": 1e6,
                    "mem_max_rss": 25_000_000,
                },
                "warmups": [[64, centre * 1.5]],
                "values": [centre * noise.gauss(1, 0.01) for _ in range(VALUES)],
            }
            for _ in range(PROCESSES)
        ]
        metadata = {"name": f"benchmark_{index}", "description": "Made up for this", "loops": 64, "tags": ["none"]}
        documents.append({"metadata": metadata, "runs": runs})
    metadata = {"unit": "second", "python_version": "3.15.0"}
    metadata["commit_date"] = f"2026-{1 + number // 28 % 12:02}-{1 + number % 28:02}T12:00:00+00:00"
    return json.dumps({"version": "1.0", "metadata": metadata, "benchmarks": documents}).encode()


class Outbox:
    """The lab's publishing service, with results that wait to be asked for."""

    def __init__(self, folder: Path, url: str) -> None:
        self.publisher = Publisher(folder / "master", folder / "lab", {"speed": {"url": url}})

    async def prepare(self, commit: str, data: bytes) -> tuple[Prepared, int]:
        """Add a result with its file; gives what there is of it, and its number."""
        result = await self.publisher.add(data, commit)
        items = items_of(Publication(head=Measured(result, data), link=""), self.publisher.destinations["speed"])
        return Prepared(data, items, body_of([piece_of(item) for item in items])), result.id

    async def send(self, numbers: Sequence[int]) -> float:
        """Ask for results to be published, and wait until all are; gives when the last one was."""
        filed = []
        for number in numbers:
            filed += await self.publisher.service.ask(number, ["speed"], again=False, who="bench")
        last = 0.0
        for upload in filed:
            ended = await self.publisher.service.wait_for(upload.id, limit_s=600)
            assert ended.state == "sent", f"{ended.state}: {ended.words}"
            last = max(last, ended.sent)
        return last

    async def outstanding(self) -> Any:
        """What is not sent."""
        return await self.publisher.service.db(uploads.count_outstanding)


class Loop:
    """What there is without the lab: post, wait for the answer, post the next."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/result/add/json/"
        self._session = requests.Session()
        self._session.headers["Content-Type"] = "application/x-www-form-urlencoded"

    def send(self, bodies: Sequence[bytes]) -> None:
        """Post all."""
        for body in bodies:
            answer = self._session.post(self._url, data=body, timeout=600)
            assert answer.status_code == 202, answer.text


class Times(NamedTuple):
    """Seconds for each round."""

    outbox: list[float]
    loop: list[float]
    again: list[float]


async def measure(outbox: Outbox, loops: Sequence[Loop], prepared: Sequence[Prepared], numbers: Sequence[int]) -> Times:
    """Let outbox and loops send, each the same in each round, and take turns."""
    times = Times([], [], [])
    for round_ in range(ROUNDS):
        part = slice(round_ * len(prepared) // ROUNDS, (round_ + 1) * len(prepared) // ROUNDS)
        bodies = [one.body for one in prepared[part]]

        async def from_outbox(part: slice = part) -> float:
            began = time.time()
            return await outbox.send(numbers[part]) - began

        async def from_loop(loop: Loop, bodies: list[bytes] = bodies) -> float:
            began = time.time()
            await deferToThread(loop.send, bodies)
            return time.time() - began

        turns: list[tuple[list[float], Callable[[], Any]]] = [
            (times.outbox, from_outbox),
            (times.loop, lambda: from_loop(loops[0])),
            (times.again, lambda: from_loop(loops[1])),
        ]
        for kept, turn in turns if round_ % 2 == 0 else reversed(turns):
            kept.append(await turn())
        print(f"round {round_ + 1} of {ROUNDS}: {times.outbox[-1]:.1f} s, loop {times.loop[-1]:.1f} s", flush=True)
    return times


def read_back(server: codespeed.Server, prepared: Sequence[Prepared]) -> tuple[int, int]:
    """(lost, doubled): values that are not there as measured, and what is there or was taken more than once."""
    rows = server.results()
    there = {(row["commitid"], row["benchmark"], *(row[name] for name in codespeed.COLUMNS)) for row in rows}
    items = [item for one in prepared for item in one.items]
    expected = [(i.commitid, i.benchmark, i.result_value, i.std_dev, i.min, i.max, i.q1, i.q3) for i in items]
    lost = sum(value not in there for value in expected)
    counts = Counter((row["commitid"], row["benchmark"]) for row in rows)
    return lost, sum(count - 1 for count in counts.values()) + max(0, server.posts() - len(prepared))


def interval(ratios: Sequence[float]) -> tuple[float, float, float]:
    """Their geometric mean, and the 95 % interval of it."""
    logs = [math.log(ratio) for ratio in ratios]
    centre = statistics.fmean(logs)
    error = t_quantile_95(len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
    return math.exp(centre), math.exp(centre - error), math.exp(centre + error)


def show(times: Times, prepared: Sequence[Prepared], found: tuple[int, int]) -> None:
    """Print the table, and the JSON object."""
    count = len(prepared)
    rates = {name: count / sum(seconds) for name, seconds in times._asdict().items()}
    ratio = interval([loop / ours for ours, loop in zip(times.outbox, times.loop, strict=True)])
    same = interval([loop / again for again, loop in zip(times.again, times.loop, strict=True)])
    size = statistics.fmean(len(one.data) for one in prepared) / 1e3
    print(f"\n{count} results of {len(prepared[0].items)} benchmarks, files of {size:.0f} kB, in {ROUNDS} rounds\n")
    print(f"{'':22}{'results/s':>10}")
    print(f"{'outbox':22}{rates['outbox']:10.2f}")
    print(f"{'loop of posts':22}{rates['loop']:10.2f}")
    print(f"{'the same loop again':22}{rates['again']:10.2f}\n")
    print(f"outbox over loop      {ratio[0]:.3f}  [{ratio[1]:.3f}, {ratio[2]:.3f}]")
    print(f"loop over loop        {same[0]:.3f}  [{same[1]:.3f}, {same[2]:.3f}]")
    print(f"values lost, doubled  {found[0]}, {found[1]}\n")
    document = {
        "uploads_per_s": round(rates["outbox"], 3),
        "loop_per_s": round(rates["loop"], 3),
        "lost": found[0],
        "doubled": found[1],
        "ratio": [round(value, 3) for value in ratio],
        "loop_ratio": [round(value, 3) for value in same],
    }
    print(json.dumps(document))


async def run(folder: Path, servers: Sequence[codespeed.Server], count: int, benchmarks: int) -> None:
    """Prepare all, measure, read back, and show it."""
    outbox = Outbox(folder, servers[0].url)
    await outbox.publisher.start()
    try:
        prepared, numbers = [], []
        for number in range(count):
            one, added = await outbox.prepare(f"{number:040x}", make_file(number, benchmarks))
            prepared.append(one)
            numbers.append(added)
        times = await measure(outbox, [Loop(server.url) for server in servers[1:]], prepared, numbers)
        assert await outbox.outstanding() == {}
    finally:
        await outbox.publisher.stop()
    show(times, prepared, read_back(servers[0], prepared))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=int, default=RESULTS, help="results of each (default: %(default)s)")
    parser.add_argument("--benchmarks", type=int, default=BENCHMARKS, help="benchmarks of each (default: %(default)s)")
    given = parser.parse_args()
    failed: list[Any] = []

    def start() -> None:
        work = defer.ensureDeferred(run(folder, servers, given.results, given.benchmarks))
        work.addErrback(failed.append)
        work.addBoth(lambda _: reactor.stop())

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-publish-")))
        servers = [stack.enter_context(codespeed.running()) for _ in range(3)]
        reactor.callWhenRunning(start)
        reactor.run()
    for failure in failed:
        failure.raiseException()


if __name__ == "__main__":
    main()
