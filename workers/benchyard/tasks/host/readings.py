"""Reading a host below a root directory: what its sensors, counters and markers say right now.

Every reading is optional. A file that is missing, that may not be read, or that holds garbage gives None (or
is left out of a table), never an error: kernels, vendors, containers and virtual machines all leave out other
parts. Nothing here decides anything; `guard` and `watch` do.

The CPU time of processes is read by `processtimes`, the kernel's messages by `kernellog`.
"""

import os
import re
import shutil
from pathlib import Path
from typing import NamedTuple

from benchyard.tasks.cpus import parse_cpu_list
from benchyard.tasks.errors import CpuListError

ROOT = Path("/")
# A sensor that says less or more than this (°C) is broken or absent: many boards report -128 or 255.
COLDEST_C, HOTTEST_C = -40.0, 150.0
# What the names of the marks begin with that a playbook leaves on a host until its end.
UNFINISHED = "var/lib/benchyard-unfinished-"
# Files under /sys are at most a page long, and those of /proc that we read are short; a counter of interrupts on a
# machine with hundreds of CPUs is the longest.
_MOST_BYTES = 4 << 20
_NUMBER = re.compile(r"-?[0-9]{1,19}", re.ASCII)
# Sensors of hwmon and of thermal zones that are the CPU's: of Intel, AMD, and boards with one for all of the chip.
_CPU_SENSORS = ("coretemp/", "k10temp/", "zenpower/", "k8temp/", "cpu", "soc", "thermal/x86_pkg_temp", "thermal/cpu")
# Sessions in which somebody sits at the machine; cron jobs and user managers are none.
_SEATED = {"tty", "x11", "wayland", "mir"}


class CpuTimes(NamedTuple):
    """What one CPU did since the host was started, in seconds.

    `busy` is user + nice + system, which includes virtual machines' time; `irq` is irq + softirq; `steal` is what the
    hypervisor gave to others.
    """

    busy: float
    irq: float
    steal: float


class Sensor(NamedTuple):
    """A temperature: "coretemp/Package id 0" or "thermal/x86_pkg_temp", in °C."""

    name: str
    celsius: float


class Login(NamedTuple):
    """Somebody who is logged in; `where` is a terminal or the address they come from."""

    name: str
    where: str


def read_text(path: Path) -> str | None:
    """Return a small file's text without blanks around it; None if it cannot be read or is no text."""
    try:
        # Not blocking: what stands there might be a pipe, and nobody writes to it.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            data = file.read(_MOST_BYTES)
        return None if data is None else data.decode().strip()
    except (OSError, ValueError):
        return None


def read_int(path: Path) -> int | None:
    """Return the number a file holds; None for anything else."""
    text = read_text(path)
    return int(text) if text is not None and _NUMBER.fullmatch(text) else None


def cpu_times(root: Path = ROOT) -> dict[int, CpuTimes] | None:
    """Return what each CPU has done since the start, from /proc/stat; None where that cannot be had."""
    text = read_text(root / "proc/stat")
    second = os.sysconf("SC_CLK_TCK")
    times = {}
    for line in (text or "").splitlines():
        if not line.startswith("cpu"):
            break  # the CPUs come first; the line of interrupts after them may be very long
        name, *fields = line.split()
        number = name.removeprefix("cpu")
        if _NUMBER.fullmatch(number) and len(fields) >= 8 and all(map(_NUMBER.fullmatch, fields)):
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
            times[int(number)] = CpuTimes((user + nice + system) / second, (irq + softirq) / second, steal / second)
    return times or None


def temperatures(root: Path = ROOT) -> tuple[Sensor, ...]:
    """Return what every temperature sensor of hwmon and of the thermal zones says, by name; broken ones left out."""
    found: dict[str, float] = {}
    for file in _glob(root, "sys/class/hwmon/hwmon*/temp*_input"):
        number = file.name.removesuffix("_input")
        chip = read_text(file.parent / "name") or file.parent.name
        label = read_text(file.parent / f"{number}_label") or number
        _add(found, f"{chip}/{label}", file)
    for file in _glob(root, "sys/class/thermal/thermal_zone*/temp"):
        _add(found, f"thermal/{read_text(file.parent / 'type') or file.parent.name}", file)
    return tuple(Sensor(name, celsius) for name, celsius in found.items())


def cpu_sensors(sensors: tuple[Sensor, ...]) -> tuple[Sensor, ...]:
    """Leave the CPU's sensors, all where none is known to be: a disk that is warm is no reason not to measure."""
    return tuple(sensor for sensor in sensors if sensor.name.startswith(_CPU_SENSORS)) or sensors


def _add(found: dict[str, float], name: str, file: Path) -> None:
    thousandths = read_int(file)
    if thousandths is not None and COLDEST_C <= thousandths / 1000 <= HOTTEST_C:
        # Two sockets have chips and labels of one name: their order in /sys tells them apart.
        copies = sum(other == name or other.startswith(f"{name} #") for other in found)
        found[f"{name} #{copies + 1}" if copies else name] = thousandths / 1000


def throttle_counts(root: Path = ROOT) -> dict[tuple[int, str], int] | None:
    """Return how often each CPU was slowed down for its heat, by (CPU, counter); None where nobody counts."""
    counts = {}
    for file in _glob(root, "sys/devices/system/cpu/cpu*/thermal_throttle/*_count"):
        cpu, count = _cpu_number(file.parent.parent), read_int(file)
        if cpu is not None and count is not None and count >= 0:
            counts[cpu, file.name.removesuffix("_count")] = count
    return counts or None


def frequency_mhz(cpu: int, root: Path = ROOT) -> float | None:
    """Return a CPU's clock frequency as cpufreq sees it."""
    kilohertz = read_int(root / f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq")
    return kilohertz / 1000 if kilohertz is not None and kilohertz > 0 else None


def sibling_cpus(cpu: int, root: Path = ROOT) -> tuple[int, ...]:
    """Return the other CPUs that share a core with this one (SMT); none where that is not known."""
    text = read_text(root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    try:
        return tuple(other for other in parse_cpu_list(text or "") if other != cpu)
    except CpuListError:
        return ()


def clock_source(root: Path = ROOT) -> str | None:
    """Return what the kernel tells the time by: "tsc", "kvm-clock", "hpet"."""
    text = read_text(root / "sys/devices/system/clocksource/clocksource0/current_clocksource")
    return text if text and len(text) <= 64 and text.isprintable() else None


def free_memory(root: Path = ROOT) -> int | None:
    """Return the bytes that programs can still have, page cache included (MemAvailable)."""
    for line in (read_text(root / "proc/meminfo") or "").splitlines():
        match line.split():
            case ["MemAvailable:", number, "kB"] if _NUMBER.fullmatch(number):
                return max(0, int(number)) * 1024
    return None


def free_disk(folder: Path) -> int | None:
    """Return the bytes free to us on the file system of a folder, or of the nearest one above that exists."""
    for path in (folder, *folder.parents):
        try:
            return shutil.disk_usage(path).free
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None


def pending_reboot(root: Path = ROOT, release: str | None = None) -> str | None:
    """Return why this host waits for a restart, None if it does not.

    The mark is that of Debian and Ubuntu. Everywhere, a package manager that has taken away the modules of the running
    kernel (`release`, by default what uname says) says the same; a host without any modules says nothing.
    """
    if _exists(root / "run/reboot-required"):
        packages = (read_text(root / "run/reboot-required.pkgs") or "").split()
        return f"updates of {', '.join(dict.fromkeys(packages))}" if packages else "an update asks for it"
    release = release or os.uname().release
    for folder in (root / "lib/modules", root / "usr/lib/modules"):
        kernels = {path.name for path in _glob(folder, "*")}
        if kernels:
            return None if release in kernels else f"the running kernel {release} is no longer installed"
    return None


def unfinished_playbooks(root: Path = ROOT) -> list[tuple[str, str]]:
    """Return the playbooks that began to change this host and have not come to their end, each with who began it.

    The mark is that of our roles: see ansible/roles/common/tasks/hold.yml.
    """
    marks = _glob(root, f"{UNFINISHED}*")
    texts = {file.name.removeprefix(Path(UNFINISHED).name): read_text(file) or "" for file in marks}
    return [(playbook, text.rpartition("/")[0] or "somebody") for playbook, text in texts.items()]


def logins(root: Path = ROOT) -> tuple[Login, ...]:
    """Return who is logged in, from the sessions of systemd and, on the real root, from utmp; each terminal once."""
    found: dict[str, Login] = {}
    for file in _glob(root, "run/systemd/sessions/*"):
        lines = (read_text(file) or "").splitlines()
        session = dict(line.split("=", 1) for line in lines if "=" in line)
        seated = session.get("CLASS") == "user" and session.get("TYPE") in _SEATED
        if seated and session.get("STATE") != "closing":
            where = session.get("TTY") or session.get("REMOTE_HOST") or f"session {file.name}"
            found[where] = Login(session.get("USER") or f"uid {session.get('UID', '?')}", where)
    if root == ROOT:
        for login in _utmp():
            found.setdefault(login.where, login)
    return tuple(found.values())


def _utmp() -> list[Login]:
    import psutil  # here: watching and reading need none of it

    try:
        return [Login(user.name, user.terminal or user.host or "?") for user in psutil.users()]
    except (OSError, ValueError, psutil.Error):
        return []


def _glob(folder: Path, pattern: str) -> list[Path]:
    """Return the paths that match, in order of their numbers (cpu2 before cpu10); [] where none can be listed."""
    try:
        return sorted(folder.glob(pattern), key=_natural)
    except OSError:
        return []


def _natural(path: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]{1,19})", str(path))]


def _cpu_number(folder: Path) -> int | None:
    number = folder.name.removeprefix("cpu")
    return int(number) if _NUMBER.fullmatch(number) else None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False
