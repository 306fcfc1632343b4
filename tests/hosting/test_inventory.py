"""The lab's hosts as Ansible knows them."""

import json
import subprocess
from pathlib import Path

import pytest

from benchyard.config.facts import lab_facts
from benchyard.config.settings import Host, SettingsError, load_settings
from benchyard.hosting import registration
from benchyard.hosting.inventory import group_of, inventory
from benchyard.hosting.registration import register_host, secret_path
from benchyard.hosting.service import HostFacts


def test_inventory(lab_dir: Path) -> None:
    """Groups by role and target, and for each host what the roles need, the file of its secret among it."""
    register_host(lab_dir, "prep", role="worker", target="linux", address="localhost")
    far = {"role": "isolated", "target": "linux", "address": "10.0.0.9", "cpus": "2-3"}
    secret = register_host(lab_dir, "far", **far, tune=False, guard="strict", guard_wait_s=5.0, ansible_user="ops")
    found = inventory(lab_facts(load_settings(lab_dir)))
    hostvars = found.pop("_meta")["hostvars"]
    groups = {"workers": ["prep"], "isolated": ["far"], "linux": ["far", "prep"], "masters": ["master"]}
    assert {name: sorted(group["hosts"]) for name, group in found.items()} == groups
    assert hostvars["far"] == {
        "ansible_host": "10.0.0.9",
        "ansible_user": "ops",
        "benchyard_name": "far",
        "benchyard_role": "isolated",
        "benchyard_target": "linux",
        "benchyard_cpus": "2-3",
        "benchyard_tune": False,
        "benchyard_shield": True,
        "benchyard_guard": "strict",
        "benchyard_guard_wait_s": 5.0,
        "benchyard_secret_file": str(secret_path(lab_dir, "far")),
        "benchyard_master_host": "127.0.0.1",
        "benchyard_master_port": 9989,
    }
    assert hostvars["prep"]["ansible_connection"] == hostvars["master"]["ansible_connection"] == "local"
    assert secret not in json.dumps(hostvars)


def test_hosts_trust_the_labs_certificate(lab_dir: Path) -> None:
    """Where the lab speaks TLS with workers, by the name in it; what is no certificate is none."""
    secret = register_host(lab_dir, "far", role="isolated", target="linux", address="10.0.0.9")
    folder = secret_path(lab_dir, "far").parent
    (folder / "worker.crt").write_text(secret)
    names = {"benchyard_certificate_file", "benchyard_certificate_name"}
    assert not names & set(inventory(lab_facts(load_settings(lab_dir)))["_meta"]["hostvars"]["far"])
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    argv += ["-subj", "/CN=lab.example", "-keyout", str(folder / "worker.key"), "-out", str(folder / "worker.crt")]
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
    far = inventory(lab_facts(load_settings(lab_dir)))["_meta"]["hostvars"]["far"]
    assert {name: far[name] for name in names} == {
        "benchyard_certificate_file": str(folder / "worker.crt"),
        "benchyard_certificate_name": "lab.example",
    }


def test_host_that_is_called_as_the_group_of_masters_has_it(lab_dir: Path) -> None:
    """A host named `master` keeps its name; the master's own machine has another then."""
    register_host(lab_dir, "master", role="isolated", target="linux", address="10.0.0.9", connection="ssh")
    found = inventory(lab_facts(load_settings(lab_dir)))
    assert found["masters"]["hosts"] == ["lab-master"]
    assert found["_meta"]["hostvars"]["master"]["ansible_connection"] == "ssh"


@pytest.mark.parametrize(
    ("target", "group"),
    [("linux-x86_64", "linux_x86_64"), ("workers", "target_workers"), ("all", "target_all"), ("3com", "target_3com")],
)
def test_group_of_a_target(target: str, group: str) -> None:
    """A group's name is one that Ansible takes, and no other's."""
    assert group_of(target) == group


def test_host_with_the_name_of_a_target(lab_dir: Path) -> None:
    """Who asks Ansible for such a host gets that alone; names of the other groups are no hosts' at all."""
    for name in ("linux", "other"):
        register_host(lab_dir, name, role="isolated", target="linux", address="10.0.0.9")
    found = inventory(lab_facts(load_settings(lab_dir)))
    assert "linux" not in found
    assert sorted(found["target_linux"]["hosts"]) == ["linux", "other"]
    register_host(lab_dir, "Workers", role="isolated", target="linux", address="10.0.0.9")
    with pytest.raises(SettingsError, match=r"'Workers' is a name that the lab needs for itself"):
        load_settings(lab_dir)


def test_defaults_are_said_once() -> None:
    """What a host's file leaves out means the same in the settings, in a running master, and to who writes the file."""
    host, facts = Host(role="isolated", target="t"), HostFacts("h", "isolated", "t", "a", "")
    for name, value in registration.DEFAULTS.items():
        assert getattr(host, name) == getattr(facts, name) == value


def test_file_says_no_more_than_it_must(lab_dir: Path) -> None:
    """What is as it is anyway is not in a host's file, also when it was otherwise before."""
    where = {"role": "isolated", "target": "linux", "address": "a"}
    register_host(lab_dir, "far", **where, tune=False, guard_wait_s=5.0)
    path = lab_dir / "hosts.d" / "far.toml"
    assert path.read_text() == (
        'role = "isolated"\ntarget = "linux"\naddress = "a"\ntune = false\nguard_wait_s = 5.0\n'
    )
    registration.write_host(lab_dir, "far", **where, tune=True, guard="off")
    assert path.read_text() == (
        'role = "isolated"\ntarget = "linux"\naddress = "a"\nguard_wait_s = 5.0\nguard = "off"\n'
    )
    assert load_settings(lab_dir).hosts["far"].guard == "off"
