"""What people ask of the lab, as checked at every door: REST, force form, schedules."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

Mode = Literal["default", "fast", "rigorous"]
MODES: tuple[Mode, ...] = ("default", "fast", "rigorous")

#: No control characters: these texts are shown on terminals and pages, and written into logs.
_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"

Path = Annotated[str, msgspec.Meta(min_length=1, max_length=1000, pattern=_PRINTABLE)]
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=_PRINTABLE)]
Words = Annotated[tuple[Word, ...], msgspec.Meta(max_length=500)]
Line = Annotated[str, msgspec.Meta(max_length=1000, pattern=_PRINTABLE)]


class Invalid(Exception):
    """A request that cannot be accepted; `field` names the faulty part, the message says what to do."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class JobRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A job as it is asked for; `run` false leaves it `created`, off the queue."""

    python: Path
    target: Word | None = None
    host: Word | None = None
    benchmarks: Words = ()
    mode: Mode = "default"
    affinity: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    reason: Line = ""
    run: bool = True


class JobSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a job will do, every name resolved: the `spec` of its row."""

    python: str
    benchmarks: tuple[str, ...]
    selection: tuple[str, ...] = ()
    mode: Mode = "default"
    affinity: str | None = None

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> "JobSpec":
        """The spec of a job's row."""
        return msgspec.convert(spec, cls)


class CheckedJob(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was found good."""

    target: str
    host: str | None
    spec: JobSpec


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
