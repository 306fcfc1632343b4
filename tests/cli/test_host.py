"""`benchyard host` and `benchyard queue`."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Run
    from tests.client.lab_server import LabServer

ADD = ("host", "add", "quiet-2", "--role", "isolated", "--target", "linux-x86_64", "--address", "10.0.0.2")


def test_a_host_is_added(run: "Run", lab: "LabServer") -> None:
    """`host add` sends the host and shows once what its worker needs."""
    ran = run(*ADD, "--cpus", "2-3")
    assert ran.status == 0, ran.err
    assert lab.seen[-1].body == {
        "name": "quiet-2",
        "role": "isolated",
        "target": "linux-x86_64",
        "address": "10.0.0.2",
        "cpus": "2-3",
    }
    assert "secret  worker-secret-9\nmaster  127.0.0.1:9989\n" in ran.out


def test_hosts_are_listed(run: "Run", lab: "LabServer") -> None:
    """`host list` and `host get` show the host and its status; --json is the lab's."""
    run(*ADD)
    assert run("host", "list").out.splitlines()[1].split() == [
        "quiet-2",
        "offline",
        "isolated",
        "linux-x86_64",
        "10.0.0.2",
    ]
    assert "status   offline\n" in run("host", "get", "quiet-2").out
    assert run("host", "get", "quiet-2", "--json").json == lab.hosts[0]
    assert run("host", "list", "--json").json == {"items": lab.hosts, "next": None}


def test_a_missing_host(run: "Run") -> None:
    """A host that does not exist is one line, exit status 1; a role that does not, exit status 2."""
    ran = run("host", "get", "nowhere")
    assert (ran.status, ran.err) == (1, "benchyard: host 'nowhere' does not exist\n")
    assert run(*ADD[:4], "boss", *ADD[5:]).status == 2


def test_queues_are_listed(run: "Run", lab: "LabServer") -> None:
    """`queue list` shows the waiting jobs of each target, the next one first."""
    lab.add_job()
    lab.add_job()
    ran = run("queue", "list")
    assert [line.split() for line in ran.out.splitlines()] == [
        ["TARGET", "WAITING", "JOBS"],
        ["linux-x86_64", "2", "1", "2"],
    ]
    items = [{"target": "linux-x86_64", "jobs": [1, 2]}]
    assert run("queue", "list", "--json").json == {"items": items, "next": None}
