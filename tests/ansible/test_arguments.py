"""Values that no role can do anything with are refused before anything is changed."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from playbooks import ANSIBLE, Site

if TYPE_CHECKING:
    from debiantree import Tree

pytestmark = [pytest.mark.timeout(1200), pytest.mark.slow]


@pytest.fixture(scope="module")
def site(new_tree: "Callable[[str], Tree]", tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A tree that nothing was applied to."""
    return Site(tmp_path_factory.mktemp("site"), {"h": new_tree("h")}, {"benchyard_master_host": "192.0.2.1"})


@pytest.mark.parametrize(
    ("group", "wrong", "word"),
    [
        ("isolated", {"benchyard_isolation": "slice"}, "slices, kernel, none"),
        ("workers", {"benchyard_role": "coordinator"}, "worker, isolated"),
        ("workers", {"benchyard_master_port": "ssh"}, "benchyard_master_port"),
        ("masters", {"benchyard_web_server": "apache"}, "nginx, none"),
        ("codespeed", {"benchyard_codespeed_environments": {"a": 1}}, "benchyard_codespeed_environments"),
    ],
)
def test_wrong_values_are_refused(site: Site, group: str, wrong: dict[str, Any], word: str) -> None:
    """The argument that is wrong is named with what it may be; `--tags arguments` looks at nothing else."""
    site.groups = {group: {"h": {}}}
    played = site.play("site.yml", "--tags", "arguments", **wrong)
    assert played.failed == {"h": 1}, played.text
    assert word in played.text


def test_right_values_are_taken(site: Site) -> None:
    """With the defaults nothing is refused, and nothing is changed either."""
    site.groups = {group: {"h": {}} for group in ("isolated", "masters", "codespeed")}
    played = site.play("site.yml", "--tags", "arguments")
    assert (played.ok, played.changed) == (True, {"h": 0}), played.text


@pytest.mark.parametrize("name", ["../up", "naïve", "9up"])
def test_names_with_odd_characters_are_refused(site: Site, name: str) -> None:
    """A host cannot be called what is no name in the lab; nothing of the worker is made."""
    site.groups = {"workers": {"h": {}}}
    played = site.play("configure.yml", "--tags", "name", benchyard_name=name)
    assert played.failed == {"h": 1}, played.text
    assert "is no name of a host" in played.text
    assert not (site.trees["h"] / "etc/systemd/system/benchyard-worker.service").exists()


def test_packages_are_debians(site: Site) -> None:
    """What a host installs, to build CPython among others, can be installed."""
    wanted = {"chrony", "nftables", "nginx", "openssh-client", "openssh-server", "openssl", "postgresql-client", "sudo"}
    for path in sorted(ANSIBLE.glob("roles/*/defaults/main.yml")):
        defaults = yaml.safe_load(path.read_text(encoding="utf-8"))
        wanted.update(*(names for name, names in defaults.items() if name.endswith("_packages")))
    assert {"libssl-dev", "libffi-dev", "build-essential"} < wanted
    said = site.trees["h"].run("apt-get", "install", "--simulate", "--no-install-recommends", *sorted(wanted))
    assert "Inst libssl-dev " in said


def test_other_systems_are_refused(site: Site) -> None:
    """A system that is not supported is one clear failure, at the very beginning."""
    site.groups = {"workers": {"h": {}}}
    before = site.trees["h"].read("etc/os-release")
    # It is a link to the real one.
    release = site.trees["h"] / "etc/os-release"
    release.unlink()
    release.write_text('NAME="Fedora Linux"\nID=fedora\nVERSION_ID=43\n')
    try:
        played = site.play("configure.yml")
    finally:
        release.write_text(before)
    assert played.failed == {"h": 1}, played.text
    assert "is not supported" in played.text
