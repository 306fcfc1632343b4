"""All doors at once, two people who reorder, and kills: what was asked is measured, in the order asked for."""

import json
import random
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx
import pytest

from benchyard.client import Stale

if TYPE_CHECKING:
    from tests.e2e.conftest import LabHandle

pytestmark = [pytest.mark.timeout(1200), pytest.mark.slow]

JOB_S = 300.0


def test_all_doors_lead_into_one_queue(
    make_lab: "Callable[..., LabHandle]", python: str, force: Callable[..., httpx.Response], wait: Callable[..., None]
) -> None:
    """Command line, library, form and schedule together; moves of two people; master, master and worker killed."""
    lab = make_lab(up=False)
    settings = lab.root / "benchyard.toml"
    (target,) = (line[9:-1] for line in settings.read_text().splitlines() if line.startswith("[targets."))
    schedule = f'cron = "* * * * *"\ntargets = ["{target}"]\npython = "{python}"\n'
    schedule += 'benchmarks = ["nbody"]\nmode = "fast"\n'
    settings.write_text(settings.read_text() + "\n[schedules.minutely]\n" + schedule)
    lab.up()
    with lab.client() as client:
        url = client.url
        client.queue.pause("all doors at once")

    def by_command() -> None:
        lab.check("submit", "--python", python, "--benchmarks", "nbody", "--fast")

    def by_library() -> None:
        with lab.client() as client:
            client.jobs.add(python=python, benchmarks=["nbody"], mode="fast")

    def by_form() -> None:
        password = (lab.root / "secrets" / "admin-password").read_text().strip()
        with httpx.Client(base_url=url, timeout=60) as session:
            assert session.get("/auth/login", auth=("admin", password)).status_code in (200, 302)
            assert force(session, python=python, benchmarks="nbody", mode="fast", reason="").status_code == 200

    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(door) for door in (by_command, by_library, by_form) * 2]:
            done.result()
    with lab.client() as client:
        wait(lambda: len(list(client.queue)) >= 7, "a job of each door is there", 150)
    kill(lab, "master", wait)
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(reorder, lab, seed) for seed in (1, 2)]:
            done.result()
    with lab.client() as client:
        standing = [place.job for place in client.queue]
        canceled, disabled = standing[1], standing[3]
        client.jobs.get(canceled).cancel()
        client.jobs.get(disabled).disable()
        asked = [place.job for place in client.queue if place.job != disabled][:6]
        origins = {client.jobs.get(job).origin for job in standing}
        assert origins == {"rest", "force", "nightly"}
        client.queue.unpause()
        wait(lambda: lab.starts(f"{asked[1]}.1") == 1, "the second is measured", JOB_S)
    kill(lab, "master", wait)
    isolated = lab.measuring_host()
    kill(lab, f"workers/{isolated}", wait)
    for job in asked:
        lab.check("job", "wait", str(job), timeout_s=JOB_S)
    started = [line[2] for line in lab.run_log() if line[1] == "START"]
    assert started[: len(asked)] == [f"{job}.1" for job in asked]
    assert f"{canceled}.1" not in started and f"{disabled}.1" not in started
    happened = [line[1] for line in lab.run_log()]
    assert happened == ["START", "END"] * (len(happened) // 2) + ["START"] * (len(happened) % 2)
    results = json.loads(lab.check("result", "list", "--json"))["items"]
    of_jobs = [result["job"] for result in results]
    assert [of_jobs.count(job) for job in asked] == [1] * len(asked)


def reorder(lab: "LabHandle", seed: int) -> None:
    """Move what is on the queue about; where somebody else was quicker, that is told and nothing is changed."""
    chance = random.Random(seed)  # noqa: S311 (no secret)
    with lab.client() as client:
        for _ in range(15):
            queue = client.queue.get()
            to = str(chance.randint(1, len(queue.jobs)))
            with suppress(Stale):
                client.queue.move(chance.choice(queue.jobs).job, to, version=queue.version)


def kill(lab: "LabHandle", folder: str, wait: Callable[..., None]) -> None:
    """kill -9 of a program of the lab, and wait until it is back."""
    killed = lab.program(folder)
    killed.send_signal(signal.SIGKILL)
    wait(lambda: lab.healthy() and lab.program(folder).pid != killed.pid, f"{folder} is back", 90)
