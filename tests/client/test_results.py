"""Results, hosts, queues and health through the real client."""

import os
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from benchyard.client import Client, Conflict, Invalid, NotFound, ServerError

if TYPE_CHECKING:
    from tests.client.lab_server import LabServer


def test_a_result_is_read_byte_for_byte(client: Client, lab: "LabServer", server_module: ModuleType) -> None:
    """read() returns the very bytes of the file."""
    assert client.results.get(lab.add_result()).read() == server_module.FILE


def test_a_damaged_file_is_noticed(client: Client, lab: "LabServer") -> None:
    """A file that is not the one of the index is a ServerError, not a result."""
    number = lab.add_result(sha256="0" * 64)
    with pytest.raises(ServerError, match=f"the file of result {number} came damaged"):
        client.results.get(number).read()


def test_a_file_that_the_lab_cannot_take_in(
    client: Client, lab: "LabServer", server_module: ModuleType, tmp_path: Path
) -> None:
    """A file that brings about a fault of the lab has failed, and the others are imported."""
    (tmp_path / "one.json").write_text("1")
    (tmp_path / "two.json").write_text("2")
    fault = b'{"title": "Problem", "status": 500, "detail": "something is wrong here"}'
    lab.canned += [
        server_module.Answer(500, fault, "application/problem+json"),
        server_module.as_json({"outcome": "imported", "host": "far", "result": {"id": 7}}),
    ]
    outcomes = {transfer.outcome: transfer for transfer in client.results.import_from(tmp_path)}
    assert set(outcomes) == {"failed", "imported"}
    assert "something is wrong here" in outcomes["failed"].reason and outcomes["imported"].result == 7


def test_a_name_that_is_no_text(client: Client, lab: "LabServer", server_module: ModuleType, tmp_path: Path) -> None:
    """A file in a folder and of a name that are not UTF-8 is imported like others, under a readable name."""
    folder = tmp_path / os.fsdecode(b"ann\xe9e")
    folder.mkdir()
    (folder / os.fsdecode(b"caf\xe9.json")).write_text("1")
    lab.canned.append(server_module.as_json({"outcome": "imported", "host": "far", "result": {"id": 7}}))
    (done,) = client.results.import_from(tmp_path)
    assert (done.outcome, done.file) == ("imported", "ann\ufffde/caf\ufffd.json"), done.reason
    assert lab.seen[-1].query["name"][0].endswith("/ann\ufffde/caf\ufffd.json")
    assert lab.seen[-1].data == b"1"


def test_a_file_that_cannot_be_exported(client: Client, lab: "LabServer", tmp_path: Path) -> None:
    """A file that comes damaged, or is gone, is left out with the reason, and the others are written."""
    lab.add_result(path="bm/one.json")
    lab.add_result(path="bm/two.json", sha256="0" * 64)
    lab.add_result(path="bm/three.json")
    told = {transfer.result: transfer for transfer in client.results.export_to(tmp_path)}
    assert {number: transfer.outcome for number, transfer in told.items()} == {
        1: "exported",
        2: "failed",
        3: "exported",
    }
    assert told[2].reason.startswith("the file of result 2 came damaged")
    assert sorted(path.name for path in (tmp_path / "bm").iterdir()) == ["one.json", "three.json"]


def test_results_compare(client: Client, lab: "LabServer") -> None:
    """compare() puts this result as the base against the other, by entity or by number alike."""
    base, head = lab.add_result(), lab.add_result(version="3.12.1")
    comparison = client.results.get(base).compare(client.results.get(head))
    assert comparison == client.results.compare(base, head)
    assert (comparison.base.id, comparison.head.version) == (1, "3.12.1")
    assert [change.change for change in comparison.benchmarks] == [
        "1.25x faster",
        "not significant",
        "1.10x slower",
    ]
    assert comparison.geometric_mean is not None and comparison.geometric_mean.n == 3
    assert (comparison.missing, comparison.new) == (("old_one",), ("new_one", "newer_one"))


def test_results_of_a_comparison_can_be_read(client: Client, lab: "LabServer", server_module: ModuleType) -> None:
    """The two results within a comparison are entities like any other."""
    comparison = client.results.compare(lab.add_result(), lab.add_result())
    assert comparison.head.read() == server_module.FILE
    assert comparison.head.document == lab.results[2]


def test_results_are_listed(client: Client, lab: "LabServer") -> None:
    """list() hands its filters on and yields results, newest first."""
    lab.add_result()
    lab.add_result()
    results = list(client.results.list(job=4, host="quiet-1"))
    assert [result.id for result in results] == [2, 1]
    assert lab.seen[-1].query["job"] == ["4"] and lab.seen[-1].query["host"] == ["quiet-1"]
    assert results[0].flags == ("lto", "pgo") and results[0].interpreter is not None


def test_a_host_is_added(client: Client, lab: "LabServer") -> None:
    """add() returns the host and what its worker needs; the secret shows in no repr."""
    added = client.hosts.add("quiet-2", role="isolated", target="linux-x86_64", address="10.0.0.2")
    assert added.worker.secret == "worker-secret-9" and added.worker.master_port == 9989
    assert "worker-secret-9" not in repr(added)
    assert added.host.refresh() == client.hosts.get("quiet-2") == added.host


def test_a_missing_host_is_not_found(client: Client) -> None:
    """get() of a name that no host has raises NotFound with the name."""
    with pytest.raises(NotFound, match="host 'nowhere' is unknown"):
        client.hosts.get("nowhere")


def test_a_host_is_changed(client: Client, lab: "LabServer", server_module: ModuleType) -> None:
    """modify(), disable() and enable() change a host, with the reason for those who see it."""
    lab.hosts["quiet-1"] = server_module.a_host("quiet-1")
    host = client.hosts.get("quiet-1")
    assert host.id == host.name == "quiet-1" and host.changed_by == "admin"
    assert host.modify(cpus="2-3").cpus == "2-3"
    assert lab.seen[-1].method == "PATCH" and lab.seen[-1].body == {"cpus": "2-3"}
    off = host.disable("new fan")
    assert (off.enabled, off.reason) == (False, "new fan") and host.enabled
    assert off.enable().enabled
    off.remove()
    with pytest.raises(NotFound):
        off.refresh()


@pytest.mark.parametrize(
    ("what", "how", "sent"),
    [
        ("configure", {"check": True, "reason": "why"}, {"check": True, "reason": "why"}),
        ("update", {"reboot": True}, {"reboot": True}),
        ("check", {}, {}),
    ],
)
def test_a_host_is_looked_after(
    client: Client,
    lab: "LabServer",
    server_module: ModuleType,
    what: str,
    how: dict[str, Any],
    sent: dict[str, Any],
) -> None:
    """configure(), update() and check() return the job that does it; followed_by() the check that comes after."""
    lab.hosts["quiet-1"] = server_module.a_host("quiet-1")
    host = client.hosts.get("quiet-1")
    job = getattr(host, what)(**how)
    assert (job.kind, job.host, job.is_maintenance, lab.seen[-1].body) == (what, "quiet-1", True, sent)
    assert host.followed_by(job) is None
    spec = {"after": job.id}
    lab.add_job(kind="check", host="quiet-1", spec=lab.jobs[job.id]["spec"] | spec)
    later = host.followed_by(job)
    assert later is not None and (later.id, later.spec.after) == (job.id + 1, job.id)


def test_a_host_is_leased(client: Client, lab: "LabServer", server_module: ModuleType) -> None:
    """lease() and release() return the host as it is then; inventory() is what Ansible reads."""
    lab.hosts["quiet-1"] = server_module.a_host("quiet-1")
    host = client.hosts.get("quiet-1").lease(60, reason="new fan")
    assert (host.status, host.leased_by, lab.seen[-1].body) == ("leased", "anna", {"seconds": 60, "reason": "new fan"})
    assert host.release().leased_until is None
    assert client.hosts.inventory()["_meta"]["hostvars"]["quiet-1"] == {"ansible_host": "h"}


def test_what_is_known_of_a_host(client: Client, lab: "LabServer", server_module: ModuleType) -> None:
    """Its work, fitness and versions are typed; a lab that does not tell them yet does no harm."""
    lab.hosts["quiet-1"] = server_module.a_host("quiet-1")
    assert client.hosts.get("quiet-1").fitness is None
    finding = {"check": "disk", "severity": "refuse", "message": "full"}
    fitness = {"job": 3, "checked": server_module.TIME, "fit": False, "findings": [finding], "mood": "good"}
    lab.hosts["quiet-1"] |= {"fitness": fitness, "work": {"job": 7, "stage": "measure", "benchmark": "nbody"}}
    host = client.hosts.get("quiet-1")
    assert host.fitness is not None and host.work is not None
    assert (host.fitness.findings[0].message, host.work.benchmark) == ("full", "nbody")


@pytest.mark.parametrize("how", ["bytes", "path", "text", "file"])
def test_a_file_is_attached_once(client: Client, lab: "LabServer", tmp_path: Path, how: str) -> None:
    """write() takes bytes, a path or an open file; the same bytes again change nothing, others are a conflict."""
    path = tmp_path / "r.json"
    path.write_bytes(b'{"benchmarks": []}')
    result = client.results.add("quiet-1", commit="1a2b3c")
    assert (result.path, result.version, result.commit, result.interpreter) == (None, None, "1a2b3c", None)
    with path.open("rb") as file:
        given: Any = {"bytes": path.read_bytes(), "path": path, "text": str(path), "file": file}[how]
        written = result.write(given)
    assert lab.seen[-1].method == "PUT" and lab.seen[-1].data == path.read_bytes()
    assert written.version == "3.14.0" and written.read() == path.read_bytes()
    assert written.write(path) == written
    with pytest.raises(Conflict, match="has another file"):
        written.write(b'{"benchmarks": [1]}')


def test_attachments(client: Client, lab: "LabServer") -> None:
    """attachments() lists the files beside a result's own, and attachment() gives the bytes of one."""
    result = client.results.get(lab.add_result())
    assert result.attachments() == ()
    lab.attachments[result.id] = {"nbody.svg": b"<svg/>"}
    (file,) = result.attachments()
    assert (file.name, file.content_type, file.size) == ("nbody.svg", "image/svg+xml", 6)
    assert result.attachment("nbody.svg") == b"<svg/>"
    with pytest.raises(NotFound, match="no attachment of this name"):
        result.attachment("nbody.txt")


def test_measurements(client: Client, lab: "LabServer", server_module: ModuleType) -> None:
    """measurements() tells what each benchmark gave; where that is not known, there are none."""
    result = client.results.get(lab.add_result())
    assert result.measurements() == ()
    lab.measurements[result.id] = [
        server_module.a_measurement("go", n=1, stdev=None, memory=None, version=""),
        server_module.a_measurement("nbody"),
    ]
    go, nbody = result.measurements()
    assert (go.name, go.n, go.stdev, go.memory, go.version) == ("go", 1, None, None, "")
    assert (nbody.mean, nbody.stdev, nbody.median, nbody.mad, nbody.unit) == (0.0512, 0.0011, 0.0509, 0.0004, "second")
    assert (nbody.minimum, nbody.maximum, nbody.memory, nbody.version) == (0.0498, 0.0571, 18_350_080.0, "1.0")


def test_what_is_no_result_is_refused(client: Client, lab: "LabServer") -> None:
    """Bytes that are not a pyperf file raise Invalid with the field."""
    with pytest.raises(Invalid, match="not a pyperf file") as caught:
        client.results.add("quiet-1").write(b"hello")
    assert caught.value.field == "file"


def test_a_result_is_changed_and_removed(client: Client, lab: "LabServer") -> None:
    """modify(), disable(), enable() and remove() do as they say; None takes a note back."""
    result = client.results.get(lab.add_result())
    assert result.modify(note="warm", branch="main").note == "warm"
    assert result.modify(note=None).note is None and lab.results[1]["note"] is None
    assert not result.disable().enabled
    assert result.enable().enabled
    client.results.remove(result.id)
    assert not lab.results


def test_health_with_a_token_says_more(client: Client, lab: "LabServer") -> None:
    """health() has hosts and jobs for who is logged in, and works for who is not."""
    health = client.health()
    assert health.hosts is not None and health.hosts[0].connected and health.jobs == {"queued": 1}
    with Client(lab.url) as anonymous:
        assert anonymous.health().jobs is None
        assert "authorization" not in lab.seen[-1].headers
