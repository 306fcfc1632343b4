"""Hosts over REST, with a real master."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from benchyard.store import attempts, calibrations, epochs, jobs, maintenance, results, trashed
from benchyard.store import hosts as store
from benchyard.store.rows import Noise
from benchyard.store.tables import hosts

if TYPE_CHECKING:
    from tests.web.conftest import Lab


def test_a_host_of_the_settings_is_removed(lab: "Lab") -> None:
    """A host that has no row yet, as those that `lab init` makes, is removed like any other."""
    host = {"name": "attic", "role": "worker", "target": lab.target, "address": "10.0.0.8", "cpus": ""}
    assert lab.call("POST", "/hosts", "admin", json=host).status_code == 201
    with lab.engine().begin() as conn:
        conn.execute(sa.delete(hosts).where(hosts.c.name == "attic"))
    assert lab.call("DELETE", "/hosts/attic", "admin").status_code == 200
    assert lab.call("GET", "/hosts/attic", "admin").status_code == 404
    assert not (lab.root / "hosts.d" / "attic.toml").exists()


@pytest.fixture
def away(lab: "Lab") -> Iterator[str]:
    """The name of a host whose worker is away."""
    host = {"name": "away", "role": "isolated", "target": lab.target, "address": "10.0.0.8"}
    assert lab.call("POST", "/hosts", "admin", json=host).status_code == 201
    yield "away"
    lab.call("DELETE", "/hosts/away", "admin")


def test_a_host_that_measures_stays(lab: "Lab", away: str) -> None:
    """A host with a run, or with a job that looks after it, is not removed, though its worker is away by now."""
    job = lab.submit()
    with lab.engine().begin() as conn:
        attempt = attempts.new_attempt(conn, job["id"], now=1.0)
        attempts.place_attempt(conn, job["id"], attempt.number, host=away, now=1.0)
    refused = lab.call("DELETE", f"/hosts/{away}", "admin")
    assert refused.status_code == 409 and f"is busy with job {job['id']}; disable it" in refused.json()["detail"]
    with lab.engine().begin() as conn:
        attempts.end_attempt(conn, job["id"], attempt.number, status="failed", cause="boom", now=2.0)
        how: dict[str, Any] = {"host": away, "target": lab.target, "owner": "admin", "now": 2.0}
        check = maintenance.create(conn, "check", **how)
        jobs.set_status(conn, check.id, "building", now=2.0, who="lab")
    refused = lab.call("DELETE", f"/hosts/{away}", "admin")
    assert refused.status_code == 409 and f"is busy with job {check.id}" in refused.json()["detail"]
    host = lab.call("GET", f"/hosts/{away}").json()
    assert (host["enabled"], host["status"]) == (True, "offline")
    with lab.engine().begin() as conn:
        maintenance.end(conn, check.id, "success", now=3.0)
    assert lab.call("DELETE", f"/hosts/{away}", "admin").status_code == 200


def test_a_host_that_is_looked_after_moves_later(lab: "Lab", away: str) -> None:
    """Where a job waits to look after it, its target and address stay; the rest may change, also to what it is."""
    with lab.engine().begin() as conn:
        check = maintenance.create(conn, "check", host=away, target=lab.target, owner="admin", now=2.0)
    refused = lab.call("PATCH", f"/hosts/{away}", "admin", json={"address": "10.0.0.9"})
    assert refused.status_code == 409 and f"is busy with job {check.id}" in refused.json()["detail"]
    assert lab.call("PATCH", f"/hosts/{away}", "admin", json={"connection": "local"}).status_code == 409
    same = {"target": lab.target, "address": "10.0.0.8", "cpus": "3"}
    assert lab.call("PATCH", f"/hosts/{away}", "admin", json=same).status_code == 200
    with lab.engine().begin() as conn:
        jobs.set_status(conn, check.id, "canceled", now=3.0, who="admin")
    assert lab.call("PATCH", f"/hosts/{away}", "admin", json={"address": "10.0.0.9"}).json()["address"] == "10.0.0.9"


def test_two_changes_at_once(lab: "Lab", away: str) -> None:
    """Each finds what the other has done: neither is lost, and of two that have seen the same state one is refused."""
    changes: list[dict[str, Any]] = [{"cpus": "3"}, {"guard": "strict"}, {"tune": False}, {"ansible_user": "ops"}]
    with ThreadPoolExecutor(len(changes)) as pool:
        asked = [pool.submit(lab.call, "PATCH", f"/hosts/{away}", "admin", json=change) for change in changes]
        assert [answer.result().status_code for answer in asked] == [200] * len(changes)
        host = lab.call("GET", f"/hosts/{away}").json()
        for change in changes:
            assert change.items() <= host.items()
        headers = {"If-Match": lab.call("GET", f"/hosts/{away}").headers["ETag"]}
        asked = [
            pool.submit(lab.call, "PATCH", f"/hosts/{away}", "admin", json={"cpus": cpus}, headers=headers)
            for cpus in ("1", "2")
        ]
        assert sorted(answer.result().status_code for answer in asked) == [200, 412]


@pytest.mark.parametrize("name", ["target_web", "master", "localhost"])
def test_a_host_is_not_called_as_a_group(lab: "Lab", name: str) -> None:
    """Whoever asked Ansible for such a host would get others."""
    host = {"role": "worker", "target": lab.target, "address": "10.0.0.8"}
    for taken in (name, lab.target.replace("-", "_")):
        answer = lab.call("POST", "/hosts", "admin", json={**host, "name": taken})
        assert (answer.status_code, answer.json()["field"]) == (400, "name")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "bench\n"),
        ("target", "linux\n"),
        ("address", "10.0.0.8\n"),
        ("address", "-oProxyCommand=x"),
        ("address", "-v"),
        ("cpus", "1\n"),
        ("ansible_user", "ops\n"),
        ("ansible_user", "-l"),
        ("connection", "ssh\n"),
    ],
)
def test_what_no_file_should_say(lab: "Lab", field: str, value: str) -> None:
    """What would mislead a command line or a file is refused, and names its field."""
    host = {"name": "attic", "role": "worker", "target": lab.target, "address": "10.0.0.8", field: value}
    answer = lab.call("POST", "/hosts", "admin", json=host)
    assert (answer.status_code, answer.json().get("field")) == (400, field)


@pytest.fixture(scope="module")
def calibrated(lab: "Lab") -> Iterator[str]:
    """The name of a host in its first epoch, calibrated once, with the noise of two benchmarks."""
    host = {"name": "steady", "role": "isolated", "target": lab.target, "address": "10.0.0.9", "cpus": "1"}
    assert lab.call("POST", "/hosts", "admin", json=host).status_code == 201
    facts: dict[str, Any] = {"target": lab.target, "interpreter": {"id": "ab"}, "commit": None, "branch": None}
    facts |= {"version": "3.14.0", "flags": (), "suite": "pyperformance", "suite_version": "1.14.0"}
    facts |= {"mode": "fast", "path": "p", "sha256": "0" * 64, "size": 1, "benchmarks": 2, "kind": "calibrate"}
    with lab.engine().begin() as conn:
        job = jobs.create_job(
            conn,
            now=1.0,
            who="lab",
            kind="calibrate",
            target=lab.target,
            host="steady",
            spec={"python": "/p", "benchmarks": [], "selection": [], "mode": "fast"},
            owner="lab",
            origin="rest",
            reason="",
            status="success",
        )
        row = results.add_result(conn, now=1795345200.0, who="lab", job_id=job.id, attempt=1, host="steady", **facts)
        epochs.place_result(
            conn,
            row.id,
            fingerprint={"kernel": "6.1"},
            host_fingerprint="ab",
            measured=1795345100.0,
            now=1795345200.0,
        )
        assert calibrations.add_calibration(conn, results.get_result(conn, row.id), {}) is not None
        noise = (Noise("steady", 1, name, floor, 5, 0.1, "second", 1795345200.0) for name, floor in _FLOORS.items())
        calibrations.put_noise(conn, "steady", 1, noise)
    yield "steady"
    with lab.engine().begin() as conn:
        trashed.trash_result(conn, row.id, now=3.0, who="lab")  # others list the results of this lab


_FLOORS = {"2to3": 0.01, "nbody": 0.02}


def test_epoch_and_noise(lab: "Lab", calibrated: str) -> None:
    """A host tells its epoch, since when, when it was calibrated, and its noise: in the median, and by benchmark."""
    expected = {
        "epoch": 1,
        "epoch_since": "2026-11-22T10:58:20.000Z",
        "calibrated": "2026-11-22T11:00:00.000Z",
        "noise_floor": pytest.approx(0.015),
    }
    listed = {host["name"]: host for host in lab.call("GET", "/hosts").json()["items"]}
    for host in (lab.call("GET", f"/hosts/{calibrated}").json(), listed[calibrated]):
        assert {name: host[name] for name in expected} == expected
    noise = lab.call("GET", f"/hosts/{calibrated}/noise").json()
    assert (noise["epoch"], noise["calibrations"], noise["median"]) == (1, 1, pytest.approx(0.015))
    assert noise["benchmarks"][0] == {
        "name": "2to3",
        "floor": 0.01,
        "runs": 5,
        "center": 0.1,
        "unit": "second",
        "updated": "2026-11-22T11:00:00.000Z",
    }


def test_host_of_which_nothing_is_known(lab: "Lab") -> None:
    """Before its first result a host has no epoch and no noise."""
    host = lab.call("GET", f"/hosts/{lab.isolated}").json()
    assert (host["epoch"], host["epoch_since"], host["calibrated"], host["noise_floor"]) == (None,) * 4
    noise = lab.call("GET", f"/hosts/{lab.isolated}/noise").json()
    assert (noise["epoch"], noise["calibrations"], noise["benchmarks"]) == (None, 0, [])
    assert lab.call("GET", "/hosts/nowhere/noise").status_code == 404


def test_quarantined_host(lab: "Lab", calibrated: str) -> None:
    """Its status says so, also as a filter; enabling it ends that."""
    with lab.engine().begin() as conn:
        store.quarantine_host(conn, calibrated, now=2.0, who="lab", reason="off by +5.0 %")
    host = lab.call("GET", f"/hosts/{calibrated}").json()
    assert (host["status"], host["enabled"], host["reason"]) == ("quarantined", False, "quarantined: off by +5.0 %")
    found = lab.call("GET", "/hosts?status=quarantined").json()["items"]
    assert [each["name"] for each in found] == [calibrated]
    host = lab.call("POST", f"/hosts/{calibrated}/enable", "admin").json()
    assert (host["status"], host["enabled"], host["reason"]) == ("offline", True, "")
