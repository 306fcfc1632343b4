"""A lab for benchmarks of the lab itself: made, driven and read as a user would, and down afterwards."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from benchyard.client import Client, Job
from benchyard.client.config import load_config
from benchyard.tasks.runner import active_runs, stop

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

    def __init__(
        self, folder: Path, *, upstream: str | None = None, prefetch: int = 1, two_hosts: bool = False
    ) -> None:
        self.root, self.host = folder / "lab", folder / "host"
        self.two_hosts = two_hosts
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith("BENCHYARD_")}
        self.environ["BENCHYARD_CONFIG"] = str(folder / "config.toml")
        self.cli("lab", "init", str(self.root), *(["--no-isolated"] if two_hosts else []))
        settings = self.root / "benchyard.toml"
        text = settings.read_text().partition("\n[remotes.")[0].replace("[lab]\n", f"[lab]\nprefetch = {prefetch}\n", 1)
        remote = f'\n[remotes.upstream]\nurl = "{upstream}"\n' if upstream is not None else ""
        settings.write_text(text + remote)
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

    def isolation(self) -> str:
        """How the last run's CPUs were kept free, by the run's own setup."""
        state = self.host / "state" if self.two_hosts else self.root / "state"
        last = max((state / "runs").glob("*/setup.json"), key=lambda path: path.stat().st_mtime)
        shield = json.loads(last.read_text())["shield"]
        return f"{shield['kind']} ({shield['detail']})" if shield["detail"] else str(shield["kind"])

    def prepared(self) -> list[Stage]:
        """The builds that prepared jobs, oldest first."""
        with httpx.Client(base_url=self.client.url, timeout=30) as web:
            path = f"/api/v2/builders/{self.client.queue.target}-prepare/builds"
            builds = web.get(path, params={"order": "buildid", "results__eq": 0}).json()["builds"]
        return [Stage(build["started_at"], build["complete_at"]) for build in builds]

    def said_waiting(self) -> bool:
        """Whether a step has said that it waited for a measurement."""
        with httpx.Client(base_url=self.client.url.rstrip("/") + "/api/v2/", timeout=30) as web:
            builds = web.get(f"builders/{self.client.queue.target}-prepare/builds").json()["builds"]
            steps = [s for b in builds for s in web.get(f"builds/{b['buildid']}/steps").json()["steps"]]
            logs = [log for s in steps for log in web.get(f"steps/{s['stepid']}/logs").json()["logs"]]
            texts = (web.get(f"logs/{log['logid']}/raw").text for log in logs if log["name"] == "stdio")
            return any("nothing is prepared on it meanwhile" in text for text in texts)

    def down(self) -> None:
        """Stop all of it."""
        if self.two_hosts:
            self.cli("worker", "down", str(self.host))
            # A run outlives its worker; left alone in a folder that goes away, it would leave this host set up.
            state = self.host / "state"
            for run in active_runs(state):
                stop(run, state=state, outcome="interrupted")
        self.cli("lab", "down", str(self.root))


@contextmanager
def lab_of(folder: Path, **how: Any) -> Iterator[Lab]:
    """A lab that is down afterwards."""
    lab = Lab(folder, **how)
    try:
        yield lab
    finally:
        lab.down()


def until(condition: Callable[[], object], limit_s: float = 120.0) -> None:
    """Wait for a condition, with a bound."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
