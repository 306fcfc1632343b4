"""Where a result file lives: the directories and names of bench_runner, so that its tools read ours.

    bm-DATE-VERSION-HASH[-FLAG,FLAG]/bm-DATE-NICKNAME-MACHINE-FORK-REF-VERSION-HASH.json

The names are those of `Result.filename` in `bench_runner/result.py`, which splits them at each `-`
(https://github.com/faster-cpython/bench_runner).
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from benchyard.results.errors import ResultError
from benchyard.results.times import moment_of

# bench_runner's names of flags are theirs in capitals. It builds everything with PGO and LTO, and names neither.
_USUAL = frozenset({"lto", "pgo"})

#: The end of the name of a pyperf file, and what is added to that where it is kept packed.
VALUES = ".json"
PACKED = ".gz"

# Whose the repository is that all others are forks of.
_UPSTREAM = "python"

_HASH_LENGTH = 7
_REF_LENGTH = 20
# Linux takes no longer names than 255 bytes, and files of values have one that is longer than that of bench_runner.
_NAME_BYTES = 255 - len(PACKED)

_UNSAFE = re.compile(r"[^A-Za-z0-9._+%~]")
_RERUN = re.compile(r"rerun-([1-9][0-9]{0,5})", re.ASCII)
_STAMP = re.compile(r"[0-9]{8}", re.ASCII)


class ResultName(msgspec.Struct, frozen=True):
    """What the path of a result file says; `flags` as in the name (`JIT`), `day` as in it (`20260507`)."""

    day: str
    nickname: str
    machine: str
    fork: str
    ref: str
    version: str
    commit: str
    flags: tuple[str, ...]


def result_path(
    *,
    day: date,
    nickname: str,
    machine: str,
    fork: str,
    ref: str,
    version: str,
    commit: str,
    flags: Sequence[str] = (),
) -> PurePosixPath:
    """Return the path of a result file below the results directory.

    `day` is the commit's, `nickname` the host's, `machine` as "x86_64", `flags` as of an interpreter ("jit").
    Whatever cannot be in a field becomes `_`; ResultError for an empty or over-long name.
    """
    stamp = f"{day:%Y%m%d}"
    version = _field("version", version)
    commit = _field("commit", commit[:_HASH_LENGTH])
    names = variant(flags)
    folder = "-".join(["bm", stamp, version, commit, *([",".join(names)] if names else [])])
    fields = {
        "nickname": nickname,
        "machine": machine.lower(),
        # bench_runner quotes a fork as in URLs, and unquotes it for people.
        "fork": fork.replace("-", "%2d"),
        "ref": ref[:_REF_LENGTH],
    }
    middle = [_field(name, value) for name, value in fields.items()]
    file = "-".join(["bm", stamp, *middle, version, commit]) + VALUES
    if max(len(folder), len(file)) > _NAME_BYTES:
        raise ResultError(f"the name of the result file is longer than {_NAME_BYTES} bytes: {file[:80]}...")
    return PurePosixPath(folder, file)


def variant(flags: Sequence[str]) -> tuple[str, ...]:
    """Return bench_runner's names of those flags that make another interpreter than the usual one.

    Flags that it does not know are named as well: a debug build is never to be taken for a base.
    """
    return tuple(sorted({field_text(flag.upper()) for flag in flags if flag and flag not in _USUAL}))


def flags_of_variant(names: Sequence[str]) -> tuple[str, ...]:
    """Return the flags of such names, which are in small letters."""
    return tuple(sorted({name.lower() for name in names if name}))


def path_of_run(interpreter: Mapping[str, Any], *, host: str, started: float) -> PurePosixPath:
    """Return the path of the result of an interpreter measured on `host` from `started` (epoch seconds).

    An installed interpreter has no commit: its id stands for it, and its version for the ref. The date is the
    commit's or else the build's, where it is known and an ISO date, else the run's in UTC. A patch is named with the
    ref, so that what was measured with one is not taken for its commit.
    """
    commit = interpreter.get("commit")
    version = str(interpreter["version"])
    ref = str(interpreter.get("branch") or interpreter.get("ref") or commit or f"v{version}")
    patch = interpreter.get("patch")
    return result_path(
        day=_day(interpreter.get("commit_date") or interpreter.get("build_date"), started),
        nickname=host,
        machine=str(interpreter["machine"]),
        fork=_owner(interpreter.get("url")),
        ref=f"{ref[: _REF_LENGTH - _HASH_LENGTH - 1]}+{patch[:_HASH_LENGTH]}" if patch else ref,
        version=version,
        commit=str(commit or interpreter["id"]),
        flags=tuple(interpreter.get("flags", ())),
    )


def read_name(path: PurePosixPath) -> ResultName | None:
    """What a path says, below a results directory or `rerun-N`; None where it is not that of a pyperf file."""
    if len(path.parts) < 2 or path.suffix != VALUES or path.is_absolute() or ".." in path.parts:
        return None
    if not str(path).isprintable() or max(len(part.encode()) for part in path.parts) > _NAME_BYTES:
        return None
    file, folder = path.stem.split("-"), path.parent.name.split("-")
    if len(file) != 8 or len(folder) not in (4, 5) or {file[0], folder[0]} != {"bm"} or not _STAMP.fullmatch(file[1]):
        return None
    _, day, nickname, machine, fork, ref, version, commit = file
    flags = tuple(folder[4].split(",")) if len(folder) == 5 else ()
    return ResultName(day, nickname, machine, unquote(fork), ref, version, commit, flags)


def other_place(path: PurePosixPath, number: int) -> PurePosixPath:
    """Where a file goes whose name is taken, the second time and so on: the directory it is in is part of its name."""
    if path.parts and (rerun := _RERUN.fullmatch(path.parts[0])):
        path, number = PurePosixPath(*path.parts[1:]), number + int(rerun[1]) - 1
    return path if number == 1 else PurePosixPath(f"rerun-{number}", path)


def plain_path(path: PurePosixPath | str) -> PurePosixPath:
    """Return the path that bench_runner knows a kept file by: its own, or that without the end for being packed."""
    path = PurePosixPath(path)
    return path.with_suffix("") if path.suffixes[-2:] == [VALUES, PACKED] else path


def path_without_values(path: PurePosixPath, kind: str) -> PurePosixPath:
    """Return where the result of a kind without values goes: not `.json`, as bench_runner takes these for pyperf's."""
    return path.with_suffix(f".{_field('kind', kind)}")


def valueless_kind(path: str) -> str | None:
    """Return the kind of a result without values by its path, None for a pyperf file."""
    suffix = plain_path(path).suffix
    return None if suffix == VALUES else suffix.removeprefix(".")


def _owner(url: str | None) -> str:
    """Whose repository is at an address such as https://github.com/OWNER/cpython; python's where it does not say."""
    with suppress(ValueError):  # what is no address says nothing of it
        parts = urlsplit(url or "")
        names = parts.path.strip("/").split("/")
        if parts.hostname and len(names) > 1:
            return names[-2]
    return _UPSTREAM


def _day(build_date: str | None, started: float) -> date:
    # Hours of measuring are not refused for a date that only names the file.
    if build_date and moment_of(build_date) is not None:
        return datetime.fromisoformat(build_date).date()
    return datetime.fromtimestamp(started, UTC).date()


def field_text(value: str) -> str:
    """What a name has for a text: `-` would end a field, `/` would leave the directory."""
    return _UNSAFE.sub("_", value)


def _field(name: str, value: str) -> str:
    if not value:
        raise ResultError(f"the result file cannot be named: its {name} is empty")
    return field_text(value)
