"""Running playbooks, by a real `ansible-playbook` on this machine."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchyard.tasks.errors import AnsibleError
from benchyard.tasks.hostlock import hold_host
from benchyard.tasks.playbooks import (
    HOLD_S,
    HOLDER,
    PLAYBOOKS,
    find_ansible,
    find_playbook,
    playbook_command,
    playbook_environ,
    run_playbook,
)

pytestmark = pytest.mark.timeout(180)

PLAYBOOK = """
- hosts: isolated
  gather_facts: false
  tasks:
    - name: Write a file
      ansible.builtin.copy:
        content: "{{ benchyard_cpus }} {{ benchyard_update_reboot | default(false) }}"
        dest: "{{ benchyard_folder }}/written"
        mode: "0600"
    - name: Wait until told
      ansible.builtin.wait_for:
        path: "{{ benchyard_folder }}/told"
        timeout: 60
      when: benchyard_waits
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one playbook."""
    made = tmp_path / "playbooks"
    made.mkdir()
    (made / "configure.yml").write_text(PLAYBOOK)
    (made / "broken.yml").write_text("- hosts: all\n  tasks:\n    - no.such.module: {}\n")
    return made


def inventory(tmp_path: Path, *, waits: bool = False) -> str:
    """The inventory of two hosts, both this machine."""
    values: dict[str, Any] = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    values |= {"benchyard_cpus": "1", "benchyard_folder": str(tmp_path), "benchyard_waits": waits}
    other = {**values, "benchyard_folder": str(tmp_path / "none")}
    return json.dumps(
        {"_meta": {"hostvars": {"near": values, "other": other}}, "isolated": {"hosts": ["near", "other"]}}
    )


def said(line: str) -> None:
    """Whatever is said goes to the test's output."""
    print(line)


def test_it_runs_for_one_host(folder: Path, tmp_path: Path) -> None:
    """The playbook's tasks are done on the host that is named, and on no other, with the variables of the inventory."""
    how: dict[str, Any] = {"say": said, "folder": folder}
    assert run_playbook("configure", inventory(tmp_path), "near", check=True, **how) == 0
    assert not (tmp_path / "written").exists()
    assert run_playbook("configure", inventory(tmp_path), "near", **how) == 0
    assert (tmp_path / "written").read_text() == "1 False"
    assert run_playbook("configure", inventory(tmp_path), "near", reboot=True, **how) == 0
    assert (tmp_path / "written").read_text() == "1 True"
    assert run_playbook("configure", inventory(tmp_path), "other", **how) != 0
    assert run_playbook("broken", inventory(tmp_path), "near", **how) != 0


def test_values_of_the_lab_count(folder: Path, tmp_path: Path) -> None:
    """What is said in the lab's host_vars counts more than the inventory, that counts more than its group_vars."""
    values = tmp_path / "lab"
    for name, text in (("host_vars/near", "benchyard_cpus: '7'"), ("group_vars/all", "benchyard_waits: true")):
        file = values / f"{name}.yml"
        file.parent.mkdir(parents=True)
        file.write_text(text)
    how: dict[str, Any] = {"say": said, "folder": folder}
    assert run_playbook("configure", inventory(tmp_path), "near", variables=values, **how) == 0
    assert (tmp_path / "written").read_text() == "7 False"
    assert run_playbook("configure", inventory(tmp_path), "near", variables=tmp_path / "none", **how) == 0
    assert (tmp_path / "written").read_text() == "1 False"


def test_host_is_held_meanwhile(folder: Path, tmp_path: Path) -> None:
    """Nothing is prepared or measured on the machine that is changed, and what is at work there is waited for."""
    state = tmp_path / "state"
    script = (
        "import sys; from pathlib import Path; from benchyard.tasks.playbooks import run_playbook;"
        "sys.exit(run_playbook('configure', sys.stdin.read(), 'near', say=print,"
        f" folder=Path({str(folder)!r}), state=Path({str(state)!r})))"
    )
    with hold_host(state, shared=True):
        process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, text=True)
        assert process.stdin is not None
        process.stdin.write(inventory(tmp_path, waits=True))
        process.stdin.close()
        until(lambda: is_locked(state / "host.turn"))
        assert not (tmp_path / "written").exists()
    until((tmp_path / "written").exists)
    assert is_locked(state / "host.lock")
    (tmp_path / "told").touch()
    assert process.wait(60) == 0
    assert not is_locked(state / "host.lock")


def test_nothing_is_left_when_it_is_canceled(folder: Path, tmp_path: Path) -> None:
    """A worker that ends its command ends all of Ansible with it."""
    mark = tmp_path / "builder"
    argv = [
        sys.executable,
        "-m",
        "benchyard.cli",
        "task",
        "playbook",
        "configure",
        "--host",
        "near",
        "--folder",
        str(folder),
    ]
    environ = {**os.environ, "BENCHYARD_BUILD": str(mark)}
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, text=True, env=environ)
    assert process.stdin is not None
    process.stdin.write(inventory(tmp_path, waits=True))
    process.stdin.close()
    until((tmp_path / "written").exists)
    assert marked(mark)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) != 0
    assert not marked(mark)


def marked(mark: Path) -> list[int]:
    from benchyard.tasks.processes import BUILD_MARK
    from benchyard.tasks.processes import marked as find

    return find(mark, BUILD_MARK)


def until(condition: Any, limit_s: float = 60.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_locked(path: Path) -> bool:
    from benchyard.tasks.hostlock import try_lock

    if not path.exists():
        return False
    fd = try_lock(path)
    if fd is None:
        return True
    os.close(fd)
    return False


def test_command_line(tmp_path: Path) -> None:
    """The command is for one host; only what is asked for is more than that, and how long a dead playbook has it."""
    (tmp_path / "link").symlink_to(tmp_path)
    ansible, update, hosts = Path("/a/ansible-playbook"), Path("/p/update.yml"), Path("/i")
    argv = playbook_command(ansible, update, hosts, "far", held=tmp_path / "link" / "state", reboot=True)
    assert argv[:6] == ["/a/ansible-playbook", "--inventory", "/i", "--limit", "far", "--diff"]
    assert (argv[6], argv[8:]) == ("--extra-vars", ["/p/update.yml"])
    held = {"benchyard_holder": HOLDER, "benchyard_hold_s": HOLD_S}
    more = {"benchyard_held": [str(tmp_path / "state")], "benchyard_update_reboot": True}
    assert json.loads(argv[7]) == {**held, **more}
    argv = playbook_command(ansible, update, hosts, "far", check=True)
    assert "--check" in argv and json.loads(argv[-2]) == held


def test_environment(tmp_path: Path) -> None:
    """The settings beside the playbook count, unless the operator names others."""
    playbook = tmp_path / "configure.yml"
    assert "ANSIBLE_CONFIG" not in playbook_environ({}, playbook)
    config = tmp_path / "ansible.cfg"
    config.touch()
    assert playbook_environ({"A": "b"}, playbook)["ANSIBLE_CONFIG"] == str(config)
    assert playbook_environ({"ANSIBLE_CONFIG": "/etc/own.cfg"}, playbook)["ANSIBLE_CONFIG"] == "/etc/own.cfg"


def test_without_ansible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is not installed, one line says how to; one that is on PATH only is taken as well."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python3"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(AnsibleError, match=r"pip install 'benchyard\[ansible\]'"):
        find_ansible()
    program = tmp_path / "bin" / "ansible-playbook"
    program.parent.mkdir()
    program.touch()
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    assert find_ansible() == program


def test_playbooks_are_found(tmp_path: Path) -> None:
    """Those of the sources are found without a word; in another folder, the line names it."""
    with pytest.raises(AnsibleError, match=rf"^there is no playbook configure.yml in {tmp_path}; name its folder"):
        find_playbook("configure", tmp_path)
    here = Path(__file__).parents[2] / "ansible"
    for name in PLAYBOOKS:
        if (here / f"{name}.yml").exists():
            assert find_playbook(name) == here / f"{name}.yml"


def test_command_that_cannot_begin(tmp_path: Path) -> None:
    """The command says in one line what is missing, with a status of its own: nothing has been changed."""
    argv = [sys.executable, "-m", "benchyard.cli", "task", "playbook", "configure", "--host", "far"]
    done = subprocess.run([*argv, "--folder", str(tmp_path)], input="{}", capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.count("\n")) == (69, 1)
    assert done.stderr.startswith("benchyard: there is no playbook configure.yml in")
