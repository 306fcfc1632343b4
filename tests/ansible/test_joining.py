"""Hosts of the inventory join the lab as what they are."""

import platform
from pathlib import Path

import pytest
from playbooks import Groups, play_here

pytestmark = [pytest.mark.timeout(120), pytest.mark.slow]

JOIN = """
- ansible.builtin.import_playbook: "{{ ansible }}/bootstrap.yml"
- hosts: masters
  gather_facts: false
  # As if the lab's host were another kind of machine.
  vars:
    ansible_facts: {architecture: masters}
    benchyard_running: true
    benchyard_user: benchyard
    benchyard_home: "{{ folder }}"
    benchyard_venv: /opt/benchyard
    benchyard_listen: 127.0.0.1
    benchyard_http_port: 8010
  tasks:
    - ansible.builtin.include_vars: "{{ ansible }}/roles/master/vars/main.yml"
    - ansible.builtin.include_tasks: "{{ ansible }}/roles/master/tasks/register.yml"
"""

#: Nothing is installed on this machine, and whoever is to be the lab's user says what it was to do.
PROGRAMS = {"apt-get": "exit 9", "python3": "exit 0", "runuser": 'echo "$*" >> $(dirname "$0")/../said'}


def test_hosts_join_as_the_machines_that_they_are(tmp_path: Path) -> None:
    """Not as the lab's own host is; what is said of a host counts more, and who was not looked at yet joins later."""
    groups: Groups = {
        "masters": {"lab": {}},
        "workers": {"far": {}, "unseen": {}},
        "isolated": {"quiet": {"benchyard_target": "linux-own"}},
    }
    played = play_here(tmp_path, JOIN, groups, "--limit", "all:!unseen", programs=PROGRAMS)
    assert played.ok, played.text
    said = [line.partition(" host add ")[2].split() for line in (tmp_path / "said").read_text().splitlines()]
    targets = {words[0]: words[words.index("--target") + 1] for words in said}
    assert targets == {"far": f"linux-{platform.machine()}", "quiet": "linux-own"}
