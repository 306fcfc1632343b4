"""Results that were measured elsewhere: a pyperf file taken in under the same rules as our own."""

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchyard.results.errors import ResultError
from benchyard.results.files import store_file
from benchyard.results.index import index_suite
from benchyard.results.layout import path_of_run
from benchyard.results.packing import unpacked
from benchyard.results.patterns import printable
from benchyard.results.reading import Suite, read_suite
from benchyard.results.runs import check_json, read_run

#: The suite that a file without word of one is taken to be from.
UNKNOWN = "unknown"

_MOST_WORD = 200

# What runs say of themselves in the file's metadata, all with our prefix; as text, each in one line.
_OURS = "benchyard_"
_LETTERS = ("A", "B", "C")
_GRADE = ("grade", "grade_reasons", "fingerprint")
_HOST = ("cpu", "microcode", "kernel", "mitigations", "governor", "boost", "isolation")
_REST = ("libc", "compiler", "suite")


# What is read from a file, of the columns of a row; the others are told by whoever adds it.
_OF_FILE = frozenset(
    ("version", "flags", "suite", "suite_version", "mode", "grade", "grade_reasons", "fingerprint", "fingerprint_id")
)


# What is read of metadata as a text: what people see in lists, what is a word like these, and what may hold anything.
_SHOWN = ("python_version", "python_implementation", "performance_version", "hostname", "hostid", "platform")
_WORDS = (
    *("commit_id", "commit_branch", "commit_date", "commit_fork"),
    *(_OURS + name for name in ("flags", "remote", "ref", "merge_base", "patch", "grade", "fingerprint")),
    *(_OURS + name for name in (*_HOST, *_REST)),
)
_TEXTS = ("python_executable", "python_config_args", "python_compiler")

# Machines as platforms have them: of several the first here, as kernels of Debian's are called by names of theirs.
_MACHINES = (
    *("x86_64", "aarch64", "armv8l", "armv7l", "armv6l", "arm64", "amd64", "i686", "i386"),
    *("riscv64", "ppc64le", "ppc64", "s390x"),
)

# What compilers say on Windows, whose platform names no machine: `MSC v.1938 64 bit (AMD64)`.
_COMPILED_FOR = re.compile(r"(?:32|64) bit \((?P<machine>[A-Za-z0-9_]{1,20})\)", re.ASCII)
_OTHER_NAMES = {"intel": "x86", "darwin": "macos"}


def take_in(
    root: Path,
    data: bytes,
    *,
    host: str,
    commit: str | None,
    branch: str | None,
    now: float,
    present: str | None,
    made: Callable[[str], object] = lambda path: None,
) -> dict[str, Any]:
    """Validate and keep a file, packed or not; gives the columns of its row. `present` is the hash of the one it has.

    `made` is as of `store_file`. Blocks. ResultError if it is no pyperf file; where the same file is present nothing is
    written.
    """
    data = unpacked(data)
    suite = read_suite(data)
    digest = hashlib.sha256(data).hexdigest()
    columns = {**describe_file(suite, digest, commit=commit, branch=branch), **index_suite(suite)}
    if present is not None:
        if present != digest:
            raise AttachedAlready("the result has another file already; a file is attached once")
        place, size = "", len(data)
    else:
        stored = store_file(root, path_of_run(columns["interpreter"], host=host, started=now), data, made=made)
        place, size = stored.path, stored.size
    return {"path": place, "sha256": digest, "size": size, **columns}


def describe_file(
    suite: Suite, sha256: str, *, commit: str | None = None, branch: str | None = None, machine: str | None = None
) -> dict[str, Any]:
    """The columns of a row that a file of that digest tells; what people say of commit and branch comes first.

    The `machine` is taken where its platform names none.
    """
    run = read_run(suite.metadata)
    if run is not None:
        facts = {**run.interpreter, "commit": commit or run.commit, "branch": branch or run.branch}
        said = {name: value for name, value in run.columns.items() if name in _OF_FILE}
        return {**said, "interpreter": facts, "benchmarks": len(suite.benchmarks)}
    _check_texts({**suite.python, **suite.metadata})
    facts = _facts({**suite.python, **suite.metadata}, sha256, commit=commit, branch=branch, machine=machine)
    version = suite.metadata.get("performance_version")
    trust = _trust(suite.metadata)
    check_json("its interpreter and conditions", [facts, *trust.values()])
    return {
        "version": facts["version"],
        "interpreter": facts,
        "flags": tuple(facts["flags"]),
        "suite": "pyperformance" if version else UNKNOWN,
        "suite_version": str(version or UNKNOWN),
        "mode": UNKNOWN,
        "benchmarks": len(suite.benchmarks),
        **trust,
    }


def _check_texts(metadata: Mapping[str, Any]) -> None:
    """ResultError for metadata of a type or with characters that no tool writes: such a file was made by a mistake."""
    for name in (*_SHOWN, *_WORDS, *_TEXTS):
        said = metadata.get(name, "")
        if not isinstance(said, str):
            raise ResultError(f"the result file's metadata {name} is {said!r:.40}, and no text")
        if name not in _TEXTS and not said.isprintable():
            raise ResultError(f"the result file's metadata {name} has control characters: {said!r:.80}")
        if name in _SHOWN and len(said) > _MOST_WORD:
            raise ResultError(f"the result file's metadata {name} is longer than {_MOST_WORD} characters")


def _trust(metadata: dict[str, Any]) -> dict[str, Any]:
    """What a file that a lab has measured says of how far it can be trusted, and of its conditions.

    Of those of bench_runner's nothing is known but the state of its suites: a hash, which is the fingerprint then.
    """
    said = {name: str(metadata[key]) for name in _GRADE if (key := _OURS + name) in metadata}
    if said.get("grade") not in _LETTERS:
        return {"fingerprint_id": f"benchmarks:{state}"} if (state := word(metadata, "benchmark_hash")) else {}
    host = {name: str(metadata[key]) for name in _HOST if (key := _OURS + name) in metadata}
    rest = {name: str(metadata[key]) for name in _REST if (key := _OURS + name) in metadata}
    reasons = printable(said.get("grade_reasons", ""))
    return {
        "grade": said["grade"],
        "grade_reasons": tuple(reasons.split("; ")) if reasons else (),
        "fingerprint": {"host": host, **rest} if host or rest else None,
        "fingerprint_id": said.get("fingerprint"),
    }


class AttachedAlready(ResultError):
    """The result has another file."""


def _facts(
    metadata: dict[str, Any], sha256: str, *, commit: str | None, branch: str | None, machine: str | None
) -> dict[str, Any]:
    """What the file says of its interpreter, as our own runs say it."""
    version = str(metadata.get("python_version", UNKNOWN)).strip().split(" ", 1)[0] or UNKNOWN
    return {
        "id": sha256,
        "executable": str(metadata.get("python_executable", "")),
        "implementation": str(metadata.get("python_implementation", UNKNOWN)),
        "version": version,
        "commit": commit or word(metadata, "commit_id"),
        "branch": branch or word(metadata, "commit_branch"),
        "build_date": None,
        "commit_date": word(metadata, "commit_date"),
        # What a lab's own files say.
        "flags": sorted(filter(None, str(metadata.get("benchyard_flags", "")).split(","))),
        **{
            name: str(metadata.get(f"benchyard_{name}") or "") or None
            for name in ("remote", "ref", "merge_base", "patch")
        },
        "configure_args": str(metadata.get("benchyard_configure_args") or metadata.get("python_config_args", "")),
        "compiler": str(metadata.get("benchyard_compiler") or metadata.get("python_compiler", "")),
        "machine": _machine(metadata) or machine or _compiled_for(metadata) or UNKNOWN,
        "system": _system(metadata),
    }


def word(metadata: Mapping[str, Any], name: str) -> str | None:
    """What metadata say in a few characters, None where they do not: longer texts are in no index."""
    found = str(metadata.get(name) or "").strip()
    return found if found and found.isprintable() and len(found) <= _MOST_WORD else None


def _machine(metadata: Mapping[str, Any]) -> str | None:
    """The machine in a platform such as `Linux-6.1.0-x86_64-with-glibc2.36`."""
    words = {word.lower(): word for word in str(metadata.get("platform", "")).split("-")}
    return next((words[machine] for machine in _MACHINES if machine in words), None)


def _compiled_for(metadata: Mapping[str, Any]) -> str | None:
    found = _COMPILED_FOR.search(str(metadata.get("python_compiler", "")))
    machine = found["machine"].lower() if found else None
    return None if machine is None else _OTHER_NAMES.get(machine, machine)


def _system(metadata: Mapping[str, Any]) -> str:
    """The system in a platform; macOS is called by its kernel's name in those of older Pythons."""
    system = str(metadata.get("platform", UNKNOWN)).split("-", 1)[0].lower()
    return _OTHER_NAMES.get(system, system)
