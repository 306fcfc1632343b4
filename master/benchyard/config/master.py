"""Buildbot's configuration, composed from the settings."""

from functools import partial
from typing import Any

from twisted.internet.endpoints import quoteStringArgument

from benchyard.access.service import AccessService
from benchyard.config.builders import make_builders, make_lanes
from benchyard.config.checks import check_job, check_schedules
from benchyard.config.schedulers import make_pollers, make_schedulers
from benchyard.config.settings import Host, Settings
from benchyard.config.sources import commits_of, tagged
from benchyard.config.workers import make_workers
from benchyard.config.www import make_www
from benchyard.hosting.service import HostFacts, LabFacts, LabService
from benchyard.queueing import engine
from benchyard.queueing.jobs import JobService


def master_config(settings: Settings) -> dict[str, Any]:
    """The dictionary that `master.cfg` gives to Buildbot."""
    engine.install()
    check_schedules(settings)
    lab = settings.lab
    listen = quoteStringArgument(lab.listen)
    settings.incoming_dir.mkdir(parents=True, exist_ok=True)
    settings.results_dir.mkdir(parents=True, exist_ok=True)
    return {
        "title": lab.title,
        "titleURL": lab.url,
        "buildbotURL": lab.url,
        "buildbotNetUsageData": None,
        "db": {"db_url": lab.db_url},
        "protocols": {"pb": {"port": f"tcp:{lab.worker_port}:interface={listen}"}},
        "www": make_www(settings),
        "workers": make_workers(settings),
        "builders": make_builders(settings),
        "schedulers": make_schedulers(settings),
        "change_source": make_pollers(settings),
        "services": [
            JobService(
                lanes=make_lanes(settings),
                check=partial(check_job, settings),
                max_attempts=lab.max_attempts,
                expand=partial(commits_of, settings),
                remotes={remote.url: name for name, remote in settings.remotes.items()},
            ),
            AccessService(secrets_dir=str(settings.secrets_dir)),
            LabService(facts=_lab_facts(settings), tags=partial(tagged, settings)),
        ],
        # Buildbot's default silently drops jobs of one commit; ours differ by more than the commit.
        "collapseRequests": False,
        "prioritizeBuilders": engine.by_name,
    }


def _lab_facts(settings: Settings) -> LabFacts:
    lab = settings.lab
    return LabFacts(
        directory=str(settings.directory),
        results=str(settings.results_dir),
        title=lab.title,
        url=lab.url,
        targets=tuple(settings.targets),
        hosts=tuple(_host_facts(name, host) for name, host in settings.hosts.items()),
        worker_port=lab.worker_port,
        anonymous_read=lab.anonymous_read,
        trash_days=lab.trash_days,
    )


def _host_facts(name: str, host: Host) -> HostFacts:
    return HostFacts(name=name, role=host.role, target=host.target, address=host.address, cpus=host.cpus)
