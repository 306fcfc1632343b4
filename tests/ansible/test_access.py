"""Who gets at a host, and who does not any more."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from playbooks import ANSIBLE, Groups, play_here

pytestmark = [pytest.mark.timeout(120), pytest.mark.slow]

WITHDRAWN = """
- hosts: workers
  gather_facts: false
  vars: {benchyard_running: true, benchyard_controller_user: benchyard-admin}
  tasks:
    - ansible.builtin.include_tasks: "{{ ansible }}/roles/common/tasks/{{ item }}_away.yml"
      loop: [firewall, controller, firewall, controller]
"""

SECRETS = """
- hosts: workers
  gather_facts: false
  vars:
    benchyard_secret_file: ""
    benchyard_secret: ""
    benchyard_name: "{{ inventory_hostname }}"
    worker_lab_dir: "{{ folder }}/lab"
  tasks:
    - ansible.builtin.include_tasks: "{{ ansible }}/roles/worker/tasks/secrets.yml"
"""


def test_a_host_that_has_not_joined_is_told_so(tmp_path: Path) -> None:
    """By its name and with what to do, where the secret itself may not be shown."""
    played = play_here(tmp_path, SECRETS, {"masters": {"lab": {}}, "workers": {"far": {}}})
    assert played.failed == {"far": 1}, played.text
    remedy = "the lab knows no host far: run site.yml without --limit, or `benchyard host add far`"
    assert remedy in played.text


def test_access_and_firewall_are_withdrawn(tmp_path: Path) -> None:
    """The right to administer, the key, and the table of the firewall, which is not loaded any more: once."""
    etc, lib = tmp_path / "etc", tmp_path / "lib"
    shutil.copytree("/etc", etc, symlinks=True)
    gone = [
        etc / "sudoers.d/benchyard",
        lib / "benchyard-admin/.ssh/authorized_keys",
        etc / "nftables.d/benchyard.nft",
        etc / "systemd/system/benchyard-firewall.service",
        etc / "systemd/system/multi-user.target.wants/benchyard-firewall.service",
        etc / "systemd/system/nftables.service.d/benchyard-firewall.conf",
    ]
    for path in (*gone, lib / "benchyard-in-force/firewall"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("as it was\n")
    programs = {name: f'echo "{name} $*" >> {tmp_path}/said' for name in ("nft", "systemctl")}
    instead = {"/etc": etc, "/var/lib": lib}
    played = play_here(tmp_path, WITHDRAWN, {"workers": {"far": {}}}, programs=programs, instead=instead)
    assert (played.ok, played.changed) == (True, {"far": 3}), played.text
    assert [path for path in gone if path.exists()] == []
    assert (tmp_path / "said").read_text().splitlines() == [
        "systemctl stop benchyard-firewall.service",
        "systemctl daemon-reload",
        "nft list table inet benchyard",
        "nft delete table inet benchyard",
    ]
    # The role does so where they are not wanted.
    tasks = yaml.safe_load((ANSIBLE / "roles/common/tasks/main.yml").read_text(encoding="utf-8"))
    when = {task.get("ansible.builtin.include_tasks"): str(task.get("when")) for task in tasks}
    assert when["firewall_away.yml"] == f"not {when['firewall.yml']}"
    assert when["controller_away.yml"].startswith("benchyard_controller_key | length == 0 and ansible_user")


def test_a_codespeed_has_a_firewall_and_lets_people_in(tmp_path: Path) -> None:
    """As all hosts have, which leaves the tables of others alone; without one where it is not wanted."""
    tasks = yaml.safe_load((ANSIBLE / "roles/codespeed/tasks/main.yml").read_text(encoding="utf-8"))
    (task,) = (task for task in tasks if task["name"] == "The firewall, as on all hosts")
    text = json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [task]}]) + "\n"
    instead = {path: tmp_path / path.strip("/") for path in ("/etc", "/run", "/var/lib")}
    shutil.copytree("/etc", instead["/etc"], symlinks=True)
    for place in (instead["/run"], instead["/var/lib"]):
        place.mkdir(parents=True)
    conf = instead["/etc"] / "nftables.conf"
    conf.write_text("flush ruleset\n")
    programs = {"systemctl": f'echo "$*" >> {tmp_path}/said; echo LoadState=loaded; echo ActiveState=active', "nft": ""}
    table = instead["/etc"] / "nftables.d/benchyard.nft"
    for wanted in (True, False):
        played = play_here(
            tmp_path, text, {"codespeed": {"speed": {}}}, programs=programs, instead=instead,
            benchyard_running="true", benchyard_firewall=str(wanted).lower(), benchyard_codespeed_https_port=8443,
        )  # fmt: skip
        assert played.ok, played.text
        assert table.exists() is wanted
        assert not wanted or "tcp dport 8443 accept" in table.read_text()
    said = (tmp_path / "said").read_text().splitlines()
    assert "reload-or-restart benchyard-firewall.service" in said
    # Its configuration begins with `flush ruleset`.
    assert not [line for line in said if "nftables.service" in line]
    assert conf.read_text() == "flush ruleset\n"


def test_the_lab_comes_to_others_through_their_gateway(tmp_path: Path) -> None:
    """Its key may forward ports there, and nowhere else."""
    tasks = yaml.safe_load((ANSIBLE / "roles/common/tasks/controller.yml").read_text(encoding="utf-8"))
    (task,) = (task for task in tasks if task["name"] == "Its key")
    where = {"dest": f"{tmp_path}/{{{{ inventory_hostname }}}}", "owner": "root", "group": "root"}
    task["ansible.builtin.copy"] |= where
    text = json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [task]}]) + "\n"
    key = "ssh-ed25519 AAAA lab"
    groups: Groups = {"workers": {"gate": {}, "other": {}}, "isolated": {"far": {"benchyard_gateway": "gate"}}}
    played = play_here(tmp_path, text, groups, benchyard_controller_key=key)
    assert played.ok, played.text
    assert (tmp_path / "gate").read_text() == f"restrict,pty,port-forwarding {key}\n"
    assert (tmp_path / "other").read_text() == (tmp_path / "far").read_text() == f"restrict,pty {key}\n"
