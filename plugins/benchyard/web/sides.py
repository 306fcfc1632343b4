"""The sides of a comparison: what names and sent files stand for, read and ready to be compared."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from twisted.internet import threads

from benchyard.results.differences import Conditions, conditions_of
from benchyard.results.errors import ResultError
from benchyard.results.foreign import read_foreign
from benchyard.results.index import unpack_suite
from benchyard.results.intake import UNKNOWN, describe_file
from benchyard.results.kept import KeptSuites
from benchyard.results.layout import valueless_kind
from benchyard.results.markdown import Described
from benchyard.results.measured import MeasuredSuite, measure
from benchyard.results.reading import Suite, read_suite
from benchyard.store import calibrations
from benchyard.store.measurements import samples_of
from benchyard.store.rows import Noise, Result
from benchyard.store.selecting import read_selector, select_results
from benchyard.web.calls import Call
from benchyard.web.problems import Problem
from benchyard.web.results import read_stored
from benchyard.web.views import ResultView, known_time, result_view

#: Bytes of the files that are sent along, all together.
MAX_FILES = 40_000_000

#: Results of one interpreter that are taken together, the newest ones.
MAX_POOL = 16

#: How a file that was sent along is named among the results.
FILE = "file:"


class Side(NamedTuple):
    """One side of a comparison, before it is read: the results, or the bytes of a file of that name.

    `samples` are the packed ones of the results that were not read lately.
    """

    name: str
    rows: tuple[Result, ...]
    noise: dict[str, Noise]
    file: bytes | None = None
    samples: Mapping[int, bytes] = {}


class Read(NamedTuple):
    """One side, read."""

    side: Side
    measured: MeasuredSuite
    conditions: Conditions
    view: ResultView

    @property
    def ids(self) -> tuple[int, ...]:
        """The numbers of its results."""
        return tuple(row.id for row in self.side.rows)


async def find_sides(call: Call, names: Sequence[tuple[str, str]], files: Mapping[str, bytes]) -> list[Side]:
    """The sides of these fields and names; what is named twice is looked for once."""
    found: dict[str, Side] = {}
    tagged: dict[str, tuple[str, ...]] = {}
    for field, name in names:
        if name.startswith(FILE):
            found[name] = _sent(name.removeprefix(FILE), field, files)
        elif name not in tagged:
            tagged[name] = await threads.deferToThread(_tagged, call, name) if _may_be_tag(name) else ()
    if tagged:
        found |= await call.jobs.db(_stored, tagged, call.query.single, call.services.lab.kept)
    for side in found.values():
        _must_have_values(side.rows)
    return [found[name] for _, name in names]


def _stored(conn: Any, tagged: Mapping[str, tuple[str, ...]], single: bool, kept: KeptSuites) -> dict[str, Side]:
    """What names stand for, with the commits of each as a tag, and what is known of the noise of their hosts."""
    noises: dict[tuple[str, int | None], dict[str, Noise]] = {}
    sides = {}
    for name, commits in tagged.items():
        rows = select_results(conn, name, tags=partial(_given, commits), single=single)[:MAX_POOL]
        where = (rows[0].host, rows[0].epoch)
        if where not in noises:
            noises[where] = calibrations.noise_of(conn, *where)
        samples = samples_of(conn, [row.id for row in rows if row.sha256 not in kept])
        sides[name] = Side(name, rows, noises[where], samples=samples)
    return sides


def _given(commits: tuple[str, ...], _: str) -> tuple[str, ...]:
    return commits


def _may_be_tag(name: str) -> bool:
    wanted = read_selector(name)
    return wanted.kind in ("", "tag") and not wanted.name.isdigit() and wanted.name != "last"


def _tagged(call: Call, name: str) -> tuple[str, ...]:
    return tuple(call.services.lab.tags(read_selector(name).name))


def _sent(name: str, field: str, files: Mapping[str, bytes]) -> Side:
    if name not in files:
        raise Problem(400, f"the file {name!r} was not sent along", field)
    return Side(name, (), {}, files[name])


def _must_have_values(rows: Sequence[Result]) -> None:
    for row in rows:
        kind = valueless_kind(row.path) if row.path is not None else None
        if kind is not None:
            raise Problem(409, f"result {row.id} is a {kind}: it has no values to compare; name one of times")
        if not row.enabled:
            raise Problem(409, f"result {row.id} is disabled, and so is left out of comparisons; enable it first")


def sent_files(call: Call) -> dict[str, bytes]:
    if len(call.body) > MAX_FILES:
        raise Problem(413, f"the files to compare have more than {MAX_FILES} bytes; add them to the lab instead")
    try:
        files = msgspec.json.decode(call.body, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise Problem(400, "the body is not a JSON object of pyperf files by their names") from exc
    return {name: bytes(file) for name, file in files.items()}


def read_side(call: Call, side: Side) -> Read:
    """The files of a side and what is known of it, by the newest of its results."""
    if side.file is not None:
        try:
            suite = read_suite(side.file)
            named = read_foreign(side.name, suite.metadata)
            told = describe_file(suite, hashlib.sha256(side.file).hexdigest())
        except ResultError as exc:
            raise ResultError(f"{side.name}: {exc}") from exc
        told["suite"] = named.suite or told["suite"]
        told["fingerprint_id"] = named.fingerprint_id or told.get("fingerprint_id")
        view = _file_view(side.name, told, call.now())
        return Read(side, measure(suite), conditions_of(view, suite.metadata), view)
    lab = call.services.lab
    kept = [lab.kept.find(row.sha256 or "", partial(_read, lab.results_dir, row, side)) for row in side.rows]
    measured = kept[0].measured if len(kept) == 1 else measure(*(one.suite for one in kept))
    view = result_view(side.rows[0])
    return Read(side, measured, conditions_of(view, kept[0].suite.metadata), view)


def _read(root: Path, row: Result, side: Side) -> Suite:
    """A result as the index has it, or else as its file says."""
    with suppress(KeyError, ResultError):
        return unpack_suite(side.samples[row.id])
    return read_suite(read_stored(root, row))


def _file_view(name: str, told: Mapping[str, Any], now: float) -> ResultView:
    """A file as if it were a result of the lab, with the number 0."""
    interpreter = told["interpreter"]
    time = known_time(now)
    return ResultView(
        id=0,
        job=None,
        attempt=None,
        status="stored",
        enabled=True,
        owner=None,
        host=None,
        target=None,
        interpreter=interpreter,
        commit=interpreter["commit"],
        branch=interpreter["branch"],
        version=told["version"],
        flags=told["flags"],
        suite=told["suite"],
        suite_version=told["suite_version"],
        mode=told["mode"],
        note=None,
        benchmarks=told["benchmarks"],
        failed=(),
        path=name,
        sha256=None,
        size=None,
        created=time,
        changed=time,
        changed_by="",
        kind="benchmarks",
        grade=told.get("grade"),
        grade_reasons=tuple(told.get("grade_reasons", ())),
        epoch=None,
        fingerprint_id=told.get("fingerprint_id"),
        fingerprint=told.get("fingerprint"),
    )


def described(read: Read) -> Described:
    view = read.view
    interpreter = view.interpreter or {}
    numbers = ", ".join(map(str, read.ids))
    suite = " ".join(word for word in (view.suite, view.suite_version) if word and word != UNKNOWN)
    return Described(
        title=f"result{'s' if len(read.ids) > 1 else ''} {numbers}" if read.ids else read.side.name,
        repository=str(interpreter.get("url") or ""),
        commit=view.commit or "",
        ref=str(view.branch or interpreter.get("ref") or ""),
        patch=str(interpreter.get("patch") or ""),
        version=view.version or "",
        flags=view.flags,
        host=view.host or "",
        grade=view.grade or "",
        reasons=view.grade_reasons,
        suite=suite,
        failed=tuple(failed.name for failed in view.failed),
    )
