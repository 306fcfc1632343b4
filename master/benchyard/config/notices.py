"""Notices: the service that writes and tells them, and the reporters by which it does."""

from typing import Any

from benchyard.config.settings import Settings, SettingsError


def make_notices(settings: Settings) -> list[Any]:
    """The services that watch and tell, and a reporter of Buildbot's for each `[notify.NAME]` table.

    SettingsError where one is wrong.
    """
    from benchyard.publish.notices.notifiers import WrongNotifier, make_reporter
    from benchyard.publish.notices.service import NoticeFacts, NoticeService
    from benchyard.publish.notices.stale import BranchLane, ScheduleLane, TargetLane
    from benchyard.publish.regressions import RegressionService
    from benchyard.results.regressions import Thresholds

    reporters = []
    for name, notifier in settings.notify.items():
        try:
            reporters.append(make_reporter(name, notifier, settings.secrets_dir))
        except WrongNotifier as exc:
            raise SettingsError(f"{settings.path}: [notify.{name}] {exc.key}: {exc}") from exc
    lab = settings.lab
    facts = NoticeFacts(
        results=str(settings.results_dir),
        url=lab.url,
        targets=tuple(TargetLane(target, tuple(settings.isolated(target))) for target in settings.targets),
        schedules=tuple(ScheduleLane(name, each.cron, each.targets) for name, each in settings.schedules.items()),
        hosts={name: host.target for name, host in settings.hosts.items()},
        thresholds=Thresholds(lab.regression_percent / 100.0, lab.regression_mean_percent / 100.0),
        stale_s=lab.stale_h * 3600.0,
        branches=tuple(
            BranchLane(target, branch, name, poller.expected_h * 3600.0, _fork(settings, poller.remote))
            for name, poller in settings.pollers.items()
            for target in poller.targets
            for branch in poller.branches
        ),
    )
    return [NoticeService(facts=facts, notifiers=settings.notify), RegressionService(url=lab.url), *reporters]


def _fork(settings: Settings, remote: str | None) -> str | None:
    """Whose results a poller's are; the first remote is meant where it names none."""
    from benchyard.store.forks import fork_of

    name = remote or next(iter(settings.remotes))
    return fork_of({"remote": name, "url": settings.remotes[name].url})
