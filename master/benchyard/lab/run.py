"""Starts a lab with all its programs, keeps it running, and stops it with all it started."""

import contextlib
import os
import shlex
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchyard import daemon
from benchyard.config.settings import Settings, SettingsError, load_settings
from benchyard.daemon.workerdir import twistd_program
from benchyard.lab.errors import LabError
from benchyard.lab.health import Health, look
from benchyard.lab.init import upgrade_master
from benchyard.lab.paths import LabPaths
from benchyard.lab.ports import is_free
from benchyard.tasks import runner
from benchyard.tasks.cpus import available_cpus, format_cpu_list, parse_cpu_list
from benchyard.tasks.host.setup import mend_host

Say = Callable[[str], None]

#: Seconds within which a lab is up, and within which it is down.
START_S, STOP_S = 90.0, 120.0


def prepare(root: Path, say: Say) -> tuple[LabPaths, Settings]:
    """The lab in `root`, fit to be started; LabError says what stands in the way."""
    paths = LabPaths(root.absolute())
    try:
        settings = load_settings(paths.root)
    except SettingsError as exc:
        raise LabError(str(exc)) from exc
    pid = daemon.running(paths.lock)
    if pid is not None:
        raise LabError(f"the lab in {root} is running already (process {pid}) at {settings.lab.url}")
    daemon.clear_leftovers(paths.lock, say)
    for key in ("http_port", "worker_port"):
        port = getattr(settings.lab, key)
        if not is_free(settings.lab.listen, port):
            raise LabError(
                f"port {port} on {settings.lab.listen} is in use by another program; stop that, or change {key} in "
                f"{paths.root / 'benchyard.toml'}"
            )
    upgrade_master(paths)
    return paths, settings


def run(root: Path, say: Say) -> None:
    """Keep the lab running until it is told to stop; then stop its programs, and its runs unless they are kept."""
    paths, settings = prepare(root, say)
    _mend(paths, say)
    keep_off_measuring_cpus(settings, say)
    programs = [twistd_program("master", paths.master, paths.program_log("master"))]
    programs += [
        twistd_program(folder.name, folder, paths.program_log(folder.name)) for folder in _worker_folders(paths)
    ]
    threading.Thread(target=_tell_when_healthy, args=(paths, settings, say), daemon=True).start()
    try:
        daemon.supervise(programs, lock=paths.lock, say=say)
    except daemon.AlreadyRunning as exc:
        raise LabError(f"the lab in {root} is running already: {exc}") from exc
    if paths.keep_runs.exists():
        paths.keep_runs.unlink()
    else:
        stop_runs(paths, say)


def _tell_when_healthy(paths: LabPaths, settings: Settings, say: Say) -> None:
    health = wait_until_up(paths, settings)
    if _is_up(health, paths):
        say(f"the lab is up at {settings.lab.url} (Ctrl-C, or `benchyard lab down {shlex.quote(str(paths.root))}`)")
    elif health.pid is not None:
        say(f"the lab is not well: {health.trouble()}; see {paths.master}/twistd.log")


def run_detached(root: Path, say: Say) -> Health:
    """Start the lab in the background and wait until it works; LabError, with nothing left running, if it does not.

    It works with its own programs; a host elsewhere may be switched off for weeks.
    """
    paths, settings = prepare(root, say)
    daemon.spawn_detached(
        [sys.executable, "-m", "benchyard.cli", "lab", "up", str(paths.root)],
        log=paths.log,
        cwd=paths.root,
        env=dict(os.environ),
    )
    health = wait_until_up(paths, settings)
    if not health.answered or health.missing(_own_hosts(paths)):
        stop(root, say)
        raise LabError(f"the lab did not come up: {health.trouble()}; see {paths.log} and {paths.master}/twistd.log")
    return health


def wait_until_up(paths: LabPaths, settings: Settings) -> Health:
    """The lab's health as soon as it can be used, or as it is when it has ended or the time is up."""
    deadline, seen_running = time.monotonic() + START_S, False
    while True:
        health = look(paths, settings)
        seen_running = seen_running or health.pid is not None
        if _is_up(health, paths) or time.monotonic() > deadline or (seen_running and health.pid is None):
            return health
        time.sleep(0.2)


def stop(root: Path, say: Say, *, keep_runs: bool = False) -> bool:
    """Stop the lab with all it started, and tell whether it ran. With `keep_runs` measurements go on by themselves.

    LabError if it has not stopped in time.
    """
    paths = LabPaths(root.absolute())
    if not paths.root.is_dir():
        raise LabError(f"there is no lab in {root}")
    ran = daemon.running(paths.lock) is not None
    if keep_runs and ran:
        paths.keep_runs.touch()
    else:
        paths.keep_runs.unlink(missing_ok=True)
    if not daemon.stop(paths.lock, STOP_S):
        raise LabError(f"the lab in {root} has not stopped within {STOP_S:.0f} s; see {paths.log}")
    if not keep_runs:
        stop_runs(paths, say)
    return ran


def stop_runs(paths: LabPaths, say: Say) -> None:
    """Stop what this host measures for the lab; the jobs are measured anew when the lab is up again."""
    for name in runner.active_runs(paths.state):
        say(f"run {name}: stopping; its job goes on with a new attempt when the lab is up again")
        runner.stop(name, state=paths.state, outcome="interrupted")
    _mend(paths, say)


def _mend(paths: LabPaths, say: Say) -> None:
    """Put this host back as it was where a killed run has left it set up."""
    for problem in mend_host(paths.state):
        say(problem)


def keep_off_measuring_cpus(settings: Settings, say: Say) -> None:
    """Leave the CPUs of this machine's isolated hosts to measurements: this process and all it starts go elsewhere."""
    measuring = {
        cpu
        for host in settings.hosts.values()
        if host.role == "isolated" and host.is_local
        for cpu in parse_cpu_list(host.cpus or "0")
        if host.cpus
    }
    rest = sorted(set(available_cpus()) - measuring)
    if not measuring:
        return
    if not rest:
        say("this machine has one CPU for all: measurements share it with the lab and will be noisy")
        return
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setaffinity(0, rest)
    say(f"measuring on CPU {format_cpu_list(sorted(measuring))}, everything else on CPU {format_cpu_list(rest)}")


def _is_up(health: Health, paths: LabPaths) -> bool:
    """Whether the lab is seen to work: its master answers, and the hosts whose workers it starts are connected."""
    return health.answered and (health.all_connected or bool(health.hosts)) and not health.missing(_own_hosts(paths))


def _own_hosts(paths: LabPaths) -> list[str]:
    """The hosts whose workers are programs of the lab."""
    return [folder.name for folder in _worker_folders(paths)]


def _worker_folders(paths: LabPaths) -> Sequence[Path]:
    return sorted(path.parent for path in paths.workers.glob("*/worker.toml"))
