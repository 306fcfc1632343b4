"""The lab's hosts as Ansible knows them."""

import json
import subprocess
from pathlib import Path

import pytest

from benchyard.config.facts import lab_facts
from benchyard.config.settings import Host, SettingsError, load_settings
from benchyard.hosting import registration
from benchyard.hosting.facts import HostFacts
from benchyard.hosting.inventory import group_of, inventory, means_else
from benchyard.hosting.registration import register_host, secret_path


def test_inventory(lab_dir: Path) -> None:
    """Groups by role and target, and for each host what the roles need, the file of its secret among it.

    What is for the time of a run is not: a host that its unit tunes for good stays so.
    """
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
        "benchyard_secret_file": str(secret_path(lab_dir, "far")),
        "benchyard_master_host": "127.0.0.1",
        "benchyard_master_port": 9989,
        "benchyard_tls": False,
    }
    assert hostvars["prep"]["ansible_connection"] == hostvars["master"]["ansible_connection"] == "local"
    assert secret not in json.dumps(hostvars)


def test_hosts_trust_the_labs_certificate(lab_dir: Path) -> None:
    """Where the lab speaks TLS with workers, by the name in it, wherever it is; what is no certificate is none.

    Whether it does is what its settings say, and not which files there are.
    """
    secret = register_host(lab_dir, "far", role="isolated", target="linux", address="10.0.0.9")
    names = {"benchyard_tls", "benchyard_certificate_file", "benchyard_certificate_name"}
    (lab_dir / "secrets" / "worker.crt").write_text("of before")

    def said() -> dict[str, str | bool]:
        far = inventory(lab_facts(load_settings(lab_dir)))["_meta"]["hostvars"]["far"]
        return {name: far[name] for name in names if name in far}

    assert said() == {"benchyard_tls": False}
    folder = lab_dir / "tls"
    folder.mkdir()
    certificate, key = folder / "lab.pem", folder / "lab.key"
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    argv += ["-subj", "/CN=lab.example", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
    settings = lab_dir / "benchyard.toml"
    settings.write_text(
        f'[lab]\nworker_certificate = "tls/lab.pem"\nworker_key = "tls/lab.key"\n{settings.read_text()}'
    )
    assert said() == {
        "benchyard_tls": True,
        "benchyard_certificate_file": str(certificate),
        "benchyard_certificate_name": "lab.example",
    }
    certificate.write_text(secret)
    assert said() == {"benchyard_tls": True}


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


@pytest.mark.parametrize("name", ["target_linux", "Target_web", "lab-master", "all"])
def test_names_of_the_inventory_are_no_hosts(lab_dir: Path, name: str) -> None:
    """What the inventory calls something else by is no host, be its file written by hand."""
    register_host(lab_dir, name, role="isolated", target="linux", address="10.0.0.9")
    with pytest.raises(SettingsError, match=rf"{name!r} is a name that the lab needs for itself"):
        load_settings(lab_dir)


@pytest.mark.parametrize("name", ["linux_x86_64", "LINUX_x86_64", "master", "Localhost", "target_x", "workers"])
def test_names_that_a_new_host_may_not_have(name: str) -> None:
    """Nor what a group is called already, or the master's machine."""
    assert means_else(name, ["linux-x86_64", "web"])
    assert not means_else(f"{name}2", ["linux-x86_64", "web"]) or name == "target_x"


def test_no_group_is_called_as_a_host(lab_dir: Path) -> None:
    """Whatever targets and hosts are called: asked for by its name, each is itself alone."""
    targets = ("linux", "master", "web", "target_web", "workers", "lab-master", "m-1")
    (lab_dir / "benchyard.toml").write_text("".join(f"[targets.{name}]\n" for name in targets), encoding="utf-8")
    for name in ("master", "web", "localhost", "m_1"):
        register_host(lab_dir, name, role="isolated", target="web", address="10.0.0.9")
    for number, target in enumerate(targets):
        register_host(lab_dir, f"h{number}", role="isolated", target=target, address="10.0.0.9")
    found = inventory(lab_facts(load_settings(lab_dir)))
    hosts = set(found.pop("_meta")["hostvars"])
    assert not {name.lower() for name in found} & {name.lower() for name in hosts}
    of_target = {
        name: group["hosts"] for name, group in found.items() if name not in ("workers", "isolated", "masters")
    }
    assert len(of_target) == len(targets)
    assert of_target["target_web"] == ["h2", "localhost", "m_1", "master", "web"]


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
