"""Playbooks applied to trees, and what Ansible says of them."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from debiantree import REPOSITORY, Tree

ANSIBLE = REPOSITORY / "ansible"
_BIN = Path(sys.executable).parent
_PLAY_S = 900.0

#: Groups of an inventory: their hosts by name, with variables.
Groups = dict[str, dict[str, dict[str, Any]]]


class Played(NamedTuple):
    """What came of a playbook: by host how many tasks changed and failed, and all that was printed."""

    changed: dict[str, int]
    failed: dict[str, int]
    text: str

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return bool(self.failed) and not any(self.failed.values())


def tool(name: str) -> str:
    """A program of Ansible's, as it is installed beside this Python."""
    return str(_BIN / name)


def environ(folder: Path) -> dict[str, str]:
    """Variables for Ansible, which then keeps what it keeps in `folder`."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("ANSIBLE_", "BENCHYARD_"))}
    return {
        **kept,
        "PATH": f"{_BIN}:{os.environ['PATH']}",
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"),
        "ANSIBLE_HOME": str(folder / ".ansible"),
        "ANSIBLE_LOCAL_TEMP": str(folder / ".ansible" / "tmp"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_PIPELINING": "1",
    }


class Site:
    """An inventory of trees in `folder`: the groups and their hosts with variables, `everywhere` for all of them."""

    def __init__(self, folder: Path, trees: dict[str, Tree], everywhere: dict[str, Any]) -> None:
        self.folder, self.trees, self.everywhere = folder, trees, everywhere
        self.groups: Groups = {}

    def host(self, group: str, name: str, **variables: Any) -> None:
        """Put a tree into a group, under its name."""
        self.groups.setdefault(group, {})[name] = variables

    def play(self, playbook: str | Path, *options: str, **variables: Any) -> Played:
        """Apply a playbook to all hosts, or with `--limit` to some."""
        inventory = self.folder / "inventory.json"
        everywhere = {
            "ansible_connection": "community.general.chroot",
            "ansible_python_interpreter": "/usr/bin/python3",
            # Whoever makes the tree is its root already.
            "ansible_become": False,
            **self.everywhere,
        }
        groups = {
            group: {"hosts": {name: {"ansible_host": str(self.trees[name].path), **own} for name, own in hosts.items()}}
            for group, hosts in self.groups.items()
        }
        inventory.write_bytes(msgspec.json.encode({"all": {"vars": everywhere, "children": groups}}))
        extra = ["--extra-vars", msgspec.json.encode(variables).decode()] if variables else []
        command = [tool("ansible-playbook"), "--inventory", str(inventory), str(ANSIBLE / playbook), *options, *extra]
        for tree in self.trees.values():
            command = _mounted(tree, command)
        done = subprocess.run(
            command, env=environ(self.folder), cwd=self.folder, capture_output=True, text=True, timeout=_PLAY_S,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return _played(done)


def play_here(
    folder: Path,
    playbook: str,
    groups: Groups,
    *options: str,
    programs: Mapping[str, str] | None = None,
    instead: Mapping[str, Path] | None = None,
    **variables: Any,
) -> Played:
    """Apply a playbook to groups of hosts that are all this machine.

    It is a playbook's name, or its text, in which `{{ ansible }}` is the folder of the roles. `programs` are scripts by
    name that stand in for programs that would change this machine, or that it does not have. `instead` are folders that
    it has for others, by their paths, which takes root.
    """
    path = ANSIBLE / playbook
    if "\n" in playbook:
        path = folder / "playbook.yml"
        path.write_text(playbook.replace("{{ ansible }}", str(ANSIBLE)), encoding="utf-8")
    own = folder / "programs"
    own.mkdir(exist_ok=True)
    for name, script in (programs or {}).items():
        (own / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (own / name).chmod(0o755)
    everywhere = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "ansible_become": False,
        "folder": str(folder),
        **variables,
    }
    inventory = folder / "inventory.json"
    children = {group: {"hosts": hosts} for group, hosts in groups.items()}
    inventory.write_bytes(msgspec.json.encode({"all": {"vars": everywhere, "children": children}}))
    environment = environ(folder)
    environment["PATH"] = f"{own}:{environment['PATH']}"
    command = [tool("ansible-playbook"), "--inventory", str(inventory), str(path), *options]
    if instead:
        mounts = " && ".join(f"mount --bind '{other}' '{place}'" for place, other in instead.items())
        apart = ["unshare", "--mount", "--propagation", "private", "--"]
        command = [*apart, "sh", "-ec", f'{mounts} && exec "$@"', "sh", *command]
    done = subprocess.run(
        command,
        env=environment, cwd=folder, capture_output=True, text=True, timeout=100, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return _played(done)


def _played(done: "subprocess.CompletedProcess[str]") -> Played:
    text = done.stdout + done.stderr
    recap = re.findall(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", text, re.MULTILINE)
    return Played(
        {host: int(changed) for host, changed, _, _ in recap},
        {host: int(away) + int(failed) for host, _, away, failed in recap},
        text,
    )


def _mounted(tree: Tree, command: list[str]) -> list[str]:
    from debiantree import beside

    return beside(tree, *command)
