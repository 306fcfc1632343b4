"""Series: a benchmark, or the geometric mean of all, from commit to commit, and the collection `client.series`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec

from benchyard.client.entities import Document, Link, ask
from benchyard.client.errors import Invalid
from benchyard.client.http import Params
from benchyard.client.paging import Moment


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A commit: the geometric mean of what its `results` gave, and the least and the most of them."""

    commit: str
    time: datetime
    value: float
    low: float
    high: float
    results: tuple[int, ...] = ()
    n: int = 0
    stdev: float | None = None


class LevelChange(msgspec.Struct, frozen=True, kw_only=True):
    """From the point of this `index` on the level is another: `step` is relative, `change` says it in words.

    `sure` is how sure that is, of 1. `regression` is the number of its record, `status` what has become of it.
    """

    index: int
    commit: str
    commit_before: str = ""
    before: float = 0.0
    after: float = 0.0
    step: float
    change: str = ""
    sure: float = 0.0
    worse: bool = False
    regression: int | None = None
    status: str | None = None
    owner: str | None = None
    comment: str = ""


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """Points that can be compared: of one epoch of the host, and one version of the benchmark."""

    epoch: int | None = None
    version: str = ""
    points: tuple[Point, ...] = ()
    changes: tuple[LevelChange, ...] = ()


class LaneSeries(msgspec.Struct, frozen=True, kw_only=True):
    """A series of results that are alike in all this; of the geometric mean, benchmark and unit are empty."""

    host: str
    flags: tuple[str, ...] = ()
    branch: str = ""
    implementation: str = ""
    suite: str = ""
    suite_version: str = ""
    mode: str = ""
    benchmark: str = ""
    unit: str = ""
    stretches: tuple[Stretch, ...] = ()


class Series(Document, frozen=True, kw_only=True):
    """The series of all lanes that were asked for, those with the most points first; `more` are left out."""

    series: tuple[LaneSeries, ...] = ()
    more: int = 0


class AllSeries:
    """The series of a lab: one for each host, set of flags, branch and so on; what is given chooses among them.

    Without a `benchmark` the geometric mean of all is meant. `flags` are those that make another interpreter: ("jit",),
    or () for none of them. `since` is when results were made.
    """

    def __init__(self, link: Link) -> None:
        self._link = link

    def get(
        self,
        benchmark: str | None = None,
        *,
        host: str | None = None,
        target: str | None = None,
        branch: str | None = None,
        flags: Sequence[str] | None = None,
        since: Moment | None = None,
    ) -> Series:
        """Return the series, from commit to commit, with the changes of their levels."""
        params = _params(benchmark, host=host, target=target, branch=branch, flags=flags, since=since)
        return ask(Series, self._link, "GET", "/results/series", params=params)

    def csv(
        self,
        benchmark: str | None = None,
        *,
        host: str | None = None,
        target: str | None = None,
        branch: str | None = None,
        flags: Sequence[str] | None = None,
        since: Moment | None = None,
    ) -> str:
        """Return them as CSV, a line for each commit."""
        params = _params(benchmark, host=host, target=target, branch=branch, flags=flags, since=since)
        return self._link.api.get_bytes("/results/series.csv", params).decode()

    def draw(
        self,
        kind: Literal["svg", "png"],
        benchmark: str | None = None,
        *,
        host: str | None = None,
        target: str | None = None,
        branch: str | None = None,
        flags: Sequence[str] | None = None,
        since: Moment | None = None,
        dark: bool = False,
    ) -> bytes:
        """Return a picture of the few with the most points; a PNG is for a `dark` page if asked, an SVG for all."""
        params = _params(benchmark, host=host, target=target, branch=branch, flags=flags, since=since)
        return self._link.api.get_bytes(f"/results/series.{kind}", {**params, **({"dark": "true"} if dark else {})})


def _params(benchmark: str | None, *, flags: Sequence[str] | None, since: Moment | None, **lane: str | None) -> Params:
    """The query of a series."""
    if benchmark == "":
        raise Invalid("a benchmark has a name; None means the geometric mean of all")
    named: dict[str, str | None] = {"benchmark": benchmark, "mean": None if benchmark else "true", **lane}
    if flags is not None:
        named["flags"] = ",".join(flags) or "none"
    if since is not None:
        named["since"] = since.astimezone().isoformat() if isinstance(since, datetime) else since
    return {name: value for name, value in named.items() if value is not None}
