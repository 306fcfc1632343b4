"""What is refused before a job is made: everything the master can know to be wrong."""

import difflib
from collections.abc import Iterable, Sequence
from contextlib import suppress

import msgspec

from benchyard.config.settings import SETTINGS_FILE, Settings, SettingsError
from benchyard.config.sources import base_of, resolve_source
from benchyard.config.suites import find_suite
from benchyard.queueing.requests import CheckedJob, Invalid, JobRequest, JobSpec, Source
from benchyard.results.errors import ResultError
from benchyard.results.files import read_file
from benchyard.results.reading import read_loops
from benchyard.steps.kinds import Kind, UnknownKind, find_kind
from benchyard.store.rows import MAINTENANCE
from benchyard.tasks.cpus import check_cpus, format_cpu_list, parse_cpu_list
from benchyard.tasks.errors import CpuListError, InterpreterError, SelectionError, TaskError
from benchyard.tasks.interpreter import inspect_interpreter
from benchyard.tasks.suite import Suite, installed_suite


def check_schedules(settings: Settings) -> None:
    """Refuse schedules and calibrations whose benchmarks there are not: their jobs would fail each night.

    Those of a suite of the settings' are looked at with each job: it may have to be fetched first.
    """
    for name, schedule in settings.schedules.items():
        if schedule.suite or any(settings.targets[target].suite for target in schedule.targets):
            continue
        _check_selection(settings, f"[schedules.{name}]", schedule.benchmarks)
    for name, target in settings.targets.items():
        if target.calibration is not None and not target.suite:
            _check_selection(settings, f"[targets.{name}] calibration", target.calibration.benchmarks)


def _check_selection(settings: Settings, where: str, benchmarks: Sequence[str]) -> None:
    try:
        installed_suite().select(benchmarks)
    except SelectionError as exc:
        raise SettingsError(f"{settings.path}: {where} benchmarks: {exc}") from exc


def check_job(
    settings: Settings, request: JobRequest, source: Source | None = None, reference: str | None = None
) -> CheckedJob:
    """The job that a request asks for, every name resolved; Invalid names the field and the remedy.

    An installed interpreter is started once where a measuring host is this very machine; elsewhere the prepare stage
    or the run does so. One to build is made a full commit, unless its `source` is known already. `reference` is the
    result file whose loop counts are taken. Blocks for as long as that takes.
    """
    kind = _kind(request.kind)
    target = _target(settings, request)
    if kind.pinned:
        request = _pinned(settings, target, request, known=source is not None)
    if request.is_built == (request.python is not None):
        raise Invalid("python", "say which interpreter: the full path of one on the host, or a ref to build; not both")
    for name in ("flags", "configure_args", "also_base", "strict"):
        if getattr(request, name) and not request.is_built:
            raise Invalid(name, "is for an interpreter that is built: give a ref instead of a python")
    if request.also_base and not kind.has_values:
        raise Invalid("also_base", f"results of kind {kind.name!r} have no values to compare")
    if request.upload:
        _check_upload(settings, kind)
    host = _host(settings, target, request)
    suite_name = request.suite or settings.targets[target].suite
    suite = _suite(settings, suite_name)
    benchmarks = _benchmarks(settings, target, suite, request)
    if request.is_built and source is None:
        source = resolve_source(settings, target, request)
    return CheckedJob(
        target=target,
        kind=kind.name,
        repeats=kind.pinned,
        host=host,
        spec=JobSpec(
            python=_python(settings, target, host, request.python) if request.python is not None else "",
            source=source,
            benchmarks=benchmarks,
            selection=request.benchmarks,
            mode=request.mode,
            affinity=_affinity(settings, target, host, request.affinity),
            suite=suite_name,
            suite_id=suite.id or "",
            suite_version=suite.label,
            loops=_loops(settings, reference, benchmarks) if reference is not None else {},
            same_loops=request.same_loops,
            strict=request.strict,
            upload=request.upload,
        ),
        patch=request.patch,
        base=_base_request(request, source) if request.also_base and source is not None else None,
    )


def _check_upload(settings: Settings, kind: Kind) -> None:
    """Refuse what could be published nowhere; whether a result may be is known when it is there."""
    if not settings.publish:
        remedy = f"add a [publish.NAME] to {SETTINGS_FILE} and start the lab anew"
        raise Invalid("upload", f"this lab has nowhere to publish; {remedy}")
    if not kind.default:
        raise Invalid("upload", f"results of kind {kind.name!r} are not published, only times of benchmarks are")


def _kind(name: str) -> Kind:
    if name in MAINTENANCE:
        raise Invalid("kind", f"{name!r} is not measured: look after a host with `benchyard host {name} HOST`")
    try:
        return find_kind(name)
    except UnknownKind as exc:
        raise Invalid("kind", f"{exc}") from exc


def _pinned(settings: Settings, target: str, request: JobRequest, *, known: bool) -> JobRequest:
    """The request with the pinned interpreter of its target; of what is known already, the job is made once more."""
    pinned = settings.targets[target].calibration
    if pinned is None:
        raise Invalid("kind", f"target {target!r} has no calibration; add one to [targets.{target}] of {SETTINGS_FILE}")
    if known:
        return request
    asked = {"ref": request.ref, "remote": request.remote, "branch": request.branch, "patch": request.patch}
    own = {"ref": pinned.ref or None, "remote": pinned.remote or None, "branch": None, "patch": None}
    if request.python not in (None, pinned.python) or any(asked[name] not in (None, own[name]) for name in asked):
        only = pinned.python or pinned.ref
        raise Invalid("kind", f"{request.kind!r} measures the target's calibration, {only}, and nothing else")
    if request.flags or request.configure_args or request.also_base:
        raise Invalid("kind", f"{request.kind!r} measures the target's calibration as it is: leave all else out")
    return msgspec.structs.replace(
        request,
        python=pinned.python or None,
        **own,
        flags=pinned.flags,
        benchmarks=request.benchmarks or pinned.benchmarks,
        mode=pinned.mode if request.mode == "default" else request.mode,
    )


def _suite(settings: Settings, name: str) -> Suite:
    try:
        return find_suite(settings, name)
    except TaskError as exc:
        raise Invalid("suite", f"{exc}") from exc


def _benchmarks(settings: Settings, target: str, suite: Suite, request: JobRequest) -> tuple[str, ...]:
    """The chosen benchmarks without those that are never measured on this target, as far as the suite has these."""
    try:
        never: set[str] = set()
        for name in settings.targets[target].exclude:
            with suppress(SelectionError):
                never.update(suite.select([name]))
        return suite.select([*request.benchmarks, *(f"-{name}" for name in sorted(never))])
    except SelectionError as exc:
        raise Invalid("benchmarks", f"{exc}") from exc


def _loops(settings: Settings, reference: str, benchmarks: tuple[str, ...]) -> dict[str, int]:
    try:
        known = read_loops(read_file(settings.results_dir / reference))
    except (OSError, ResultError) as exc:
        raise Invalid("same_loops", f"the result's file cannot be read: {exc}") from exc
    found = {name: known[name] for name in benchmarks if name in known}
    if not found:
        raise Invalid("same_loops", "the result has none of the chosen benchmarks; name another, or other benchmarks")
    return found


def _base_request(request: JobRequest, source: Source) -> JobRequest:
    return msgspec.structs.replace(
        request,
        ref=base_of(source),
        remote=source.remote,
        branch=None,
        patch=None,
        also_base=False,
        upload=False,
        reason=f"to compare with: {request.reason or source.ref}"[:1000],
    )


def _target(settings: Settings, request: JobRequest) -> str:
    targets = list(settings.targets)
    if request.target is None:
        if request.host in settings.hosts:
            return settings.hosts[request.host].target
        if len(targets) == 1:
            return targets[0]
        raise Invalid("target", f"this lab has several; name one of {', '.join(targets)}")
    if request.target not in settings.targets:
        raise Invalid("target", f"unknown target {request.target!r}; {_hint(request.target, targets)}")
    return request.target


def _host(settings: Settings, target: str, request: JobRequest) -> str | None:
    if request.host is None:
        return None
    isolated = settings.isolated(target)
    if request.host in isolated:
        return request.host
    if not isolated:
        raise Invalid("host", f"target {target!r} has no isolated host yet; add one, or leave out the host")
    raise Invalid("host", f"no isolated host {request.host!r} measures {target!r}; {_hint(request.host, isolated)}")


def _python(settings: Settings, target: str, host: str | None, python: str) -> str:
    if not python.startswith("/") or not python.isprintable():
        raise Invalid("python", f"{python!r} is not the full path of an interpreter, such as /usr/bin/python3")
    try:
        if _measured_here(settings, target, host):
            inspect_interpreter(python)
    except InterpreterError as exc:
        raise Invalid("python", f"{exc}") from exc
    return python


def _affinity(settings: Settings, target: str, host: str | None, affinity: str | None) -> str | None:
    if not affinity:
        return None
    try:
        cpus = parse_cpu_list(affinity)
        if _measured_here(settings, target, host):
            check_cpus(cpus)
    except CpuListError as exc:
        raise Invalid("affinity", f"{exc}") from exc
    return format_cpu_list(cpus)


def _measured_here(settings: Settings, target: str, host: str | None) -> bool:
    """Whether every host that may measure the job is the master's own machine."""
    isolated = settings.isolated(target)
    candidates = [isolated[host]] if host else list(isolated.values())
    return bool(candidates) and all(candidate.is_local for candidate in candidates)


def _hint(word: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"there are {', '.join(names)}"
