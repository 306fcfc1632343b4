"""Results: what runs left, and their comparison; the collection `client.results`."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, ClassVar, Literal
from urllib.parse import quote

import msgspec

from benchyard.client.entities import Document, Entity, ask
from benchyard.client.errors import ServerError
from benchyard.client.jobs import FailedBenchmark
from benchyard.client.measured import Attachment, Fingerprint, Interpreter, Measurement
from benchyard.client.paging import Collection, Moment, Pages
from benchyard.client.uploads import Upload, ask_uploads

if TYPE_CHECKING:
    from benchyard.client.comparisons import Comparison, Matrix, Selector
    from benchyard.client.transfers import Transfer


class BenchmarkResult(Entity, frozen=True, kw_only=True):
    """What one run left: a pyperf JSON file, whole and immutable, and what the lab's index says of it.

    That of a profile is another JSON file: it says what was profiled, and `attachments` has the rest.

    One that was added by hand has no job, and no file until write(); what is known from the file alone (version,
    flags, suite ...) is None or empty up to then. Status is stored, or trashed once it was removed.

    `kind` is that of the job. `grade` is how far it can be trusted: A (tuned, isolated, quiet), B (in doubt) or C
    (disturbed, or not looked after), with `grade_reasons` why it is no better. `epoch` numbers the stretches of its
    host's history with one CPU, kernel, governor and so on; `fingerprint` is not told in lists, refresh() has it.
    `missing` is since when its file is gone from the lab's disk; it is disabled until that is there again.
    """

    id: int
    owner: str | None = None
    job: int | None = None
    attempt: int | None = None
    host: str | None = None
    target: str | None = None
    interpreter: Interpreter | None = None
    commit: str | None = None
    branch: str | None = None
    version: str | None = None
    flags: tuple[str, ...] = ()
    suite: str | None = None
    suite_version: str | None = None
    mode: str | None = None
    note: str | None = None
    benchmarks: int = 0
    failed: tuple[FailedBenchmark, ...] = ()
    path: str | None = None
    sha256: str | None = None
    size: int | None = None
    kind: str = "benchmarks"
    grade: str | None = None
    grade_reasons: tuple[str, ...] = ()
    epoch: int | None = None
    fingerprint_id: str | None = None
    fingerprint: Fingerprint | None = None
    missing: datetime | None = None

    collection_: ClassVar[str] = "results"

    def modify(
        self,
        *,
        commit: str | msgspec.UnsetType | None = msgspec.UNSET,
        branch: str | msgspec.UnsetType | None = msgspec.UNSET,
        note: str | msgspec.UnsetType | None = msgspec.UNSET,
        expect: bool = True,
    ) -> "BenchmarkResult":
        """Change what the index says; the file never changes. Stale if the same was changed meanwhile."""
        return self._modified({"commit": commit, "branch": branch, "note": note}, expect=expect)

    def remove(self) -> None:
        """Put the result and its file into the lab's trash, where they are kept for some months."""
        super().remove()

    def read(self) -> bytes:
        """Return the pyperf JSON file, byte for byte; NotFound if it has none yet.

        ServerError if the bytes are not those that the index tells of.
        """
        data = self.link.api.get_bytes(f"{self.path_}/file")
        if self.sha256 and hashlib.sha256(data).hexdigest() != self.sha256:
            raise ServerError(f"the file of result {self.id} came damaged: its SHA-256 is not {self.sha256}")
        return data

    def measurements(self) -> "tuple[Measurement, ...]":
        """Return what each benchmark gave, by name; nothing where the result has no values."""
        return ask(_Measurements, self.link, "GET", f"{self.path_}/measurements").items

    def attachments(self) -> "tuple[Attachment, ...]":
        """Return the files that belong to the result besides its own, by name."""
        return ask(_Attachments, self.link, "GET", f"{self.path_}/attachments").items

    def attachment(self, name: str) -> bytes:
        """Return one of these files, byte for byte; NotFound if there is none of this name."""
        return self.link.api.get_bytes(f"{self.path_}/attachments/{quote(name, safe='')}")

    def write(self, file: "bytes | str | Path | BinaryIO") -> "BenchmarkResult":
        """Attach a pyperf JSON file: its bytes, its path, or the open file.

        Once only: the same bytes again change nothing, others are a Conflict. Raises Invalid for what is not a
        pyperf file, OSError for a file that cannot be read.
        """
        answer = self.link.api.put_bytes(f"{self.path_}/file", _bytes_of(file))
        return self._later(answer)

    def upload(self, destinations: Sequence[str] = (), *, again: bool = False) -> tuple[Upload, ...]:
        """Ask for the result to be published at these destinations of the lab, or wherever it may be.

        The lab sends it, now or later; `client.uploads.wait` waits for that. `again` sends it also where it is already,
        and lets what waits be tried now. Conflict, with the reason, where it may not be published.
        """
        return ask_uploads(self.link, f"{self.path_}/upload", {"destinations": [*destinations], "again": again})

    def compare(self, other: "BenchmarkResult | int") -> "Comparison":
        """Compare this result, as the base, with another as the head."""
        head = other if isinstance(other, int) else other.id
        from benchyard.client.comparisons import compare

        return compare(self.link, self.id, (head,))


class _Pruned(Document, frozen=True, kw_only=True):
    items: tuple[BenchmarkResult, ...] = ()


class _Measurements(Document, frozen=True, kw_only=True):
    items: tuple[Measurement, ...] = ()


class _Attachments(Document, frozen=True, kw_only=True):
    items: tuple[Attachment, ...] = ()


class Results(Collection[BenchmarkResult]):
    """The results of a lab, newest first."""

    def list(
        self,
        *,
        job: int | None = None,
        host: str | None = None,
        target: str | None = None,
        user: str | None = None,
        commit: str | None = None,
        branch: str | None = None,
        version: str | None = None,
        status: str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Pages[BenchmarkResult]:
        """Iterate over results, newest first; of what is given only.

        `commit` may be the beginning of one, `user` is the owner, `since` and `until` bound the time at which
        the result was made.
        """
        filters = {"job": job, "host": host, "target": target, "user": user, "commit": commit, "branch": branch}
        times = {"since": since, "until": until}
        return self._listed({**filters, "version": version, "status": status, **times}, limit, cursor)

    def get(self, result_id: int) -> BenchmarkResult:
        """Return the result; NotFound if there is none of this number."""
        return self._get(result_id)

    def add(
        self,
        host: str,
        *,
        target: str | None = None,
        commit: str | None = None,
        branch: str | None = None,
    ) -> BenchmarkResult:
        """Make a result of a measurement that the lab did not make, without a file yet; write() attaches it."""
        return self._added({"host": host, "target": target, "commit": commit, "branch": branch})

    def remove(self, result_id: int) -> None:
        """Remove a result, see BenchmarkResult.remove()."""
        self._remove(result_id)

    def import_from(
        self,
        folder: Path,
        *,
        host: str | None = None,
        own_hosts: bool = False,
        dry_run: bool = False,
        files: Sequence[Path] | None = None,
    ) -> "Iterator[Transfer]":
        """Take in the result files below a folder, or these of them, one after the other; tells of each what became.

        What the lab has already is known by its content, so what was cut off is done by doing it again. A file of a
        host that the lab has itself is skipped, unless with `own_hosts` it is that host's, or `host` is given.
        """
        from benchyard.client.transfers import import_files, result_files

        found = result_files(folder) if files is None else files
        return import_files(self._link, folder, found, host=host, own_hosts=own_hosts, dry_run=dry_run)

    def prune(self, *, keep_all_days: float | None = None, dry_run: bool = True) -> tuple[BenchmarkResult, ...]:
        """Return the old results that the lab's policy has no use for; without `dry_run` they go to the trash.

        `keep_all_days` is for how long all stay, as the lab's settings say by default.
        """
        body = {"keep_all_days": keep_all_days, "dry_run": dry_run}
        return ask(_Pruned, self._link, "POST", "/results/prune", body).items

    def export_to(self, folder: Path, results: "Iterable[BenchmarkResult] | None" = None) -> "Iterator[Transfer]":
        """Write the files of results, or of all, below a folder as bench_runner has them; tells of each what became."""
        from benchyard.client.transfers import export_results

        return export_results(self.list() if results is None else results, folder)

    def compare(
        self, base: "Selector", *heads: "Selector", single: bool = False, include_different: bool = False
    ) -> "Comparison":
        """Compare a base with a head; with further heads, they are in `more` of what is returned.

        Each is a result or its number, the name of an interpreter ("last", a commit's beginning, a tag, a branch,
        "python:3.14", narrowed as in "main@quiet-1+jit"), which stands for all its results unless `single`, or the
        Path of a pyperf file that is not in the lab. What differs in more than the interpreter counts overall only with
        `include_different`. Raises NotFound or Invalid for names that mean nothing, or several things.
        """
        from benchyard.client.comparisons import compare

        return compare(self._link, base, heads, single=single, include_different=include_different)

    def compare_as(
        self,
        kind: "Literal['markdown', 'csv']",
        base: "Selector",
        *heads: "Selector",
        single: bool = False,
        include_different: bool = False,
    ) -> str:
        """Compare as compare() does, and return the text for an issue or a spreadsheet."""
        from benchyard.client.comparisons import compare_as

        return compare_as(self._link, kind, base, heads, single=single, include_different=include_different)

    def draw(
        self,
        kind: "Literal['svg', 'png']",
        base: "Selector",
        head: "Selector",
        *,
        benchmark: str | None = None,
        single: bool = False,
        include_different: bool = False,
        dark: bool = False,
    ) -> bytes:
        """Return a picture of a comparison, or with `benchmark` of the values of that on both sides.

        What is compared is said as for compare(). An SVG is for light and dark pages, a PNG for a `dark` one if asked.
        """
        from benchyard.client.pictures import draw_comparison

        how = {"single": single, "include_different": include_different, "dark": dark}
        return draw_comparison(self._link, kind, base, head, benchmark=benchmark, **how)

    def matrix(
        self,
        *bases: "Selector",
        heads: "Sequence[Selector]" = (),
        single: bool = False,
        include_different: bool = False,
    ) -> "Matrix":
        """Compare each base as a whole with each head, or with each other base where no heads are named."""
        from benchyard.client.comparisons import compare_many

        return compare_many(self._link, bases, heads, single=single, include_different=include_different)


def _bytes_of(file: "bytes | str | Path | BinaryIO") -> bytes:
    if isinstance(file, bytes):
        return file
    return Path(file).read_bytes() if isinstance(file, str | Path) else file.read()
