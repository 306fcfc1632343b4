"""What is said of hosts here is what the lab itself configures them with."""

import json
import subprocess
from pathlib import Path

import pytest
from playbooks import ANSIBLE, Groups, Played, environ, play_here, tool

pytestmark = [pytest.mark.timeout(120), pytest.mark.slow]

GROUPS: Groups = {
    "masters": {"lab": {}},
    "workers": {"builder": {"ansible_host": "192.0.2.11", "benchyard_controller_key": "ssh-ed25519 AAAA lab"}},
    "isolated": {
        "quiet": {
            "benchyard_name": "quiet-1",
            "benchyard_tune_skip": ["perf-rate"],
            "benchyard_isolation": "kernel",
            "benchyard_update_system": False,
            "benchyard_wait_s": 60,
            "benchyard_constraints": str(ANSIBLE.parent / "constraints.txt"),
            "benchyard_gateway": "builder",
            "ansible_ssh_common_args": "-o Compression=yes -J admin@192.0.2.11",
        },
    },
}


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """The folder of a lab that has its own values of a host."""
    own = tmp_path / "lab/ansible/host_vars/quiet-1"
    own.mkdir(parents=True)
    (own / "own.yml").write_text("benchyard_isolation: none\n")
    return tmp_path / "lab"


def given(lab: Path) -> Played:
    """What came of `values.yml`."""
    return play_here(lab.parent, "values.yml", GROUPS, benchyard_lab_dir=str(lab), benchyard_user="root")


def test_values_of_a_host_are_read_beside_those_of_its_lab(lab: Path) -> None:
    """The lab's own count more, and both are read: of files beside a folder, Ansible would read none."""
    played = given(lab)
    assert played.ok, played.text
    inventory = lab / "hosts.json"
    inventory.write_text(json.dumps({"all": {"hosts": {"quiet-1": {"benchyard_isolation": "slices"}}}}))
    argv = [tool("ansible-inventory"), "--inventory", str(inventory), "--playbook-dir", str(lab / "ansible")]
    done = subprocess.run(
        [*argv, "--host", "quiet-1"], env=environ(lab.parent), check=True, capture_output=True, text=True, timeout=60
    )
    read = json.loads(done.stdout)
    assert (read["benchyard_isolation"], read["benchyard_tune_skip"]) == ("none", ["perf-rate"])
    # What a playbook takes by itself is among them, files are copied, and the lab jumps as whom it is let in.
    assert (read["benchyard_update_system"], read["benchyard_wait_s"]) == (False, 60)
    assert Path(read["benchyard_constraints"]).is_relative_to(lab / "ansible/files")
    assert Path(read["benchyard_constraints"]).read_bytes() == (ANSIBLE.parent / "constraints.txt").read_bytes()
    assert read["ansible_ssh_common_args"] == "-o Compression=yes -J benchyard-admin@192.0.2.11"


def test_a_file_that_would_not_be_read_is_refused(lab: Path) -> None:
    """Nothing is written then; it is named with where it belongs."""
    hidden = lab / "ansible/host_vars/quiet-1.yml"
    hidden.write_text("benchyard_isolation: none\n")
    (lab / "ansible/host_vars/former.yml").touch()
    played = given(lab)
    assert played.failed == {"lab": 1}
    assert f"{hidden} would not be read" in played.text and "former.yml" not in played.text, played.text
    assert not list(lab.rglob("ansible.json"))
