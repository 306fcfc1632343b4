"""Trees of files as /sys and /proc of hosts that we do not have, and ways to compare them."""

import re
from pathlib import Path
from typing import Any

from benchyard.tasks.host.tuning import RestoreReport, TuningReport, tune

CPU = "sys/devices/system/cpu"
BOOT_ID = "proc/sys/kernel/random/boot_id"
ASLR = "proc/sys/kernel/randomize_va_space"
RATE = "proc/sys/kernel/perf_event_max_sample_rate"
THP = "sys/kernel/mm/transparent_hugepage/enabled"
WATCHDOG = "proc/sys/kernel/nmi_watchdog"
IRQ = "proc/irq/{}/smp_affinity_list"
IRQ_DEFAULT = "proc/irq/default_smp_affinity"
GOVERNOR = f"{CPU}/cpufreq/policy{{}}/scaling_governor"

KERNEL = {
    BOOT_ID: "0f6b5a2e-2f0a-4b43-8e6e-0d2f3e5c9a11",
    ASLR: "1",
    RATE: "63000",
    WATCHDOG: "1",
    THP: "[always] madvise never",
    IRQ_DEFAULT: "f",
    IRQ.format(2): "0-3",
    IRQ.format(10): "3",
    IRQ.format(11): "0-1",
    f"{CPU}/online": "0-3",
}
"""Four CPUs, and what every Linux has."""


def _policies(governor: str, lowest: str, highest: str, boost: str | None = None) -> dict[str, str]:
    files: dict[str, str] = {}
    for policy in range(4):
        folder = f"{CPU}/cpufreq/policy{policy}"
        files |= {
            f"{folder}/scaling_governor": governor,
            f"{folder}/scaling_min_freq": lowest,
            f"{folder}/scaling_max_freq": highest,
        }
        if boost is not None:
            files[f"{folder}/boost"] = boost
    return files


def _threads(*cores: str) -> dict[str, str]:
    files: dict[str, str] = {}
    for core in cores:
        for cpu in core.split(","):
            files[f"{CPU}/cpu{cpu}/topology/thread_siblings_list"] = core
            if cpu != "0":
                files[f"{CPU}/cpu{cpu}/online"] = "1"
    return files


TREES = {
    "intel_pstate": KERNEL
    | _policies("powersave", "800000", "3800000")
    | _threads("0,2", "1,3")
    | {f"{CPU}/intel_pstate/no_turbo": "0", f"{CPU}/smt/control": "on"},
    "amd-pstate": KERNEL | _policies("powersave", "400000", "4500000", "1") | {f"{CPU}/cpufreq/boost": "1"},
    "acpi-cpufreq": KERNEL | _policies("ondemand", "1400000", "3400000") | {f"{CPU}/cpufreq/boost": "1"},
    "arm": KERNEL | _policies("schedutil", "600000", "1800000"),
    "guest": KERNEL,
}
"""By the driver of the clock."""


def make_tree(root: Path, files: dict[str, str]) -> Path:
    """Write the files below the root, which is returned."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return root


def snapshot(root: Path) -> dict[str, str]:
    """What every file holds; of a choice the chosen, as a mere file does not put it back into brackets."""
    found = {}
    for path in root.rglob("*"):
        if path.is_file():
            text = path.read_bytes().decode("latin-1").strip()
            chosen = re.search(r"\[(\w+)\]", text)
            found[path.relative_to(root).as_posix()] = chosen[1] if chosen else text
    return found


def read(root: Path, name: str) -> str:
    """What one file holds."""
    return (root / name).read_text().strip()


def statuses(report: TuningReport | RestoreReport) -> dict[str, str]:
    """The outcome of every knob."""
    return {knob.knob: str(knob.status) for knob in report.knobs}


def tune_tree(state: Path, root: Path, **options: Any) -> TuningReport:
    """Tune a tree for measuring on its last CPU."""
    cpus: dict[str, Any] = {"measuring": (3,), "housekeeping": (0, 1, 2)}
    return tune(state, root=root, **cpus | options)
