"""Taking in files that other tools have made: what they and their names tell, checked before anything is kept."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from benchyard.results.files import store_file
from benchyard.results.foreign import flags_configured, host_named, read_foreign
from benchyard.results.index import index_suite
from benchyard.results.intake import UNKNOWN, describe_file
from benchyard.results.layout import path_of_run, plain_path, read_name
from benchyard.results.packing import unpacked
from benchyard.results.reading import read_suite
from benchyard.results.runs import Run, read_run, run_without_values
from benchyard.results.times import known_moment, moment_of


class Content(msgspec.Struct, frozen=True):
    """The bytes of a file, unpacked, and their SHA-256 in hex."""

    data: bytes
    sha256: str


class Foreign(msgspec.Struct, frozen=True):
    """A file that may be taken in: where it belongs, the columns of its row, and of which lab's run it says to be."""

    place: PurePosixPath
    columns: dict[str, Any]
    run: Run | None = None


def open_content(file: bytes) -> Content:
    """Unpack a file if it is packed; ResultError where it is damaged or too large. Blocks."""
    data = unpacked(file)
    return Content(data, hashlib.sha256(data).hexdigest())


def examine(content: Content, name: str, *, host: str | None = None, hosts: Iterable[str] = (), now: float) -> Foreign:
    """Read a file named `name`, measured on `host` if that is said; ResultError if it is no pyperf file. Blocks.

    `hosts` are those that the lab knows. What tells nothing of its time was measured `now`. What a lab has written into
    it of its run comes before all else, but for the host in a name of bench_runner's: somebody has named it so.
    """
    suite = read_suite(content.data)
    run = read_run(suite.metadata)
    if run is not None:
        named = read_name(plain_path(PurePosixPath(name)))
        host = host or (host_named(named.nickname, (run.host, *hosts), {}) if named else run.host)
        return _of_run(run, content, host, {"benchmarks": len(suite.benchmarks), **index_suite(suite)}, now)
    told = read_foreign(name, suite.metadata, sha256=content.sha256, hosts=hosts)
    columns = describe_file(suite, content.sha256, machine=told.machine)
    interpreter = columns["interpreter"]
    version = columns["version"] if columns["version"] != UNKNOWN else told.version or UNKNOWN
    interpreter |= {"commit": told.commit, "branch": told.branch, "version": version}
    configured = flags_configured(interpreter["configure_args"]) if told.place is None else ()
    interpreter["flags"] = columns["flags"] or told.flags or configured
    columns["suite"] = told.suite or columns["suite"]
    columns["fingerprint_id"] = told.fingerprint_id or columns.get("fingerprint_id")
    if told.fork is not None:
        interpreter |= {"remote": interpreter["remote"] or told.fork, "url": f"https://github.com/{told.fork}/cpython"}
    measured = moment_of(suite.date) or moment_of(interpreter["commit_date"]) or moment_of(told.day) or now
    host = host or told.host
    known = UNKNOWN not in (interpreter["machine"], interpreter["system"])
    columns |= {
        "host": host,
        "target": f"{interpreter['system']}-{interpreter['machine'].lower()}" if known else None,
        "commit": told.commit,
        "branch": told.branch,
        "version": version,
        "flags": tuple(interpreter["flags"]),
        "created": measured,
        "sha256": content.sha256,
        "size": len(content.data),
        **index_suite(suite),
    }
    # Under another host's name it would be taken for that host's.
    keeps = told.place is not None and host == told.host
    place = told.place if keeps and told.place else path_of_run(interpreter, host=host, started=measured)
    return Foreign(PurePosixPath(told.above or "", place), columns)


def examine_without_values(content: Content, *, now: float) -> Foreign | None:
    """The same of a file that is not pyperf's, as that of a profile; None where no lab says what it is. Blocks."""
    run = run_without_values(content.data)
    return None if run is None else _of_run(run, content, run.host, {}, now)


def _of_run(run: Run, content: Content, host: str, found: dict[str, Any], now: float) -> Foreign:
    created = known_moment(run.created) or known_moment(run.started) or now
    place = path_of_run(run.interpreter, host=host, started=known_moment(run.started) or created)
    of_file = {"created": created, "host": host, "sha256": content.sha256, "size": len(content.data)}
    columns = {**run.columns, **of_file, **found}
    return Foreign(place, columns, run)


def keep(
    root: Path, content: Content, foreign: Foreign, *, made: Callable[[str], object] = lambda path: None
) -> dict[str, Any]:
    """Keep the file and give all columns of its row; safe to repeat. `made` is as of `store_file`. Blocks."""
    stored = store_file(root, foreign.place, content.data, sha256=content.sha256, made=made)
    return {**foreign.columns, "path": stored.path}
