"""Results, hosts, queues and health through the real client."""

from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from benchyard.client import Client, NotFound, ServerError

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
    assert results[0].flags == ("lto", "pgo") and results[0].interpreter.version == "3.11.7"


def test_a_host_is_added(client: Client, lab: "LabServer") -> None:
    """add() returns the host and what its worker needs; the secret shows in no repr."""
    added = client.hosts.add("quiet-2", role="isolated", target="linux-x86_64", address="10.0.0.2")
    assert added.worker.secret == "worker-secret-9" and added.worker.master_port == 9989
    assert "worker-secret-9" not in repr(added)
    assert added.host.refresh() == client.hosts.get("quiet-2") == added.host


def test_a_missing_host_is_not_found(client: Client) -> None:
    """get() of a name that no host has raises NotFound with the name."""
    with pytest.raises(NotFound, match="host 'nowhere' does not exist"):
        client.hosts.get("nowhere")


def test_queues_are_listed_in_order(client: Client, lab: "LabServer") -> None:
    """A queue is the numbers of the waiting jobs, the next one first."""
    lab.add_job()
    lab.add_job()
    assert [(queue.target, queue.jobs) for queue in client.queues.list()] == [("linux-x86_64", (1, 2))]
    with pytest.raises(NotFound, match="target 'vax' has no queue"):
        client.queues.get("vax")


def test_health_with_a_token_says_more(client: Client, lab: "LabServer") -> None:
    """health() has hosts and jobs for who is logged in, and works for who is not."""
    health = client.health()
    assert health.hosts is not None and health.hosts[0].connected and health.jobs == {"queued": 1}
    with Client(lab.url) as anonymous:
        assert anonymous.health().jobs is None
        assert "authorization" not in lab.seen[-1].headers
