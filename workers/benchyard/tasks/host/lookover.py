"""A host looked over: whether it is fit to measure now, how its knobs are set, what it is, and what is installed."""

import os
import platform
import shutil
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from benchyard.tasks.cpus import format_cpu_list
from benchyard.tasks.host.checks import CHECKS
from benchyard.tasks.host.fingerprint import HostPrint, read_host
from benchyard.tasks.host.guard import GuardReport, look, wait_until_fit
from benchyard.tasks.host.knobreport import KnobReport
from benchyard.tasks.host.reserved import reserved_by
from benchyard.tasks.host.topology import Split
from benchyard.tasks.host.tuning import look_at_knobs

#: The distributions whose versions are told.
DISTRIBUTIONS = ("benchyard", "pyperf", "pyperformance", "buildbot-worker")


class LookOver(msgspec.Struct, frozen=True, kw_only=True):
    """What a check of a host has found; `cpus` measure, `disk_free` are bytes, and `checks` are those of the guard.

    A knob's `before` is what it holds, its `after` what it is set to for a measurement. `host` is the host's part of
    the fingerprint as it is while nothing is measured: its isolation is what the system keeps up for good.
    """

    made: float
    cpus: str
    checks: tuple[str, ...]
    guard: GuardReport
    knobs: tuple[KnobReport, ...]
    host: HostPrint
    versions: dict[str, str]
    disk_free: int | None = None


def look_over(
    split: Split,
    *,
    state: Path | None = None,
    wait_s: float = 0.0,
    root: Path = Path("/"),
    say: Callable[[str], None] = lambda line: None,
) -> LookOver:
    """Look a host over, waiting at most so long for it to be quiet; nothing of it is changed."""
    guard = wait_until_fit(
        lambda: look(split.measuring, root=root, state_dir=state, own_pids=[os.getpid()]),
        policy="strict",
        wait_s=wait_s,
        say=say,
    )
    return LookOver(
        made=time.time(),
        cpus=format_cpu_list(split.measuring),
        checks=tuple(CHECKS),
        guard=guard,
        knobs=look_at_knobs(measuring=split.measuring, housekeeping=split.housekeeping, root=root),
        host=_host(split.measuring, root),
        versions=versions(),
        disk_free=shutil.disk_usage(state).free if state is not None and state.exists() else None,
    )


def _host(measuring: Sequence[int], root: Path) -> HostPrint:
    found = read_host(measuring, isolation="", root=root).machine
    return msgspec.structs.replace(found, isolation=reserved_by(measuring, root) or "")


def versions() -> dict[str, str]:
    """The versions of Python, of the kernel, and of what measures, as far as it is installed here."""
    found = {"python": platform.python_version(), "kernel": platform.release()}
    for name in DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
