"""Every operation of the client library against a real master, and the same by curl."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from benchyard.client import Client, Conflict, Forbidden, Invalid, NotFound, Stale, Unauthorized

if TYPE_CHECKING:
    from tests.web.conftest import Lab


@pytest.fixture(scope="module")
def own(make_lab: "Callable[..., Lab]") -> "Lab":
    """A lab with a member and a viewer, whose hosts are not connected."""
    lab = make_lab()
    lab.add_user("ada", "member")
    lab.add_user("vic", "viewer")
    return lab


@pytest.fixture
def client(own: "Lab") -> Iterator[Callable[[str], Client]]:
    """`client(name)`: a client with somebody's token."""
    made: list[Client] = []

    def make(who: str) -> Client:
        made.append(Client(own.url, token=own.tokens[who]))
        return made[-1]

    yield make
    for each in made:
        each.close()


def pyperf_file(value: float) -> bytes:
    """A small file that pyperf takes for its own."""
    runs = [{"values": [value, value * 1.01, value * 0.99]} for _ in range(3)]
    suite = {"version": "1.0", "metadata": {"name": "nbody", "unit": "second"}, "benchmarks": [{"runs": runs}]}
    return json.dumps(suite).encode()


def test_users(own: "Lab", client: Callable[[str], Client]) -> None:
    """Users are added, changed, disabled at once, and stay as tombstones when they are gone."""
    admin = client("admin")
    user = admin.users.add("kim", role="viewer", password="a long password")
    assert (user.role, user.status, user.enabled, user.changed_by) == ("viewer", "active", True, "admin")
    assert user.modify(role="member").role == "member"
    with Client(own.url) as stranger:
        token = stranger.log_in("kim", "a long password", name="here").token
    with Client(own.url, token=token) as kim:
        assert kim.health().user == "kim"
        job = kim.jobs.add(own.python, benchmarks=["nbody"], run=False)
        with pytest.raises(Forbidden):
            list(kim.users.list())
        assert kim.users.get("me").name == "kim"
        admin.users.get("kim").disable()
        with pytest.raises(Unauthorized):
            kim.jobs.get(job.id)
        with pytest.raises(Unauthorized), Client(own.url) as stranger:
            stranger.log_in("kim", "a long password")
        admin.users.get("kim").enable()
        assert kim.jobs.get(job.id).owner == "kim"
        admin.users.remove("kim")
        with pytest.raises(Unauthorized):
            kim.jobs.get(job.id)
    assert admin.jobs.get(job.id).owner == "kim"
    with pytest.raises(Conflict):
        admin.users.add("kim", role="viewer", password="a long password")


def test_hosts(own: "Lab", client: Callable[[str], Client]) -> None:
    """Hosts are added with a secret told once, changed, disabled, leased, looked after by jobs, and removed."""
    admin = client("admin")
    added = admin.hosts.add("shed", role="isolated", target=own.target, address="shed.example", cpus="2-3")
    assert added.worker.secret not in repr(added)
    host = admin.hosts.get("shed")
    assert (host.status, host.cpus, host.enabled) == ("offline", "2-3", True)
    host = host.modify(cpus="4")
    assert host.disable("dusty").reason == "dusty"
    assert not admin.hosts.get("shed").enabled
    assert admin.hosts.get("shed").enable().enabled
    jobs = [host.configure(check=True), host.update()]
    assert [(job.kind, job.host, job.spec.check) for job in jobs] == [
        ("configure", "shed", True),
        ("update", "shed", False),
    ]
    assert [job.wait(60).status for job in jobs] == ["failed", "failed"]  # this lab has no playbooks
    with pytest.raises(Conflict, match="is offline"):
        host.check()
    assert host.lease(600).leased_by == "admin"
    assert host.release().leased_by is None
    with pytest.raises(Forbidden):
        client("ada").hosts.get("shed").disable()
    admin.hosts.remove("shed")
    with pytest.raises(NotFound):
        admin.hosts.get("shed")


def test_jobs_and_queue(own: "Lab", client: Callable[[str], Client]) -> None:
    """Jobs are made, changed, run, ordered, taken off, disabled, canceled and removed, by whom they belong to."""
    ada, vic = client("ada"), client("vic")
    with pytest.raises(Forbidden):
        vic.jobs.add(own.python, benchmarks=["nbody"])
    with pytest.raises(Invalid) as refused:
        ada.jobs.add(own.python, benchmarks=["nbdy"])
    assert refused.value.field == "benchmarks"
    client("admin").queue.pause("testing")
    job = ada.jobs.add(own.python, benchmarks=["nbody"], mode="fast", run=False)
    assert job.modify(reason="why", mode="rigorous").spec.mode == "rigorous"
    others = [ada.jobs.add(own.python, benchmarks=["nbody"], mode="fast") for _ in range(2)]
    assert job.run().status == "queued"
    ids = [other.id for other in others]
    assert [place.job for place in ada.queue] == [*ids, job.id]
    version = ada.queue.get().version
    assert [place.job for place in ada.queue.move(job, "first", version=version).jobs] == [job.id, *ids]
    with pytest.raises(Stale):
        ada.queue.move(job, "last", version=version)
    with pytest.raises(Invalid):
        ada.queue.move(job, 9)
    with pytest.raises(Forbidden):
        vic.queue.move(job, 2)
    assert client("admin").queue.pop().id == job.id
    assert ada.queue.push(job).jobs[-1].job == job.id
    ada.queue.remove(job)
    assert not ada.jobs.get(job.id).disable().enabled
    assert ada.jobs.get(job.id).enable().status == "created"
    for other in others:
        assert other.cancel().status in ("queued", "canceled")
        assert other.wait(30).status == "canceled"
    assert job.cancel().status == "canceled"
    job.remove()
    with pytest.raises(NotFound):
        ada.jobs.get(job.id)
    assert ada.jobs.current == []
    with pytest.raises(Conflict):
        client("admin").queue.pause("twice")
    with pytest.raises(Invalid, match="cancel its job"):
        client("admin").queue.pause("at once", now=True)
    assert not client("admin").queue.unpause().paused
    assert "".join(others[0].log(follow=True)) == ""


def test_results(own: "Lab", client: Callable[[str], Client]) -> None:
    """Results are added, written once, read, compared unless disabled, and go to the trash."""
    ada = client("ada")
    base, head = ada.results.add("far", commit="a" * 40), ada.results.add("far", commit="b" * 40, branch="main")
    data = pyperf_file(0.2)
    assert base.write(data).sha256
    assert base.write(data).read() == data
    with pytest.raises(Conflict):
        base.write(pyperf_file(0.3))
    with pytest.raises(Invalid):
        head.write(b"{}")
    head = head.write(pyperf_file(0.1))
    comparison = ada.results.get(base.id).compare(head)
    assert comparison.geometric_mean is not None
    assert comparison.geometric_mean.ratio == pytest.approx(2.0)
    assert comparison.benchmarks[0].change == "2.00x faster"
    assert head.modify(note="odd").note == "odd"
    head.disable()
    with pytest.raises(Conflict, match="disabled"):
        base.compare(head)
    head.enable()
    with pytest.raises(Conflict, match="destination"):
        head.upload()
    with pytest.raises(Forbidden):
        client("vic").results.get(base.id).disable()
    path = own.root / "results" / str(ada.results.get(head.id).path)
    assert path.is_file()
    head.remove()
    assert not path.exists()
    assert ada.results.get(head.id).status == "trashed"
    assert [result.id for result in ada.results.list()] == [base.id]
    assert list((own.root / "results" / ".trash").rglob("*.json.gz"))


def curl(own: "Lab", who: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Status and document of a request by curl; the token is in no argument."""
    program = shutil.which("curl")
    assert program, "this test needs curl"
    argv = [program, "-sS", "-X", method, "-K", "-", "-w", "\n%{http_code}", own.api + path]
    if body is not None:
        argv += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    config = f'header = "Authorization: Bearer {own.tokens[who]}"\n'
    done = subprocess.run(argv, input=config, capture_output=True, text=True, timeout=60, check=True)
    text, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(text)


def test_curl(own: "Lab") -> None:
    """What the client does, plain HTTP does as well."""
    body = {"python": own.python, "benchmarks": ["nbody"], "run": False}
    assert curl(own, "vic", "POST", "/jobs", body)[0] == 403
    status, job = curl(own, "ada", "POST", "/jobs", body)
    assert (status, job["status"], job["owner"]) == (201, "created", "ada")
    assert curl(own, "ada", "PATCH", f"/jobs/{job['id']}", {"reason": "by curl"})[1]["reason"] == "by curl"
    assert curl(own, "vic", "GET", f"/jobs/{job['id']}")[1]["changed_by"] == "ada"
    assert curl(own, "ada", "POST", f"/jobs/{job['id']}/cancel")[1]["status"] == "canceled"
    status, problem = curl(own, "ada", "POST", f"/queues/{own.target}/move", {"job": job["id"], "to": "first"})
    assert (status, problem["status"]) == (409, 409)
    assert curl(own, "admin", "POST", f"/queues/{own.target}/pause", {"reason": "x"})[1]["paused"]
    assert not curl(own, "admin", "POST", f"/queues/{own.target}/unpause")[1]["paused"]
