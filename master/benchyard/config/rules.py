"""What must hold of a lab's settings beyond the types of their keys; each fault is one line with its remedy."""

from collections.abc import Mapping
from pathlib import Path

from croniter import CroniterBadDateError, croniter

from benchyard.config.names import INNER, stage_builder
from benchyard.config.reading import SettingsError, nearest
from benchyard.config.tables import Calibration, File, Measured, Poller, Remote, Schedule, Suite, Target
from benchyard.hosting.registration import NAME_RULE, is_name
from benchyard.publish.notices.settings import AnyNotifier


def check_cpu_list(path: Path, text: str) -> None:
    """Refuse a `cpus` value that is no CPU list, such as `2-3,6`; empty means "choose"."""
    from benchyard.tasks.cpus import parse_cpu_list
    from benchyard.tasks.errors import CpuListError

    try:
        if text:
            parse_cpu_list(text)
    except CpuListError as exc:
        raise SettingsError(f"{path}: cpus: {exc}") from exc


def check_schedule(path: Path, name: str, schedule: Schedule, file: File) -> None:
    where = f"{path}: [schedules.{name}]"
    check_name(path, f"[schedules.{name}]", name)
    if len(schedule.cron.split()) != 5 or not croniter.is_valid(schedule.cron):
        raise SettingsError(f"{where} cron = {schedule.cron!r}: not a cron line of five fields, such as '0 3 * * *'")
    try:
        croniter(schedule.cron).get_next()
    except CroniterBadDateError as exc:  # such as on 30 February
        raise SettingsError(f"{where} cron = {schedule.cron!r}: no year has such a day; correct day or month") from exc
    if _is_pinned(where, schedule, file):
        if schedule.python or schedule.ref or schedule.remote or schedule.flags:
            raise SettingsError(f"{where}: kind = {schedule.kind!r} has its own interpreter; leave python and ref out")
    elif bool(schedule.python) == bool(schedule.ref):
        raise SettingsError(f"{where}: give it either a python, installed on the host, or a ref to build")
    _check_measured(where, schedule, file, builds=bool(schedule.ref))


def check_poller(path: Path, name: str, poller: Poller, file: File) -> None:
    where = f"{path}: [pollers.{name}]"
    check_name(path, f"[pollers.{name}]", name)
    if _is_pinned(where, poller, file):
        raise SettingsError(f"{where} kind = {poller.kind!r}: is not for commits; give it a schedule")
    _check_measured(where, poller, file, builds=True)


def check_notifier(path: Path, name: str, notifier: AnyNotifier, file: File) -> None:
    """What can be known without Buildbot's reporters; the rest is known when these are made."""
    check_name(path, f"[notify.{name}]", name)
    for target in notifier.targets:
        if target not in file.targets:
            where = f"{path}: [notify.{name}] targets"
            raise SettingsError(f"{where}: no target {target!r}{nearest(target, file.targets)}")


def _is_pinned(where: str, measured: Measured, file: File) -> bool:
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


def _check_measured(where: str, measured: Measured, file: File, *, builds: bool) -> None:
    from benchyard.tasks.errors import RecipeError
    from benchyard.tasks.flags import check_flags

    for target in measured.targets:
        if target not in file.targets:
            raise SettingsError(f"{where} targets: no target {target!r}{nearest(target, file.targets)}")
    if builds and not file.remotes:
        raise SettingsError(f"{where}: there is no repository to build from; add a table such as [remotes.upstream]")
    if measured.remote and measured.remote not in file.remotes:
        raise SettingsError(f"{where} remote: no remote {measured.remote!r}{nearest(measured.remote, file.remotes)}")
    check_suite_name(where, measured.suite, file)
    try:
        check_flags(measured.flags)
    except RecipeError as exc:
        raise SettingsError(f"{where} flags: {exc}") from exc


def check_build(path: Path, name: str, target: Target) -> None:
    from benchyard.tasks.errors import RecipeError
    from benchyard.tasks.flags import check_flags
    from benchyard.tasks.recipe import check_environ

    try:
        check_environ(target.compiler)
        check_flags(target.flags)
    except RecipeError as exc:
        raise SettingsError(f"{path}: [targets.{name}] {exc.field}: {exc}") from exc


def check_calibration(where: str, target: str, calibration: Calibration, file: File) -> None:
    if bool(calibration.python) == bool(calibration.ref):
        raise SettingsError(f"{where}: give it either a python, installed on the hosts, or a ref to build")
    if calibration.flags and not calibration.ref:
        raise SettingsError(f"{where} flags: are for an interpreter that is built: give a ref instead of a python")
    measured = Measured(targets=(target,), remote=calibration.remote, flags=calibration.flags)
    _check_measured(where, measured, file, builds=bool(calibration.ref))


def check_suite_name(where: str, suite: str, file: File) -> None:
    if suite and suite not in file.suites:
        raise SettingsError(f"{where} suite: no suite {suite!r}{nearest(suite, file.suites)}; add [suites.{suite}]")


def check_suite(path: Path, name: str, suite: Suite) -> None:
    from benchyard.tasks.errors import RecipeError
    from benchyard.tasks.git import check_ref, check_url

    where = f"{path}: [suites.{name}]"
    check_name(path, f"[suites.{name}]", name)
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


def check_remote(path: Path, name: str, remote: Remote) -> None:
    from benchyard.tasks.errors import RecipeError
    from benchyard.tasks.git import check_ref, check_url

    where = f"{path}: [remotes.{name}]"
    check_name(path, f"[remotes.{name}]", name)
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


def check_target(path: Path, name: str, targets: Mapping[str, Target]) -> None:
    """Targets are builders, and so are their stages, and groups of hosts: each must have a name of its own."""
    from benchyard.hosting.inventory import group_of

    check_name(path, f"[targets.{name}]", name)
    for other in targets:
        if other != name and is_name(other) and group_of(other) == group_of(name):
            both = f"for Ansible the group {group_of(name)!r}, as the target {other!r} is"
            raise SettingsError(f"{path}: [targets.{name}]: is {both}; rename one")
        if name in {stage_builder(other, stage) for stage in INNER}:
            raise SettingsError(
                f"{path}: [targets.{name}]: is what a stage of the target {other!r} is called; rename one"
            )


def check_name(path: Path, where: str, name: str) -> None:
    if not is_name(name):
        raise SettingsError(f"{path}: {where}: {name!r} is no name; use {NAME_RULE}")
