"""The lab's settings: `benchyard.toml` and `hosts.d/NAME.toml` as frozen structs.

A lab starts with settings that are right, or not at all: every fault is one line with the file, key and remedy.
"""

import re
import socket
from collections.abc import Mapping
from pathlib import Path

import msgspec

from benchyard.config.names import target_of_local_worker
from benchyard.config.publishing import check_destination, complete
from benchyard.config.reading import SettingsError, decode, nearest
from benchyard.config.rules import (
    ADDRESSES,
    FORKS,
    check_build,
    check_calibration,
    check_cpu_list,
    check_name,
    check_notifier,
    check_poller,
    check_remote,
    check_schedule,
    check_suite,
    check_suite_name,
    check_target,
)
from benchyard.config.tables import (
    Calibration,
    File,
    Host,
    Lab,
    Measured,
    Poller,
    Remote,
    Retention,
    Schedule,
    Suite,
    Target,
)
from benchyard.hosting.registration import HOSTS_DIR, SECRETS_DIR, is_reserved
from benchyard.publish.notices.settings import AnyNotifier
from benchyard.publish.settings import DestinationSettings

SETTINGS_FILE = "benchyard.toml"

#: Of a lab's folder: where it keeps values for playbooks.
PLAYBOOKS_DIR = "ansible"

#: Of a lab's folder: what the lab's machine knows as a host, its lock above all.
STATE_DIR = "state"


class Settings(msgspec.Struct, frozen=True):
    """All that a master needs to know of its lab; `directory` is the lab's own, `path` the file that says it."""

    directory: Path
    path: Path
    lab: Lab
    targets: dict[str, Target]
    schedules: dict[str, Schedule]
    hosts: dict[str, Host]
    remotes: dict[str, Remote] = {}
    pollers: dict[str, Poller] = {}
    suites: dict[str, Suite] = {}
    publish: dict[str, DestinationSettings] = {}
    notify: dict[str, AnyNotifier] = {}
    retention: Retention = Retention()

    @property
    def suites_dir(self) -> Path:
        """Where the lab keeps the suites of benchmarks that the settings name."""
        return self.directory / "suites"

    @property
    def history(self) -> Path:
        """The repository in which names of branches, tags and commits are looked up."""
        return self.directory / "history.git"

    @property
    def archives_dir(self) -> Path:
        """Where the lab keeps the interpreters that it has built, and the wheels for them."""
        return self.directory / "archives"

    @property
    def results_dir(self) -> Path:
        return self.directory / self.lab.results

    @property
    def incoming_dir(self) -> Path:
        """Where measuring hosts deliver what their runs left, one folder for each run."""
        return self.directory / "incoming"

    @property
    def publish_dir(self) -> Path:
        """Where destinations keep what they need between two uploads, a folder for each."""
        return self.directory / "publish"

    @property
    def playbooks(self) -> Path | None:
        """The folder with the lab's own playbooks; None where those that come with benchyard are meant."""
        return self.directory / self.lab.ansible if self.lab.ansible else None

    @property
    def playbook_variables(self) -> Path:
        """Where the lab keeps `group_vars` and `host_vars` for playbooks, if it has any."""
        return self.directory / PLAYBOOKS_DIR

    @property
    def state_dir(self) -> Path:
        """What the lab's machine knows as a host: the workers that `lab init` makes there share it."""
        return self.directory / STATE_DIR

    @property
    def secrets_dir(self) -> Path:
        return self.directory / SECRETS_DIR

    def isolated(self, target: str) -> dict[str, Host]:
        return self._hosts(target, "isolated")

    def of_target(self, target: str) -> dict[str, Host]:
        return {name: host for name, host in self.hosts.items() if host.target == target}

    def workers(self, target: str) -> dict[str, Host]:
        return self._hosts(target, "worker")

    def _hosts(self, target: str, role: str) -> dict[str, Host]:
        return {n: h for n, h in self.hosts.items() if h.target == target and h.role == role}


def load_settings(directory: Path, path: Path | None = None) -> Settings:
    """The settings of the lab in `directory`, from its own file or from another; SettingsError at the first fault."""
    path = path or directory / SETTINGS_FILE
    if not path.is_file():
        raise SettingsError(f"{path}: not found; make a lab with `benchyard lab init {directory}`")
    file = decode(path, File)
    if not file.targets:
        raise SettingsError(f"{path}: no targets; add a table such as [targets.linux-x86_64]")
    for name in file.targets:
        check_target(path, name, file.targets)
    hosts = _load_hosts(directory / HOSTS_DIR, file.targets)
    for name, schedule in file.schedules.items():
        check_schedule(path, name, schedule, file)
    for name, target in file.targets.items():
        check_build(path, name, target)
        check_suite_name(f"{path}: [targets.{name}]", target.suite, file)
        if target.calibration is not None:
            check_calibration(f"{path}: [targets.{name}] calibration", name, target.calibration, file)
    for name, suite in file.suites.items():
        check_suite(path, name, suite)
    for name, remote in file.remotes.items():
        check_remote(path, name, remote)
    for name, poller in file.pollers.items():
        check_poller(path, name, poller, file)
    for name, destination in file.publish.items():
        check_destination(path, name, destination, file)
    for name, notifier in file.notify.items():
        check_notifier(path, name, notifier, file)
    lab = file.lab
    _check_certificate(path, lab, directory)
    if lab.http_port == lab.worker_port:
        raise SettingsError(f"{path}: [lab] worker_port = {lab.worker_port}: is http_port as well; choose another")
    if not lab.url:
        lab = msgspec.structs.replace(lab, url=f"http://{_reachable(lab.listen)}:{lab.http_port}/")
    elif not re.fullmatch(r"https?://[^\s]+/", lab.url):
        raise SettingsError(f"{path}: [lab] url = {lab.url!r}: must be http(s)://.../ with a slash at its end")
    if lab.try_port in (lab.http_port, lab.worker_port):
        raise SettingsError(f"{path}: [lab] try_port = {lab.try_port}: is another port as well; choose another")
    return Settings(
        directory=directory,
        path=path,
        lab=lab,
        targets=file.targets,
        schedules=file.schedules,
        hosts=hosts,
        remotes=file.remotes,
        pollers=file.pollers,
        suites=file.suites,
        publish={name: complete(destination, file) for name, destination in file.publish.items()},
        notify=file.notify,
        retention=file.retention,
    )


def _check_certificate(path: Path, lab: Lab, directory: Path) -> None:
    if bool(lab.worker_certificate) != bool(lab.worker_key):
        raise SettingsError(f"{path}: [lab]: worker_certificate and worker_key go together: name both or none")
    for key in ("worker_certificate", "worker_key"):
        name = getattr(lab, key)
        if name and not (directory / name).is_file():
            raise SettingsError(f"{path}: [lab] {key} = {name!r}: no such file; put one there, or leave it out")


def _reachable(listen: str) -> str:
    """The name by which others reach an address that the lab listens on."""
    if listen in ("0.0.0.0", "::"):  # noqa: S104 (compared with, not bound to)
        return socket.getfqdn()
    return f"[{listen}]" if ":" in listen else listen


def _load_hosts(folder: Path, targets: Mapping[str, Target]) -> dict[str, Host]:
    hosts: dict[str, Host] = {}
    for path in sorted(folder.glob("*.toml")):
        host = decode(path, Host)
        name = host.name or path.stem
        if name != path.stem:
            raise SettingsError(f"{path}: name = {name!r}: must be {path.stem!r}, as the file is called")
        check_name(path, "the file's name", name)
        if target_of_local_worker(name) in targets or is_reserved(name):
            raise SettingsError(f"{path}: {name!r} is a name that the lab needs for itself; give the host another")
        if host.target not in targets:
            raise SettingsError(
                f"{path}: target = {host.target!r}: no such target{nearest(host.target, targets)}; "
                f"{SETTINGS_FILE} has {', '.join(sorted(targets))}"
            )
        check_cpu_list(path, host.cpus)
        twin = next((n for n in hosts if n.lower() == name.lower()), None)
        if twin is not None:
            raise SettingsError(f"{path}: the host {twin!r} has this name already; rename one of the files")
        hosts[name] = msgspec.structs.replace(host, name=name)
    return hosts


__all__ = [
    "ADDRESSES",
    "FORKS",
    "SETTINGS_FILE",
    "Calibration",
    "Host",
    "Lab",
    "Measured",
    "Poller",
    "Remote",
    "Schedule",
    "Settings",
    "SettingsError",
    "Suite",
    "Target",
    "load_settings",
]
