"""What ansible-lint, yamllint and Ansible itself say of the playbooks without a host."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from playbooks import ANSIBLE, environ, tool

pytestmark = pytest.mark.timeout(300)


def test_ansible_lint_finds_nothing(tmp_path: Path) -> None:
    """All is clean in the profile `production`, YAML's style included."""
    done = subprocess.run(
        [tool("ansible-lint"), "--offline", "--nocolor", "-c", ".ansible-lint.yml", "--project-dir", str(ANSIBLE)],
        cwd=ANSIBLE, env=environ(tmp_path), capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 failure(s), 0 warning(s)" in done.stderr


def test_every_variable_is_described() -> None:
    """Each default of a role is one of its arguments, and the other way round for what is not required."""
    described = {}
    for path in sorted(ANSIBLE.glob("roles/*/meta/argument_specs.yml")):
        specs = yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]
        described[path.parent.parent.name] = specs["main"]["options"]
    assert sorted(described) == ["codespeed", "common", "isolated", "master", "tunnel", "worker"]
    known = {name for options in described.values() for name in options}
    for role, options in described.items():
        defaults = yaml.safe_load((ANSIBLE / "roles" / role / "defaults/main.yml").read_text(encoding="utf-8"))
        assert not set(defaults) - known, role
        missing = {name for name, option in options.items() if not option.get("required")} - set(defaults)
        assert not {name for name in missing if not any(name in described_in(other) for other in described)}, role


def described_in(role: str) -> set[str]:
    """The defaults of a role."""
    return set(yaml.safe_load((ANSIBLE / "roles" / role / "defaults/main.yml").read_text(encoding="utf-8")))


def test_every_variable_has_a_value() -> None:
    """What a role uses without a default is its own or of a role that it depends on: no other role's is there."""
    folders = sorted(ANSIBLE.glob("roles/*"))
    everywhere = set().union(*(described_in(folder.name) for folder in folders))
    for folder in folders:
        known, roles = set[str](), [folder.name]
        for role in roles:
            specs = yaml.safe_load((ANSIBLE / "roles" / role / "meta/argument_specs.yml").read_text(encoding="utf-8"))
            known |= described_in(role) | set(specs["argument_specs"]["main"]["options"])
            meta = yaml.safe_load((ANSIBLE / "roles" / role / "meta/main.yml").read_text(encoding="utf-8"))
            roles += [dependency["role"] for dependency in meta["dependencies"]]
        for file in sorted(folder.glob("tasks/*.yml")):
            used = set(re.findall(r"(?<![.\w'])(benchyard_\w+)\b(?! *\| *default)", file.read_text(encoding="utf-8")))
            assert not used & everywhere - known, file


def test_a_boolean_may_be_given_as_text() -> None:
    """`-e benchyard_tune=false` and inventories in INI give the word, which counts as true but for `bool`."""
    names = set[str]()
    for path in sorted(ANSIBLE.glob("roles/*/meta/argument_specs.yml")):
        options = yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
        names |= {name for name, option in options.items() if option["type"] == "bool"}
    assert {"benchyard_firewall", "benchyard_smt_off", "benchyard_running"} < names
    # As a value, with or without a default; not where it is given one (`NAME: true`).
    made = r"(?: *\| *default\((?:[^()]|\([^()]*\))*\))? *\| *bool\b"
    use = re.compile(rf"\b({'|'.join(sorted(names))})\b(?!:)(?!{made})")
    assert use.findall("benchyard_tune | default(a(1)) | bool and not benchyard_backup") == ["benchyard_backup"]
    for path in sorted([*ANSIBLE.rglob("*.yml"), *ANSIBLE.rglob("*.j2")]):
        said = re.sub(r"^ *#.*", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert not use.findall(said), path


def test_secrets_are_not_logged() -> None:
    """Each task that handles a secret says no_log."""
    silent = []
    for path in sorted(ANSIBLE.rglob("*.yml")):
        for task in tasks_of(yaml.safe_load(path.read_text(encoding="utf-8"))):
            own = {key: value for key, value in task.items() if key not in ("block", "when", "name")}
            text = str(own)
            names = ("benchyard_secret", "kept_secret", "codespeed_users", "_given_key")
            if any(name in text for name in names) and "ansible.builtin.include" not in text:
                silent.append((path.name, task.get("name"), bool(task.get("no_log"))))
    tasks = [entry for entry in silent if entry[1] is not None]
    assert len(tasks) >= 4
    assert all(no_log for _, _, no_log in tasks), tasks


def tasks_of(document: object) -> "list[dict[str, object]]":
    """All tasks of a file, those in blocks and plays, too."""
    found: list[dict[str, object]] = []
    for entry in document if isinstance(document, list) else []:
        if not isinstance(entry, dict):
            continue
        nested = [key for key in ("block", "tasks", "pre_tasks", "handlers", "rescue", "always") if key in entry]
        for key in nested:
            found += tasks_of(entry[key])
        if not nested and "hosts" not in entry:
            found.append(entry)
    return found
