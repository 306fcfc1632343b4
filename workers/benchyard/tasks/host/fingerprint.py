"""What identifies the conditions of a measurement: results of different fingerprints do not compare as they stand.

The host's part is the same for all that is measured on it between two changes of the machine: that stretch of its
history is an epoch. The rest belongs to the interpreter and the suite.
"""

import hashlib
import os
import platform
import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from benchyard.tasks.cpus import online_cpus
from benchyard.tasks.host.readings import ROOT, read_text

_CPU = "sys/devices/system/cpu"
_VULNERABILITIES = f"{_CPU}/vulnerabilities"
# What names a CPU, by architecture: x86, POWER; ARM has numbers for maker and part; and a board's own name.
_MODEL_KEYS = ("model name", "cpu")
_ARM_KEYS = ("CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision")
# What the switches of boost hold when it is on.
_BOOST = {"no_turbo": "0", "boost": "1"}


class HostPrint(msgspec.Struct, frozen=True, kw_only=True):
    """The host's part; "" where the host does not say. `isolation` is how the measuring CPUs were kept free of others.

    `mitigations` has what the kernel does about each weakness of the CPU that this one has.
    """

    cpu: str
    cpus: int
    microcode: str = ""
    kernel: str = ""
    mitigations: dict[str, str] = {}
    governor: str = ""
    boost: str = ""
    smt: str = ""
    isolation: str = ""
    measuring: int = 0
    virtual: bool = False

    @property
    def id(self) -> str:
        """The SHA-256 of it."""
        return _hash(self)

    @property
    def machine(self) -> "HostPrint":
        """What an epoch of the host's history is told by: all but what belongs to a single run.

        A shield that could not be raised once, or a job with measuring CPUs of its own, is in that result's own
        fingerprint and grade; it would open an epoch for one run, and the next run another.
        """
        return msgspec.structs.replace(self, isolation="", measuring=0)


class Fingerprint(msgspec.Struct, frozen=True, kw_only=True):
    """The host's part, and the C library and compiler of the interpreter, and the suite's label."""

    host: HostPrint
    libc: str = ""
    compiler: str = ""
    suite: str = ""

    @property
    def id(self) -> str:
        """The SHA-256 of all of it."""
        return _hash(self)


def read_host(measuring: Iterable[int], *, isolation: str, root: Path = ROOT) -> HostPrint:
    """Read the host's part as it is now, so while it is tuned and its measuring CPUs are shielded."""
    cpuinfo = _cpuinfo(root)
    measuring = tuple(measuring)
    return HostPrint(
        cpu=_model(cpuinfo, root),
        cpus=len(online_cpus(root / _CPU / "online")),
        microcode=cpuinfo.get("microcode", ""),
        kernel=_kernel(root),
        mitigations=_mitigations(root),
        governor=_values(root, (f"{_CPU}/cpu{cpu}/cpufreq/scaling_governor" for cpu in measuring)),
        boost=_boost(root, measuring),
        smt=read_text(root / _CPU / "smt/control") or "",
        isolation=isolation,
        measuring=len(measuring),
        virtual="hypervisor" in cpuinfo.get("flags", "").split() or (root / "sys/hypervisor/type").exists(),
    )


def _cpuinfo(root: Path) -> dict[str, str]:
    """The fields of the first CPU, and those of the machine behind the last."""
    text = read_text(root / "proc/cpuinfo") or ""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            fields.setdefault(key.strip(), value.strip())
    return fields


def _model(cpuinfo: dict[str, str], root: Path) -> str:
    for key in _MODEL_KEYS:
        if cpuinfo.get(key):
            return re.sub(r"\s+", " ", cpuinfo[key])
    numbers = [cpuinfo[key] for key in _ARM_KEYS if cpuinfo.get(key)]
    board = read_text(root / "proc/device-tree/model") or cpuinfo.get("Hardware", "")
    named = " ".join([*(["ARM"] if numbers else []), *numbers])
    return f"{named} ({board.strip(chr(0))})" if board and named else named or board.strip("\0") or platform.machine()


def _kernel(root: Path) -> str:
    found = read_text(root / "proc/sys/kernel/osrelease")
    version = read_text(root / "proc/sys/kernel/version")
    return " ".join(part for part in (found or os.uname().release, version) if part)


def _mitigations(root: Path) -> dict[str, str]:
    folder = root / _VULNERABILITIES
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError:
        return {}
    found = {name: read_text(folder / name) or "" for name in names}
    return {name: text for name, text in found.items() if text and text != "Not affected"}


def _boost(root: Path, measuring: Iterable[int]) -> str:
    """By the first switches that are there, as the knob is set: see `knobs`."""
    switches = (
        (f"{_CPU}/intel_pstate/no_turbo",),
        tuple(f"{_CPU}/cpu{cpu}/cpufreq/boost" for cpu in measuring),
        (f"{_CPU}/cpufreq/boost",),
    )
    for names in switches:
        found = ((_BOOST[Path(name).name], read_text(root / name)) for name in names)
        said = {"on" if text == on else "off" for on, text in found if text}
        if said:
            return ",".join(sorted(said))
    return ""


def _values(root: Path, names: Iterable[str]) -> str:
    """What files hold: each value once."""
    found = (read_text(root / name) for name in names)
    return ",".join(sorted({text for text in found if text}))


def _hash(value: msgspec.Struct) -> str:
    return hashlib.sha256(msgspec.json.encode(msgspec.to_builtins(value), order="sorted")).hexdigest()
