"""Builders: for each target the job itself and its two stages, prepare and measure."""

from typing import Any

from benchyard.config.locks import host_lock, machine
from benchyard.config.names import MEASURE, PREPARE, STAGES, coordinator, stage_builder
from benchyard.config.settings import Host, Settings
from benchyard.queueing.engine import LabBuild
from benchyard.queueing.order import Lane


def coordinators(settings: Settings, target: str) -> list[str]:
    """Names of the LocalWorkers that hold a target's job builds: a builder runs one build per worker at a time.

    As many as jobs may have begun, and one more so that a refused job can end while all others wait.
    """
    return [coordinator(target, n) for n in range(1, capacity(settings, target) + 2)]


def capacity(settings: Settings, target: str) -> int:
    """How many jobs of a target may have begun."""
    return len(settings.isolated(target)) * (1 + settings.lab.prefetch)


def preparing(settings: Settings, target: str) -> dict[str, Host]:
    """The hosts that prepare a target's jobs: the regular workers, or the isolated hosts where these cannot build."""
    isolated = settings.targets[target].build_on == "isolated"
    return settings.isolated(target) if isolated else settings.workers(target)


def make_lanes(settings: Settings) -> dict[str, Lane]:
    """What each builder is for, as the queue needs to know it."""
    lanes = {}
    for target in settings.targets:
        hosts = {PREPARE: preparing(settings, target), MEASURE: settings.isolated(target)}
        measuring, per_host = tuple(hosts[MEASURE]), 1 + settings.lab.prefetch
        lanes[target] = Lane(target, None, tuple(coordinators(settings, target)), measuring, per_host)
        for stage in STAGES:
            lanes[stage_builder(target, stage)] = Lane(target, stage, tuple(hosts[stage]), measuring, per_host)
    return lanes


def make_builders(settings: Settings) -> list[Any]:
    """All builders of the lab, in the order in which the web shows them.

    Buildbot wants a worker for each: a stage without hosts is given coordinators, which its lane never lets it use.
    """
    builders = []
    for target in settings.targets:
        builders += [
            _builder(target, coordinators(settings, target), _job_steps(settings, target), "jobs"),
            _builder(
                stage_builder(target, PREPARE),
                list(preparing(settings, target)) or coordinators(settings, target),
                _prepare_steps(settings, target),
                PREPARE,
            ),
            _builder(
                stage_builder(target, MEASURE),
                list(settings.isolated(target)) or coordinators(settings, target),
                _measure_steps(settings, target),
                MEASURE,
            ),
        ]
    return builders


def _builder(name: str, workers: list[str], steps: list[Any], tag: str) -> Any:
    from buildbot.plugins import util

    factory = util.BuildFactory(steps)
    factory.buildClass = LabBuild
    return util.BuilderConfig(
        name=name, workernames=workers, factory=factory, collapseRequests=False, tags=["benchyard", tag]
    )


def _job_steps(settings: Settings, target: str) -> list[Any]:
    from benchyard.steps.compare import Compare
    from benchyard.steps.stage import MeasureStage, Stage
    from benchyard.steps.store import StoreResult

    return [
        Stage(stage_builder(target, PREPARE), name=PREPARE),
        MeasureStage(stage_builder(target, MEASURE), name=MEASURE),
        StoreResult(incoming=settings.incoming_dir, results_dir=settings.results_dir),
        Compare(results_dir=settings.results_dir),
    ]


def _prepare_steps(settings: Settings, target: str) -> list[Any]:
    from benchyard.steps.building import build_steps
    from benchyard.steps.prepare import CheckInterpreter, Ready
    from benchyard.steps.smoke import smoke_steps

    measured = {machine(host) for host in settings.isolated(target).values()}
    shares = tuple(name for name, host in preparing(settings, target).items() if machine(host) in measured)
    kept = archives(settings)
    return [CheckInterpreter(shares_machine=shares), *build_steps(kept), *smoke_steps(kept), Ready()]


def archives(settings: Settings) -> Any:
    """What the lab keeps of what it has built, and how much of it."""
    from benchyard.steps.archives import Archives

    limit = int(settings.lab.interpreters_gb * 1e9)
    return Archives(settings.archives_dir, limit, settings.suites_dir, tuple(settings.suites))


def _measure_steps(settings: Settings, target: str) -> list[Any]:
    from benchyard.steps.commands import HostCare
    from benchyard.steps.fetching import Fetch
    from benchyard.steps.measure import Measure

    return [
        Fetch(archives=archives(settings)),
        Measure(
            incoming=settings.incoming_dir,
            hosts={
                name: HostCare(host.cpus, host.tune, host.shield, host.guard, host.guard_wait_s)
                for name, host in settings.isolated(target).items()
            },
            limit_s=settings.lab.time_limit_h * 3600,
            # On the step, not on the worker: worker-level locks raced into quarantine.
            locks=host_lock(settings),
        ),
    ]
