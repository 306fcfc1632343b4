"""What a kind of job is: what its run executes on the host, and what comes home of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

Options = tuple[str, ...]


class Parts(NamedTuple):
    """Options of a job's run on its host, from which a kind takes what its command knows.

    `what` says which interpreter, suite and benchmarks, and for how long; `facts` are for a pyperf file's metadata;
    `loops`, `limits` and `guard` are for measuring. `folder` is the run's own, `report` says where the report goes, and
    `cache` where environments are kept.
    """

    what: Options
    facts: Options
    loops: Options
    limits: Options
    guard: Options
    folder: str
    report: Options
    cache: Options


@dataclass(frozen=True)
class Kind:
    """A kind of job.

    Its run executes `benchyard task COMMAND` with `arguments`, and leaves `result` in its folder (a path with `/`),
    besides its report; files that the report names as attachments are beside the result. `has_values` says that the
    result is a pyperf file, which compares with others of its kind. For its time the host is tuned, shielded, and
    guarded, as far as the host's settings allow it too. The interpreter of a `pinned` kind is that of the target's
    `calibration`; such a job measures again what was measured before.
    """

    name: str
    meaning: str
    command: str
    arguments: Callable[[Parts], Options] = field(repr=False)
    result: str = "result.json"
    has_values: bool = True
    tune: bool = True
    shield: bool = True
    guarded: bool = True
    pinned: bool = False
    default: bool = False


def measuring(parts: Parts) -> Options:
    """Arguments of `run-benchmarks`, of which every kind that measures makes its own."""
    output = ("--output", f"{parts.folder}/result.json")
    values = (*parts.facts, *parts.loops, *parts.limits, *parts.guard)
    return (*parts.what, *values, *output, *parts.report, *parts.cache)
