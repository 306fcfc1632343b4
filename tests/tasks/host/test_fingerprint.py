"""What identifies the conditions of a measurement, on this host and on trees of others."""

import platform
from pathlib import Path

import msgspec
import pytest

from benchyard.tasks.host.fingerprint import Fingerprint, HostPrint, read_host

X86 = """\
processor\t: 0
model name\t: AMD  EPYC 7B13
microcode\t: 0xa0011d5
flags\t\t: fpu vme{flags}

processor\t: 1
model name\t: AMD  EPYC 7B13
microcode\t: 0xa0011d5
"""
ARM = """\
processor\t: 0
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x3
CPU part\t: 0xd0c
CPU revision\t: 1
"""


def write(root: Path, name: str, content: str | bytes) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def test_a_tuned_server(tmp_path: Path) -> None:
    """CPU, microcode, kernel, mitigations, governor, boost and SMT are read; what the CPU has not is left out."""
    write(tmp_path, "proc/cpuinfo", X86.format(flags=""))
    write(tmp_path, "proc/sys/kernel/osrelease", "6.1.0-18-amd64\n")
    write(tmp_path, "proc/sys/kernel/version", "#1 SMP Debian 6.1.76-1\n")
    write(tmp_path, "sys/devices/system/cpu/online", "0-1\n")
    write(tmp_path, "sys/devices/system/cpu/vulnerabilities/retbleed", "Mitigation: untrained return thunk\n")
    write(tmp_path, "sys/devices/system/cpu/vulnerabilities/meltdown", "Not affected\n")
    write(tmp_path, "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "performance\n")
    write(tmp_path, "sys/devices/system/cpu/cpufreq/boost", "0\n")
    write(tmp_path, "sys/devices/system/cpu/smt/control", "on\n")
    assert read_host((1,), isolation="partition", root=tmp_path) == HostPrint(
        cpu="AMD EPYC 7B13",
        cpus=2,
        microcode="0xa0011d5",
        kernel="6.1.0-18-amd64 #1 SMP Debian 6.1.76-1",
        mitigations={"retbleed": "Mitigation: untrained return thunk"},
        governor="performance",
        boost="off",
        smt="on",
        isolation="partition",
        measuring=1,
        virtual=False,
    )


def test_a_board(tmp_path: Path) -> None:
    """ARM names its CPUs by numbers, and the board by a name that ends with a NUL."""
    write(tmp_path, "proc/cpuinfo", ARM)
    write(tmp_path, "proc/device-tree/model", b"Raspberry Pi 5\0")
    found = read_host((1,), isolation="affinity", root=tmp_path)
    assert found.cpu == "ARM 0x41 8 0x3 0xd0c 1 (Raspberry Pi 5)"


def test_intel_boost_says_the_opposite(tmp_path: Path) -> None:
    """`no_turbo` is 1 where boost is off."""
    write(tmp_path, "proc/cpuinfo", X86.format(flags=" hypervisor"))
    write(tmp_path, "sys/devices/system/cpu/intel_pstate/no_turbo", "1\n")
    found = read_host((0,), isolation="", root=tmp_path)
    assert (found.boost, found.virtual) == ("off", True)


def test_boost_of_each_policy(tmp_path: Path) -> None:
    """Where each policy has a switch, that of the measuring CPUs counts: the one for all stays as it was."""
    write(tmp_path, "sys/devices/system/cpu/cpufreq/boost", "1\n")
    for policy, boost in enumerate("100"):
        write(tmp_path, f"sys/devices/system/cpu/cpufreq/policy{policy}/boost", f"{boost}\n")
        cpu = tmp_path / f"sys/devices/system/cpu/cpu{policy}"
        cpu.mkdir()
        (cpu / "cpufreq").symlink_to(f"../cpufreq/policy{policy}")
    boosts = {cpus: read_host(cpus, isolation="", root=tmp_path).boost for cpus in ((0,), (1, 2), (0, 1), ())}
    assert boosts == {(0,): "on", (1, 2): "off", (0, 1): "off,on", (): "on"}


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"\0" * 100, b":::\n:", b"x" * 100_000])
def test_garbage(tmp_path: Path, content: bytes) -> None:
    """Garbage is as good as nothing."""
    for name in ("proc/cpuinfo", "proc/sys/kernel/osrelease", "sys/devices/system/cpu/vulnerabilities/x"):
        write(tmp_path, name, content)
    assert read_host((0,), isolation="", root=tmp_path).cpu


def test_this_host() -> None:
    """The real one has a kernel and a CPU, and reads the same twice."""
    found = read_host((0,), isolation="cpuset")
    assert found == read_host((0,), isolation="cpuset")
    assert platform.release() in found.kernel
    assert found.cpu


def test_ids_tell_apart() -> None:
    """A change of the kernel changes both ids, another compiler that of the whole alone."""
    old, new = (HostPrint(cpu="x", cpus=1, kernel=kernel) for kernel in ("1", "2"))
    assert old.id != new.id
    gcc, clang = (Fingerprint(host=old, compiler=compiler) for compiler in ("GCC", "clang"))
    assert gcc.id != clang.id
    assert msgspec.json.decode(msgspec.json.encode(gcc), type=Fingerprint).id == gcc.id
