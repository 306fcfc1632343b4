"""Builders: for each target the job itself and its two stages, prepare and measure."""

from typing import Any

from benchyard.config.locks import host_lock, machine, machines
from benchyard.config.names import INNER, coordinator, maintainer, stage_builder
from benchyard.config.settings import Host, Settings
from benchyard.queueing.engine import LabBuild
from benchyard.queueing.order import Lane
from benchyard.queueing.stages import CHECK, MAINTAIN, MEASURE, PREPARE


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
        workers = {
            PREPARE: tuple(preparing(settings, target)),
            MEASURE: tuple(settings.isolated(target)),
            MAINTAIN: (maintainer(target),),
            CHECK: tuple(settings.of_target(target)),
        }
        shared: dict[str, Any] = {
            "hosts": workers[MEASURE],
            "per_host": 1 + settings.lab.prefetch,
            "machines": machines(settings),
        }
        lanes[target] = Lane(target, None, tuple(coordinators(settings, target)), **shared)
        for stage in INNER:
            lanes[stage_builder(target, stage)] = Lane(target, stage, workers[stage], **shared)
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
            _builder(
                stage_builder(target, MAINTAIN),
                [maintainer(target)],
                _maintain_steps(settings),
                MAINTAIN,
            ),
            _builder(
                stage_builder(target, CHECK),
                list(settings.of_target(target)) or coordinators(settings, target),
                _check_steps(settings),
                CHECK,
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
        *_publish_steps(settings),
    ]


def _publish_steps(settings: Settings) -> list[Any]:
    from benchyard.publish.settings import Codespeed
    from benchyard.steps.publish import Publish, UploadToCodespeed

    return [
        UploadToCodespeed(destination=name) if isinstance(destination, Codespeed) else Publish(destination=name)
        for name, destination in settings.publish.items()
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


def _maintained(settings: Settings) -> dict[str, Any]:
    """What the steps that look after hosts know of these; with the lock of the one that their job is for."""
    from benchyard.steps.maintain import Maintained

    hosts = {name: Maintained(machine(host), host.is_local, host.cpus) for name, host in settings.hosts.items()}
    return {"hosts": hosts, "locks": host_lock(settings, named_by="host")}


def _maintain_steps(settings: Settings) -> list[Any]:
    """Playbooks run in the master, which has the hosts' secrets and the key to them.

    No worker does both that and builds: a build is somebody's patch.
    """
    from benchyard.config.facts import lab_facts
    from benchyard.hosting.inventory import inventory
    from benchyard.steps.maintain import Inventory, Maintain

    known = Inventory(inventory(lab_facts(settings)))
    where: dict[str, Any] = {
        "folder": settings.playbooks,
        "variables": settings.playbook_variables,
        "state": settings.state_dir,
    }
    return [Maintain(name="playbook", inventory=known, **where, **_maintained(settings))]


def _check_steps(settings: Settings) -> list[Any]:
    from benchyard.steps.hostcheck import CheckHost

    return [CheckHost(name="look over", **_maintained(settings))]
