"""What codespeed is told of a result: where it belongs there, and one item for each benchmark.

The names, and how long they may be, are those of codespeed 0.13 (`codespeed/models.py`, `results.py`): longer ones are
an error of the server's there, and cut ones could make two builds one, so they are refused here.
"""

import hashlib
import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np

from benchyard.publish.destinations import Measured, Publication, Refused
from benchyard.publish.settings import UNITS, Codespeed
from benchyard.results.errors import ResultError
from benchyard.results.intake import UNKNOWN
from benchyard.results.layout import valueless_kind
from benchyard.results.reading import Samples, read_suite
from benchyard.results.statistics import mean, stdev
from benchyard.results.times import moment_of
from benchyard.store.rows import Result

_COMMIT_LENGTH = 42
_BRANCH_LENGTH = 32
_EXECUTABLE_LENGTH = 30
_ENVIRONMENT_LENGTH = 100
_BENCHMARK_LENGTH = 100

# As much of a hash as people know commits by.
_SHORT = 7

_COMMIT = re.compile(r"[0-9a-f]{7,}")


class Place(msgspec.Struct, frozen=True):
    """Where a result belongs: there is one value of each benchmark for it."""

    commitid: str
    branch: str
    executable: str
    environment: str


class Item(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The values of one benchmark, as codespeed takes them; what is None is not said."""

    project: str
    commitid: str
    branch: str
    executable: str
    environment: str
    benchmark: str
    result_value: float
    std_dev: float | None = None
    min: float | None = None
    max: float | None = None
    q1: float | None = None
    q3: float | None = None
    revision_date: str
    result_date: str
    units: str | None = None
    units_title: str | None = None
    lessisbetter: bool | None = None


def place_of(result: Result, settings: Codespeed, extra: Sequence[str] = ()) -> Place:
    """Where a result goes by its row; `extra` are arguments of its build's configure that are no flags.

    Builds that differ have names that differ: what was built with a patch is a branch `BRANCH+PATCH`, one with extra
    arguments an executable with their hash. Nothing is checked here.
    """
    interpreter = result.interpreter or {}
    flags = "".join(f"-{flag}" for flag in result.flags)
    # A file that was measured elsewhere may not say; all that pyperformance measures by default is CPython.
    said = str(interpreter.get("implementation") or UNKNOWN).lower()
    implementation = "cpython" if said == UNKNOWN else said
    executable = settings.executable.format(implementation=implementation, flags=flags)
    if extra:
        executable += f"+{hashlib.sha256(' '.join(extra).encode()).hexdigest()[:_SHORT]}"
    return Place(
        commitid=result.commit or "",
        branch=_branch(result, settings),
        executable=settings.executables.get(executable, executable),
        environment=settings.environments.get(result.host, result.host),
    )


def _branch(result: Result, settings: Codespeed) -> str:
    interpreter = result.interpreter or {}
    branch = result.branch or settings.branch
    # bench_runner names the commit as its own branch.
    if result.commit and branch.startswith(result.commit) and _COMMIT.fullmatch(branch):
        branch = settings.branch
    remote = interpreter.get("remote")
    if remote and settings.remote and remote != settings.remote:
        branch = f"{remote}/{branch}"
    branch = settings.branch_names.get(branch, branch)
    patch = interpreter.get("patch")
    patched = f"{branch}+{patch[:_SHORT]}" if patch else branch
    return settings.branch_names.get(patched, patched)


def refusal(result: Result, place: Place) -> str | None:
    """Why codespeed can never take the result, and what to do; None where it can."""
    if not place.commitid:
        return "it has no commit, and codespeed files results by commits: build the interpreter from a ref"
    kind = valueless_kind(result.path) if result.path else None
    if kind is not None:
        return f"a {kind} has no values, and codespeed takes nothing else"
    return (
        _too_long("commit", place.commitid, _COMMIT_LENGTH, None)
        or _too_long("branch", place.branch, _BRANCH_LENGTH, "branch_names")
        or _too_long("executable", place.executable, _EXECUTABLE_LENGTH, "executables")
        or _too_long("environment", place.environment, _ENVIRONMENT_LENGTH, "environments")
    )


def _too_long(what: str, name: str, most: int, table: str | None) -> str | None:
    if len(name) <= most:
        return None
    remedy = f"; give it another with {table} = {{{name!r:.120} = '...'}} in the settings" if table else ""
    return f"the {what} {name!r:.120} has more than the {most} characters that codespeed takes{remedy}"


def items_of(publication: Publication, settings: Codespeed) -> tuple[Item, ...]:
    """The items of a result, by benchmark. Reads the whole file: blocks. Refused for what codespeed cannot take."""
    head = publication.head
    source = (head.job.spec.get("source") if head.job else None) or {}
    place = place_of(head.result, settings, source.get("configure_args", ()))
    problem = refusal(head.result, place)
    if problem is not None:
        raise Refused(problem)
    try:
        suite = read_suite(head.data)
    except ResultError as exc:
        raise Refused(str(exc)) from exc
    common = {
        **msgspec.structs.asdict(place),
        "project": settings.project,
        "revision_date": _date(_committed(head, source, suite.metadata), settings),
        "result_date": _date(datetime.fromtimestamp(head.result.created, UTC), settings),
    }
    items: dict[str, Item] = {}
    for name, samples in sorted(suite.benchmarks.items()):
        item = _item(name, samples, common, settings)
        if item.benchmark in items:
            raise Refused(f"two benchmarks would be {item.benchmark!r} there; mend `benchmarks` in the settings")
        items[item.benchmark] = item
    return tuple(items.values())


def _item(name: str, samples: Samples, common: dict[str, Any], settings: Codespeed) -> Item:
    unit = (UNITS | settings.units).get(samples.unit)
    if unit is None:
        raise Refused(f"the benchmark {name!r} is in {samples.unit!r}, which codespeed has no word for")
    benchmark = settings.benchmarks.get(name, name) + unit.suffix
    problem = _too_long("benchmark", benchmark, _BENCHMARK_LENGTH, "benchmarks")
    if problem is not None:
        raise Refused(problem)
    try:
        value, statistics = _statistics(samples.values, settings)
    except OverflowError as exc:
        raise Refused(f"the values of the benchmark {name!r} are too large to have a mean") from exc
    return Item(
        **common,
        benchmark=benchmark,
        result_value=value,
        **statistics,
        units=unit.units,
        units_title=unit.title,
        lessisbetter=unit.less_is_better,
    )


def _statistics(values: Sequence[float], settings: Codespeed) -> tuple[float, dict[str, Any]]:
    """The value that is drawn, and what is asked for beside it; OverflowError where one of them is not finite.

    The deviation is the sample's, and one value has none; quartiles are interpolated linearly.
    """
    q1, median, q3 = (float(value) for value in np.quantile(values, (0.25, 0.5, 0.75)))
    centre = mean(values)
    all_there_are = {"std_dev": stdev(values), "min": min(values), "max": max(values), "q1": q1, "q3": q3}
    # JSON has no word for the others, and codespeed fails of them.
    if not all(math.isfinite(value) for value in (median, centre, *all_there_are.values()) if value is not None):
        raise OverflowError
    value = centre if settings.value == "mean" else median
    return value, {name: all_there_are[name] for name in settings.statistics}


def _committed(head: Measured, source: dict[str, Any], metadata: dict[str, Any]) -> datetime:
    """When the commit was made: as exactly as the job, the file or the row knows it, else when it was measured."""
    if source.get("time"):
        return datetime.fromtimestamp(source["time"], UTC)
    interpreter = head.result.interpreter or {}
    for known in (metadata.get("commit_date"), interpreter.get("commit_date"), interpreter.get("build_date")):
        if (made := moment_of(known)) is not None:
            return datetime.fromtimestamp(made, UTC)
    return datetime.fromtimestamp(head.result.created, UTC)


def _date(when: datetime, settings: Codespeed) -> str:
    """A time in UTC; a codespeed without time zones fails of any that is named."""
    return (when.replace(tzinfo=None) if settings.dates == "naive" else when).isoformat(timespec="seconds")
