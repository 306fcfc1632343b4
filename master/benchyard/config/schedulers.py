"""Schedulers: Buildbot's doors to the queue, and what drives the stages."""

from collections.abc import Sequence
from typing import Any

from twisted.internet.endpoints import quoteStringArgument

from benchyard.config.names import INNER, stage_builder
from benchyard.config.settings import Measured, Poller, Remote, Schedule, Settings
from benchyard.queueing.requests import DEFAULT_KIND, MODES
from benchyard.steps.kinds import find_kind, known_kinds
from benchyard.tasks.flags import FLAGS


def make_schedulers(settings: Settings) -> list[Any]:
    """A force form per target, the nightly schedules, and a Triggerable for the stages.

    The last is never triggered: Buildbot refuses builders that no scheduler drives.
    """
    from buildbot.plugins import schedulers

    stages = [stage_builder(target, stage) for target in settings.targets for stage in INNER]
    made = [schedulers.Triggerable(name="stages", builderNames=stages)]
    made += [_force(settings, target) for target in settings.targets]
    for name, schedule in settings.schedules.items():
        made += _nightlies(settings, name, schedule)
    made += [_on_commit(settings, name, poller) for name, poller in settings.pollers.items()]
    if settings.lab.try_port:
        made.append(_try(settings))
    return made


def make_pollers(settings: Settings) -> list[Any]:
    """What looks for new commits."""
    from buildbot.plugins import changes

    return [
        changes.GitPoller(
            repourl=_remote(settings, poller).url,
            name=f"poll-{name}",
            branches=list(poller.branches),
            category=name,
            pollInterval=poller.every_s,
            pollAtLaunch=True,
            workdir=str(settings.directory / "pollers" / name),
        )
        for name, poller in settings.pollers.items()
    ]


def _remote(settings: Settings, measured: Measured) -> Remote:
    return settings.remotes[measured.remote] if measured.remote else next(iter(settings.remotes.values()))


def _on_commit(settings: Settings, name: str, poller: Poller) -> Any:
    """A job for each commit: without a stable timer, no two changes become one."""
    from buildbot.plugins import schedulers, util

    return schedulers.AnyBranchScheduler(
        name=f"poll-{name}",
        builderNames=list(poller.targets),
        treeStableTimer=None,
        change_filter=util.ChangeFilter(category=name),
        properties=_properties(poller, reason=f"new on {', '.join(poller.branches)}"),
    )


def _try(settings: Settings) -> Any:
    from benchyard.queueing.trying import NAME, TryScheduler

    return TryScheduler(
        name=NAME,
        builderNames=list(settings.targets),
        port=f"tcp:{settings.lab.try_port}:interface={quoteStringArgument(settings.lab.listen)}",
        secrets_dir=str(settings.secrets_dir),
    )


def _properties(measured: Measured, **more: str) -> dict[str, str]:
    """What is to be measured, in the words that a force form has for it."""
    said = {
        **more,
        "kind": measured.kind if measured.kind != DEFAULT_KIND else "",
        "remote": measured.remote,
        "flags": ",".join(measured.flags),
        "suite": measured.suite,
        "benchmarks": ",".join(measured.benchmarks),
        "mode": measured.mode,
        "strict": "yes" if measured.strict else "",
        "upload": "yes" if measured.upload else "",
    }
    return {name: text for name, text in said.items() if text}


def _force(settings: Settings, target: str) -> Any:
    from buildbot.plugins import schedulers, util

    hosts = list(settings.isolated(target))
    return schedulers.ForceScheduler(
        name=f"force-{target}",
        buttonName="Measure an interpreter",
        label=f"New job for {target}",
        builderNames=[target],
        codebases=[util.CodebaseParameter("", hide=True)],
        reason=util.StringParameter(name="reason", label="Reason", default="", size=60),
        priority=util.IntParameter(name="priority", label="Priority (higher goes first)", default=0),
        username=util.UserNameParameter(label="Your name"),
        properties=[
            util.ChoiceStringParameter(
                name="kind",
                label="What is measured",
                tooltip="; ".join(f"{kind.name}: {kind.meaning}" for kind in known_kinds().values()),
                choices=list(known_kinds()),
                default=DEFAULT_KIND,
            ),
            util.StringParameter(
                name="python",
                label="Interpreter",
                tooltip="Full path of an installed Python on the measuring host, such as /usr/bin/python3",
                size=60,
            ),
            util.StringParameter(
                name="ref",
                label="or build",
                tooltip="A branch, tag or commit to build, instead of an installed interpreter",
                size=60,
            ),
            util.StringParameter(
                name="remote",
                label="from",
                tooltip="The remote that has it, or the owner of a fork; empty: "
                + (next(iter(settings.remotes), "none")),
                size=60,
            ),
            util.StringParameter(
                name="flags",
                label="with flags",
                tooltip="How it is built, separated by commas: " + ", ".join(FLAGS),
                size=60,
            ),
            util.ChoiceStringParameter(
                name="suite", label="Suite (empty: the target's)", choices=["", *settings.suites], default=""
            ),
            util.StringParameter(
                name="benchmarks",
                label="Benchmarks",
                tooltip="Names or groups of pyperformance, separated by commas; -NAME leaves one out",
                size=60,
            ),
            util.ChoiceStringParameter(
                name="mode",
                label="How long",
                tooltip="fast: rough answers soon; rigorous: more runs of each benchmark",
                choices=list(MODES),
                default=MODES[0],
            ),
            util.BooleanParameter(
                name="strict",
                label="Strict",
                tooltip="The job fails if a benchmark of an interpreter that is built does not run at all",
                default=False,
            ),
            util.BooleanParameter(
                name="upload",
                label="Publish",
                tooltip="The result is published, also where that is not done by itself: "
                + (", ".join(settings.publish) or "the lab has no such place"),
                default=False,
            ),
            util.ChoiceStringParameter(name="host", label="Host (empty: any)", choices=["", *hosts], default=""),
        ],
    )


def _nightlies(settings: Settings, name: str, schedule: Schedule) -> list[Any]:
    """One scheduler for a schedule; of a kind that is about the hosts themselves, one for each host."""
    if not find_kind(schedule.kind).pinned:
        return [_nightly(f"nightly-{name}", name, schedule, schedule.targets)]
    return [
        _nightly(f"nightly-{name}-{host}", name, schedule, (target,), host=host)
        for target in schedule.targets
        for host in settings.isolated(target)
    ]


def _nightly(scheduler: str, name: str, schedule: Schedule, targets: Sequence[str], **more: str) -> Any:
    from buildbot.plugins import schedulers

    minute, hour, day, month, weekday = schedule.cron.split()
    said = {"reason": f"schedule {name}", "python": schedule.python, "ref": schedule.ref, **more}
    return schedulers.Nightly(
        name=scheduler,
        builderNames=list(targets),
        minute=minute,
        hour=hour,
        dayOfMonth=day,
        month=month,
        dayOfWeek=_named_days(weekday),
        codebases={"": {"repository": "", "branch": None}},
        properties=_properties(schedule, **said),
    )


_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


def _named_days(field: str) -> str:
    """The days of a cron line, lone numbers as names: Buildbot counts those from Monday, cron from Sunday."""
    return ",".join(_DAYS[int(day) % 7] if day.isdigit() else day for day in field.split(","))
