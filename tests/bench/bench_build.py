"""What building costs the host that measures: nothing, where there is a regular worker of its own.

Real labs measure real jobs of different commits, which a compiler really works on; a regular and an isolated worker
with state directories of their own stand for two hosts, so that their locks differ. Timed by the runner's own record:

- makespan ratio: from the first START to the last END, over the sum of the runs; 1.0 means the host never waited;
- serial ratio: the same if each job were prepared after the measurement before it, from the stages of that run;
- the first build, which nothing can hide, by itself;
- the same jobs without prefetch, and on one host, where nothing is prepared during a measurement;
- reuse: from the moment a job of a known interpreter is chosen until its first benchmark starts.

The last line is a JSON object of `makespan_ratio`, `serial_ratio`, `reuse_start_s` and what they are made of.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchlab import JOB_S, Lab, lab_of
from miniature import PROGRAM, Miniature

from benchyard.client import Job

JOBS = 6

#: Seconds of compiling that each commit takes, by functions of a size; measuring must take at least twice as long.
BUILD_S = 6.0

BENCHMARKS = ("json_dumps", "json_loads", "nbody", "pidigits", "richards", "unpack_sequence")


def submit(lab: Lab, commit: str) -> Job:
    """A quick job for a commit."""
    return lab.client.jobs.add(ref=commit, benchmarks=BENCHMARKS, mode="fast", again=True)


def large_program(functions: int, commit: int) -> str:
    """The miniature's program, with functions that take the compiler a while, different at each commit."""
    body = "".join(f"    x = x * {commit + 3} + (x >> {n % 7}) - y[{n} % (x % 5 + 3)];\n" for n in range(40))
    texts = (f"unsigned f{n}(unsigned x, unsigned *y)\n{{\n{body}    return x;\n}}\n" for n in range(functions))
    return PROGRAM + f"/* {commit} */\n" + "".join(texts)


def commits_of(upstream: Miniature, count: int) -> list[str]:
    """Commits that take about BUILD_S to compile each."""
    functions, seconds = 200, 0.0
    while seconds < BUILD_S / 2:
        functions *= 2
        (upstream.path / "probe.c").write_text(large_program(functions, 0))
        began = time.monotonic()
        argv = ["gcc", "-O2", "-c", "-o", os.devnull, "probe.c"]
        subprocess.run(argv, cwd=upstream.path, check=True)
        seconds = time.monotonic() - began
    (upstream.path / "probe.c").unlink()
    enough = int(functions * BUILD_S / seconds)
    makefile = (upstream.path / "Makefile.in").read_text().replace("@CFLAGS@", "-O2")
    upstream.commit("Optimize", **{"Makefile.in": makefile})
    return [upstream.commit(f"Commit {n}", **{"python.c": large_program(enough, n)}) for n in range(1, count + 1)]


class Figures(NamedTuple):
    """What the jobs of one lab took: `first` until the first was measured, `preparing` all others."""

    jobs: int
    makespan: float
    measuring: float
    preparing: float
    first: float

    @property
    def ratio(self) -> float:
        return self.makespan / self.measuring

    @property
    def serial(self) -> float:
        """All but the first prepared after the measurement before: their preparing comes on top."""
        return (self.measuring + self.preparing) / self.measuring


def measure(lab: Lab, commits: list[str]) -> Figures:
    """Queue all commits at once, see them through, and read the times."""
    began = time.time()
    jobs = [submit(lab, commit) for commit in commits]
    lab.finish(jobs)
    runs = sorted(lab.runs().values())
    prepared = lab.prepared()
    assert len(runs) == len(prepared) == len(commits)
    return Figures(
        jobs=len(commits),
        makespan=runs[-1].ended - runs[0].began,
        measuring=sum(run.seconds for run in runs),
        preparing=sum(stage.seconds for stage in prepared[1:]),
        first=runs[0].began - began,
    )


def reuse(lab: Lab, commit: str, times: int) -> list[float]:
    """Seconds from the choice of a job of a known interpreter to its first benchmark."""
    found = []
    for _ in range(times):
        job = submit(lab, commit)
        ended = job.wait(JOB_S)
        assert ended.status == "success", ended.error
        began = min(stage.began for stage in lab.prepared()[-1:])
        found.append(first_benchmark(lab, ended) - began)
    return found


def first_benchmark(lab: Lab, job: Job) -> float:
    """When the first benchmark of a job started: its run's start and what the run did before."""
    run = lab.runs()[f"{job.id}.1"]
    state = lab.host / "state" if lab.two_hosts else lab.root / "state"
    report = json.loads((state / "runs" / f"{job.id}.1" / "report.json").read_text())
    return max(run.began, float(report["started"])) + float(report["environment_s"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=JOBS, help="jobs of each lab (default: %(default)s)")
    count = parser.parse_args().jobs
    with tempfile.TemporaryDirectory(prefix="bench-build-") as temporary:
        folder = Path(temporary)
        upstream = Miniature(folder / "upstream")
        commits = commits_of(upstream, count)
        found: dict[str, Figures] = {}
        layouts = {
            "two hosts, prefetch": {"prefetch": 1, "two_hosts": True},
            "two hosts, no prefetch": {"prefetch": 0, "two_hosts": True},
            "one host": {"prefetch": 1, "two_hosts": False},
        }
        starts: list[float] = []
        print(f"{'':24}{'makespan':>10}{'measuring':>11}{'ratio':>7}{'serial':>8}{'first build':>13}{'preparing':>11}")
        for name, how in layouts.items():
            place = folder / name.replace(", ", "-").replace(" ", "-")
            place.mkdir()
            with lab_of(place, upstream=upstream.url, **how) as lab:
                found[name] = measure(lab, commits)
                show_row(name, found[name])
                if name == "two hosts, prefetch":
                    starts = reuse(lab, commits[0], 3)
                if not lab.two_hosts:
                    said = lab.said_waiting()
    show(found, starts, said)


def show_row(name: str, figures: Figures) -> None:
    """Print what came of one lab, as soon as it is known."""
    print(
        f"{name:24}{figures.makespan:9.1f}s{figures.measuring:10.1f}s{figures.ratio:7.3f}{figures.serial:8.3f}"
        f"{figures.first:12.1f}s{figures.preparing:10.1f}s",
        flush=True,
    )


def show(found: dict[str, Figures], starts: list[float], said: bool) -> None:
    """Print what is known once all labs are down, and the JSON object."""
    alone = found["one host"]
    print(f"\non one host nothing is prepared during a measurement, and the steps say so: {'yes' if said else 'NO'}")
    said_starts = ", ".join(f"{seconds:.1f} s" for seconds in starts)
    print(f"a job of a known interpreter, from its choice to its first benchmark: {said_starts}")
    figures = found["two hosts, prefetch"]
    document = {
        "makespan_ratio": round(figures.ratio, 3),
        "serial_ratio": round(figures.serial, 3),
        "reuse_start_s": round(sorted(starts)[len(starts) // 2], 2),
        "no_prefetch_ratio": round(found["two hosts, no prefetch"].ratio, 3),
        "one_host_ratio": round(alone.ratio, 3),
        "measuring_over_building": round(figures.measuring * (figures.jobs - 1) / figures.jobs / figures.preparing, 2),
        "first_build_s": round(figures.first, 1),
    }
    print(json.dumps(document))


if __name__ == "__main__":
    main()
