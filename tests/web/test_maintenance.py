"""Looking after hosts over REST, with a real master whose hosts are not connected."""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from benchyard.store import attempts, jobs, maintenance
from benchyard.store import hosts as store

if TYPE_CHECKING:
    from tests.web.conftest import Lab


@pytest.fixture(scope="module")
def spare(lab: "Lab") -> Iterator[str]:
    """The name of a host that is elsewhere."""
    host = {"name": "spare-1", "role": "isolated", "target": lab.target, "address": "10.0.0.7", "guard": "strict"}
    assert lab.call("POST", "/hosts", "admin", json=host).status_code == 201
    yield "spare-1"
    lab.call("DELETE", "/hosts/spare-1", "admin")


def test_keys_of_a_host(lab: "Lab", spare: str) -> None:
    """All that a host's file can say is said at once or changed later; the file has it."""
    host = lab.call("GET", f"/hosts/{spare}").json()
    assert (host["guard"], host["guard_wait_s"], host["tune"], host["connected"]) == ("strict", 60.0, True, False)
    change = {"tune": False, "shield": False, "guard": "off", "guard_wait_s": 5, "ansible_user": "ops"}
    changed = lab.call("PATCH", f"/hosts/{spare}", "admin", json={**change, "connection": "paramiko_ssh"})
    assert changed.status_code == 200, changed.text
    assert {name: changed.json()[name] for name in change} == change
    text = (lab.root / "hosts.d" / f"{spare}.toml").read_text()
    assert "tune = false\n" in text and 'connection = "paramiko_ssh"\n' in text
    for wrong in ({"guard": "maybe"}, {"guard_wait_s": -1}, {"ansible_user": "a b"}, {"connection": "x;y"}):
        assert lab.call("PATCH", f"/hosts/{spare}", "admin", json=wrong).status_code == 400, wrong
    assert lab.call("PATCH", f"/hosts/{spare}", "admin", json={"guard": "warn", "tune": True}).status_code == 200
    assert "guard =" not in (lab.root / "hosts.d" / f"{spare}.toml").read_text()


@pytest.mark.parametrize("kind", ["configure", "update"])
def test_job(lab: "Lab", spare: str, kind: str) -> None:
    """It is a job of the host's target, in front of its queue, and says why it has not begun; it can be canceled."""
    waiting, running = lab.submit(run=True), lab.submit()["id"]
    with lab.engine().begin() as conn:
        attempt = attempts.new_attempt(conn, running, now=1.0)
        attempts.place_attempt(conn, running, attempt.number, host=spare, now=1.0)
    answer = lab.call("POST", f"/hosts/{spare}/{kind}", "admin", json={"check": True, "reason": "trying"})
    assert answer.status_code == 202
    job = answer.json()
    assert (job["kind"], job["host"], job["owner"], job["reason"]) == (kind, spare, "admin", "trying")
    assert job["spec"]["check"] is True
    queue = lab.call("GET", f"/queues/{lab.target}").json()
    assert queue["jobs"][0]["job"] == job["id"]
    assert queue["jobs"][0]["why"] == f"waits for job {running}, which is on host {spare}"
    assert lab.call("GET", f"/jobs/{job['id']}/log").text == ""
    moved = lab.call("POST", f"/queues/{lab.target}/move", "admin", json={"job": job["id"], "to": "last"})
    assert moved.status_code == 409 and f"looks after host {spare}" in moved.json()["detail"]
    assert lab.call("GET", "/jobs", params={"kind": kind}).json()["items"][0]["id"] == job["id"]
    for one in (job, waiting):
        assert lab.call("POST", f"/jobs/{one['id']}/cancel", "admin").status_code == 200
    ended = wait_until_ended(lab, job["id"])
    with lab.engine().begin() as conn:
        attempts.end_attempt(conn, running, attempt.number, status="failed", cause="boom", now=2.0)
    assert ended["status"] == "canceled"
    assert lab.call("GET", f"/hosts/{spare}").json()["enabled"] is True


def test_host_whose_worker_the_lab_runs(lab: "Lab", make_lab: "Callable[..., Lab]") -> None:
    """The playbooks that come with benchyard set up nothing beside it; what the lab's own do is theirs."""
    own = lab.call("POST", f"/hosts/{lab.isolated}/configure", "admin", json={"check": True})
    assert own.status_code == 202
    assert lab.call("POST", f"/jobs/{own.json()['id']}/cancel", "admin").status_code == 200
    shipped = make_lab(own_playbooks=False)
    # No playbook is to reach this machine.
    away = {"address": "192.0.2.1", "connection": "ssh"}
    assert shipped.call("PATCH", f"/hosts/{shipped.isolated}", "admin", json=away).status_code == 200
    for kind, beside in (
        ("configure", "a second one would be set up beside it; "),
        ("update", "another benchyard would be installed beside the lab's own; "),
    ):
        refused = shipped.call("POST", f"/hosts/{shipped.isolated}/{kind}", "admin", json={"check": True})
        assert refused.status_code == 409, refused.text
        said = f"the lab itself runs the worker of host {shipped.isolated}, and {beside}"
        assert refused.json()["detail"].startswith(said)
        assert refused.json()["detail"].endswith("or name playbooks of your own as `ansible` in [lab]")


def wait_until_ended(lab: "Lab", job: int) -> "dict[str, object]":
    deadline = time.monotonic() + 20
    while True:
        found = lab.call("GET", f"/jobs/{job}").json()
        if found["finished"]:
            return dict(found)
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def test_host_that_leaves(lab: "Lab") -> None:
    """What waits to look after a host ends with it."""
    host = {"name": "brief", "role": "worker", "target": lab.target, "address": "10.0.0.6"}
    assert lab.call("POST", "/hosts", "admin", json=host).status_code == 201
    assert lab.call("POST", "/hosts", "admin", json={**host, "name": "twin"}).status_code == 201
    with lab.engine().begin() as conn:
        other = maintenance.create(conn, "update", host="twin", target=lab.target, owner="admin", now=2.0)
        jobs.set_status(conn, other.id, "running", now=2.0, who="lab")
    job = lab.call("POST", "/hosts/brief/configure", "admin", json={}).json()
    assert lab.call("DELETE", "/hosts/brief", "admin").status_code == 200
    assert wait_until_ended(lab, job["id"])["status"] == "canceled"
    with lab.engine().begin() as conn:
        maintenance.end(conn, other.id, "success", now=3.0)
    assert lab.call("DELETE", "/hosts/twin", "admin").status_code == 200


def test_refused(lab: "Lab", spare: str) -> None:
    """What cannot be done is refused in words; measuring it is not what such a job is for."""
    host = {"name": "All", "role": "isolated", "target": lab.target, "address": "10.0.0.7"}
    taken = lab.call("POST", "/hosts", "admin", json=host)
    assert (taken.status_code, taken.json()["field"]) == (400, "name")
    offline = lab.call("POST", f"/hosts/{spare}/check", "admin", json={})
    assert offline.status_code == 409 and "is offline; it is looked over by its own worker" in offline.json()["detail"]
    assert lab.call("POST", "/hosts/nowhere/configure", "admin", json={}).status_code == 404
    assert lab.call("POST", f"/hosts/{spare}/configure", "admin", json={"reboot": True}).status_code == 400
    measured = lab.call("POST", "/jobs", "admin", json={"kind": "configure", "python": lab.python})
    assert measured.status_code == 400
    assert measured.json()["detail"] == (
        "'configure' is not measured: look after a host with `benchyard host configure HOST`"
    )


def test_lab_without_regular_workers(lab: "Lab", spare: str) -> None:
    """Playbooks take none: the master runs them, and where it cannot, the job says why; the host is as it was.

    No check is made before, where nobody is connected who could.
    """
    job = lab.call("POST", f"/hosts/{spare}/update", "admin", json={}).json()
    assert job["spec"]["before"] is None
    ended = wait_until_ended(lab, job["id"])
    assert ended["status"] == "failed" and "there is no playbook update.yml in" in str(ended["error"])
    assert lab.call("GET", f"/hosts/{spare}").json()["enabled"] is True


def test_lease(lab: "Lab", spare: str) -> None:
    """A lease is shown until it ends, keeps the queue off, and is ended by whoever is an admin."""
    host = lab.call("POST", f"/hosts/{spare}/lease", "admin", json={"seconds": 3600, "reason": "new fan"}).json()
    assert (host["status"], host["leased_by"], host["lease_reason"]) == ("leased", "admin", "new fan")
    found = lab.call("GET", "/hosts?status=leased").json()["items"]
    assert [each["name"] for each in found] == [spare]
    job = lab.submit(run=True, host=spare)
    queue = lab.call("GET", f"/queues/{lab.target}").json()
    (why,) = [each["why"] for each in queue["jobs"] if each["job"] == job["id"]]
    assert why == f"host {spare} is leased to admin"
    assert lab.call("POST", f"/jobs/{job['id']}/cancel", "admin").status_code == 200
    assert lab.call("POST", f"/hosts/{spare}/lease", "admin", json={"seconds": 0}).status_code == 400
    host = lab.call("POST", f"/hosts/{spare}/release", "admin").json()
    assert (host["status"], host["leased_until"]) == ("offline", None)
    assert lab.call("POST", f"/hosts/{spare}/release", "admin").status_code == 409


def test_lease_of_somebody_else(lab: "Lab", spare: str) -> None:
    """It cannot be had meanwhile."""
    with lab.engine().begin() as conn:
        store.ensure_host(conn, spare, now=1.0, who="lab")
        store.lease_host(conn, spare, until=time.time() + 60, now=time.time(), who="zoe")
    refused = lab.call("POST", f"/hosts/{spare}/lease", "admin", json={"seconds": 60})
    assert refused.status_code == 409 and "is leased to zoe" in refused.json()["detail"]
    assert lab.call("POST", f"/hosts/{spare}/release", "admin").status_code == 200


def test_inventory(lab: "Lab", spare: str) -> None:
    """It has the hosts and no secret; who is no admin does not see it."""
    answer = lab.call("GET", "/inventory", "admin")
    assert answer.json()["_meta"]["hostvars"][spare]["ansible_host"] == "10.0.0.7"
    for path in (lab.root / "secrets").iterdir():
        assert path.read_text().strip() not in answer.text
