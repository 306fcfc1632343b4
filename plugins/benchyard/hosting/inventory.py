"""The lab's hosts as Ansible knows them: what a dynamic inventory script prints.

Secrets are not in it: `benchyard_secret_file` names a file on the master's machine, which is where playbooks run.
"""

import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from OpenSSL import crypto
from twisted.internet.ssl import Certificate

from benchyard.hosting.facts import HostFacts, LabFacts
from benchyard.hosting.machines import is_local
from benchyard.hosting.registration import GROUP_PREFIX, is_reserved, secret_path

#: Groups by the role of a host, and the one of the master's own machine.
ROLES = {"worker": "workers", "isolated": "isolated"}
MASTERS = "masters"

#: The master's own machine: by its first name, unless a host has that from before it was refused.
MASTER, OTHER_MASTER = "master", "lab-master"

#: What Ansible calls the machine that it runs on.
CONTROLLER = "localhost"

#: How Ansible itself reaches the machine that it runs on: without SSH, and with the Python that runs it.
_LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}


def inventory(lab: LabFacts) -> dict[str, Any]:
    """The inventory: groups by role and by target, and the variables of all hosts under `_meta`."""
    master_host = lab.worker_host
    names = {host.name for host in lab.hosts}
    master = OTHER_MASTER if MASTER in names else MASTER
    reached = {
        "benchyard_master_host": master_host,
        "benchyard_master_port": lab.worker_port,
        "benchyard_tls": bool(lab.worker_certificate),
        **_trusted(lab.worker_certificate),
    }
    groups: dict[str, list[str]] = {group: [] for group in (*ROLES.values(), MASTERS)}
    groups[MASTERS].append(master)
    hostvars: dict[str, dict[str, Any]] = {master: {"ansible_host": master_host, **_LOCAL, **reached}}
    for host in lab.hosts:
        groups[ROLES[host.role]].append(host.name)
        groups.setdefault(group_of(host.target, names), []).append(host.name)
        hostvars[host.name] = {**_variables(Path(lab.directory), host), **reached}
    return {"_meta": {"hostvars": hostvars}, **{group: {"hosts": names} for group, names in groups.items()}}


def group_of(target: str, hosts: Collection[str] = ()) -> str:
    """The name of a target's group: letters, digits and underscores, as Ansible takes them, and no other's name."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", target)
    return f"{GROUP_PREFIX}{name}" if is_reserved(name) or name in (MASTER, *hosts) or name[0].isdigit() else name


def means_else(name: str, targets: Iterable[str]) -> bool:
    """Whether the name of a new host would be that of something else in the inventory."""
    groups = {group_of(target).lower() for target in targets}
    return is_reserved(name) or name.lower() in {MASTER, CONTROLLER, *groups}


def _variables(lab_dir: Path, host: HostFacts) -> dict[str, Any]:
    """What roles need of a host, not how a run treats it: `tune` is for that time, `benchyard_tune` for good."""
    said = {"ansible_connection": host.connection, "ansible_user": host.ansible_user}
    local = host.connection == "local" or (not host.connection and is_local(host.address))
    return {
        "ansible_host": host.address,
        **(_LOCAL if local else {}),
        **{name: value for name, value in said.items() if value},
        "benchyard_name": host.name,
        "benchyard_role": host.role,
        "benchyard_target": host.target,
        "benchyard_cpus": host.cpus,
        "benchyard_secret_file": str(secret_path(lab_dir, host.name)),
    }


def _trusted(certificate: str) -> dict[str, str]:
    """What workers trust, where the lab has a certificate: it is of a name, which need not be the one of its URL."""
    if not certificate:
        return {}
    try:
        subject = Certificate.loadPEM(Path(certificate).read_bytes()).getSubject()
    except (OSError, crypto.Error):
        return {}
    name = {"benchyard_certificate_name": subject["commonName"].decode()} if "commonName" in subject else {}
    return {"benchyard_certificate_file": certificate, **name}
