"""What the REST interface answers when all is well."""

import json
import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from benchyard.cli.root import main
from benchyard.client import Client
from benchyard.daemon.lock import held
from benchyard.lab.paths import LabPaths
from benchyard.store.tables import jobs
from benchyard.tasks.suite import installed_suite
from benchyard.web.views import time_text

if TYPE_CHECKING:
    from tests.web.conftest import Lab

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_times() -> None:
    """Times are ISO 8601 in UTC with milliseconds and a Z; what has not happened is null."""
    assert time_text(1795345200.1239) == "2026-11-22T11:00:00.123Z"
    assert time_text(0.0) == "1970-01-01T00:00:00.000Z"
    assert time_text(None) is None
    assert time_text(253402383599.0) == time_text(1e300) == "9999-12-31T00:00:00.000Z"
    assert time_text(-1e12) == "0001-01-02T00:00:00.000Z"


def test_job(lab: "Lab") -> None:
    """A job has all its parts, and the answer to its submission is what is read later."""
    job = lab.submit("ada", benchmarks=["nbody", "json_loads", "-nbody"], mode="fast", reason="why")
    assert job == lab.call("GET", f"/jobs/{job['id']}").json()
    assert TIME.fullmatch(job.pop("created"))
    assert job == {
        "id": job["id"],
        "kind": "benchmarks",
        "target": lab.target,
        "host": None,
        "status": "created",
        "enabled": True,
        "owner": "ada",
        "origin": "rest",
        "reason": "why",
        "spec": {
            "python": lab.python,
            "benchmarks": ["json_loads"],
            "selection": ["nbody", "json_loads", "-nbody"],
            "mode": "fast",
            "affinity": None,
            "source": None,
            "suite": "",
            "suite_version": installed_suite().label,
            "same_loops": None,
            "strict": False,
            "upload": False,
            "check": False,
            "reboot": False,
            "before": None,
            "after": None,
        },
        "summary": None,
        "interpreter": None,
        "base_job": None,
        "error": None,
        "progress": None,
        "attempts": [],
        "results": [],
        "failed_benchmarks": [],
        "url": None,
        "queued": None,
        "started": None,
        "finished": None,
        "changed": job["changed"],
        "changed_by": "ada",
    }
    assert TIME.fullmatch(job["changed"])


def test_queue(lab: "Lab") -> None:
    """Queued jobs are in their target's queue in the order in which they start, until they are canceled."""
    jobs = [lab.submit("ada", run=True) for _ in range(3)]
    ids = [job["id"] for job in jobs]
    assert {job["status"] for job in jobs} <= {"queued", "building"}
    assert re.fullmatch(rf"{lab.url}#/buildrequests/\d+", jobs[0]["url"])
    (queue,) = lab.call("GET", "/queues").json()["items"]
    assert queue["target"] == lab.target
    places = [place for place in queue["jobs"] if place["job"] in ids]
    assert [place["job"] for place in places] == ids
    assert [place["position"] for place in queue["jobs"]] == list(range(1, queue["length"] + 1))
    (why,) = {place["why"] for place in places}
    assert why in ("its host is offline", "all its hosts are offline")  # other tests add hosts
    for job in ids:
        assert lab.call("POST", f"/jobs/{job}/cancel", "ada").status_code == 200


def test_lists_page(lab: "Lab") -> None:
    """A list is read to its end by its cursors, newest first, each job once."""
    made = [lab.submit("ada")["id"] for _ in range(5)]
    found: list[int] = []
    cursor: str | None = ""
    for _ in range(200):
        query = {"limit": "2", "user": "ada"} | ({"cursor": cursor} if cursor else {})
        page = lab.call("GET", "/jobs", params=query).json()
        assert len(page["items"]) <= 2
        found += [job["id"] for job in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert found == sorted(set(found), reverse=True)
    assert set(made) <= set(found)


@pytest.mark.parametrize(
    ("query", "fits"), [("status=created", True), ("status=success,lost", False), ("user=bob", False)]
)
def test_filters(lab: "Lab", query: str, fits: bool) -> None:
    """A list is of what was asked for."""
    job = lab.submit("ada")
    listed = [found["id"] for found in lab.call("GET", f"/jobs?{query}&limit=500").json()["items"]]
    assert (job["id"] in listed) == fits


def test_log_of_a_job_without_one(lab: "Lab") -> None:
    """A job that has not run has an empty log."""
    job = lab.submit("ada")
    answer = lab.call("GET", f"/jobs/{job['id']}/log")
    assert (answer.status_code, answer.text) == (200, "")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_followed_log_ends_with_the_job(lab: "Lab") -> None:
    """Following the log of a job that has ended ends as well."""
    job = lab.submit("ada")
    lab.call("POST", f"/jobs/{job['id']}/cancel", "ada")
    assert lab.call("GET", f"/jobs/{job['id']}/log?follow=1").status_code == 200


def test_health(lab: "Lab") -> None:
    """A lab whose hosts are not connected is degraded and says which; the numbers are there for who may read."""
    health = lab.call("GET", "/health").json()
    assert (health["status"], health["title"]) == ("degraded", "benchyard")
    assert {host["connected"] for host in health["hosts"]} == {False}
    assert set(health["jobs"]) >= {"created", "queued", "running", "success"}


def test_stale_lanes(make_lab: "Callable[..., Lab]", capsys: pytest.CaptureFixture[str]) -> None:
    """A queue that has not moved is in the lab's health, and `lab status` shows it; the lab works nevertheless."""
    lab = make_lab()
    assert "stale" not in lab.call("GET", "/health").json()
    lab.call("POST", f"/queues/{lab.target}/pause", "admin", json={})
    job = lab.submit("admin", run=True)
    since = time.time() - 13 * 3600
    with lab.engine().begin() as conn:
        conn.execute(sa.update(jobs).where(jobs.c.id == job["id"]).values(changed=since))
    with Client(lab.url, token=lab.tokens["admin"]) as client:
        health = client.health()
    (stale,) = health.stale
    text = f"{lab.target}: 1 job waits, and nothing has begun for 13 h, as the queue is paused"
    assert (stale.text, stale.target, health.status) == (text, lab.target, "degraded")
    assert datetime.fromisoformat(stale.since).timestamp() == pytest.approx(since, abs=1.0)
    with held(LabPaths(lab.root).lock):
        main(["lab", "status", str(lab.root)])
        assert f"stale    {text}" in capsys.readouterr().out.splitlines()
        main(["lab", "status", str(lab.root), "--json"])
    assert [one["text"] for one in json.loads(capsys.readouterr().out)["stale"]] == [text]


def test_host_joins(lab: "Lab") -> None:
    """A host joins the running lab with a secret that is shown once; its name is taken then, in any capitals."""
    body = {"name": "cellar", "role": "isolated", "target": lab.target, "address": "cellar.example", "cpus": "2-3"}
    answer = lab.call("POST", "/hosts", "admin", json=body)
    assert answer.status_code == 201
    host, worker = answer.json()["host"], answer.json()["worker"]
    assert {name: host[name] for name in body} == body
    assert (host["id"], host["enabled"], host["status"], host["current_job"]) == ("cellar", True, "offline", None)
    assert (host["changed_by"], host["created"]) == ("admin", host["changed"])
    assert (worker["name"], worker["master_host"]) == ("cellar", "127.0.0.1")
    assert (lab.root / "secrets" / "worker-cellar").read_text().strip() == worker["secret"]
    hosts = lab.call("GET", "/hosts").json()["items"]
    assert host in hosts
    assert worker["secret"] not in str(hosts)
    again = lab.call("POST", "/hosts", "admin", json={**body, "name": "CELLAR"})
    assert (again.status_code, again.json()["detail"]) == (
        409,
        "the lab has a host 'CELLAR' already; choose another name",
    )


def test_host_that_the_master_refuses(lab: "Lab") -> None:
    """A host that the configuration cannot take leaves no trace, and the lab works on."""
    body = {"name": "odd", "role": "isolated", "target": lab.target, "address": "odd.example", "cpus": "3-1"}
    assert lab.call("POST", "/hosts", "admin", json=body).status_code in (400, 422)
    assert not (lab.root / "hosts.d" / "odd.toml").exists()
    assert not (lab.root / "secrets" / "worker-odd").exists()
    assert lab.call("POST", "/hosts", "admin", json={**body, "cpus": "1-3"}).status_code == 201
