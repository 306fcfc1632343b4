"""Kills of everything, again and again, while jobs are measured on a host that is tuned and shielded for each."""

import json
import os
import random
import signal
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from benchyard.tasks.host.journal import has_journal
from benchyard.tasks.host.undo import note_paths

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import LabHandle

pytestmark = [pytest.mark.timeout(1500), pytest.mark.slow]

JOBS, KILLS, JOB_S = 3, 8, 600.0

#: Of what is killed, and when.
SEED = 11

#: What a run sets on this host, and what it must hold again.
KNOBS = ("proc/sys/kernel/randomize_va_space", "proc/sys/kernel/perf_event_max_sample_rate")


def test_whatever_is_killed(make_lab: "Callable[..., LabHandle]", python: str, wait: "Callable[..., None]") -> None:
    """Every job ends once, no two measure at once, nothing is left running, and the knobs are as found."""
    found = knobs()
    lab = make_lab(up=False)
    settings = lab.root / "benchyard.toml"
    settings.write_text(settings.read_text().replace("[lab]\n", "[lab]\nmax_attempts = 20\n", 1))
    lab.up()
    with lab.client() as client:
        jobs = [client.jobs.add(python=python, benchmarks=["nbody", "json_loads"], mode="fast") for _ in range(JOBS)]
        wait(lambda: any(line[1] == "START" for line in lab.run_log()), "the first run starts", JOB_S)
    chance = random.Random(SEED)  # noqa: S311 (no secret)
    overlaps: list[list[psutil.Process]] = []
    for _ in range(KILLS):
        victim = chance.choice(("master", "worker", "supervisor", "run", "pyperf"))
        with suppress(psutil.Error):
            if (process := find(lab, victim)) is not None:
                process.send_signal(signal.SIGKILL)
        look_for_overlaps(lab, chance.uniform(1.0, 12.0), overlaps)
    wait(lab.healthy, "the lab is well again", 120)
    good = []
    for job in jobs:
        done = lab.cli("job", "wait", str(job.id), timeout_s=JOB_S)
        # A benchmark that is killed has failed, and where all of them are, so has the job.
        assert done.returncode == 0 or "killed" in done.stdout, done.stdout + done.stderr + lab.log_tail()
        good += [job.id] if done.returncode == 0 else []
    assert good, "not every job was killed to its end"
    assert overlaps == []
    results = json.loads(lab.check("result", "list", "--json"))["items"]
    assert sorted(result["job"] for result in results) == good
    happened = [line for line in lab.run_log() if line[1] in ("START", "END")]
    for before, after in pairwise(happened):
        # A run whose supervisor was killed has no END of its own; its END is written before the next START.
        assert (before[1], after[1]) != ("START", "START") or before[2] != after[2], happened
    lab.down()
    assert lab.left_running() == []
    assert knobs() == found
    assert not has_journal(lab.root / "state") and note_paths(lab.root / "state") == []


def knobs() -> dict[str, str]:
    """What the knobs of this host hold."""
    return {name: (Path("/") / name).read_text() for name in KNOBS}


def find(lab: "LabHandle", victim: str) -> psutil.Process | None:
    """A process of the lab, if there is such a one at this moment."""
    if victim in ("master", "worker"):
        with suppress(AssertionError):  # it was killed a moment ago, and is not back yet
            return lab.program("master" if victim == "master" else f"workers/{lab.measuring_host()}")
        return None
    words = {"supervisor": "benchyard.tasks.supervisor", "run": "run-benchmarks", "pyperf": "run_benchmark.py"}[victim]
    for process in lab.processes():
        with suppress(psutil.Error):
            line = process.cmdline()
            if any(words in word for word in line) and "attach" not in line and "--worker" not in line:
                return process
    return None


def look_for_overlaps(lab: "LabHandle", seconds: float, found: list[list[psutil.Process]]) -> None:
    """Look for a while whether worker processes of two runs measure at the same time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        measuring: dict[str, psutil.Process] = {}
        for process in lab.processes():
            with suppress(psutil.Error):
                if "--worker" in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                    measuring[os.path.basename(process.environ().get("BENCHYARD_RUN", ""))] = process  # noqa: PTH119
        if len(measuring) > 1:
            found.append(list(measuring.values()))
        time.sleep(0.1)
