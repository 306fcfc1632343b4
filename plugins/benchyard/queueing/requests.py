"""What people ask of the lab, as checked at every door: REST, force form, schedules."""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from benchyard.results.patterns import PRINTABLE

Mode = Literal["default", "fast", "rigorous"]
MODES: tuple[Mode, ...] = ("default", "fast", "rigorous")

#: What a job does where nothing else is asked for. Which kinds there are is known where they are checked.
DEFAULT_KIND = "benchmarks"

Path = Annotated[str, msgspec.Meta(min_length=1, max_length=1000, pattern=PRINTABLE)]
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=PRINTABLE)]
Words = Annotated[tuple[Word, ...], msgspec.Meta(max_length=500)]
Ref = Annotated[str, msgspec.Meta(min_length=1, max_length=250, pattern=PRINTABLE)]
Address = Annotated[str, msgspec.Meta(min_length=1, max_length=500, pattern=PRINTABLE)]
Patch = Annotated[str, msgspec.Meta(min_length=1, max_length=640_000)]
Arguments = Annotated[tuple[Path, ...], msgspec.Meta(max_length=50)]
Line = Annotated[str, msgspec.Meta(max_length=1000, pattern=PRINTABLE)]


class Invalid(Exception):
    """A request that cannot be accepted; `field` names the faulty part, the message says what to do."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class JobRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A job as it is asked for; `run` false leaves it `created`, off the queue.

    `kind` is one of the lab's; one that it does not know is answered with those that it does. The interpreter is one
    that is installed on the host (`python`), or one to build: from `ref` or the tip of `branch` of a `remote`, with a
    `patch` on top. Where just the same was measured already, that job is given instead of a new one, unless `again`.
    With `also_base`, what it is based on is measured too, and compared with. A benchmark that fails its smoke is left
    out, or with `strict` the end of the job. `suite` is one of the settings'; `same_loops` is the result whose loop
    counts are taken, so that nothing is calibrated anew. With `upload`, the result is published wherever it may be,
    also where that is not automatic.
    """

    kind: Word = DEFAULT_KIND
    python: Path | None = None
    ref: Ref | None = None
    remote: Address | None = None
    branch: Ref | None = None
    patch: Patch | None = None
    flags: Words = ()
    configure_args: Arguments = ()
    also_base: bool = False
    again: bool = False
    strict: bool = False
    upload: bool = False
    target: Word | None = None
    host: Word | None = None
    benchmarks: Words = ()
    mode: Mode = "default"
    affinity: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    suite: Word | None = None
    same_loops: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] | None = None
    reason: Line = ""
    run: bool = True

    @property
    def is_built(self) -> bool:
        """Whether the interpreter is one to build."""
        return any(part is not None for part in (self.ref, self.remote, self.branch, self.patch))


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """What an interpreter is built from, every name resolved when the job was submitted.

    `ref` is what was asked for; `merge_base` is the last commit that it shares with the branch it is meant for,
    `patch` the SHA-256 of what is applied on top, `environ` are the target's compiler variables, `recipe` is the hash
    of it all.
    """

    remote: str
    url: str
    ref: str
    commit: str
    branch: str | None = None
    merge_base: str | None = None
    time: float = 0.0
    patch: str | None = None
    patch_level: int = 1
    flags: tuple[str, ...] = ()
    configure_args: tuple[str, ...] = ()
    environ: dict[str, str] = {}
    recipe: str = ""


class JobSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a job will do, every name resolved: the `spec` of its row. It has a `python`, or a `source` to build one.

    `suite_id` is empty where the benchmarks are those of the pyperformance that is installed on all hosts; `loops` are
    loop counts by benchmark, those of the result `same_loops`.
    """

    python: str = ""
    source: Source | None = None
    benchmarks: tuple[str, ...]
    selection: tuple[str, ...] = ()
    mode: Mode = "default"
    affinity: str | None = None
    suite: str = ""
    suite_id: str = ""
    suite_version: str = ""
    loops: dict[str, int] = {}
    same_loops: int | None = None
    strict: bool = False
    upload: bool = False

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> "JobSpec":
        """The spec of a job's row."""
        return msgspec.convert(spec, cls)

    def identity(self, target: str, kind: str = DEFAULT_KIND) -> str | None:
        """What jobs of a target have in common that measure just the same; None where the host has the interpreter."""
        if self.source is None:
            return None
        suite = [self.suite_id, self.suite_version]
        parts = [target, self.source.recipe, sorted(self.benchmarks), self.mode, self.affinity, suite, self.loops]
        if kind != DEFAULT_KIND:  # those of the default kind are in datastores that know no other
            parts.append(kind)
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class CheckedJob(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was found good; one that `repeats` is made to measure again what was measured before."""

    target: str
    kind: str = DEFAULT_KIND
    repeats: bool = False
    host: str | None
    spec: JobSpec
    patch: str | None = None
    base: JobRequest | None = None
    """What is to be measured as well, to compare with."""


def parse_request(data: Any) -> JobRequest:
    """The request in `data`, decoded JSON; Invalid names the field."""
    try:
        return msgspec.convert(data, JobRequest)
    except msgspec.ValidationError as exc:
        raise invalid(exc) from exc


def invalid(error: msgspec.ValidationError) -> Invalid:
    """The same error with its field, which msgspec tells by a path or, where it does not belong, in words."""
    message, _, at = str(error).partition(" - at `$.")
    field = at.rstrip("`").partition("[")[0]
    if "`" in message and not field:
        field = message.split("`")[1] if "field" in message else ""
    return Invalid(field, f"{message[:1].lower()}{message[1:]}")


def split_selection(text: str) -> tuple[str, ...]:
    """`"nbody, -json"` as a selection of benchmarks."""
    return tuple(word for word in text.replace(",", " ").split() if word)
