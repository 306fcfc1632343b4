"""Results: what runs left, and their comparison; the collection `client.results`."""

import hashlib
from datetime import datetime

import msgspec

from benchyard.client.entities import Entity, Link, make_entity
from benchyard.client.errors import ServerError
from benchyard.client.jobs import FailedBenchmark
from benchyard.client.paging import Pages


class Interpreter(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured: a built Python as its host saw it; the id is the hash of what it was made of."""

    id: str = ""
    executable: str = ""
    implementation: str = ""
    version: str = ""
    commit: str | None = None
    branch: str | None = None
    build_date: str | None = None
    flags: tuple[str, ...] = ()
    configure_args: str = ""
    compiler: str = ""
    machine: str = ""
    system: str = ""


class BenchmarkResult(Entity, frozen=True, kw_only=True):
    """What one run left: a pyperf JSON file, whole and immutable, and what the lab's index says of it."""

    id: int
    status: str
    enabled: bool = True
    job: int | None = None
    attempt: int | None = None
    host: str = ""
    target: str = ""
    interpreter: Interpreter = Interpreter()
    commit: str | None = None
    branch: str | None = None
    version: str = ""
    flags: tuple[str, ...] = ()
    suite: str = ""
    suite_version: str = ""
    mode: str = ""
    benchmarks: int = 0
    failed: tuple[FailedBenchmark, ...] = ()
    path: str = ""
    sha256: str = ""
    size: int = 0
    created: datetime | None = None

    def refresh(self) -> "BenchmarkResult":
        """Return the result as the index has it now; its file never changes."""
        return make_entity(BenchmarkResult, self.link.api.get(f"/results/{self.id}"), self.link)

    def read(self) -> bytes:
        """Return the pyperf JSON file, byte for byte; ServerError if it is not the one the index tells of."""
        data = self.link.api.get_bytes(f"/results/{self.id}/file")
        if self.sha256 and hashlib.sha256(data).hexdigest() != self.sha256:
            raise ServerError(f"the file of result {self.id} came damaged: its SHA-256 is not {self.sha256}")
        return data

    def compare(self, other: "BenchmarkResult | int") -> "Comparison":
        """Compare this result, as the base, with another as the head."""
        head = other if isinstance(other, int) else other.id
        return _compare(self.link, self.id, head)


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """Mean and standard deviation of `n` values, in `unit` ("second", "byte", "integer")."""

    mean: float
    stdev: float | None = None
    n: int = 0
    unit: str = "second"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One benchmark in both results; `ratio` over 1 means a faster head, `change` says it in words."""

    name: str
    base: Estimate
    head: Estimate
    ratio: float | None = None
    change: str = ""
    significant: bool = False


class GeometricMean(msgspec.Struct, frozen=True, kw_only=True):
    """The geometric mean of the ratios of `n` benchmarks, of the `of` that the two results know together."""

    ratio: float | None = None
    change: str = ""
    n: int = 0
    of: int = 0


class Comparison(Entity, frozen=True, kw_only=True):
    """A base result against a head result.

    `missing` are benchmarks of the base only, `new` of the head only, `incomparable` those measured in two units.
    """

    base: BenchmarkResult
    head: BenchmarkResult
    benchmarks: tuple[Change, ...] = ()
    missing: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    incomparable: tuple[str, ...] = ()
    geometric_mean: GeometricMean | None = None


class Results:
    """The results of a lab, newest first."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def list(
        self,
        *,
        job: int | None = None,
        host: str | None = None,
        target: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Pages[BenchmarkResult]:
        """Iterate over results, newest first; of a job, of a host, of a target where given."""
        params = {"job": job, "host": host, "target": target}
        return Pages(BenchmarkResult, "/results", params, self._link, limit=limit, cursor=cursor)

    def get(self, result_id: int) -> BenchmarkResult:
        """Return the result; NotFound if there is none of this number."""
        return make_entity(BenchmarkResult, self._link.api.get(f"/results/{result_id}"), self._link)

    def compare(self, base: int, head: int) -> Comparison:
        """Compare two results by their numbers."""
        return _compare(self._link, base, head)


def _compare(link: Link, base: int, head: int) -> Comparison:
    document = link.api.get("/results/compare", {"base": base, "head": head})
    comparison = make_entity(Comparison, document, link)
    for name in ("base", "head"):
        getattr(comparison, name).__dict__.update(link_=link, document_=document[name])
    return comparison
