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
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from miniature import PROGRAM, Miniature

from benchyard.client import Client, Job
from benchyard.client.config import load_config

JOBS = 6

#: Seconds of compiling that each commit takes, by functions of a size; measuring must take at least twice as long.
BUILD_S = 6.0

BENCHMARKS = ("json_dumps", "json_loads", "nbody", "pidigits", "richards", "unpack_sequence")
JOB_S = 900.0


class Stage(NamedTuple):
    """Seconds since 1970 of a stage's begin and end."""

    began: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.began


class Lab:
    """A lab with its isolated host, and what its runner and its builds say of their times."""

    def __init__(self, folder: Path, upstream: Miniature, *, prefetch: int, two_hosts: bool) -> None:
        self.root, self.host = folder / "lab", folder / "host"
        self.two_hosts = two_hosts
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith("BENCHYARD_")}
        self.environ["BENCHYARD_CONFIG"] = str(folder / "config.toml")
        self.cli("lab", "init", str(self.root), *(["--no-isolated"] if two_hosts else []))
        settings = self.root / "benchyard.toml"
        text = settings.read_text().partition("\n[remotes.")[0].replace("[lab]\n", f"[lab]\nprefetch = {prefetch}\n", 1)
        settings.write_text(f'{text}\n[remotes.upstream]\nurl = "{upstream.url}"\n')
        self.cli("lab", "up", str(self.root), "--detach")
        self.client = self._client()
        if two_hosts:
            self.cli("worker", "init", self.client.url, str(self.host), "--name", "far")
            self.cli("worker", "up", str(self.host), "--detach")
        until(lambda: any(host.role == "isolated" and host.status == "online" for host in self.client.hosts.list()))

    def _client(self) -> Client:
        config = load_config(Path(self.environ["BENCHYARD_CONFIG"]))
        assert config.default is not None
        return Client(config.default, config)

    def cli(self, *arguments: str) -> None:
        """Run `benchyard ARGUMENTS`; it must do."""
        command = [sys.executable, "-m", "benchyard.cli", *arguments]
        done = subprocess.run(command, env=self.environ, capture_output=True, text=True, timeout=180)
        assert done.returncode == 0, done.stdout + done.stderr

    def submit(self, commit: str, *, run: bool = True) -> Job:
        """A quick job for a commit."""
        return self.client.jobs.add(ref=commit, benchmarks=BENCHMARKS, mode="fast", again=True, run=run)

    def finish(self, jobs: list[Job]) -> None:
        """See jobs through to success."""
        for job in jobs:
            ended = job.wait(JOB_S)
            assert ended.status == "success", ended.error

    def runs(self) -> dict[str, Stage]:
        """The runs by name, from the runner's own record."""
        state = self.host / "state" if self.two_hosts else self.root / "state"
        times: dict[str, dict[str, float]] = {}
        for line in (state / "runs" / "runs.log").read_text().splitlines():
            when, word, run, *_rest = line.split()
            times.setdefault(run, {})[word] = datetime.fromisoformat(when).timestamp()
        return {run: Stage(found["START"], found["END"]) for run, found in times.items()}

    def prepared(self) -> list[Stage]:
        """The builds that prepared jobs, oldest first."""
        with httpx.Client(base_url=self.client.url, timeout=30) as web:
            path = f"/api/v2/builders/{self.client.queue.target}-prepare/builds"
            builds = web.get(path, params={"order": "buildid", "results__eq": 0}).json()["builds"]
        return [Stage(build["started_at"], build["complete_at"]) for build in builds]

    def said_waiting(self) -> bool:
        """Whether a step has said that it waited for a measurement."""
        with httpx.Client(base_url=self.client.url, timeout=30) as web:
            logs = web.get("/api/v2/logs", params={"limit": 500}).json()["logs"]
            texts = (web.get(f"/api/v2/logs/{log['logid']}/raw").text for log in logs if log["name"] == "stdio")
            return any("nothing is prepared on it meanwhile" in text for text in texts)

    def down(self) -> None:
        """Stop all of it."""
        if self.two_hosts:
            self.cli("worker", "down", str(self.host))
        self.cli("lab", "down", str(self.root))


@contextmanager
def lab_of(folder: Path, upstream: Miniature, **how: Any) -> Iterator[Lab]:
    """A lab that is down afterwards."""
    lab = Lab(folder, upstream, **how)
    try:
        yield lab
    finally:
        lab.down()


def until(condition: Any, limit_s: float = 120.0) -> None:
    """Wait for a condition, with a bound."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


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
    jobs = [lab.submit(commit) for commit in commits]
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
        job = lab.submit(commit)
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
        for name, how in layouts.items():
            place = folder / name.replace(", ", "-").replace(" ", "-")
            place.mkdir()
            with lab_of(place, upstream, **how) as lab:
                found[name] = measure(lab, commits)
                if name == "two hosts, prefetch":
                    starts = reuse(lab, commits[0], 3)
                if not lab.two_hosts:
                    said = lab.said_waiting()
    show(found, starts, said)


def show(found: dict[str, Figures], starts: list[float], said: bool) -> None:
    """Print the table, and the JSON object."""
    print(f"{'':24}{'makespan':>10}{'measuring':>11}{'ratio':>7}{'serial':>8}{'first build':>13}{'preparing':>11}")
    for name, figures in found.items():
        print(
            f"{name:24}{figures.makespan:9.1f}s{figures.measuring:10.1f}s{figures.ratio:7.3f}{figures.serial:8.3f}"
            f"{figures.first:12.1f}s{figures.preparing:10.1f}s"
        )
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
