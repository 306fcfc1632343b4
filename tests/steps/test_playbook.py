"""What `ansible-playbook` prints, read."""

import json
import sys
from pathlib import Path

import pytest

from benchyard.steps.playbook import PlaybookObserver, why_failed
from benchyard.tasks.playbooks import run_playbook

BEGIN = """
PLAY [Hosts that measure] ******************************************************

TASK [Gathering Facts] *********************************************************
ok: [far]

TASK [worker : Its packages] ***************************************************
"""
RECAP = """
PLAY RECAP *********************************************************************
far                        : ok={ok}    changed={changed}    unreachable=0    failed={failed}    skipped=0
"""
FATAL = 'fatal: [far]: FAILED! => {"changed": false, "msg": "No package matching \'gcc-99\' is available"}\n'
UNREACHABLE = (
    'fatal: [far]: UNREACHABLE! => {"changed": false, "msg": "Failed to connect to the host via ssh: ssh: connect to '
    'host 10.0.0.9 port 22: Connection refused\\r\\n", "unreachable": true}\n'
)


def read(text: str) -> PlaybookObserver:
    observer = PlaybookObserver()
    for line in text.splitlines():
        observer.outLineReceived(line)
    return observer


@pytest.mark.parametrize(
    ("changed", "dry", "said"),
    [
        (3, False, "7 tasks, 3 changed"),
        (0, False, "7 tasks, nothing changed"),
        (3, True, "7 tasks, 3 would change"),
        (0, True, "7 tasks, nothing would change"),
    ],
)
def test_summary(changed: int, dry: bool, said: str) -> None:
    """How much was changed is told by the recap."""
    assert read(BEGIN + RECAP.format(ok=7, changed=changed, failed=0)).summary(dry=dry) == said


def test_play_without_hosts() -> None:
    """A playbook that has nothing for the host says so."""
    assert read("PLAY RECAP ****\n").summary(dry=False) == "no task was for this host"


LOOKING = """
PLAY [Hosts that measure] ******************************************************

TASK [Gathering Facts] *********************************************************
"""
NO_ROOT = 'fatal: [far]: FAILED! => {"msg": "sudo: The \\"no new privileges\\" flag is set"}\n'

BUSY = """
TASK [common : The host is not free] *******************************************
fatal: [far]: FAILED! => {"changed": false, "msg": "the host is not free: run 7.1 is on it"}
"""

WAITING = "TASK [common : Nothing is measured or prepared on the host] *******\n"


@pytest.mark.parametrize(
    ("text", "untouched"),
    [
        (LOOKING + BUSY + RECAP.format(ok=4, changed=0, failed=1), True),
        (LOOKING + BUSY + RECAP.format(ok=4, changed=1, failed=1), False),
        (LOOKING + WAITING + UNREACHABLE + RECAP.format(ok=2, changed=0, failed=0), True),
        (LOOKING + UNREACHABLE + RECAP.format(ok=0, changed=0, failed=0), True),
        (LOOKING + NO_ROOT + RECAP.format(ok=0, changed=0, failed=1), True),
        (BEGIN + UNREACHABLE + RECAP.format(ok=0, changed=0, failed=0), True),
        (BEGIN + UNREACHABLE + RECAP.format(ok=1, changed=0, failed=0), False),
        (BEGIN + FATAL + RECAP.format(ok=0, changed=0, failed=1), False),
        (BEGIN + FATAL + RECAP.format(ok=3, changed=2, failed=1), False),
        (LOOKING + UNREACHABLE, False),
        ("", False),
    ],
)
def test_host_that_is_as_it_was(text: str, untouched: bool) -> None:
    """Only a playbook that has done no task at all, or waited in vain, and says so at its end, has changed nothing."""
    assert read(text).untouched is untouched


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (BEGIN + FATAL, "worker : Its packages: No package matching 'gcc-99' is available"),
        (
            UNREACHABLE,
            "unreachable: Failed to connect to the host via ssh: ssh: connect to host 10.0.0.9 port 22: "
            "Connection refused",
        ),
        (BEGIN + "fatal: [far]: FAILED! => {not JSON\n", "worker : Its packages: {not JSON"),
        (BEGIN + FATAL + "...ignoring\nERROR! the end\n", "ERROR! the end"),
        ("", "ansible-playbook ended with exit status 4; see the log"),
    ],
)
def test_why_failed(text: str, why: str) -> None:
    """The task that failed and its message, in one line; what was ignored was no failure."""
    assert why_failed(read(text), 4) == why


def test_last_word_of_the_program() -> None:
    """Where no task has failed, what it said last is why."""
    observer = PlaybookObserver()
    observer.errLineReceived("[ERROR]: the playbook: x.yml could not be found")
    assert why_failed(observer, 1) == "[ERROR]: the playbook: x.yml could not be found"


LOOP = """
- hosts: here
  gather_facts: false
  tasks:
    - block:
        - name: What is looked for
          ansible.builtin.command: {argv: [cat, /none/at/all]}
      rescue:
        - name: It is made
          ansible.builtin.command: {argv: [echo, made]}
    - name: Each of them
      ansible.builtin.command: {argv: [sh, -c, "echo '{{ item.why }}' >&2; exit {{ item.status }}"]}
      loop: [{why: fine, status: 0}, {why: "no (such) => thing", status: 3}]
"""


def test_why_a_loop_failed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Where a task fails for one item, that is told, not what was rescued before."""
    (tmp_path / "loop.yml").write_text(LOOP)
    values = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    inventory = json.dumps({"_meta": {"hostvars": {"here": values}}, "all": {"hosts": ["here"]}})
    status = run_playbook("loop", inventory, "here", say=print, folder=tmp_path)
    assert status != 0
    assert why_failed(read(capfd.readouterr().out), status) == "Each of them: non-zero return code no (such) => thing"
