"""Certificates are of the names by which they are looked for."""

import json
import subprocess
from pathlib import Path

import pytest
from playbooks import Groups, play_here

pytestmark = [pytest.mark.timeout(120), pytest.mark.slow]

MADE = """
- hosts: masters
  gather_facts: false
  vars:
    common_certificate: "{{ folder }}/{{ name }}.crt"
    common_key: "{{ folder }}/{{ name }}.key"
    common_owner: root
    common_given_certificate: ""
    common_given_key: ""
  tasks:
    - ansible.builtin.include_role: {name: common, tasks_from: certificate.yml}
      vars: {name: "{{ item[0] }}", common_name: "{{ item[1] }}"}
      loop: "{{ made }}"
"""

NAMES = """
- hosts: isolated
  gather_facts: false
  tasks:
    - ansible.builtin.include_vars: "{{ ansible }}/roles/worker/defaults/main.yml"
    - ansible.builtin.copy: {content: "{{ benchyard_certificate_name }}", dest: "{{ folder }}/asked"}
- hosts: masters
  gather_facts: false
  vars: {values_dir: "{{ folder }}/lab", values_user: root, values_names: [benchyard_master_host], values_files: []}
  tasks:
    - ansible.builtin.file: {path: "{{ folder }}/lab/host_vars", state: directory}
    - ansible.builtin.include_tasks: "{{ ansible }}/tasks/values_of_host.yml"
      vars: {values_host: quiet, values_name: quiet}
"""


def test_a_certificate_is_made_anew_for_another_name(tmp_path: Path) -> None:
    """And not for the same one; a name may be an address, of either kind."""
    made = [["a", "lab.example"], ["a", "lab.example"], ["a", "new.example"], ["b", "2001:db8::7"], ["b", "192.0.2.7"]]
    played = play_here(tmp_path, MADE, {"masters": {"lab": {}}}, made=made)
    assert (played.ok, played.changed) == (True, {"lab": 4}), played.text
    for name, option, text in (("a", "-checkhost", "new.example"), ("b", "-checkip", "192.0.2.7")):
        argv = ["openssl", "x509", "-in", str(tmp_path / f"{name}.crt"), "-noout", option, text]
        said = subprocess.run(argv, capture_output=True, text=True, timeout=60)
        assert "does match" in said.stdout


def test_workers_look_for_the_name_that_the_master_has(tmp_path: Path) -> None:
    """Where they find it by another address, too, whether the lab configures them or its operator does."""
    groups: Groups = {"masters": {"lab": {"ansible_host": "lab.example"}}, "isolated": {"quiet": {}}}
    played = play_here(tmp_path, NAMES, groups, benchyard_master_host="10.0.0.1")
    assert played.ok, played.text
    assert (tmp_path / "asked").read_text() == "lab.example"
    (said,) = (path for path in (tmp_path / "lab/host_vars").rglob("*") if path.is_file())
    assert json.loads(said.read_text())["benchyard_certificate_name"] == "lab.example"
