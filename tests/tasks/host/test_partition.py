"""The partition of cgroup v2, on a directory that answers as the kernel does."""

import errno
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cgroupkernel import Kernel

from benchyard.tasks.errors import ShieldError
from benchyard.tasks.host import cgroups
from benchyard.tasks.host.setup import put_back
from benchyard.tasks.host.shield import Shield, lower, lower_leftovers, problem_of, processes_of, raise_shield
from benchyard.tasks.host.wrapper import write_wrapper

NOT_EXCLUSIVE = "isolated invalid (Cpu list in cpuset.cpus not exclusive)"


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """The host with its control groups."""
    kernel = Kernel(tmp_path / "root")
    for name in ("make_group", "remove_group", "write_value"):
        monkeypatch.setattr(cgroups, name, getattr(kernel, name))
    return kernel


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """A state directory, with the notes of shields on that host alone."""
    return tmp_path / "state"


def up(kernel: Kernel, state_dir: Path, **options: Any) -> Shield:
    """Raise a shield on that host."""
    cpus = {"measuring": (1,), "housekeeping": (0,), **options}
    return raise_shield("1.1", **cpus, state_dir=state_dir, root=kernel.root)


def said(shield: Shield, name: str) -> str:
    """Return what a file of the group says."""
    assert shield.group is not None
    return (Path(shield.group) / name).read_text().strip()


def test_a_partition_is_made_and_removed(kernel: Kernel, state_dir: Path) -> None:
    """The group is below the top and isolated; afterwards all is as before, and workers are where the lab is."""
    before = kernel.tree()
    shield = up(kernel, state_dir)
    assert (shield.kind, shield.detail, shield.measuring) == ("partition", "", (1,))
    assert shield.group is not None
    assert Path(shield.group).parent == kernel.top
    assert (said(shield, "cpuset.cpus"), said(shield, "cpuset.cpus.partition")) == ("1", "isolated")
    wrapper = write_wrapper(shield, state_dir, "/usr/bin/python3")
    assert f"> {shield.group}/cgroup.procs;" in wrapper.read_text()
    kernel.write_value(Path(shield.group) / "cgroup.procs", "102")
    assert processes_of(shield) == [102]
    assert problem_of(shield) is None
    lower(shield, root=kernel.root)
    key = str(kernel.own / "cgroup.procs")
    assert kernel.tree() == {**before, key: "100\n101\n102\n"}
    assert list((state_dir / "shields").iterdir()) == []


def test_several_may_put_back_at_once(kernel: Kernel, state_dir: Path) -> None:
    """Each who finds the shield of a killed supervisor lowers it; none stumbles over another that does so, too."""
    before = kernel.tree()
    up(kernel, state_dir)
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda _: put_back(state_dir, root=kernel.root), range(4)))
    assert said == [[]] * 4
    assert kernel.tree() == before
    assert list((state_dir / "shields").iterdir()) == []


def test_processes_go_to_the_top_where_their_group_is_gone(kernel: Kernel, state_dir: Path) -> None:
    """What is left in the measuring group, or in groups below it, finds a place."""
    shield = up(kernel, state_dir)
    assert shield.group is not None
    below = Path(shield.group) / "own"
    (Path(shield.group) / "cgroup.subtree_control").write_text("")
    kernel.make_group(below)
    kernel.write_value(below / "cgroup.procs", "102")
    assert processes_of(shield) == [102]
    shutil.rmtree(kernel.own)
    lower(shield, root=kernel.root)
    assert (kernel.top / "cgroup.procs").read_text() == "2\n3\n102\n"
    assert not Path(shield.group).exists()


def test_idle_siblings_come_along(kernel: Kernel, state_dir: Path) -> None:
    """CPUs that share a core with a measuring one are taken from the others, and workers keep off them."""
    shield = up(kernel, state_dir, measuring=(3,), idle=(2,))
    assert said(shield, "cpuset.cpus") == "2-3"
    assert shield.measuring == (3,)
    assert "taskset -p 8 $$" in write_wrapper(shield, state_dir, "/usr/bin/python3").read_text()


def test_several_cpus_are_balanced(kernel: Kernel, state_dir: Path) -> None:
    """With two measuring CPUs the partition is one with balancing: else all threads would stay on one of them."""
    shield = up(kernel, state_dir, measuring=(2, 3))
    assert (said(shield, "cpuset.cpus.partition"), shield.detail) == ("root", "")


@pytest.mark.parametrize(
    ("answers", "detail"),
    [
        ({"isolated": NOT_EXCLUSIVE}, f"cpuset.cpus.partition: {NOT_EXCLUSIVE}"),
        ({"isolated": None}, "cpuset.cpus.partition: Invalid argument"),
        ({"isolated": ""}, "cpuset.cpus.partition: "),
    ],
)
def test_the_second_best_partition(
    kernel: Kernel, state_dir: Path, answers: dict[str, str | None], detail: str
) -> None:
    """Where there can be no isolated partition, one with balancing is made, and the reason is said."""
    kernel.answers = answers
    shield = up(kernel, state_dir)
    assert (shield.kind, shield.detail) == ("partition", detail)
    assert said(shield, "cpuset.cpus.partition") == "root"


@pytest.mark.parametrize(
    ("answers", "effective", "why"),
    [
        (
            {"isolated": NOT_EXCLUSIVE, "root": "root invalid (Cpu list in cpuset.cpus not exclusive)"},
            None,
            f"cpuset.cpus.partition: {NOT_EXCLUSIVE};"
            " cpuset.cpus.partition: root invalid (Cpu list in cpuset.cpus not exclusive)",
        ),
        ({}, "0", "cpuset.cpus.effective: 0; cpuset.cpus.effective: 0"),
    ],
)
def test_an_invalid_partition_is_not_claimed(
    kernel: Kernel, state_dir: Path, answers: dict[str, str | None], effective: str | None, why: str
) -> None:
    """A partition that reads back invalid, or without its CPUs, is removed: affinity is what was achieved."""
    before = kernel.tree()
    kernel.answers, kernel.effective = answers, effective
    shield = up(kernel, state_dir)
    assert shield.kind == "affinity"
    assert shield.detail.startswith(why)
    assert kernel.tree() == before
    assert list((state_dir / "shields").iterdir()) == []


def test_a_partition_that_is_lost_is_noticed(kernel: Kernel, state_dir: Path) -> None:
    """A partition that becomes invalid during the run, as when a CPU is switched off, is said to be so."""
    shield = up(kernel, state_dir)
    assert shield.group is not None
    (Path(shield.group) / "cpuset.cpus.partition").write_text("isolated invalid (Parent is not a partition root)\n")
    assert problem_of(shield) == "cpuset.cpus.partition: isolated invalid (Parent is not a partition root)"


def test_the_controller_stays_with_who_had_it(kernel: Kernel, state_dir: Path) -> None:
    """Where the controller was enabled before, or another has begun to use it, it stays so."""
    control = kernel.top / "cgroup.subtree_control"
    kernel.write_value(control, "+cpuset")
    lower(up(kernel, state_dir), root=kernel.root)
    assert "cpuset" in control.read_text()
    kernel.write_value(control, "-cpuset")
    shield = up(kernel, state_dir)
    (kernel.own.parent / "cpuset.cpus").write_text("0\n")
    lower(shield, root=kernel.root)
    assert "cpuset" in control.read_text()


@pytest.mark.parametrize(("name", "level"), [("benchyard-other", "member"), ("other", "isolated"), ("other", "root")])
def test_the_partition_of_another_is_left_alone(kernel: Kernel, state_dir: Path, name: str, level: str) -> None:
    """Who has a CPU alone keeps it: giving it to a group beside would make that partition invalid."""
    kernel.write_value(kernel.top / "cgroup.subtree_control", "+cpuset")
    other = kernel.top / name
    kernel.make_group(other)
    kernel.write_value(other / "cpuset.cpus", "1-2")
    kernel.write_value(other / "cpuset.cpus.partition", level)
    before = kernel.tree()
    shield = up(kernel, state_dir)
    assert shield.kind == "affinity"
    assert shield.detail.startswith(f"CPU 1 is kept by {name}")
    assert kernel.tree() == before


def test_leftovers_are_lowered(kernel: Kernel, state_dir: Path) -> None:
    """What the note says is undone by another process, once."""
    before = kernel.tree()
    up(kernel, state_dir)
    for _ in range(2):
        lower_leftovers(kernel.root, state_dir)
        assert kernel.tree() == before


def test_nothing_is_left_after_a_restart(kernel: Kernel, state_dir: Path) -> None:
    """After a restart of the host the note is removed, and nothing is touched: the groups are not ours."""
    up(kernel, state_dir)
    during = kernel.tree()
    (kernel.root / "proc/sys/kernel/random/boot_id").write_text("second-start\n")
    lower_leftovers(kernel.root, state_dir)
    assert kernel.tree() == during
    assert list((state_dir / "shields").iterdir()) == []


def test_what_cannot_be_undone_is_kept_for_the_next_try(
    kernel: Kernel, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group that cannot be removed is an error after a bounded number of tries, and the note stays."""
    monkeypatch.setattr(cgroups, "_PAUSE_S", 0.0)
    before = kernel.tree()
    shield = up(kernel, state_dir)
    assert shield.group is not None
    stuck = Path(shield.group) / "stuck"
    stuck.mkdir()
    (stuck / "cgroup.procs").write_text("x")
    monkeypatch.setattr(cgroups, "members", lambda group: [])
    with pytest.raises(ShieldError, match=r"^the shield of 1\.1 cannot be lowered: .*stuck: Device or resource busy$"):
        lower(shield, root=kernel.root)
    shutil.rmtree(stuck)
    lower_leftovers(kernel.root, state_dir)
    assert kernel.tree() == before


def test_without_the_right_to(kernel: Kernel, state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may not change control groups gets affinity, and the reason."""

    def refuse(path: Path, value: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(cgroups, "write_value", refuse)
    shield = up(kernel, state_dir)
    assert shield.kind == "affinity"
    assert shield.detail.startswith(f"{kernel.top}/cgroup.subtree_control: Permission denied")


@pytest.mark.parametrize(("controllers", "mounts"), [("memory", None), (None, "proc /proc proc rw 0 0\n"), (None, "")])
def test_without_the_controller(kernel: Kernel, state_dir: Path, controllers: str | None, mounts: str | None) -> None:
    """Where the cpuset controller is not to be had, as in a container, affinity is what there is."""
    if controllers is not None:
        (kernel.top / "cgroup.controllers").write_text(controllers)
    if mounts is not None:
        (kernel.root / "proc/self/mounts").write_text(mounts)
    before = kernel.tree()
    shield = up(kernel, state_dir)
    assert shield.kind == "affinity"
    assert shield.detail.startswith("no cpuset controller is mounted here")
    assert kernel.tree() == before


def test_another_lab_is_waited_for(kernel: Kernel, state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another process changes groups, nobody else does; who waits too long gets affinity."""
    monkeypatch.setattr(cgroups, "_PAUSE_S", 0.001)
    with cgroups.hold_hierarchy(kernel.top):
        shield = up(kernel, state_dir)
    assert shield.kind == "affinity"
    assert shield.detail.startswith(f"another process holds {kernel.top}")
