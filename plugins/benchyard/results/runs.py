"""What the lab says of a run in the file that the run has left, so that files alone make the index again.

All that a result's row has and neither the values nor the names of files tell is one text of JSON, BY_LAB in the file's
metadata; pyperf takes it for a word like others. It is written before the file is kept, which is never changed after.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import structs

from benchyard.results.errors import ResultError
from benchyard.results.patterns import END, PRINTABLE, printable

#: Where it is in the metadata.
BY_LAB = "benchyard_result"

#: Of the text; most of it are the ends of the logs of what has failed.
MOST_CHARACTERS = 4_000_000

#: Of what the index keeps of a run as JSON, and lists and pages show with each result: levels, and bytes.
MOST_DEPTH, MOST_JSON = 8, 100_000

# Columns that an index is made of cannot be longer.
_Word = Annotated[str, msgspec.Meta(max_length=500, pattern=PRINTABLE)]
# Mercurial has a `+` for a tree with changes.
_Commit = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{1,64}\+?" + END)]
_Shown = Annotated[str, msgspec.Meta(pattern=PRINTABLE)]
_Number = Annotated[int, msgspec.Meta(ge=1, lt=2**31)]
_Time = Annotated[float, msgspec.Meta(ge=0.0, lt=1e11)]


class _Failed(msgspec.Struct, forbid_unknown_fields=True):
    """A benchmark without values."""

    name: _Word
    error: str | None = None
    log_tail: str = ""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run of a lab: the columns of its result's row.

    Only in the lab that has measured it do `job` and `attempt` mean a run, which `started` tells from those of others;
    `host_print` is the id of its host's part of the fingerprint, by which epochs are told.
    """

    job: _Number
    attempt: _Number
    started: _Time
    created: _Time
    kind: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_-]{0,39}" + END)]
    host: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{1,100}" + END)]
    target: _Word
    interpreter: dict[str, Any]
    commit: _Commit | None
    branch: _Word | None
    version: _Word
    flags: tuple[_Word, ...]
    suite: _Word
    suite_version: _Word
    mode: _Word
    benchmarks: Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
    failed: tuple[dict[str, Any], ...] = ()
    grade: Annotated[str, msgspec.Meta(pattern="^[ABC]" + END)] | None = None
    grade_reasons: tuple[str, ...] = ()
    fingerprint: dict[str, Any] | None = None
    fingerprint_id: _Word | None = None
    host_print: _Word | None = None

    @property
    def columns(self) -> dict[str, Any]:
        """The columns of the row, but for what only its own lab can tell."""
        return {name: getattr(self, name) for name in self.__struct_fields__ if name not in _OF_LAB}


_OF_LAB = ("job", "attempt", "started", "host_print")


class _Interpreter(msgspec.Struct):
    """What is relied on, of what a run says of its interpreter: by the lab, and by those who ask it."""

    id: _Word
    version: _Word
    machine: _Word
    system: _Word
    executable: str = ""
    implementation: _Word = ""
    configure_args: str = ""
    compiler: str = ""
    libc: str = ""
    commit: _Commit | None = None
    branch: _Word | None = None
    remote: _Word | None = None
    ref: _Word | None = None
    merge_base: _Word | None = None
    patch: _Word | None = None
    url: _Shown | None = None
    commit_date: _Word | None = None
    build_date: _Word | None = None
    flags: tuple[_Word, ...] = ()
    sysconfig: dict[str, Any] = {}
    environ: dict[str, str] = {}
    toolchain: dict[str, Any] | None = None


class _HostPrint(msgspec.Struct):
    """The same of the host's part of its conditions."""

    cpu: _Shown = ""
    microcode: _Shown = ""
    kernel: _Shown = ""
    mitigations: dict[_Shown, _Shown] = {}
    governor: _Shown = ""
    boost: _Shown = ""
    smt: _Shown = ""
    isolation: _Shown = ""


class _Fingerprint(msgspec.Struct):
    """The same of all its conditions."""

    host: _HostPrint
    libc: _Shown = ""
    compiler: _Shown = ""
    suite: _Shown = ""


class _Some(msgspec.Struct):
    """A file of which nothing but the metadata counts."""

    metadata: dict[str, Any] = {}


def check_run(said: Any) -> Run:
    """The run that is said; ResultError, in one line, where no run could be so.

    What it says in words for people of its grade and of what failed may have anything in it; what cannot be shown is
    not kept of that.
    """
    try:
        run = msgspec.convert(said, Run)
        for name in ("interpreter", "fingerprint", "flags", "grade_reasons"):
            check_json(name, getattr(run, name))
        msgspec.convert(run.interpreter, _Interpreter)
        msgspec.convert(run.failed, tuple[_Failed, ...])
        msgspec.convert(run.fingerprint, _Fingerprint | None)
    except msgspec.ValidationError as exc:
        raise ResultError(f"what the result file says of its run cannot be: {exc}") from exc
    failed = tuple({**one, "error": one.get("error") and printable(one["error"])} for one in run.failed)
    return structs.replace(run, failed=failed, grade_reasons=tuple(map(printable, run.grade_reasons)))


def check_json(name: str, value: Any) -> None:
    """ResultError for what the index could keep as JSON and not give back, nor PostgreSQL look into; or is too long."""
    level, depth = [value], 0
    while level:
        if any(isinstance(one, str) and "\x00" in one for one in level):
            raise ResultError(f"what the result file says of {name} has a NUL character in it")
        level = [part for one in level for part in _parts(one)]
        depth += 1
        if depth > MOST_DEPTH and level:
            raise ResultError(f"what the result file says of {name} is nested more than {MOST_DEPTH} levels deep")
    if len(msgspec.json.encode(value)) > MOST_JSON:
        raise ResultError(f"what the result file says of {name} is longer than {MOST_JSON / 1e3:g} kB")


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return (*value.keys(), *value.values())
    return value if isinstance(value, list | tuple) else ()


def with_run(data: bytes, run: Run) -> bytes:
    """A run's file, of whatever kind, with what the lab says of it; all else stays as it is, byte for byte."""
    try:
        file = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        metadata = msgspec.json.decode(file.get("metadata", b"{}"), type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ResultError(f"the result file is not JSON: {' '.join(str(exc).split())}") from exc
    metadata[BY_LAB] = msgspec.Raw(msgspec.json.encode(msgspec.json.encode(run).decode()))
    file["metadata"] = msgspec.Raw(msgspec.json.encode(metadata))
    return msgspec.json.encode(file)


def read_run(metadata: dict[str, Any]) -> Run | None:
    """What the metadata of a file say of its run; None where they say nothing, ResultError for what cannot be."""
    said = metadata.get(BY_LAB)
    if said is None:
        return None
    if isinstance(said, str) and len(said) > MOST_CHARACTERS:
        raise ResultError(f"what the result file says of its run is longer than {MOST_CHARACTERS / 1e6:g} MB")
    try:
        return check_run(msgspec.json.decode(said if isinstance(said, str) else b""))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise ResultError(f"what the result file says of its run is not JSON: {exc}") from exc


def run_without_values(data: bytes) -> Run | None:
    """The run of a file that is not pyperf's, such as a profile; None for what is no such file."""
    try:
        return read_run(msgspec.json.decode(data, type=_Some).metadata)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
