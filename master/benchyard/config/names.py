"""Names that the lab makes of those of its targets: builders of stages, and the LocalWorkers in the master."""

import re

from benchyard.queueing import stages

#: All that a target has besides the builder of its jobs.
INNER = (*stages.OF_JOBS, *stages.OF_HOSTS)

_LOCAL = re.compile(r"(?P<target>.+)-(coordinator-[0-9]+|maintainer)")


def stage_builder(target: str, stage: str) -> str:
    """The name of the builder of a target's stage."""
    return f"{target}-{stage}"


def coordinator(target: str, number: int) -> str:
    """The name of a target's LocalWorker for jobs, numbered from 1."""
    return f"{target}-coordinator-{number}"


def maintainer(target: str) -> str:
    """The name of a target's LocalWorker for playbooks."""
    return f"{target}-maintainer"


def target_of_local_worker(name: str) -> str | None:
    """The target whose LocalWorker may have this name, if any may."""
    match = _LOCAL.fullmatch(name)
    return match["target"] if match else None
