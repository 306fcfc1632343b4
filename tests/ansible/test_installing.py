"""What is installed is what was said, whatever was there before."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import debiantree
import pytest
from playbooks import ANSIBLE, Played, play_here

pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]

INSTALL = """
- hosts: workers
  gather_facts: false
  tasks:
    - ansible.builtin.include_role: {name: common, tasks_from: install.yml}
"""


def wheel(folder: Path, name: str, version: str, files: dict[str, str], *needs: str) -> None:
    """A wheel with these files, which needs others."""
    about = f"{name}-{version}.dist-info"
    texts = {
        **files,
        f"{about}/METADATA": "\n".join(
            ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", "Provides-Extra: worker"]
            + [f"Requires-Dist: {need}" for need in needs]
        ),
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    texts[f"{about}/RECORD"] = "".join(f"{path},,\n" for path in [*texts, f"{about}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in texts.items():
            archive.writestr(path, text)


@pytest.fixture
def houses(tmp_path: Path) -> dict[str, Path]:
    """Two wheelhouses: what benchyard needs is newer in the one than in the other."""
    made = {}
    for version in ("1.0", "2.0"):
        folder = tmp_path / f"house-{version}"
        folder.mkdir()
        wheel(folder, "benchyard", version, {"benchyard/cli.py": ""}, "needed")
        wheel(folder, "needed", version, {"needed.py": ""})
        made[version] = debiantree.packed(folder, tmp_path / f"{version}.tar")
    return made


def installed(venv: Path) -> dict[str, str]:
    """The versions in an environment."""
    argv = [str(venv / "bin/python"), "-m", "pip", "--disable-pip-version-check", "list", "--format=json"]
    said = json.loads(subprocess.run(argv, capture_output=True, check=True, timeout=60).stdout)
    return {each["name"]: each["version"] for each in said if each["name"] in ("benchyard", "needed")}


def test_an_installation_is_healed_and_taken_back(tmp_path: Path, houses: dict[str, Path]) -> None:
    """An older wheelhouse brings its versions, and an environment whose Python has gone is made anew with all in it."""
    venv = tmp_path / "venv"

    def tried(house: Path) -> Played:
        return play_here(
            tmp_path, INSTALL, {"workers": {"here": {}}}, benchyard_wheelhouse=str(house),
            benchyard_venv=str(venv), benchyard_python=sys.executable, benchyard_extras=["worker"],
        )  # fmt: skip

    def play(house: str) -> Played:
        played = tried(houses[house])
        assert played.ok, played.text
        return played

    assert play("2.0").changed["here"] > 0
    assert installed(venv) == {"benchyard": "2.0", "needed": "2.0"}
    play("1.0")
    assert installed(venv) == {"benchyard": "1.0", "needed": "1.0"}
    # What pip did not bring to its end is not taken for what was there before.
    lacking = tmp_path / "house-3.0"
    lacking.mkdir()
    wheel(lacking, "benchyard", "3.0", {"benchyard/cli.py": ""}, "lacking")
    assert not tried(debiantree.packed(lacking, tmp_path / "lacking.tar")).ok
    assert play("1.0").changed["here"] > 0
    # As after an upgrade of the system; what is somebody's stays.
    kept = venv / "lab/results/kept"
    kept.parent.mkdir(parents=True)
    kept.touch()
    (venv / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}").rename(venv / "lib/python3.0")
    assert play("1.0").changed["here"] > 0
    assert installed(venv) == {"benchyard": "1.0", "needed": "1.0"}
    assert kept.exists() and not (venv / "lib/python3.0").exists()
    assert play("1.0").changed == {"here": 0}


def test_codespeed_has_an_environment_of_its_python() -> None:
    """By the same rule, and before anything is installed there."""
    text = (ANSIBLE / "roles/codespeed/tasks/main.yml").read_text(encoding="utf-8")
    assert text.index("tasks_from: environment.yml") < text.index("- name: Its folders") < text.index("install.yml")
