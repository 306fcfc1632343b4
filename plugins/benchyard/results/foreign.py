"""What the name and the metadata of a file tell that other tools have made: the host, the commit, the flags, the day.

    bm-DATE-VERSION-HASH[-FLAG,FLAG]/bm-DATE-NICKNAME-MACHINE-FORK-REF-VERSION-HASH.json   bench_runner
    IMPLEMENTATION-VERSION-COMMIT-HOST-SUITEHASH[-SUITE].json          PORTAL of faster-cpython/tools

Everything else (pyperf, pyperformance) is told by the metadata alone. What the name says of host and flags comes first:
bench_runner's and PORTAL's people named them, the metadata have what the machine was called.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

import msgspec

from benchyard.results.errors import ResultError
from benchyard.results.intake import UNKNOWN, word
from benchyard.results.layout import field_text, flags_of_variant, plain_path, read_name

#: Names of hosts, as the lab takes them; anything else becomes `_`.
_NOT_OF_HOSTS = re.compile(r"[^A-Za-z0-9_.-]", re.ASCII)
_MOST_HOST = 100

# PORTAL's name of the machine, and the machine's own.
_HOST = ("hostid", "hostname")

_PORTAL = re.compile(
    r"(?P<implementation>[a-z]+)-(?P<version>[0-9][0-9a-z.+]*)-(?P<commit>[0-9a-f]{7,40})-(?P<host>[A-Za-z0-9_.]+)"
    r"-(?P<suitehash>[0-9a-f]{12})(?:-(?P<suite>[A-Za-z0-9_]+))?\.json",
    re.ASCII,
)
_COMMIT = re.compile(r"[0-9a-f]{7,64}", re.ASCII)
_WHOLE_COMMIT = re.compile(r"[0-9a-f]{40}", re.ASCII)
_TAG = re.compile(rf"v([0-9]|{UNKNOWN})", re.ASCII)
_FORK = re.compile(r"[A-Za-z0-9_.-]{1,39}", re.ASCII)
_UPSTREAM = "python"
_VERSION = re.compile(r"[0-9]+\.[0-9]+[0-9a-z.+]*", re.ASCII)


class Told(msgspec.Struct, frozen=True):
    """What is known of a foreign file; `place` is where it belongs if its name is bench_runner's.

    `fork` is whose repository on GitHub the commit is in, None for python's. `day` is the commit's, as `20260507`.
    """

    host: str
    commit: str | None
    branch: str | None
    version: str | None
    flags: tuple[str, ...]
    fork: str | None
    day: str | None
    place: PurePosixPath | None


def read_foreign(name: str, metadata: Mapping[str, Any], *, sha256: str = "", hosts: Iterable[str] = ()) -> Told:
    """Put together what a file's name (with the folder that it is in, if known) and metadata tell.

    `sha256` is its digest, and `hosts` are those that the lab knows: names have `_` for the `-` of theirs, and where
    there is no commit, the digest or the interpreter's id in its place.
    """
    path = _path(name)
    runner = read_name(path)
    portal = _PORTAL.fullmatch(path.name) if runner is None else None
    said_commit = runner.commit if runner else portal["commit"] if portal else None
    if said_commit and any(id.startswith(said_commit) for id in (sha256, str(metadata.get("benchyard_interpreter")))):
        said_commit = None
    commit, branch = _source(metadata, said_commit, runner.ref if runner else None)
    fork = runner.fork if runner else word(metadata, "commit_fork")
    flags = flags_of_variant(runner.flags) if runner else ()
    host = runner.nickname if runner else portal["host"] if portal else None
    version = runner.version if runner else portal["version"] if portal else None
    return Told(
        host=host_named(host, hosts, metadata),
        commit=commit,
        branch=branch,
        version=version if version and _VERSION.fullmatch(version) else None,
        flags=flags,
        fork=fork if fork and _FORK.fullmatch(fork) and fork != _UPSTREAM else None,
        day=runner.day if runner else None,
        place=path if runner else None,
    )


def _path(name: str) -> PurePosixPath:
    """The last two parts of a name, as of a file that is not packed."""
    path = PurePosixPath(name.replace("\\", "/"))
    if not name.isprintable() or ".." in path.parts:
        raise ResultError(f"a result file cannot be named {name!r:.80}: give it without control characters and '..'")
    return plain_path(PurePosixPath(*path.parts[-2:]))


def _source(metadata: Mapping[str, Any], said: str | None, ref: str | None) -> tuple[str | None, str | None]:
    """The commit and the branch: bench_runner has a whole commit, or a tag, for a branch where it was asked for one."""
    known = word(metadata, "commit_id")
    commit = next((text for text in (known, said) if text and _COMMIT.fullmatch(text)), None)
    branch = word(metadata, "commit_branch")
    if branch and _WHOLE_COMMIT.fullmatch(branch):
        commit = branch if commit is None or branch.startswith(commit) else commit
        branch = None
    elif branch is None and ref and not _COMMIT.fullmatch(ref) and not _TAG.match(ref):
        branch = ref
    return commit, branch


def host_named(named: str | None, hosts: Iterable[str], metadata: Mapping[str, Any]) -> str:
    """The host of a name as the lab or the file has it, or else the one that the file has."""
    said = [_name_of_host(text) for key in _HOST if (text := word(metadata, key))]
    if not named:
        return said[0] if said else UNKNOWN
    return next((host for host in (*hosts, *said) if field_text(host) == named), _name_of_host(named))


def _name_of_host(text: str) -> str:
    return _NOT_OF_HOSTS.sub("_", text)[:_MOST_HOST]
