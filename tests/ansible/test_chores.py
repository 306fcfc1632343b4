"""Chores have their time and services that disturb do not start, as long as they are named."""

import shutil
from pathlib import Path

import pytest
from playbooks import ANSIBLE, Played, play_here

pytestmark = [pytest.mark.timeout(120), pytest.mark.slow]

APPLIED = """
- hosts: isolated
  gather_facts: false
  vars:
    benchyard_user: benchyard
    benchyard_worker_dir: /srv/worker
    benchyard_venv: /opt/benchyard
    benchyard_tune: true
    benchyard_tune_skip: []
    benchyard_smt_off: false
    benchyard_upgrades: false
    benchyard_window: "Sun *-*-* 05:00:00"
    worker_measuring: "1"
  tasks:
    - ansible.builtin.include_tasks: "{{ ansible }}/roles/isolated/tasks/{{ item }}.yml"
      loop: [tuning, chores]
"""


def test_who_is_not_named_any_more_is_as_it_was(tmp_path: Path) -> None:
    """What was made here is taken back, and nothing that somebody else has done."""
    etc, lib = tmp_path / "etc", tmp_path / "lib"
    shutil.copytree("/etc", etc, symlinks=True)
    lib.mkdir()
    (tmp_path / "templates").symlink_to(ANSIBLE / "roles/isolated/templates")
    units = etc / "systemd/system"
    (units / "multi-user.target.wants").mkdir(parents=True, exist_ok=True)
    # Somebody's own.
    (units / "tuned.service").symlink_to("/dev/null")
    (units / "fstrim.timer.d").mkdir()
    (units / "fstrim.timer.d/own.conf").write_text("[Timer]\n")

    def apply(timers: list[str], unwanted: list[str]) -> Played:
        played = play_here(
            tmp_path, APPLIED, {"isolated": {"quiet": {}}}, instead={"/etc": etc, "/var/lib": lib},
            benchyard_timers=timers, benchyard_unwanted_services=unwanted,
        )  # fmt: skip
        assert played.ok, played.text
        return played

    def made() -> tuple[set[str], set[str]]:
        given = {path.parent.name for path in units.glob("*/benchyard.conf")}
        links = {path for path in units.glob("*.service") if path.is_symlink()}
        return given, {path.name for path in links - before if path.readlink() == Path("/dev/null")}

    before = {path for path in units.glob("*.service") if path.is_symlink()}
    chores = [{f"{name}.timer.d", f"{name}.service.d"} for name in ("man-db", "fstrim")]
    apply(["man-db", "fstrim"], ["irqbalance", "thermald", "tuned"])
    assert made() == (chores[0] | chores[1], {"irqbalance.service", "thermald.service"})
    # Somebody's own meanwhile.
    (units / "thermald.service").unlink()
    (units / "thermald.service").write_text("[Service]\n")
    apply(["man-db"], ["irqbalance"])
    assert made() == (chores[0], {"irqbalance.service"})
    assert apply([], []).changed["quiet"] > 0
    assert made() == (set(), set())
    assert apply([], []).changed == {"quiet": 0}
    assert (units / "tuned.service").readlink() == Path("/dev/null")
    assert (units / "thermald.service").read_text() == "[Service]\n"
    assert (units / "fstrim.timer.d/own.conf").exists()
