"""Hosts that are looked after from the lab, by real playbooks on this machine, while jobs wait and run."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchyard.client import Conflict, Host, Job

if TYPE_CHECKING:
    from tests.e2e.conftest import LabHandle

    from benchyard.client import Client

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

JOB_S = 300.0

#: It notes when it begins and ends; where it is told to, it waits in between, or fails.
PLAYBOOK = """
- hosts: workers:isolated
  gather_facts: false
  vars:
    folder: "{{ playbook_dir }}"
  tasks:
    - name: Begin
      ansible.builtin.shell: echo BEGIN {{ inventory_hostname }} $(date +%s.%N) >> {{ folder }}/log
      changed_when: true
    - name: Wait while told to
      ansible.builtin.wait_for:
        path: "{{ folder }}/wait"
        state: absent
        timeout: 120
    - name: Fail where told to
      ansible.builtin.fail:
        msg: a package is broken
      when: (folder ~ '/fail') is exists
    - name: Know the secret
      ansible.builtin.assert:
        that: lookup('ansible.builtin.file', benchyard_secret_file) | length > 16
        quiet: true
      no_log: true
    - name: End
      ansible.builtin.shell: echo END {{ inventory_hostname }} $(date +%s.%N) >> {{ folder }}/log
      changed_when: true
"""


class Playbooks:
    """The lab's playbooks, and what they have noted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for name in ("configure", "update"):
            (folder / f"{name}.yml").write_text(PLAYBOOK)

    def told(self, word: str, on: bool = True) -> None:
        """Have the next ones wait or fail, or not."""
        if on:
            (self.folder / word).touch()
        else:
            (self.folder / word).unlink(missing_ok=True)

    def noted(self) -> list[tuple[str, str, float]]:
        """(BEGIN or END, host, time) in order."""
        path = self.folder / "log"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(word, host, float(when)) for word, host, when in (line.split() for line in lines)]

    def begun(self) -> int:
        return sum(word == "BEGIN" for word, _host, _when in self.noted())

    def forget(self) -> None:
        """Have nothing noted, and nothing told."""
        for name in ("log", "wait", "fail"):
            (self.folder / name).unlink(missing_ok=True)


@pytest.fixture(scope="module")
def playbooks(tmp_path_factory: pytest.TempPathFactory) -> Playbooks:
    return Playbooks(tmp_path_factory.mktemp("playbooks") / "own")


@pytest.fixture(scope="module")
def lab(make_lab: "Callable[..., LabHandle]", playbooks: Playbooks) -> "Iterator[LabHandle]":
    """A lab with these playbooks, which the tests share."""
    made = make_lab(up=False)
    path = made.root / "benchyard.toml"
    path.write_text(path.read_text().replace("[lab]\n", f'[lab]\nansible = "{playbooks.folder}"\n', 1))
    made.up()
    yield made
    playbooks.told("wait", False)
    made.down()


@pytest.fixture
def client(lab: "LabHandle") -> "Iterator[Client]":
    with lab.client() as client:
        yield client


@pytest.fixture(autouse=True)
def afresh(client: "Client", playbooks: Playbooks) -> Iterator[None]:
    """Each test begins where nothing was noted, no job is there and all hosts are enabled."""
    playbooks.forget()
    yield
    playbooks.told("wait", False)
    for job in client.jobs.list(limit=20):
        if not job.ended:
            job.cancel().wait(60)
    for host in client.hosts.list():
        if not host.enabled:
            host.enable()


@pytest.fixture
def bench(client: "Client") -> Host:
    """The measuring host."""
    (host,) = client.hosts.list(role="isolated")
    return host


def status(job: Job) -> Callable[[], str]:
    return lambda: job.refresh().status


def test_it_waits_for_a_measurement(
    lab: "LabHandle", client: "Client", bench: Host, playbooks: Playbooks, python: str, wait: Callable[..., None]
) -> None:
    """A measurement comes to its end, then the host is checked, configured and checked, then the next is measured."""
    first, second = (client.jobs.add(python, benchmarks=["nbody"], mode="fast") for _ in range(2))
    wait(lambda: first.refresh().status == "running", "the first is measured", JOB_S)
    job = bench.configure(reason="new kernel")
    assert [place.job for place in client.queue][:2] == [job.spec.before, job.id]
    shown = lab.check("queue", "get")
    assert f"waits for job {first.id}, which is on host {bench.name}" in shown
    assert playbooks.noted() == []
    assert first.wait(JOB_S).status == "success"
    job = job.wait(JOB_S)
    assert job.status == "success", (job.error, lab.log_tail())
    assert job.summary == "4 tasks, 2 changed"
    before = client.jobs.get(job.spec.before or 0)
    assert (before.status, before.reason) == ("success", "before configure")
    assert before.finished is not None and before.finished.timestamp() <= playbooks.noted()[0][2]
    check = bench.followed_by(job)
    assert check is not None
    check = check.wait(JOB_S)
    assert check.status == "success", (check.error, lab.log_tail())
    assert "what the change did is not known" not in (check.summary or "")
    assert second.wait(JOB_S).status == "success"
    starts = {line[2].partition(".")[0]: line for line in lab.run_log() if line[1] == "START"}
    ends = {line[2].partition(".")[0]: line for line in lab.run_log() if line[1] == "END"}
    (_begin, _host, began), (_end, _host, ended) = playbooks.noted()
    assert seconds(ends[str(first.id)][0]) <= began < ended <= seconds(starts[str(second.id)][0])
    assert check.finished is not None and check.finished.timestamp() <= seconds(starts[str(second.id)][0])
    log = "".join(job.log())
    assert "TASK [Begin]" in log and "PLAY RECAP" in log
    secret = (lab.root / "secrets" / f"worker-{bench.name}").read_text().strip()
    assert secret not in log
    host = client.hosts.get(bench.name)
    assert host.fitness is not None and host.fitness.job == check.id
    assert host.versions["python"] and host.disk_free
    assert "fitness" in lab.check("host", "get", bench.name)
    again = lab.cli("host", "check", bench.name)
    found = client.hosts.get(bench.name).fitness
    assert found is not None and again.returncode == (0 if found.fit else 1)  # others may be busy on this machine
    assert "foreign CPU time" in again.stdout and "irq-affinity" in again.stdout


def seconds(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()


def test_one_that_fails_halfway(
    lab: "LabHandle", client: "Client", bench: Host, playbooks: Playbooks, python: str, wait: Callable[..., None]
) -> None:
    """The host is disabled with the reason, measures nothing, and does again once a configure has ended well."""
    playbooks.told("fail")
    done = lab.cli("host", "configure", bench.name)
    assert done.returncode == 1
    assert "Fail where told to: a package is broken" in done.stdout
    host = client.hosts.get(bench.name)
    number = next(iter(client.jobs.list(kind="configure"))).id
    assert not host.enabled
    assert host.reason == f"configure failed: Fail where told to: a package is broken (job {number})"
    job = client.jobs.add(python, benchmarks=["nbody"], mode="fast")
    assert "all hosts are disabled" in lab.check("queue", "get")
    shown = lab.cli("host", "configure", bench.name, "--check")
    assert not client.hosts.get(bench.name).enabled, shown
    playbooks.told("fail", False)
    assert "fit to measure" in lab.check("host", "configure", bench.name)
    assert client.hosts.get(bench.name).enabled
    assert job.wait(JOB_S).status == "success", lab.log_tail()


def test_killed_in_the_middle(
    lab: "LabHandle", client: "Client", bench: Host, playbooks: Playbooks, wait: Callable[..., None]
) -> None:
    """Whether the lab is killed or stops, the playbook is run again from its beginning, alone, and ends in success."""
    playbooks.told("wait")
    job = bench.configure()
    wait(lambda: playbooks.begun() == 1, "it has begun", 60)
    lab.program("master").send_signal(signal.SIGKILL)
    wait(lambda: playbooks.begun() == 2, "it has begun again", 120)
    assert len(running(playbooks)) == 1
    lab.down()
    assert running(playbooks) == []
    lab.up()
    wait(lambda: playbooks.begun() == 3, "it has begun once more", 120)
    assert len(running(playbooks)) == 1
    assert status(job)() == "running"
    assert client.hosts.get(bench.name).status == "busy"
    with pytest.raises(Conflict, match=f"is busy with job {job.id}"):
        client.hosts.remove(bench.name)
    playbooks.told("wait", False)
    assert job.wait(JOB_S).status == "success", lab.log_tail()
    assert client.hosts.get(bench.name).enabled


def running(playbooks: Playbooks) -> list[int]:
    """The programs that run one of these playbooks, each counted once however many processes it has."""
    import psutil

    found = []
    for process in psutil.process_iter():
        try:
            line = process.cmdline()
            parent = process.parent()
            above = parent.cmdline() if parent is not None else []
        except psutil.Error:
            continue
        mine = any(str(playbooks.folder) in word and word.endswith(".yml") for word in line)
        if mine and not any("ansible-playbook" in word for word in above):
            found.append(process.pid)
    return found


def test_canceled_in_the_middle(
    lab: "LabHandle", client: "Client", bench: Host, playbooks: Playbooks, wait: Callable[..., None]
) -> None:
    """A person may stop it; the host, halfway, is disabled until somebody sees to it. One that waits just ends."""
    playbooks.told("wait")
    job, waiting = bench.configure(), bench.update()
    wait(lambda: playbooks.begun() == 1, "it has begun", 60)
    wait(lambda: "waits for job" in lab.check("queue", "get"), "the other waits")
    assert waiting.cancel().wait(60).status == "canceled"
    assert client.hosts.get(bench.name).enabled
    job.cancel()
    assert job.wait(60).status == "canceled"
    host = client.hosts.get(bench.name)
    assert (host.enabled, host.reason) == (False, f"configure was canceled halfway (job {job.id})")
    assert running(playbooks) == []
    assert client.hosts.get(bench.name).enable().enabled


def test_two_at_once(
    lab: "LabHandle", client: "Client", bench: Host, playbooks: Playbooks, wait: Callable[..., None]
) -> None:
    """Two of one machine follow one another, be they asked for by two of its names."""
    (prep,) = client.hosts.list(role="worker")
    jobs = [bench.configure(), prep.configure(), bench.update()]
    for job in jobs:
        assert job.wait(JOB_S).status == "success", lab.log_tail()
    words = [word for word, _host, _when in playbooks.noted()]
    assert words == ["BEGIN", "END"] * 3


def test_host_that_cannot_be_reached(
    lab: "LabHandle", client: "Client", bench: Host, python: str, wait: Callable[..., None]
) -> None:
    """One that answers no SSH stays enabled, its job says why; it joins and is looked after while others measure."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.9", 0))  # an address where nobody listens for SSH
    running_job = client.jobs.add(python, benchmarks=["nbody"], mode="fast", host=bench.name)
    wait(lambda: running_job.refresh().status == "running", "a job is measured", JOB_S)
    far = client.hosts.add("far", role="isolated", target=client.queue.target, address="127.0.0.9", guard="strict")
    job = client.hosts.get("far").configure().wait(JOB_S)
    assert job.status == "failed"
    assert (job.error or "").startswith("unreachable: ")
    host = client.hosts.get("far")
    assert (host.enabled, host.status, host.reason) == (True, "offline", "")
    assert far.worker.secret not in "".join(job.log())
    client.hosts.remove("far")
    assert running_job.wait(JOB_S).status == "success"


def test_lease(lab: "LabHandle", client: "Client", bench: Host, python: str, wait: Callable[..., None]) -> None:
    """What is measured goes on, the queue keeps off, and the lease ends by itself."""
    first = client.jobs.add(python, benchmarks=["nbody"], mode="fast")
    wait(lambda: first.refresh().status == "running", "the first is measured", JOB_S)
    said = lab.check("host", "lease", bench.name, "1h", "--reason", "new fan")
    assert f"job {first.id} goes on there" in said
    second = client.jobs.add(python, benchmarks=["nbody"], mode="fast")
    assert first.wait(JOB_S).status == "success"
    wait(lambda: client.hosts.get(bench.name).status == "leased", "the host is leased")
    assert "is leased to admin" in lab.check("queue", "get")
    assert [job.status for job in (second.refresh(),)] == ["queued"]
    until = time.time() + 3
    lab.check("host", "lease", bench.name, "3s")
    assert second.wait(JOB_S).status == "success", lab.log_tail()
    (start,) = [line for line in lab.run_log() if line[1] == "START" and line[2].startswith(f"{second.id}.")]
    assert seconds(start[0]) > until
    assert client.hosts.get(bench.name).leased_until is None


def test_without_ansible(
    lab: "LabHandle", client: "Client", bench: Host, playbooks: Playbooks, wait: Callable[..., None]
) -> None:
    """Where nothing can be run, one line says what is missing, and the host is as it was."""
    os.rename(playbooks.folder / "configure.yml", playbooks.folder / "away.yml")  # noqa: PTH104
    job = bench.configure().wait(JOB_S)
    os.rename(playbooks.folder / "away.yml", playbooks.folder / "configure.yml")  # noqa: PTH104
    assert job.status == "failed"
    assert job.error == (
        f"there is no playbook configure.yml in {playbooks.folder}; name its folder as `ansible` in [lab]"
    )
    assert client.hosts.get(bench.name).enabled
