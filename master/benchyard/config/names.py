"""Names that the lab makes of those of its targets: builders of stages, and the LocalWorkers of jobs."""

import re

PREPARE, MEASURE = "prepare", "measure"
STAGES = (PREPARE, MEASURE)

#: Builders whose builds are whole jobs that look after hosts: on a regular worker, and on the host itself.
MAINTAIN, CHECK = "maintain", "check"
MAINTENANCE = (MAINTAIN, CHECK)

#: All that a target has besides the builder of its jobs.
INNER = (*STAGES, *MAINTENANCE)

_COORDINATOR = re.compile(r"(?P<target>.+)-coordinator-[0-9]+")


def stage_builder(target: str, stage: str) -> str:
    """The name of the builder of a target's stage."""
    return f"{target}-{stage}"


def coordinator(target: str, number: int) -> str:
    """The name of a target's LocalWorker, numbered from 1."""
    return f"{target}-coordinator-{number}"


def target_of_coordinator(name: str) -> str | None:
    """The target whose LocalWorker may have this name, if any may."""
    match = _COORDINATOR.fullmatch(name)
    return match["target"] if match else None
