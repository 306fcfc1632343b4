"""What measuring through the lab does to the values, and what it costs, beside plain `pyperformance run`.

The same interpreter and benchmarks through a real lab on one host and bare, unpinned, in turns (ABBA), so that what
changes on the machine meanwhile comes to both:

- ratio: geometric mean of lab over bare, with its 95 % interval, beside that of bare over bare, on a quiet machine;
  and how far the rounds of one benchmark lie apart, lab over bare;
- the same spread beside a busy loop and a compiler, which may run on any CPU;
- CPU time of our own programs, all but the benchmarks' own processes, on the measuring CPUs during a run;
- wall time of a job against a bare run, with nothing there before (cold) and with all of it (warm);
- the gap between the runs of two jobs that wait.

The last line is a JSON object of these.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil
import pyperf
from benchlab import JOB_S, Lab, lab_of

BENCHMARKS = ("json_loads", "nbody", "pickle_pure_python", "richards", "unpack_sequence")

#: ABBA rounds on the quiet machine, and on the busy one; each has two runs of either.
ROUNDS, BUSY_ROUNDS = 3, 2

# Two-sided 95 % points of Student's t by degrees of freedom.
_T95 = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36, 8: 2.31, 9: 2.26}
_LOOK_S = 0.2

Means = dict[str, float]


class Run(NamedTuple):
    """The mean of each benchmark in seconds, and the seconds that all of it took."""

    means: Means
    wall: float


class Bare:
    """`pyperformance run` as people call it, in a folder of its own where its environment stays."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def __call__(self) -> Run:
        output = self.folder / "bare.json"
        output.unlink(missing_ok=True)
        argv = [sys.executable, "-m", "pyperformance", "run", "--fast", "--python", sys.executable]
        argv += ["--benchmarks", ",".join(BENCHMARKS), "--output", str(output)]
        began = time.monotonic()
        done = subprocess.run(argv, cwd=self.folder, capture_output=True, text=True, timeout=JOB_S, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return Run(means_of(output.read_bytes()), time.monotonic() - began)


class Through:
    """A job of the lab, from its submission to its end."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    def __call__(self) -> Run:
        began = time.monotonic()
        job = self.lab.client.jobs.add(python=os.path.realpath(sys.executable), benchmarks=BENCHMARKS, mode="fast")
        ended = job.wait(JOB_S)
        wall = time.monotonic() - began
        assert ended.status == "success", ended.error
        return Run(means_of(self.lab.client.results.get(ended.results[0]).read()), wall)


def means_of(data: bytes) -> Means:
    """The benchmarks' means of a pyperf file."""
    suite = pyperf.BenchmarkSuite.loads(data.decode())
    return {benchmark.get_name(): benchmark.mean() for benchmark in suite}


class Rounds(NamedTuple):
    """What came of some rounds, in their order."""

    lab: list[Run]
    bare: list[Run]

    def log_ratios(self) -> list[float]:
        """Logarithms of lab over bare: for each run the mean over the benchmarks."""
        return [mean_log(one.means, other.means) for one, other in zip(self.lab, self.bare, strict=True)]

    def bare_log_ratios(self) -> list[float]:
        """The same of the second bare run of a round over its first."""
        return [mean_log(two.means, one.means) for one, two in zip(self.bare[::2], self.bare[1::2], strict=True)]

    def spread(self, runs: Sequence[Run]) -> float:
        """The median over the benchmarks of the relative standard deviation between runs."""
        found = []
        for name in BENCHMARKS:
            values = [run.means[name] for run in runs]
            found.append(statistics.stdev(values) / statistics.mean(values))
        return statistics.median(found)


def mean_log(one: Means, other: Means) -> float:
    """The logarithm of the geometric mean of the ratios."""
    return statistics.mean(math.log(one[name] / other[name]) for name in BENCHMARKS)


def rounds(lab: Callable[[], Run], bare: Callable[[], Run], count: int) -> Rounds:
    """Measure in ABBA order."""
    found = Rounds([], [])
    for _ in range(count):
        for runs, run in ((found.lab, lab), (found.bare, bare), (found.bare, bare), (found.lab, lab)):
            runs.append(run())
    return found


def interval(logs: Sequence[float]) -> tuple[float, float, float]:
    """The mean ratio and its 95 % interval, by Student's t on the logarithms."""
    mean = statistics.mean(logs)
    half = _T95.get(len(logs) - 1, 2.0) * statistics.stdev(logs) / math.sqrt(len(logs)) if len(logs) > 1 else math.inf
    return math.exp(mean), math.exp(mean - half), math.exp(mean + half)


@contextmanager
def busy(folder: Path) -> Iterator[None]:
    """A loop, and a compiler that prints, wherever the kernel puts them."""
    source = folder / "busy.c"
    source.write_text("".join(f"int f{n}(int x) {{ int unused; return x * {n}; }}\n" for n in range(3000)))
    build = f"while :; do gcc -Wall -O2 -c -o /dev/null {source}; done"
    log = (folder / "busy.log").open("wb")
    started = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]),
        subprocess.Popen(["sh", "-c", build], stdout=log, stderr=log, start_new_session=True),
    ]
    try:
        yield
    finally:
        for one in started:
            for child in psutil.Process(one.pid).children(recursive=True):
                child.kill()
            one.kill()
            one.wait()
        log.close()


class OwnTime:
    """Adds up the CPU time of the lab's processes, but for the benchmarks' own, on the measuring CPU."""

    def __init__(self, lab: Lab, cpu: int) -> None:
        self.lab, self.cpu = lab, cpu
        self.ours = self.benchmarks = 0.0
        self._last: dict[int, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "OwnTime":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_S):
            for process in psutil.process_iter():
                try:
                    self._add(process)
                except psutil.Error:
                    continue

    def _add(self, process: psutil.Process) -> None:
        words = process.cmdline()
        environ = process.environ()
        known = (environ.get("BENCHYARD_SUPERVISOR", ""), environ.get("BENCHYARD_RUN", ""), *words)
        if not any(str(self.lab.root) in text for text in known):
            return
        times = process.cpu_times()
        used = times.user + times.system
        passed = used - self._last.get(process.pid, used)
        self._last[process.pid] = used
        if process.cpu_num() != self.cpu:
            return
        if "--worker" in words or any("--worker" in parent.cmdline() for parent in process.parents()[:2]):
            self.benchmarks += passed
        else:
            self.ours += passed

    @property
    def share(self) -> float:
        """Our own time over that of the benchmarks."""
        return self.ours / self.benchmarks if self.benchmarks else math.nan


def gap_between(lab: Lab) -> float:
    """Seconds between the end of a run and the start of the next, of two jobs that were queued together."""
    python = os.path.realpath(sys.executable)
    jobs = [lab.client.jobs.add(python=python, benchmarks=["nbody"], mode="fast") for _ in range(2)]
    lab.finish(jobs)
    runs = lab.runs()
    return runs[f"{jobs[1].id}.1"].began - runs[f"{jobs[0].id}.1"].ended


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds on the quiet machine (default: %(default)s)")
    count = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="bench-measure-") as temporary:
        folder = Path(temporary)
        bare = Bare(folder / "bare")
        with lab_of(folder, two_hosts=False) as lab:
            through = Through(lab)
            cold = (through(), bare())
            warm = rounds(through, bare, count)
            with OwnTime(lab, max(os.sched_getaffinity(0))) as own:
                through()
            gaps = [gap_between(lab) for _ in range(3)]
            with busy(folder):
                beside = rounds(through, bare, BUSY_ROUNDS)
            isolation = lab.isolation()
    show(cold, warm, beside, own, gaps, isolation)


def show(cold: tuple[Run, Run], warm: Rounds, beside: Rounds, own: OwnTime, gaps: list[float], isolation: str) -> None:
    """Print the table, and the JSON object."""
    ratio, bare_ratio = interval(warm.log_ratios()), interval(warm.bare_log_ratios())
    spreads = warm.spread(warm.lab), warm.spread(warm.bare)
    busy_spreads = beside.spread(beside.lab), beside.spread(beside.bare)
    walls = [statistics.median(run.wall for run in runs) for runs in (warm.lab, warm.bare)]
    print(f"{len(BENCHMARKS)} benchmarks --fast, {len(warm.lab)} runs of each, isolation: {isolation}\n")
    print(f"lab over bare            {ratio[0]:.4f}  [{ratio[1]:.4f}, {ratio[2]:.4f}]")
    print(f"bare over bare           {bare_ratio[0]:.4f}  [{bare_ratio[1]:.4f}, {bare_ratio[2]:.4f}]")
    print(f"spread between runs      lab {100 * spreads[0]:.2f} %, bare {100 * spreads[1]:.2f} %")
    print(f"the same, busy machine   lab {100 * busy_spreads[0]:.2f} %, bare {100 * busy_spreads[1]:.2f} %")
    print(f"our own CPU time         {own.ours:.2f} s beside {own.benchmarks:.1f} s of the benchmarks")
    print(f"wall time, warm          lab {walls[0]:.1f} s, bare {walls[1]:.1f} s")
    print(f"wall time, cold          lab {cold[0].wall:.1f} s, bare {cold[1].wall:.1f} s")
    print(f"gap between two jobs     {', '.join(f'{gap:.2f} s' for gap in gaps)}")
    document = {
        "geomean_ratio": round(ratio[0], 4),
        "geomean_interval": [round(ratio[1], 4), round(ratio[2], 4)],
        "bare_ratio": round(bare_ratio[0], 4),
        "bare_interval": [round(bare_ratio[1], 4), round(bare_ratio[2], 4)],
        "spread_ratio": round(spreads[0] / spreads[1], 3),
        "busy_spread_ratio": round(busy_spreads[0] / busy_spreads[1], 3),
        "own_cpu_share": round(own.share, 5),
        "warm_wall_ratio": round(walls[0] / walls[1], 3),
        "cold_wall_ratio": round(cold[0].wall / cold[1].wall, 3),
        "gap_s": round(statistics.median(gaps), 2),
    }
    print(json.dumps(document))


if __name__ == "__main__":
    main()
