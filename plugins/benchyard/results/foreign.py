"""What the name and the metadata of a file tell that other tools have made: the host, the commit, the flags, the day.

    bm-DATE-VERSION-HASH[-FLAG,FLAG]/bm-DATE-NICKNAME-MACHINE-FORK-REF-VERSION-HASH.json   bench_runner
    IMPLEMENTATION-VERSION-COMMIT-HOST-COMPATID[-SUITE].json           PORTAL of faster-cpython/tools

Everything else (pyperf, pyperformance) is told by the metadata alone. What the name says of host and flags comes first:
bench_runner's and PORTAL's people named them, the metadata have what the machine was called. A name of bench_runner's
tells that also in a folder of another name: there the file is not in its place, and its flags are those that the
interpreter was configured with.

PORTAL's compat id is the hash of host, platform, CPU, and versions of pyperf and pyperformance: a fingerprint, of which
nothing but the id is known. A file of PORTAL's is kept under a name of bench_runner's, which has place for neither the
id nor the suite: `portal-COMPATID[-SUITE]/` above it tells them again.
"""

import re
import shlex
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
    r"-(?P<compat>[0-9a-f]{12})(?:-(?P<suite>[A-Za-z0-9_]{1,100}))?\.json",
    re.ASCII,
)
_ABOVE = re.compile(r"portal-(?P<compat>[0-9a-f]{12})(?:-(?P<suite>[A-Za-z0-9_]{1,100}))?", re.ASCII)

# Options of CPython's `configure`, and their values that turn nothing on.
_NOT_SAID = "no"
_CONFIGURED = {
    "bolt": ("--enable-bolt", {"no"}),
    "debug": ("--with-pydebug", {"no"}),
    "jit": ("--enable-experimental-jit", {"no", "yes-off", "interpreter", "interpreter-off"}),
    "nogil": ("--disable-gil", {"no"}),
    "tailcall": ("--with-tail-call-interp", {"no"}),
}

# What stands for a folder that is not bench_runner's.
_ANY_FOLDER = "bm-DATE-VERSION-HASH"

_COMMIT = re.compile(r"[0-9a-f]{7,64}", re.ASCII)
_WHOLE_COMMIT = re.compile(r"[0-9a-f]{40}", re.ASCII)
_TAG = re.compile(rf"v([0-9]|{UNKNOWN})", re.ASCII)
_FORK = re.compile(r"[A-Za-z0-9_.-]{1,39}", re.ASCII)
_UPSTREAM = "python"
_VERSION = re.compile(r"[0-9]+\.[0-9]+[0-9a-z.+]*", re.ASCII)


class Told(msgspec.Struct, frozen=True):
    """What is known of a foreign file; `place` is where it belongs if its name is bench_runner's.

    `fork` is whose repository on GitHub the commit is in, None for python's. `machine` is what the name says, `day` the
    commit's, as `20260507`.
    `fingerprint_id` is `portal:` and PORTAL's compat id; `above` is the folder of the results directory that tells that
    and the suite of a file which is kept below it.
    """

    host: str
    commit: str | None
    branch: str | None
    version: str | None
    flags: tuple[str, ...]
    fork: str | None
    machine: str | None
    day: str | None
    place: PurePosixPath | None
    suite: str | None = None
    fingerprint_id: str | None = None
    above: str | None = None


def read_foreign(name: str, metadata: Mapping[str, Any], *, sha256: str = "", hosts: Iterable[str] = ()) -> Told:
    """Put together what a file's name (with the folders that it is in, if known) and metadata tell.

    `sha256` is its digest, and `hosts` are those that the lab knows: names have `_` for the `-` of theirs, and where
    there is no commit, the digest or the interpreter's id in its place.
    """
    whole = _path(name)
    path = plain_path(PurePosixPath(*whole.parts[-2:]))
    runner = read_name(path)
    named = runner or read_name(PurePosixPath(_ANY_FOLDER, path.name))
    portal = _PORTAL.fullmatch(path.name) if named is None else None
    measured = _measured(portal or (_ABOVE.fullmatch(whole.parts[-3]) if runner and len(whole.parts) > 2 else None))
    said_commit = named.commit if named else portal["commit"] if portal else None
    if said_commit and any(id.startswith(said_commit) for id in (sha256, str(metadata.get("benchyard_interpreter")))):
        said_commit = None
    commit, branch = _source(metadata, said_commit, named.ref if named else None)
    fork = _fork(metadata, named.fork if named else None)
    flags = flags_of_variant(runner.flags) if runner else ()
    host = named.nickname if named else portal["host"] if portal else None
    version = named.version if named else portal["version"] if portal else None
    return Told(
        host=host_named(host, hosts, metadata),
        commit=commit,
        branch=branch,
        version=version if version and _VERSION.fullmatch(version) else None,
        flags=flags,
        fork=fork if fork and _FORK.fullmatch(fork) and fork != _UPSTREAM else None,
        machine=named.machine.lower() if named and named.machine != UNKNOWN else None,
        day=named.day if named else None,
        place=path if runner else None,
        **measured,
    )


def _path(name: str) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    if not name.isprintable() or ".." in path.parts:
        raise ResultError(f"a result file cannot be named {name!r:.80}: give it without control characters and '..'")
    return path


def _measured(portal: re.Match[str] | None) -> dict[str, Any]:
    """What PORTAL's name tells of how it was measured."""
    if portal is None:
        return {}
    words = [word for word in (portal["compat"], portal["suite"]) if word]
    return {
        "suite": portal["suite"],
        "fingerprint_id": f"portal:{portal['compat']}",
        "above": "-".join(["portal", *words]),
    }


def _source(metadata: Mapping[str, Any], said: str | None, ref: str | None) -> tuple[str | None, str | None]:
    """The commit and the branch: bench_runner has a whole commit for a branch where it was asked for one.

    A tag that it was asked for stays, so that releases are in no line of commits. One in a name alone is none of its:
    names of ours have the version there where no branch is known.
    """
    known = word(metadata, "commit_id")
    commit = next((text for text in (known, said) if text and _COMMIT.fullmatch(text)), None)
    branch = word(metadata, "commit_branch")
    if branch and _WHOLE_COMMIT.fullmatch(branch):
        commit = branch if commit is None or branch.startswith(commit) else commit
        branch = None
    elif branch is None and ref and not _COMMIT.fullmatch(ref) and not _TAG.match(ref):
        branch = ref
    return commit, branch


def _fork(metadata: Mapping[str, Any], named: str | None) -> str | None:
    """The fork of a name as the file has it, whole: names have had `_` for the `-` of forks."""
    said = word(metadata, "commit_fork")
    return said if named is None or (said and field_text(said) == field_text(named)) else named


def flags_configured(arguments: str) -> tuple[str, ...]:
    """The flags that an interpreter's arguments of `configure` tell, of those that make it another one."""
    try:
        said = dict(argument.partition("=")[::2] for argument in shlex.split(arguments))
    except ValueError:
        return ()
    found = {flag for flag, (option, off) in _CONFIGURED.items() if said.get(option, _NOT_SAID) not in off}
    if said.get(_CONFIGURED["jit"][0]) == "interpreter":
        found.add("python_uops")  # as bench_runner calls it
    return tuple(sorted(found))


def host_named(named: str | None, hosts: Iterable[str], metadata: Mapping[str, Any]) -> str:
    """The host of a name as the lab or the file has it, or else the one that the file has."""
    said = [_name_of_host(text) for key in _HOST if (text := word(metadata, key))]
    if not named:
        return said[0] if said else UNKNOWN
    return next((host for host in (*hosts, *said) if field_text(host) == named), _name_of_host(named))


def _name_of_host(text: str) -> str:
    return _NOT_OF_HOSTS.sub("_", text)[:_MOST_HOST]
