"""What taking results in costs beside the bare reading of the same files.

`import_vs_json` is the import of all real files, packed as they are and as many at a time as the client sends: to
check, hash, pack and reduce them, the file on the disk and its rows. That is over `json.load` of the same files
unpacked, one after the other, before and after it. Where the time goes is printed by part.
"""

import gc
import json
import os
import shutil
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import sqlalchemy as sa
from buildbot.db.enginestrategy import create_engine

from benchyard.client.transfers import AT_ONCE
from benchyard.results import importing
from benchyard.store import filed
from benchyard.store.migrate import migrate

ROUNDS = 9

#: The parts of an import, in their order.
PARTS = ("unpack and hash", "check and reduce", "pack and keep", "rows")


class Labs:
    """A results directory and a datastore, new for each round, as a master has them."""

    def __init__(self, folder: Path) -> None:
        self.results, self.folder = folder / "results", folder
        self.results.mkdir(parents=True)
        self.engine: sa.Engine = create_engine("sqlite:///state.sqlite", basedir=str(folder))
        migrate(self.engine)

    def take(self, name: str, file: bytes) -> np.ndarray:
        """Import a file as the server does; the seconds of each part."""
        times = [time.perf_counter()]
        content = importing.open_content(file)
        times.append(time.perf_counter())
        foreign = importing.examine(content, name, now=1.0)
        times.append(time.perf_counter())
        columns = importing.keep(self.results, content, foreign)
        times.append(time.perf_counter())
        with self.engine.begin() as conn:
            _, added = filed.take_result(conn, now=1.0, who="ada", owner="ada", **columns)
        times.append(time.perf_counter())
        assert added
        return np.diff(times)

    def close(self) -> None:
        """Leave nothing behind."""
        self.engine.dispose()
        shutil.rmtree(self.folder)


def load(path: Path) -> float:
    """The seconds of `json.load`."""
    begun = time.perf_counter()
    with path.open("rb") as file:
        json.load(file)
    return time.perf_counter() - begun


def import_vs_json(paths: list[Path], folder: Path) -> tuple[float, tuple[float, float]]:
    """The ratio over all files, the median of the rounds, and between what a 95 % interval of it lies."""
    plain = folder / "plain"
    plain.mkdir()
    packed = []
    for number, path in enumerate(paths):
        content = importing.open_content(path.read_bytes())
        (plain / f"{number}.json").write_bytes(content.data)
        packed.append((f"{path.parent.name}/{path.name}", path.read_bytes()))
    sources = sorted(plain.iterdir())
    ratios, noise, parts, loads = [], [], [], []
    for turn in range(ROUNDS):
        labs = Labs(folder / f"lab-{turn}")
        gc.collect()
        before = sum(map(load, sources))
        begun = time.perf_counter()
        with ThreadPoolExecutor(AT_ONCE) as senders:
            took = list(senders.map(lambda file, labs=labs: labs.take(*file), packed))
        ours = time.perf_counter() - begun
        after = sum(map(load, sources))
        labs.close()
        ratios.append(2.0 * ours / (before + after))
        noise.append(after / before)
        parts.append(np.mean(took, axis=0) * 1000.0)
        loads.append((before + after) / 2.0 / len(sources) * 1000.0)
    print(f"{len(packed)} files, {AT_ONCE} at a time, {ROUNDS} rounds, ms a file:")
    for part, took in zip(PARTS, np.median(np.array(parts), axis=0), strict=True):
        print(f"  {part:20} {took:8.2f}")
    print(f"  {'json.load':20} {statistics.median(loads):8.2f}")
    low, high = interval(ratios)
    print(f"import over json.load {statistics.median(ratios):.2f} ({low:.2f} to {high:.2f}),", end=" ")
    print(f"json.load over itself {statistics.median(noise):.2f}")
    return statistics.median(ratios), (low, high)


def interval(ratios: list[float]) -> tuple[float, float]:
    """A 95 % interval of the median, by the bootstrap."""
    random = np.random.default_rng(9)
    medians = np.median(random.choice(ratios, (2000, len(ratios))), axis=1)
    low, high = np.percentile(medians, (2.5, 97.5))
    return float(low), float(high)


def measured(folder: Path) -> dict[str, float]:
    """Measure in a folder, print the table, and give the key of the last line."""
    paths = sorted(Path(os.environ["BENCHYARD_REAL_RESULTS"]).rglob("*.json.gz"))
    ratio, _ = import_vs_json(paths, folder)
    return {"import_vs_json": round(ratio, 3)}
