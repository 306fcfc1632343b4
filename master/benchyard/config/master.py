"""Buildbot's configuration, composed from the settings, and whether Buildbot takes it."""

from functools import partial
from typing import Any

from buildbot.config.errors import ConfigErrors
from buildbot.config.master import MasterConfig
from sqlalchemy import QueuePool
from twisted.internet.endpoints import quoteStringArgument

from benchyard.access.service import AccessService
from benchyard.config.builders import make_builders, make_lanes
from benchyard.config.checks import check_job, check_schedules
from benchyard.config.facts import lab_facts, publish_facts
from benchyard.config.notices import make_notices
from benchyard.config.schedulers import make_pollers, make_schedulers
from benchyard.config.settings import Settings, SettingsError
from benchyard.config.sources import all_tagged, commits_of, tagged
from benchyard.config.workers import make_workers
from benchyard.config.www import make_www
from benchyard.hosting.service import LabService
from benchyard.publish.service import PublishService
from benchyard.queueing import engine
from benchyard.queueing.jobs import JobService


def master_config(settings: Settings) -> dict[str, Any]:
    """The dictionary that `master.cfg` gives to Buildbot; the folders that its services work in are there then."""
    config = compose(settings)
    settings.incoming_dir.mkdir(parents=True, exist_ok=True)
    settings.results_dir.mkdir(parents=True, exist_ok=True)
    return config


def check_settings(settings: Settings) -> None:
    """Refuse settings with which the master would not start, as `buildbot checkconfig` does, but in one line."""
    try:
        MasterConfig.loadFromDict(compose(settings), str(settings.path))
    except ConfigErrors as exc:
        raise SettingsError(f"{settings.path}: {'; '.join(exc.errors)}") from exc


def compose(settings: Settings) -> dict[str, Any]:
    """The same dictionary, with nothing made for it; SettingsError for what is known to be wrong."""
    engine.install()
    check_schedules(settings)
    lab = settings.lab
    return {
        "title": lab.title,
        "titleURL": lab.url,
        "buildbotURL": lab.url,
        "buildbotNetUsageData": None,
        # Stock opens SQLite's file anew for each transaction, which takes longer than most of these.
        "db": {"db_url": lab.db_url, "engine_kwargs": {"poolclass": QueuePool}},
        "protocols": {"pb": {"port": worker_endpoint(settings)}},
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
            LabService(
                facts=lab_facts(settings), tags=partial(tagged, settings), all_tagged=partial(all_tagged, settings)
            ),
            *make_notices(settings),
            PublishService(destinations=settings.publish, facts=publish_facts(settings)),
        ],
        # Buildbot's default silently drops jobs of one commit; ours differ by more than the commit.
        "collapseRequests": False,
        "prioritizeBuilders": engine.by_name,
    }


def worker_endpoint(settings: Settings) -> str:
    """Where workers are listened for, as Twisted writes it: with TLS where the settings name a certificate."""
    lab = settings.lab
    tls = {"certKey": lab.worker_certificate, "privateKey": lab.worker_key} if lab.worker_certificate else {}
    parts = ["ssl" if tls else "tcp", str(lab.worker_port), f"interface={quoteStringArgument(lab.listen)}"]
    parts += [f"{option}={quoteStringArgument(str(settings.directory / name))}" for option, name in tls.items()]
    return ":".join(parts)
