"""Rules that all roles share: a play holds the host that it changes, and what a change brings about is not lost."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playbooks import ANSIBLE, environ, tool

from benchyard.tasks.hostlock import acquire_host, hold_host, try_lock
from benchyard.tasks.playbooks import playbook_command

pytestmark = pytest.mark.timeout(120)

HOLD = ANSIBLE / "roles/common/templates/hold.py.j2"


class Holding:
    """The program that holds a host, as its role starts it, with a worker's folder of this test's."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state, self.text = folder / "run", folder / "state", HOLD.read_text()
        self.note = self.folder / "holder"
        self.unasked_s, self.held = 60.0, list[Path]()
        self.state.mkdir()
        for name in ("host.lock", "host.turn"):
            (self.state / name).touch()

    def __call__(self, verb: str, play: str) -> tuple[int, str]:
        """Its exit status and what it says."""
        how = [str(self.unasked_s), str(self.state), str(self.state / "none"), "--", *map(str, self.held)]
        argv = [sys.executable, "-", verb, play, str(self.folder), *how]
        done = subprocess.run(argv, input=self.text, capture_output=True, text=True, timeout=60)
        assert done.stderr == ""
        return done.returncode, done.stdout.strip()

    @property
    def is_held(self) -> bool:
        """Whether nobody else gets the host, not even to share it."""
        fd = try_lock(self.state / "host.lock", shared=True)
        if fd is not None:
            os.close(fd)
        return fd is None


@pytest.fixture
def holding(tmp_path: Path) -> Iterator[Holding]:
    """The program, whose process is gone afterwards, whoever it was for."""
    one = Holding(tmp_path)
    yield one
    if one.note.exists() and one.note.read_text():
        one("free", json.loads(one.note.read_text())["play"])
    assert not one.is_held


def test_a_play_holds_the_host(holding: Holding) -> None:
    """From the first time that it asks until it frees it; a stranger frees nothing."""
    assert holding("hold", "ann@far/1") == (0, "held")
    assert holding.is_held
    assert holding("free", "bob@far/2") == (0, "")
    assert holding("hold", "ann@far/1") == (0, "held")
    assert holding.is_held
    assert holding("free", "ann@far/1") == (0, "")
    assert not holding.is_held


def test_what_is_under_way_is_waited_for(holding: Holding) -> None:
    """A build is, and a run by its name; what comes later does not overtake the play."""
    alive = holding.state / "runs/12.1/alive.lock"
    with hold_host(holding.state, shared=True):
        assert holding("hold", "ann@far/1") == (0, "something is prepared or built on it")
        assert try_lock(holding.state / "host.turn") is None
        alive.parent.mkdir(parents=True)
        fd = try_lock(alive)
        assert fd is not None
        assert holding("hold", "ann@far/1") == (0, "run 12.1 is on it")
        os.close(fd)
    assert holding("hold", "ann@far/1") == (0, "held")
    assert holding.is_held


def test_a_play_is_taken_over_by_its_owners_next(holding: Holding) -> None:
    """Who died is not waited for where the same one begins anew; another's play is, and who was taken over is told."""
    assert holding("hold", "ann@far/1") == (0, "held")
    assert holding("hold", "ann@far/2") == (0, "held")
    assert holding("hold", "ann@far/1") == (1, "a later playbook of ann@far has taken it over")
    assert holding("free", "ann@far/1") == (0, "")
    assert holding.is_held
    assert holding("hold", "bob@far/3") == (0, "a playbook of ann@far is at work on it")
    assert holding("free", "ann@far/2") == (0, "")
    assert holding("hold", "bob@far/3") == (0, "held")


def test_a_run_that_waits_gets_no_host_that_is_taken_over(holding: Holding, wait: Callable[..., None]) -> None:
    """A play that died has left it half way: the next one of its owner has it before whoever waits."""
    assert holding("hold", "ann@far/1") == (0, "held")
    with ThreadPoolExecutor(1) as pool:
        stop = threading.Event()
        run = pool.submit(lambda: os.close(acquire_host(holding.state, shared=False, pause=pausing(stop)) or 0))
        try:
            wait(lambda: is_taken(holding.state / "host.turn"), "the run waits")
            holding.unasked_s = 30.0
            assert holding("hold", "ann@far/2") == (0, "held")
            assert not run.done()
            assert json.loads(holding.note.read_text())["unasked_s"] == 30.0
            assert holding("free", "ann@far/2") == (0, "")
            run.result(30)
        finally:
            stop.set()


def pausing(stop: threading.Event) -> Callable[[], bool]:
    """A short wait, until it is told to stop."""
    return lambda: not stop.wait(0.05)


def is_taken(path: Path) -> bool:
    """Whether somebody has the lock."""
    fd = try_lock(path)
    if fd is not None:
        os.close(fd)
    return fd is None


def test_what_the_caller_has_is_not_waited_for(holding: Holding, tmp_path: Path) -> None:
    """By whatever path it is called."""
    (tmp_path / "link").symlink_to(tmp_path)
    with hold_host(holding.state, shared=False):
        assert holding("hold", "ann@far/1") == (0, "something is prepared or built on it")
        holding.held = [tmp_path / "link" / "state"]
        assert holding("hold", "ann@far/2") == (0, "held")


def test_a_dead_play_does_not_hold_it_for_ever(holding: Holding, wait: Callable[..., None]) -> None:
    """A host that nobody has asked for is free again."""
    holding.unasked_s = 0.5
    holding("hold", "ann@far/1")
    wait(lambda: not holding.is_held, "the host is free")


@pytest.mark.parametrize("play", ["ann@far/1", "ann@far/2"])
def test_what_an_ended_holder_has_said_counts_no_more(holding: Holding, play: str) -> None:
    """Nobody holds the host by the note of one that was freed or killed, though a new one has said nothing yet."""
    assert holding("hold", "ann@far/1") == (0, "held")
    assert holding("free", "ann@far/1") == (0, "")
    with flocked(holding.note, fcntl.LOCK_EX):  # as a new one has it before it writes
        assert holding("hold", play) == (0, "something is prepared or built on it")
    assert holding("hold", play) == (0, "held")
    assert holding.is_held
    os.kill(json.loads(holding.note.read_text())["pid"], signal.SIGKILL)
    with flocked(holding.note, fcntl.LOCK_SH):  # as one has it that looks
        assert holding("hold", play) == (0, "something is prepared or built on it")
    assert holding("hold", play) == (0, "held")
    assert holding.is_held


@contextmanager
def flocked(path: Path, how: int) -> Iterator[None]:
    """Have the lock of a file, as soon as its holder is gone."""
    with path.open("rb") as file:
        fcntl.flock(file, how)
        yield


def test_it_goes_nowhere_that_a_worker_leads_it(holding: Holding, tmp_path: Path) -> None:
    """A link where a lock should be is not followed, and a pipe is not waited for."""
    (tmp_path / "other").touch()
    fd = try_lock(tmp_path / "other")
    assert fd is not None
    (holding.state / "host.lock").unlink()
    (holding.state / "host.lock").symlink_to(tmp_path / "other")
    (holding.state / "host.turn").unlink()
    os.mkfifo(holding.state / "host.turn")
    assert holding("hold", "ann@far/1") == (0, "held")
    os.close(fd)
    holding("free", "ann@far/1")


IN_FORCE = """
- hosts: here
  gather_facts: false
  vars:
    common_effect: test
    common_files: ["{{ folder }}/a", "{{ folder }}/b"]
    common_command: [sh, -c, "echo done >> {{ folder }}/log; exit $(cat {{ folder }}/status)"]
  tasks:
    - ansible.builtin.include_role: &made {name: common, tasks_from: in_force.yml}
      when: step == "first"
    - ansible.builtin.copy: {content: one, dest: "{{ folder }}/b"}
      when: step == "first"
    - ansible.builtin.include_role: *made
    - ansible.builtin.include_role: *made
      when: step == "last"
    - ansible.builtin.file: {path: "{{ folder }}/b", state: absent}
      when: step == "last"
    - ansible.builtin.include_role: *made
      when: step == "last"
    - ansible.builtin.include_role: *made
      when: step == "last"
"""

HOLDS = """
- hosts: here
  gather_facts: false
  vars: {common_mark: "{{ folder }}/unfinished"}
  tasks:
    - ansible.builtin.include_role: {name: common, tasks_from: hold.yml}
    - ansible.builtin.command: test -e {{ common_mark }}
    - ansible.builtin.command: flock --nonblock --conflict-exit-code 9 {{ folder }}/state/host.lock true
      register: tried
      failed_when: tried.rc != expected
    - ansible.builtin.include_role: {name: common, tasks_from: free.yml}
    - ansible.builtin.command: flock --nonblock --conflict-exit-code 9 {{ folder }}/state/host.lock true
      when: expected == 9
"""

KEPT = """
- hosts: here
  gather_facts: false
  vars: {common_mark: "{{ folder }}/unfinished"}
  tasks:
    - ansible.builtin.include_role: {name: common, tasks_from: hold.yml}
"""

FREED = """
- hosts: here
  gather_facts: false
  vars: {common_mark: "{{ folder }}/unfinished", common_play: "{{ whose }}"}
  tasks:
    - ansible.builtin.include_role: {name: common, tasks_from: free.yml}
"""

ADDRESSES = """
- hosts: here
  gather_facts: false
  vars: {benchyard_http_port: 8010, benchyard_host_name: lab.example, ansible_facts: {}}
  tasks:
    - ansible.builtin.include_vars: {{ roles }}/master/vars/main.yml
    - ansible.builtin.template: {src: "{{ roles }}/master/templates/nginx.conf.j2", dest: "{{ folder }}/{{ item }}"}
      loop: ["0.0.0.0", "192.0.2.7", "::", "2001:db8::7", "127.0.0.1"]
      vars: {benchyard_listen: "{{ item }}"}
"""


def play(folder: Path, text: str, *options: str, **variables: Any) -> tuple[bool, int, str]:
    """Run a playbook on this machine, with a /run and notes of its own; whether it did, its changes, and its words."""
    (folder / "playbook.yml").write_text(text.replace("{{ roles }}", str(ANSIBLE / "roles")))
    values = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "folder": str(folder),
        "benchyard_worker_dir": str(folder),
        "benchyard_home": str(folder / "home"),
        **variables,
    }
    (folder / "hosts.json").write_bytes(msgspec.json.encode({"all": {"hosts": {"here": values}}}))
    own = [folder / "own/run", folder / "own/lib"]
    for each in own:
        each.mkdir(parents=True, exist_ok=True)
    mounts = f"mount --bind {own[0]} /run && mount --bind {own[1]} /var/lib"
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "--", "sh", "-ec", f'{mounts}; exec "$@"', "sh",
         tool("ansible-playbook"), "--inventory", str(folder / "hosts.json"), str(folder / "playbook.yml"), *options],
        env=environ(folder), capture_output=True, text=True, timeout=100, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    text = done.stdout + done.stderr
    changed = text.rpartition("changed=")[2].split()
    return done.returncode == 0, int(changed[0]) if changed else -1, text


@pytest.mark.slow
def test_what_a_change_brings_about_is_not_lost(tmp_path: Path) -> None:
    """It is made until it was made, whoever died in between, of files that come, change and go, and then not again."""

    def done(step: str, *options: str) -> tuple[bool, int, int]:
        ok, changed, text = play(tmp_path, IN_FORCE, *options, step=step)
        assert changed >= 0, text
        return ok, changed, (tmp_path / "log").read_text().count("done")

    (tmp_path / "status").write_text("3")
    # Nothing was there at first; then a file, and the play died.
    assert done("first") == (False, 1, 1)
    (tmp_path / "status").write_text("0")
    assert done("then", "--check") == (True, 1, 1)
    # Made at last, and again when the file has gone.
    assert done("last") == (True, 3, 3)


@pytest.mark.slow
def test_a_playbook_holds_the_host(tmp_path: Path) -> None:
    """For the time of the play; what is under way is told where it is not waited for. Its caller is not."""
    state = tmp_path / "state"
    state.mkdir()
    (state / "host.lock").touch()
    ok, _, text = play(tmp_path, HOLDS, expected=9)
    assert ok, text
    with hold_host(state, shared=False):
        ok, _, text = play(tmp_path, HOLDS, expected=9, benchyard_wait_s=0)
        assert not ok and "something is prepared or built on it; wait for its end" in text, text
        # The lab's own worker holds it for the playbook that it runs.
        ok, _, text = play(tmp_path, HOLDS, benchyard_held=[str(state)], expected=9)
        assert "the host is not free" not in text, text
    assert not (tmp_path / "unfinished").exists()
    fd = try_lock(state / "host.lock")
    assert fd is not None
    os.close(fd)


def test_the_lab_holds_the_host_as_long_as_its_playbook_takes(tmp_path: Path) -> None:
    """Longer than any task of it, in the name of all its masters: their next one waits for none that has died."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state/host.lock").touch()
    argv = playbook_command(Path("ansible-playbook"), Path("configure.yml"), Path("inventory"), "here")
    ok, _, text = play(tmp_path, KEPT, **json.loads(argv[-2]))
    holder = json.loads((tmp_path / "own/run/benchyard-hold/holder").read_text())
    os.kill(holder["pid"], signal.SIGTERM)
    assert ok, text
    assert holder["play"].startswith("the lab/2") and holder["unasked_s"] >= 3600
    assert (tmp_path / "unfinished").read_text() == f"{holder['play']}\n"


@pytest.mark.slow
def test_a_playbook_takes_away_its_own_mark(tmp_path: Path) -> None:
    """Not that of a later one which has taken the host over, and may have left it half way since."""
    mark = tmp_path / "unfinished"
    mark.write_text("ann@far/2\n")
    for whose, stays in (("ann@far/1", True), ("ann@far/2", False), ("ann@far/2", False)):
        ok, _, text = play(tmp_path, FREED, whose=whose)
        assert (ok, mark.exists()) == (True, stays), text


@pytest.mark.slow
def test_a_lab_is_reached_where_it_listens(tmp_path: Path) -> None:
    """On one address, on all of them, and of both kinds."""
    ok, _, text = play(tmp_path, ADDRESSES)
    assert ok, text
    for listen, address in (
        ("0.0.0.0", "127.0.0.1"),  # noqa: S104
        ("192.0.2.7", "192.0.2.7"),
        ("::", "[::1]"),
        ("2001:db8::7", "[2001:db8::7]"),
        ("127.0.0.1", "127.0.0.1"),
    ):
        assert f"proxy_pass http://{address}:8010;" in (tmp_path / listen).read_text()
