"""What earlier builds of the same request have shown of a run's log, so that the next goes on from there.

A count of its own would be wrong after a crash between the log and the count: the lines that are in the logs are those
that were seen.
"""

from collections import deque
from typing import Any, NamedTuple

from benchyard.steps.progress import TAIL
from benchyard.tasks.progress import Progress, parse_progress

#: Lines of a log that are read at once.
_LINES = 2000


class Earlier(NamedTuple):
    """So many lines of a run's log were shown, these were the last, and `url` is the page with those.

    `progress` is how far the run was by then.
    """

    lines: int = 0
    last: tuple[str, ...] = ()
    progress: Progress | None = None
    url: str | None = None


async def shown_before(step: Any, log: str = "stdio") -> Earlier:
    """What earlier builds of the request of `step` have in this log of this step."""
    data, build = step.master.data, step.build
    found, last = Earlier(), deque[str](maxlen=TAIL)
    for one in await _builds_before(data, build):
        for its in await data.get(("builds", one["buildid"], "steps")):
            if its["name"] != step.name:
                continue
            for entry in await data.get(("steps", its["stepid"], "logs")):
                if entry["name"] != log:
                    continue
                before = found.lines
                found = await _read(data, entry["logid"], found, last)
                if found.lines > before:
                    page = f"#/builders/{one['builderid']}/builds/{one['number']}/steps/{its['number']}/logs/{log}"
                    found = found._replace(url=step.master.config.buildbotURL + page)
    return found._replace(last=tuple(last))


async def said_before(step: Any) -> list[str]:
    """What this step came to, in words, in earlier builds of its request."""
    data = step.master.data
    found: list[str] = []
    for one in await _builds_before(data, step.build):
        steps = await data.get(("builds", one["buildid"], "steps"))
        found += [its["state_string"] for its in steps if its["name"] == step.name]
    return found


async def _builds_before(data: Any, build: Any) -> list[Any]:
    builds = await data.get(("buildrequests", build.requests[0].id, "builds"))
    return sorted((one for one in builds if one["buildid"] < build.buildid), key=lambda one: int(one["buildid"]))


async def _read(data: Any, log_id: int, found: Earlier, last: deque[str]) -> Earlier:
    """Add the lines of a log that the run has printed; the others are Buildbot's and ours."""
    offset = 0
    while True:
        chunk = await data.get(("logs", log_id, "contents"), limit=_LINES, offset=offset)
        # Not splitlines(): to Buildbot a form feed or a line separator does not end a line.
        lines = [line for line in ((chunk or {}).get("content") or "").split("\n") if line]
        if not lines:
            return found
        offset += len(lines)
        printed = [line[1:] for line in lines if line[0] == "o"]
        last.extend(printed)
        known = [progress for line in printed if (progress := parse_progress(line)) is not None]
        found = found._replace(lines=found.lines + len(printed), progress=known[-1] if known else found.progress)
