"""What comparing two real results costs, beside whole processes of `pyperf compare_to` and of bench_runner's `compare`.

By turns, on the same two files: a request to a running master, our command line, pyperf; and requests for a table and a
picture beside bench_runner, which writes both as well. `compare_vs_pyperf` is how many times faster than the process of
pyperf the server answers, `busy_compare_vs_pyperf` the same where it is asked again and again, with nothing in between
that takes the processor's caches; `cli_compare_vs_pyperf` the same of our whole process, `compare_vs_bench_runner` of
table and picture over bench_runner's; `matrix_ms` is what the server takes for each of 24 results with each other.
"""

import gzip
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchrunner import BenchRunner
from servedlab import Server, served

ROUNDS, SLOW_ROUNDS, MATRIX = 15, 3, 24

# As for people: compiled once, in the time that does not count.
_ENVIRON = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


class Lab:
    """A running lab with the results, and its command line."""

    def __init__(self, server: Server, folder: Path, files: list[Path]) -> None:
        self.server, self.folder = server, folder
        token = str(server.client.headers["authorization"]).removeprefix("Bearer ")
        url = str(server.client.base_url).partition("plugins/")[0]
        config = str(folder / "config.toml")
        self.environ = {**_ENVIRON, "BENCHYARD_CONFIG": config, "BENCHYARD_URL": url, "BENCHYARD_TOKEN": token}
        for file in files:
            self.cli("result", "add", str(file), "--host", "quiet-1")

    def cli(self, *arguments: str) -> None:
        """Run `benchyard ARGUMENTS`; it must do."""
        command = [str(Path(sys.executable).with_name("benchyard")), *arguments]
        done = subprocess.run(command, env=self.environ, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr

    def compare(self) -> None:
        """The comparison of two as a table."""
        self.cli("result", "compare", "1", "2")

    def ask(self) -> None:
        """The comparison of two, from the server."""
        self.server.ask("results/compare?base=1&head=2")

    def ask_for_table_and_picture(self) -> None:
        """The same as Markdown, and a picture of it."""
        self.server.ask("results/compare.md?base=1&head=2")
        self.server.ask("results/compare.svg?base=1&head=2")

    def compare_and_draw(self) -> None:
        """Both by the command line."""
        self.cli("result", "compare", "1", "2", "--format", "markdown")
        self.cli("result", "plot", "1", "2", "--output", str(self.folder / "picture.svg"))


def measured(folder: Path) -> dict[str, float]:
    """Measure in a folder, print the table, and give the keys of the last line."""
    paths = sorted(Path(os.environ["BENCHYARD_REAL_RESULTS"]).rglob("bm-*/bm-*.json.gz"))[:MATRIX]
    files = [_unpacked(path, folder) for path in paths]
    base, head = files[:2]
    runner = BenchRunner(folder)
    with served(folder / "lab", 0, lambda *_: None) as (server, _):
        lab = Lab(server, folder, files)
        every = "&".join(f"base={number}" for number in range(1, len(files) + 1))
        ways: dict[str, Callable[[], object]] = {
            "the server": lab.ask,
            "the command line": lab.compare,
            "pyperf compare_to": lambda: _run_pyperf(base, head),
        }
        slow: dict[str, Callable[[], object]] = {
            "the server, table and picture": lab.ask_for_table_and_picture,
            "the command line, both": lab.compare_and_draw,
            "bench_runner compare": lambda: runner.compare(base, head, folder / "out"),
        }
        times = (
            _by_turns(ways, ROUNDS) | _by_turns({"the server, busy": lab.ask}, ROUNDS) | _by_turns(slow, SLOW_ROUNDS)
        )
        matrix = [server.ask(f"results/matrix?{every}") for _ in range(SLOW_ROUNDS)]
    for what, took in times.items():
        print(f"{what:32}{statistics.median(took) * 1e3:10.1f} ms")
    print(f"{f'the server, {len(files)} with each other':32}{statistics.median(matrix) * 1e3:10.1f} ms")
    pyperf = times["pyperf compare_to"]
    return {
        "compare_vs_pyperf": _ratio(pyperf, times["the server"]),
        "busy_compare_vs_pyperf": _ratio(pyperf, times["the server, busy"]),
        "cli_compare_vs_pyperf": _ratio(pyperf, times["the command line"]),
        "compare_vs_bench_runner": _ratio(times["bench_runner compare"], times["the server, table and picture"]),
        "matrix_ms": round(statistics.median(matrix) * 1e3, 1),
    }


def _by_turns(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """The seconds of each, after one time that does not count: forwards and backwards in each round."""
    for work in ways.values():
        work()
    times: dict[str, list[float]] = {what: [] for what in ways}
    for _ in range(rounds):
        for what in (*ways, *reversed(ways)):
            times[what].append(seconds(ways[what]))
    return times


def _run_pyperf(base: Path, head: Path) -> None:
    command = [sys.executable, "-m", "pyperf", "compare_to", str(base), str(head)]
    subprocess.run(command, check=True, capture_output=True, timeout=120, env=_ENVIRON)


def _unpacked(path: Path, folder: Path) -> Path:
    plain = folder / path.parent.name / path.name.removesuffix(".gz")
    plain.parent.mkdir(exist_ok=True)
    plain.write_bytes(gzip.decompress(path.read_bytes()))
    return plain


def _ratio(slower: list[float], faster: list[float]) -> float:
    return round(statistics.median(slower) / statistics.median(faster), 2)
