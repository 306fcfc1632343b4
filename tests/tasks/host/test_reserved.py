"""A worker without privileges sees that the system itself keeps its measuring CPUs from all others."""

import os
from pathlib import Path

import pytest
from cgroupkernel import Kernel

from benchyard.tasks.host import cgroups
from benchyard.tasks.host.fingerprint import HostPrint
from benchyard.tasks.host.grade import Grade, grade
from benchyard.tasks.host.guard import GuardReport
from benchyard.tasks.host.reserved import reserved_by
from benchyard.tasks.host.setup import Setup
from benchyard.tasks.host.shield import Shield, raise_shield
from benchyard.tasks.host.tuning import TuningReport


@pytest.fixture
def slices(tmp_path: Path) -> Path:
    """The root of a host whose worker is in a slice of its own, and all others have CPU 0."""
    kernel = Kernel(tmp_path / "root")
    (kernel.top / "cgroup.procs").write_text("")
    for name in ("system.slice", "init.scope", "user.slice", "benchyard.slice/worker.service"):
        (kernel.top / name).mkdir(parents=True, exist_ok=True)
    for name in ("system.slice", "init.scope"):
        (kernel.top / name / "cpuset.cpus").write_text("0\n")
        (kernel.top / name / "cgroup.events").write_text("populated 1\nfrozen 0\n")
    (kernel.top / "user.slice/cgroup.events").write_text("populated 0\nfrozen 0\n")
    (kernel.root / "proc/self/cgroup").write_text("0::/benchyard.slice/worker.service\n")
    return kernel.root


def test_slices_keep_others_off(slices: Path) -> None:
    """CPUs that no other inhabited group may use are reserved; one that another may use is not."""
    assert reserved_by((1,), slices) == "slice"
    assert reserved_by((0, 1), slices) is None


@pytest.mark.parametrize(
    ("file", "text"),
    [
        pytest.param("user.slice/cgroup.events", "populated 1\nfrozen 0\n", id="a group without a list"),
        pytest.param("init.scope/cpuset.cpus", "0-1\n", id="a group that may come there"),
        pytest.param("cgroup.procs", f"{os.getpid()}\n", id="a process in no group"),
    ],
)
def test_whoever_may_come_there_is_seen(slices: Path, file: str, text: str) -> None:
    """One that may use the measuring CPU is enough for it not to be reserved."""
    (slices / "sys/fs/cgroup" / file).write_text(text)
    assert reserved_by((1,), slices) is None


def test_groups_that_nothing_is_said_of(slices: Path) -> None:
    """Where no group has a list, nothing is kept off, however empty they are; nor is it in a group of systemd's own."""
    cgroup = slices / "proc/self/cgroup"
    cgroup.write_text("0::/system.slice/worker.service\n")
    (slices / "sys/fs/cgroup/benchyard.slice/cgroup.events").write_text("populated 0\nfrozen 0\n")
    assert reserved_by((1,), slices) is None
    cgroup.write_text("0::/benchyard.slice/worker.service\n")
    assert reserved_by((1,), slices) == "slice"
    for name in ("system.slice", "init.scope"):
        (slices / "sys/fs/cgroup" / name / "cpuset.cpus").write_text("\n")
        (slices / "sys/fs/cgroup" / name / "cgroup.events").write_text("populated 0\nfrozen 0\n")
    assert reserved_by((1,), slices) is None


def test_kernel_isolates(tmp_path: Path) -> None:
    """CPUs of `isolcpus=` are reserved, if all of the measuring ones are."""
    path = tmp_path / "sys/devices/system/cpu/isolated"
    path.parent.mkdir(parents=True)
    path.write_text("2-3\n")
    assert reserved_by((2, 3), tmp_path) == "kernel"
    assert reserved_by((1, 2), tmp_path) is None
    path.write_text("\n")
    assert reserved_by((2,), tmp_path) is None


@pytest.mark.parametrize(
    ("measuring", "detail"), [((3,), ""), ((2, 3), "nothing balances load between these CPUs")], ids=["one", "two"]
)
def test_several_cpus_that_the_kernel_isolates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, measuring: tuple[int, ...], detail: str
) -> None:
    """Threads stay on the one they were started on, which keeps a result from grade A; of one CPU it is right."""
    path = tmp_path / "sys/devices/system/cpu/isolated"
    path.parent.mkdir(parents=True)
    path.write_text("2-3\n")
    monkeypatch.setattr(
        "benchyard.tasks.host.shield._reachable", lambda cpus: cpus
    )  # whatever CPUs the host of this test has
    found = raise_shield("1.1", measuring=measuring, housekeeping=(0,), state_dir=tmp_path / "state", root=tmp_path)
    assert (found.kind, found.detail) == ("kernel", detail)
    host = HostPrint(cpu="x", cpus=4)
    graded = grade(Setup(found, "", 1, TuningReport(())), GuardReport(passed=True, waited_s=0.0), host)
    assert graded == (Grade("B", (f"isolation: {detail}",)) if detail else Grade("A"))


def test_a_shield_that_cannot_be_made_is_what_is_reserved(
    slices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no group may be made, the shield of reserved CPUs has their kind and no flaw; of others it is affinity."""
    measuring, housekeeping = sorted(os.sched_getaffinity(0))[-1:], (max(os.sched_getaffinity(0)) + 1,)
    for group in ("system.slice", "init.scope"):
        (slices / "sys/fs/cgroup" / group / "cpuset.cpus").write_text(f"{housekeeping[0]}\n")

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(cgroups, "make_group", refuse)

    def shielded(name: str) -> Shield:
        return raise_shield(
            name, measuring=tuple(measuring), housekeeping=housekeeping, state_dir=tmp_path, root=slices
        )

    shield = shielded("1.1")
    assert (shield.kind, shield.detail, shield.group) == ("slice", "", None)
    (slices / "sys/fs/cgroup/system.slice/cpuset.cpus").write_text(f"{measuring[0]}\n")
    shield = shielded("1.2")
    assert shield.kind == "affinity"
    assert "Permission denied" in shield.detail
