"""The lab's settings: `benchyard.toml` and `hosts.d/NAME.toml` as frozen structs.

A lab starts with settings that are right, or not at all: every fault is one line with the file, key and remedy.
"""

import difflib
import re
import socket
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from croniter import croniter

from benchyard.config.names import STAGES, stage_builder, target_of_coordinator
from benchyard.hosting.registration import HOSTS_DIR, NAME_RULE, SECRETS_DIR, is_name
from benchyard.queueing.requests import DEFAULT_KIND

SETTINGS_FILE = "benchyard.toml"

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class SettingsError(Exception):
    """A settings file is wrong; the message names file, key and remedy in one line."""


class Lab(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[lab]` table."""

    title: Text = "benchyard"
    listen: Text = "127.0.0.1"
    http_port: Port = 8010
    worker_port: Port = 9989
    worker_certificate: str = ""
    worker_key: str = ""
    url: str = ""
    db_url: Text = "sqlite:///state.sqlite"
    results: Text = "results"
    anonymous_read: bool = True
    time_limit_h: Annotated[float, msgspec.Meta(gt=0, le=24 * 30)] = 8.0
    max_attempts: Annotated[int, msgspec.Meta(ge=1, le=20)] = 2
    trash_days: Annotated[float, msgspec.Meta(gt=0, le=36500)] = 90.0
    prefetch: Annotated[int, msgspec.Meta(ge=0, le=20)] = 1
    interpreters_gb: Annotated[float, msgspec.Meta(gt=0, le=1e6)] = 20.0
    remote_urls: tuple[Text, ...] = ()
    try_port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `calibration` of a target: the pinned interpreter that jobs of kind `calibrate` measure, and how.

    It is installed on each host (`python`), or built of a `ref`: a tag or a commit, which stay what they are.
    """

    python: str = ""
    ref: str = ""
    remote: str = ""
    flags: tuple[str, ...] = ()
    benchmarks: tuple[str, ...] = ()
    mode: Literal["default", "fast", "rigorous"] = "default"


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A `[targets.NAME]` table: an arch/OS pair to measure on, and how interpreters are built for it.

    `build_on` says whose compiler is used, `compiler` has its variables (CC, CFLAGS, ...), `flags` are those of every
    build. `exclude` are benchmarks that are never measured here, `suite` is measured where none is named.
    `calibration` is what tells how far two runs on a host of this target differ.
    """

    description: str = ""
    build_on: Literal["worker", "isolated"] = "worker"
    compiler: dict[str, str] = {}
    flags: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    suite: str = ""
    calibration: Calibration | None = None


class Suite(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A `[suites.NAME]` table: pyperformance's benchmarks at a `version`, or at a `ref` of a `repository`.

    With neither, they are those of the installed pyperformance. `manifests` are files with more benchmarks.
    """

    version: str = ""
    repository: str = ""
    ref: str = ""
    manifests: tuple[Text, ...] = ()


class Remote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A `[remotes.NAME]` table: a repository to build from.

    `base` is the branch that others are compared with; `forks` is the address of an owner's fork, with `{owner}` in it.
    """

    url: Text
    base: Text = "main"
    forks: str = ""


class Measured(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is measured without anybody asking: an installed interpreter, or one to build of a branch or tag.

    `kind` is what the jobs do; of a kind whose interpreter is pinned, there is one for each host.
    """

    targets: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    kind: str = DEFAULT_KIND
    remote: str = ""
    flags: tuple[str, ...] = ()
    suite: str = ""
    benchmarks: tuple[str, ...] = ()
    mode: Literal["default", "fast", "rigorous"] = "default"
    strict: bool = False


class Schedule(Measured, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A `[schedules.NAME]` table: a job submitted at the times of a cron line, for each of its targets."""

    cron: Text
    python: str = ""
    ref: str = ""


class Poller(Measured, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A `[pollers.NAME]` table: a job for every commit that comes to a branch of a remote."""

    branches: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    every_s: Annotated[float, msgspec.Meta(ge=1, le=86400 * 7)] = 300.0


class Host(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A `hosts.d/NAME.toml` file: what Buildbot must know of a host; its state is a row in the datastore.

    `cpus` measure. For the time of a run, `tune` sets the host's knobs, `shield` keeps others off these CPUs, and the
    `guard` waits at most `guard_wait_s` for the host to be quiet; `strict` refuses to measure on one that is not.
    """

    role: Literal["worker", "isolated"]
    target: Text
    address: Text = "localhost"
    cpus: str = ""
    name: str = ""
    tune: bool = True
    shield: bool = True
    guard: Literal["strict", "warn", "off"] = "warn"
    guard_wait_s: Annotated[float, msgspec.Meta(ge=0, le=86400)] = 60.0

    @property
    def is_local(self) -> bool:
        """Whether the host is the master's own machine."""
        return self.address in {"localhost", "127.0.0.1", "::1"}


class Settings(msgspec.Struct, frozen=True):
    """All that a master needs to know of its lab; `directory` is the lab's own."""

    directory: Path
    lab: Lab
    targets: dict[str, Target]
    schedules: dict[str, Schedule]
    hosts: dict[str, Host]
    remotes: dict[str, Remote] = {}
    pollers: dict[str, Poller] = {}
    suites: dict[str, Suite] = {}

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
    def secrets_dir(self) -> Path:
        return self.directory / SECRETS_DIR

    def isolated(self, target: str) -> dict[str, Host]:
        return self._hosts(target, "isolated")

    def workers(self, target: str) -> dict[str, Host]:
        return self._hosts(target, "worker")

    def _hosts(self, target: str, role: str) -> dict[str, Host]:
        return {n: h for n, h in self.hosts.items() if h.target == target and h.role == role}


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    lab: Lab = Lab()
    targets: dict[str, Target] = {}
    schedules: dict[str, Schedule] = {}
    remotes: dict[str, Remote] = {}
    pollers: dict[str, Poller] = {}
    suites: dict[str, Suite] = {}


def load_settings(directory: Path, path: Path | None = None) -> Settings:
    """The settings of the lab in `directory`, from its own file or from another; SettingsError at the first fault."""
    path = path or directory / SETTINGS_FILE
    if not path.is_file():
        raise SettingsError(f"{path}: not found; make a lab with `benchyard lab init {directory}`")
    file = _decode(path, _File)
    if not file.targets:
        raise SettingsError(f"{path}: no targets; add a table such as [targets.linux-x86_64]")
    for name in file.targets:
        _check_target(path, name, file.targets)
    hosts = _load_hosts(directory / HOSTS_DIR, file.targets)
    for name, schedule in file.schedules.items():
        _check_schedule(path, name, schedule, file)
    for name, target in file.targets.items():
        _check_build(path, name, target)
        _check_suite_name(f"{path}: [targets.{name}]", target.suite, file)
        if target.calibration is not None:
            _check_calibration(f"{path}: [targets.{name}] calibration", name, target.calibration, file)
    for name, suite in file.suites.items():
        _check_suite(path, name, suite)
    for name, remote in file.remotes.items():
        _check_remote(path, name, remote)
    for name, poller in file.pollers.items():
        _check_poller(path, name, poller, file)
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
        lab=lab,
        targets=file.targets,
        schedules=file.schedules,
        hosts=hosts,
        remotes=file.remotes,
        pollers=file.pollers,
        suites=file.suites,
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
        host = _decode(path, Host)
        name = host.name or path.stem
        if name != path.stem:
            raise SettingsError(f"{path}: name = {name!r}: must be {path.stem!r}, as the file is called")
        _check_name(path, "the file's name", name)
        if target_of_coordinator(name) in targets:
            raise SettingsError(f"{path}: {name!r} is a name that the lab needs for itself; give the host another")
        if host.target not in targets:
            raise SettingsError(
                f"{path}: target = {host.target!r}: no such target{_nearest(host.target, targets)}; "
                f"{SETTINGS_FILE} has {', '.join(sorted(targets))}"
            )
        check_cpu_list(path, host.cpus)
        twin = next((n for n in hosts if n.lower() == name.lower()), None)
        if twin is not None:
            raise SettingsError(f"{path}: the host {twin!r} has this name already; rename one of the files")
        hosts[name] = msgspec.structs.replace(host, name=name)
    return hosts


def check_cpu_list(path: Path, text: str) -> None:
    """Refuse a `cpus` value that is no CPU list, such as `2-3,6`; empty means "choose"."""
    from benchyard.tasks.cpus import parse_cpu_list
    from benchyard.tasks.errors import CpuListError

    try:
        if text:
            parse_cpu_list(text)
    except CpuListError as exc:
        raise SettingsError(f"{path}: cpus: {exc}") from exc


def _check_schedule(path: Path, name: str, schedule: Schedule, file: "_File") -> None:
    where = f"{path}: [schedules.{name}]"
    _check_name(path, f"[schedules.{name}]", name)
    if len(schedule.cron.split()) != 5 or not croniter.is_valid(schedule.cron):
        raise SettingsError(f"{where} cron = {schedule.cron!r}: not a cron line of five fields, such as '0 3 * * *'")
    if _is_pinned(where, schedule, file):
        if schedule.python or schedule.ref or schedule.remote or schedule.flags:
            raise SettingsError(f"{where}: kind = {schedule.kind!r} has its own interpreter; leave python and ref out")
    elif bool(schedule.python) == bool(schedule.ref):
        raise SettingsError(f"{where}: give it either a python, installed on the host, or a ref to build")
    _check_measured(where, schedule, file, builds=bool(schedule.ref))


def _check_poller(path: Path, name: str, poller: Poller, file: "_File") -> None:
    where = f"{path}: [pollers.{name}]"
    _check_name(path, f"[pollers.{name}]", name)
    if _is_pinned(where, poller, file):
        raise SettingsError(f"{where} kind = {poller.kind!r}: is not for commits; give it a schedule")
    _check_measured(where, poller, file, builds=True)


def _is_pinned(where: str, measured: Measured, file: "_File") -> bool:
    """Whether the interpreter is the pinned one of each target, which must have one then."""
    from benchyard.steps.kinds import UnknownKind, find_kind

    try:
        kind = find_kind(measured.kind)
    except UnknownKind as exc:
        raise SettingsError(f"{where} kind: {exc}") from exc
    for name in measured.targets if kind.pinned else ():
        if name in file.targets and file.targets[name].calibration is None:
            raise SettingsError(f"{where}: target {name!r} has no calibration; add one to [targets.{name}]")
    return kind.pinned


def _check_measured(where: str, measured: Measured, file: "_File", *, builds: bool) -> None:
    from benchyard.tasks.errors import RecipeError
    from benchyard.tasks.flags import check_flags

    for target in measured.targets:
        if target not in file.targets:
            raise SettingsError(f"{where} targets: no target {target!r}{_nearest(target, file.targets)}")
    if builds and not file.remotes:
        raise SettingsError(f"{where}: there is no repository to build from; add a table such as [remotes.upstream]")
    if measured.remote and measured.remote not in file.remotes:
        raise SettingsError(f"{where} remote: no remote {measured.remote!r}{_nearest(measured.remote, file.remotes)}")
    _check_suite_name(where, measured.suite, file)
    try:
        check_flags(measured.flags)
    except RecipeError as exc:
        raise SettingsError(f"{where} flags: {exc}") from exc


def _check_build(path: Path, name: str, target: Target) -> None:
    from benchyard.tasks.errors import RecipeError
    from benchyard.tasks.flags import check_flags
    from benchyard.tasks.recipe import check_environ

    try:
        check_environ(target.compiler)
        check_flags(target.flags)
    except RecipeError as exc:
        raise SettingsError(f"{path}: [targets.{name}] {exc.field}: {exc}") from exc


def _check_calibration(where: str, target: str, calibration: Calibration, file: "_File") -> None:
    if bool(calibration.python) == bool(calibration.ref):
        raise SettingsError(f"{where}: give it either a python, installed on the hosts, or a ref to build")
    if calibration.flags and not calibration.ref:
        raise SettingsError(f"{where} flags: are for an interpreter that is built: give a ref instead of a python")
    measured = Measured(targets=(target,), remote=calibration.remote, flags=calibration.flags)
    _check_measured(where, measured, file, builds=bool(calibration.ref))


def _check_suite_name(where: str, suite: str, file: "_File") -> None:
    if suite and suite not in file.suites:
        raise SettingsError(f"{where} suite: no suite {suite!r}{_nearest(suite, file.suites)}; add [suites.{suite}]")


def _check_suite(path: Path, name: str, suite: Suite) -> None:
    from benchyard.tasks.errors import RecipeError
    from benchyard.tasks.git import check_ref, check_url

    where = f"{path}: [suites.{name}]"
    _check_name(path, f"[suites.{name}]", name)
    if suite.version and suite.repository:
        raise SettingsError(f"{where}: give it a version, or a repository and a ref; not both")
    if bool(suite.repository) != bool(suite.ref):
        raise SettingsError(f"{where}: a repository and a ref of it go together")
    try:
        if suite.repository:
            check_url(suite.repository, "repository")
            check_ref(suite.ref)
    except RecipeError as exc:
        raise SettingsError(f"{where} {exc.field}: {exc}") from exc
    for manifest in suite.manifests:
        if not manifest.startswith("/"):
            raise SettingsError(f"{where} manifests: {manifest!r} is not the full path of a manifest")


#: Names in the history that are not remotes' own: forks and other addresses have theirs below these.
FORKS, ADDRESSES = "forks", "urls"


def _check_remote(path: Path, name: str, remote: Remote) -> None:
    from benchyard.tasks.errors import RecipeError
    from benchyard.tasks.git import check_ref, check_url

    where = f"{path}: [remotes.{name}]"
    _check_name(path, f"[remotes.{name}]", name)
    if name in (FORKS, ADDRESSES):
        raise SettingsError(f"{where}: {name!r} is a name that the lab needs for itself; give the remote another")
    try:
        check_url(remote.url)
        check_ref(remote.base, "base")
        if remote.forks:
            check_url(remote.forks.replace("{owner}", "owner"))
    except RecipeError as exc:
        raise SettingsError(f"{where}: {exc}") from exc
    if remote.forks and remote.forks.count("{owner}") != 1:
        raise SettingsError(f"{where} forks = {remote.forks!r}: must have {{owner}} in it, once")


def _check_target(path: Path, name: str, targets: Mapping[str, Target]) -> None:
    """Targets are builders, and so are their stages: each must have a name of its own."""
    _check_name(path, f"[targets.{name}]", name)
    for other in targets:
        if name in {stage_builder(other, stage) for stage in STAGES}:
            raise SettingsError(
                f"{path}: [targets.{name}]: is what a stage of the target {other!r} is called; rename one"
            )


def _check_name(path: Path, where: str, name: str) -> None:
    if not is_name(name):
        raise SettingsError(f"{path}: {where}: {name!r} is no name; use {NAME_RULE}")


_S = TypeVar("_S", bound=msgspec.Struct)


def _decode(path: Path, kind: type[_S]) -> _S:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise SettingsError(f"{path}: cannot be read: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise SettingsError(f"{path}: not valid TOML: {exc}") from exc
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as exc:
        raise SettingsError(f"{path}: {_explain(str(exc), data, kind)}") from exc


_UNKNOWN = re.compile(r"Object contains unknown field `(?P<key>[^`]*)`")
_MISSING = re.compile(r"Object missing required field `(?P<key>[^`]*)`")


def _explain(message: str, data: Mapping[str, Any], kind: type[msgspec.Struct]) -> str:
    """msgspec's message with table and key as the file spells them; it writes `[...]` for the member of a mapping."""
    for table, inner, part in _tables(data, kind):
        try:
            msgspec.convert(part, inner)
        except msgspec.ValidationError as exc:
            return f"[{table}] " + _in_words(str(exc), inner, "the table")
    return _in_words(message, kind, "the file")


def _tables(data: Mapping[str, Any], kind: type[msgspec.Struct]) -> Iterator[tuple[str, type[msgspec.Struct], Any]]:
    """(name, struct, value) of each table in a settings file; a host's file has none."""
    if kind is not _File:
        return
    if "lab" in data:
        yield "lab", Lab, data["lab"]
    kinds = (
        ("targets", Target), ("schedules", Schedule), ("remotes", Remote), ("pollers", Poller), ("suites", Suite)
    )  # fmt: skip
    for head, inner in kinds:
        members = data.get(head)
        if isinstance(members, Mapping):
            yield from ((f"{head}.{name}", inner, part) for name, part in members.items())


def _in_words(message: str, kind: type[msgspec.Struct], whole: str) -> str:
    keys = kind.__struct_fields__
    if match := _UNKNOWN.match(message):
        return f"unknown key {match['key']!r}{_nearest(match['key'], keys)}; known are {', '.join(keys)}"
    if match := _MISSING.match(message):
        return f"the key {match['key']!r} is missing; add it"
    what, _, at = message.partition(" - at `$.")
    return f"{at.rstrip('`') or whole}: {what[:1].lower()}{what[1:]}; correct the value"


def _nearest(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean {close[0]!r}?" if close else ""
