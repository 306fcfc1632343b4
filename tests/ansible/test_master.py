"""The lab's own settings, its own worker's, and its way back."""

import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from playbooks import ANSIBLE, Groups, environ, play_here, tool

pytestmark = pytest.mark.timeout(120)

MASTERS: Groups = {"masters": {"lab": {}}}

SETTINGS = """
- hosts: masters
  gather_facts: false
  vars_files: ["{{ ansible }}/roles/master/defaults/main.yml"]
  vars: {ansible_facts: {architecture: x86_64}}
  tasks:
    - vars:
        benchyard_home: "{{ folder }}"
        benchyard_user: root
        benchyard_host_name: lab.example.org
        benchyard_title: "Caf\u00e9 \U0001f40d"
        benchyard_certificate_file: "{{ folder }}/authority.pem"
        master_address: 127.0.0.1
        templates: "{{ ansible }}/roles/master/templates"
      block:
        - ansible.builtin.template: {src: "{{ templates }}/benchyard.toml.j2", dest: "{{ folder }}/benchyard.toml"}
        - ansible.builtin.include_tasks: "{{ ansible }}/roles/master/tasks/own_worker.yml"
"""

SYSTEMCTL = """
active=$(dirname "$0")/../active
case $1 in
  show) echo LoadState=loaded; [ -e "$active" ] && echo ActiveState=active || echo ActiveState=inactive;;
  start) touch "$active";;
  stop) rm "$active";;
esac
"""


@pytest.mark.slow
def test_settings_are_read_and_its_own_worker_trusts_whom_it_is_told(tmp_path: Path) -> None:
    """A title may have any character, and a certificate may be signed by an authority."""
    worker = tmp_path / "lab/workers/regular/worker.toml"
    worker.parent.mkdir(parents=True)
    worker.write_text('name = "regular"\n')
    (tmp_path / "lab/secrets").mkdir()
    (tmp_path / "lab/secrets/worker.crt").write_text("signed\n")
    (tmp_path / "authority.pem").write_text("who has signed it\n")
    played = play_here(tmp_path, SETTINGS, MASTERS)
    assert played.ok, played.text
    settings = tomllib.loads((tmp_path / "benchyard.toml").read_text(encoding="utf-8"))
    assert settings["lab"]["title"] == "Caf\u00e9 \U0001f40d"
    assert (tmp_path / "lab/trust/lab.pem").read_text() == "who has signed it\n"
    assert tomllib.loads(worker.read_text())["tls_name"] == "lab.example.org"


@pytest.mark.slow
def test_a_lab_that_cannot_be_restored_goes_on(tmp_path: Path) -> None:
    """What is there is put back and runs again, and it is said why."""
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab/benchyard.toml").write_text("as it is\n")
    (tmp_path / "active").touch()
    archive = tmp_path / "lab.tar.gz"
    subprocess.run(["sh", "-ec", f"echo no backup | gzip > {archive}"], check=True, timeout=60)
    played = play_here(
        tmp_path, "restore.yml", MASTERS, "--extra-vars", f"benchyard_restore={archive}",
        programs={"systemctl": SYSTEMCTL}, benchyard_running=True, benchyard_user="root", benchyard_home=str(tmp_path),
        benchyard_venv=str(Path(sys.executable).parents[1]),
    )  # fmt: skip
    assert played.failed == {"lab": 1}, played.text
    said = re.search(r'"msg": "(.* could not be restored, .*)"', played.text)
    assert said is not None and "is no whole backup of a lab" in said[1], played.text
    assert (tmp_path / "lab/benchyard.toml").read_text() == "as it is\n"
    assert (tmp_path / "active").exists()
    assert not (tmp_path / "restore.tar.gz").exists() and not list(tmp_path.glob("lab.before-*"))


@pytest.mark.slow
def test_a_copy_of_a_backup_is_brought_by_whom_ansible_logs_in_as(tmp_path: Path) -> None:
    """Not by way of another user, which would have it whole in memory; it is private, and nothing else is left."""
    program, backups, here = tmp_path / "bin/benchyard", tmp_path / "backups", tmp_path / "new/here"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$1 $2 of $3" > "$4"\n')
    program.chmod(0o755)
    backups.mkdir()
    before = set(Path("/var/tmp").glob("lab-backup-*"))  # noqa: S108
    played = play_here(
        tmp_path, "backup.yml", MASTERS, "--extra-vars", f"benchyard_backup_fetch={here}", "-vvv",
        ansible_become=None, ansible_become_method="su", benchyard_user="root", benchyard_home=str(tmp_path),
        benchyard_venv=str(tmp_path), benchyard_backup_dir=str(backups),
    )  # fmt: skip
    assert played.ok, played.text
    assert "/slurp.py" not in played.text
    (copy,) = here.iterdir()
    assert (copy.name, copy.read_text()) == (
        next(backups.iterdir()).name,
        f"lab backup of {tmp_path}/lab\n",
    )
    assert copy.stat().st_mode & 0o777 == 0o600
    assert set(Path("/var/tmp").glob("lab-backup-*")) == before  # noqa: S108


def test_the_example_names_what_there_is(tmp_path: Path) -> None:
    """Wherever it is copied to: the wheel that `make dist` makes, and the versions of the sources."""
    names = ("benchyard_wheel", "benchyard_constraints")
    text = "{{ " + " ~ '|' ~ ".join(names) + " }}"
    inventory = shutil.copytree(ANSIBLE / "examples", tmp_path / "my-lab") / "inventory.yml"
    argv = [
        tool("ansible"),
        "--inventory",
        str(inventory),
        "--playbook-dir",
        str(ANSIBLE),
        "quiet1",
        "--connection",
        "local",
    ]
    done = subprocess.run(
        [*argv, "--module-name", "ansible.builtin.debug", "--args", f"msg={text}"],
        env=environ(tmp_path), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    found = re.search(r'"msg": "(.*)"', done.stdout)
    assert found is not None, done.stdout + done.stderr
    wheel, constraints = (Path(path).resolve() for path in found[1].split("|"))
    assert wheel == ANSIBLE.parent.resolve() / f"dist/benchyard-{version('benchyard')}-py3-none-any.whl"
    assert constraints.is_file()
    # Playbooks are started in the folder whose settings they need.
    commands = re.findall(
        r"^\$ (cd ansible|ansible-playbook .*?\.yml [a-z/]+\.yml)", (ANSIBLE / "README.md").read_text(), re.M
    )
    assert commands == ["cd ansible", "ansible-playbook -i ../my-lab/inventory.yml site.yml"]


def test_hosts_make_the_key_of_their_gateway_one_after_another() -> None:
    """It is looked for and made in two steps, which two hosts would do at once."""
    tasks = yaml.safe_load((ANSIBLE / "roles/tunnel/tasks/main.yml").read_text(encoding="utf-8"))
    included = [task.get("ansible.builtin.include_tasks") for task in tasks]
    (key,) = (each for each in included if isinstance(each, dict) and each["file"] == "gateway_key.yml")
    assert key["apply"]["throttle"] == 1
