"""Running a playbook of the lab's on one of its hosts, as `ansible-playbook` does it."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchyard.tasks.errors import AnsibleError
from benchyard.tasks.preparing import preparing, run_command

#: The playbooks that the lab runs, and the folder that has them in the sources and in an installed benchyard.
FOLDER = "ansible"
PLAYBOOKS = ("configure", "update")

#: Values for hosts that Ansible reads beside an inventory.
VARIABLES = ("group_vars", "host_vars")

#: Who holds a host for the lab, whichever of its masters runs the playbook: its next one waits for none that has died.
HOLDER = "the lab"

#: Seconds for which another's playbook waits where one of the lab's has died. Nothing asks for the host again while a
#: task is under way, so that they are more than the longest one takes.
HOLD_S = 6 * 3600

#: The exit status of `benchyard task playbook` where the playbook could not even begin.
NOT_BEGUN = 69

#: What keeps Ansible's output the same everywhere, for who reads it while it is written, and free of what only a
#: terminal understands.
_PLAIN = {
    "ANSIBLE_NOCOLOR": "1",
    "ANSIBLE_FORCE_COLOR": "0",
    "ANSIBLE_NOCOWS": "1",
    "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
    "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
    "ANSIBLE_CALLBACK_FORMAT_PRETTY": "0",
    "ANSIBLE_DISPLAY_FAILED_STDERR": "0",
    "PYTHONUNBUFFERED": "1",
}


def find_ansible() -> Path:
    """The `ansible-playbook` of this Python's environment, else of PATH; AnsibleError where there is none."""
    beside = Path(sys.executable).with_name("ansible-playbook")
    if beside.is_file():
        return beside
    found = shutil.which("ansible-playbook")
    if found is None:
        raise AnsibleError("ansible-playbook is not installed here; install it with `pip install 'benchyard[ansible]'`")
    return Path(found)


def find_playbook(name: str, folder: Path | None = None) -> Path:
    """The playbook of this name in a folder, else in the sources or beside the installed package; AnsibleError."""
    here = Path(__file__).resolve()
    folders = [folder] if folder is not None else [here.parents[3] / FOLDER, here.parents[1] / FOLDER]
    for each in folders:
        path = each / f"{name}.yml"
        if path.is_file():
            return path
    raise AnsibleError(f"there is no playbook {name}.yml in {folders[-1]}; name its folder as `ansible` in [lab]")


def playbook_command(
    ansible: Path,
    playbook: Path,
    inventory: Path,
    host: str,
    *,
    held: Path | None = None,
    check: bool = False,
    reboot: bool = False,
) -> list[str]:
    """The command line for one host; with `check` nothing is changed, and what would be is shown.

    `held` is the state directory of this machine whose lock is held for the playbook. With `reboot`, the playbook
    `update` starts the host again where that is needed.
    """
    looked_at = ["--check", "--diff"] if check else ["--diff"]
    variables: dict[str, object] = {"benchyard_holder": HOLDER, "benchyard_hold_s": HOLD_S}
    if held is not None:
        variables["benchyard_held"] = [str(held.resolve())]
    if reboot:
        variables["benchyard_update_reboot"] = True
    said = ["--extra-vars", json.dumps(variables)]
    return [str(ansible), "--inventory", str(inventory), "--limit", host, *looked_at, *said, str(playbook)]


def playbook_environ(environ: Mapping[str, str], playbook: Path) -> dict[str, str]:
    """The variables that it runs with: the settings beside the playbook count, unless the operator has named others."""
    config = playbook.with_name("ansible.cfg")
    return {**({"ANSIBLE_CONFIG": str(config)} if config.is_file() else {}), **environ, **_PLAIN}


def run_playbook(
    name: str,
    inventory: str,
    host: str,
    *,
    say: Callable[[str], None],
    folder: Path | None = None,
    variables: Path | None = None,
    state: Path | None = None,
    check: bool = False,
    reboot: bool = False,
) -> int:
    """Run a playbook for one host of an inventory (JSON text) to its end and give its exit status.

    `variables` is a folder that may have `group_vars` and `host_vars`: what they say of a host counts more than the
    inventory. With `state`, the host is this machine: it is held alone, so that nothing is measured or prepared here
    meanwhile.
    Raises AnsibleError where it cannot be run at all.
    """
    ansible, playbook = find_ansible(), find_playbook(name, folder)
    with preparing(state, say, shared=False) as lock, _script(inventory, variables) as script:
        argv = playbook_command(ansible, playbook, script, host, held=state, check=check, reboot=reboot)
        return run_command(argv, playbook_environ(os.environ, playbook), lock)


@contextmanager
def _script(inventory: str, variables: Path | None) -> Iterator[Path]:
    """The inventory as a program that prints it: so Ansible takes the form that it has for dynamic ones.

    Ansible looks for values beside it.
    """
    with tempfile.TemporaryDirectory(prefix="benchyard-inventory-") as folder:
        text = Path(folder) / "inventory.json"
        text.write_text(inventory, encoding="utf-8")
        script = Path(folder) / "inventory"
        script.write_text('#!/bin/sh\nexec cat "$(dirname "$0")/inventory.json"\n', encoding="utf-8")
        script.chmod(0o700)
        if variables is not None:
            for name in VARIABLES:
                (Path(folder) / name).symlink_to(variables.absolute() / name)
        yield script
