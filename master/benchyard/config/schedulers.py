"""Schedulers: Buildbot's doors to the queue, and what drives the stages."""

from typing import Any

from benchyard.config.names import STAGES, stage_builder
from benchyard.config.settings import Schedule, Settings
from benchyard.queueing.requests import MODES


def make_schedulers(settings: Settings) -> list[Any]:
    """A force form per target, the nightly schedules, and a Triggerable for the stages.

    The last is never triggered: Buildbot refuses builders that no scheduler drives.
    """
    from buildbot.plugins import schedulers

    stages = [stage_builder(target, stage) for target in settings.targets for stage in STAGES]
    made = [schedulers.Triggerable(name="stages", builderNames=stages)]
    made += [_force(settings, target) for target in settings.targets]
    for name, schedule in settings.schedules.items():
        made.append(_nightly(name, schedule))
    return made


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
            util.StringParameter(
                name="python",
                label="Interpreter",
                tooltip="Full path of an installed Python on the measuring host, such as /usr/bin/python3",
                size=60,
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
            util.ChoiceStringParameter(name="host", label="Host (empty: any)", choices=["", *hosts], default=""),
        ],
    )


def _nightly(name: str, schedule: Schedule) -> Any:
    from buildbot.plugins import schedulers

    minute, hour, day, month, weekday = schedule.cron.split()
    return schedulers.Nightly(
        name=f"nightly-{name}",
        builderNames=list(schedule.targets),
        minute=minute,
        hour=hour,
        dayOfMonth=day,
        month=month,
        dayOfWeek=_named_days(weekday),
        codebases={"": {"repository": "", "branch": None}},
        properties={
            "python": schedule.python,
            "benchmarks": ",".join(schedule.benchmarks),
            "mode": schedule.mode,
            "reason": f"schedule {name}",
        },
    )


_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


def _named_days(field: str) -> str:
    """The days of a cron line, lone numbers as names: Buildbot counts those from Monday, cron from Sunday."""
    return ",".join(_DAYS[int(day) % 7] if day.isdigit() else day for day in field.split(","))
