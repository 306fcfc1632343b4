"""Names of results, as people write them where results are compared.

    17                  the result of this number
    last                the newest one
    1a2b3c4             those of the commit that begins so
    v3.14.0             those of the commit that a remote has this tag on
    main                those of the last commit of this branch that was measured
    ada/main            the same of ada's fork; without the fork's name, only where upstream's has no result
    python:3.14         those of the last interpreter of this version that was measured

Each but a number may be narrowed to a host and to the flags that make another interpreter: `main@quiet-1+jit`,
`main+none`. `commit:`, `tag:` and `branch:` before a name say which is meant where it could be several.

A name stands for an interpreter: all enabled results of it on one host, in one epoch (or with the one fingerprint that
another tool has given them), with one suite in one mode and of one grade, those like the newest and newest first, are
taken together. Where these are of several interpreters, or of
several hosts, it is refused.
"""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from benchyard.store.errors import NotFound, Unclear
from benchyard.store.filters import SHORT, with_commit
from benchyard.store.forks import fork_in, fork_of, is_branch
from benchyard.store.results import get_result
from benchyard.store.rows import BENCHMARKS, CALIBRATE, Result
from benchyard.store.sql import to_row
from benchyard.store.tables import results

#: Finds the commits that remotes have a tag on; it may block.
Tags = Callable[[str], Iterable[str]]

#: Flags that are but options of the usual build; all others make another interpreter, those of other tools, too.
OPTIONS = frozenset({"lto", "pgo"})

#: What a name may be narrowed to where none of these flags is wanted.
NONE = "none"

# Rows that are looked at, and candidates that are named.
_MOST, _NAMED = 500, 6

_NARROWED = re.compile(
    r"(?P<name>.+?)(?:@(?P<host>[A-Za-z0-9_.-]+))?(?:\+(?P<flags>[a-z0-9_]+(?:,[a-z0-9_]+)*))?",
    re.DOTALL | re.ASCII,
)
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{6,64}", re.ASCII)
_KINDS = ("commit", "tag", "branch", "python")


@dataclass(frozen=True)
class Selector:
    """A name in its parts: `kind` is one of `_KINDS`, or empty where it is not said."""

    text: str
    kind: str
    name: str
    host: str | None
    flags: frozenset[str] | None


def variant_of(flags: Iterable[str]) -> frozenset[str]:
    """Those of the flags that make another interpreter than the usual one."""
    return frozenset(flags) - OPTIONS


def are_meant(flags: Collection[str], wanted: Collection[str]) -> bool:
    """Whether an interpreter with these flags is the one that is meant by those that are wanted."""
    return set(wanted) <= set(flags) and variant_of(flags) <= set(wanted)


def read_selector(text: str) -> Selector:
    """Take a name apart; whether there is anything of it shows later."""
    found = _NARROWED.fullmatch(text)
    if found is None:
        return Selector(text, "", text, None, None)
    kind, colon, name = found["name"].partition(":")
    if not colon or kind not in _KINDS or not name:
        kind, name = "", found["name"]
    flags = frozenset(found["flags"].split(",")) - {NONE} if found["flags"] else None
    return Selector(text, kind, name, found["host"], flags)


def select_results(conn: sa.Connection, text: str, *, tags: Tags, single: bool = False) -> tuple[Result, ...]:
    """Return the results that a name stands for, newest first, all of one interpreter; with `single` the newest alone.

    A number means just that result, be it enabled or not, and `last` the newest. NotFound where there is none, Unclear
    where it could be several.
    """
    wanted = read_selector(text)
    if not wanted.kind and wanted.host is None and wanted.flags is None and _NUMBER.fullmatch(wanted.name):
        try:
            return (get_result(conn, int(wanted.name)),)
        except NotFound:
            if _COMMIT.fullmatch(wanted.name) is None:
                raise
    if not wanted.kind and wanted.name == "last":
        return tuple(_newest(conn, wanted)[:1]) or _nothing(wanted)
    rows = _rows(conn, wanted, tags)
    if not rows:
        return _nothing(wanted)
    found = _one_interpreter(rows, wanted)
    return found[:1] if single else found


def _rows(conn: sa.Connection, wanted: Selector, tags: Tags) -> Sequence[Result]:
    """The results of a name's commit or interpreter, newest first."""
    kinds: dict[str, Callable[[], Sequence[Result]]] = {
        "commit": lambda: _of_commit(conn, wanted) if _COMMIT.fullmatch(wanted.name) else (),
        "tag": lambda: [row for commit in tags(wanted.name) for row in _with_commit(conn, wanted, commit)],
        "branch": lambda: _last(_of_branch(conn, wanted)),
        "python": lambda: _last(_of_upstream(conn, wanted, _of_version(wanted.name))),
    }
    if wanted.kind:
        return kinds[wanted.kind]()
    found = {kind: rows for kind in ("commit", "tag", "branch") if (rows := kinds[kind]())}
    if len({_source(row) for rows in found.values() for row in rows}) > 1 and len(found) > 1:
        raise Unclear(f"{wanted.text!r} is a {' and a '.join(found)}: say {next(iter(found))}:{wanted.text} or another")
    return next(iter(found.values()), ())


def _newest(conn: sa.Connection, wanted: Selector, *conditions: sa.ColumnElement[bool]) -> Sequence[Result]:
    """Results that count, have values and are of the host and the flags that are wanted, newest first."""
    counting = _counting(*conditions)
    if wanted.host is not None:
        counting.append(results.c.host == wanted.host)
    rows = _first_of(conn, counting)
    if wanted.flags is None:
        return rows
    found = [row for row in rows if are_meant(row.flags, wanted.flags)]
    if found or len(rows) < _MOST:
        return found
    known = conn.execute(sa.select(results.c.flags).where(*counting).distinct()).scalars()
    meant = [results.c.flags == flags for flags in known if are_meant(flags, wanted.flags)]
    return _first_of(conn, [*counting, sa.or_(*meant)]) if meant else ()


def _first_of(conn: sa.Connection, conditions: Iterable[sa.ColumnElement[bool]]) -> Sequence[Result]:
    statement = sa.select(results).where(*conditions).order_by(results.c.created.desc(), results.c.id.desc())
    return [to_row(Result, row) for row in conn.execute(statement.limit(_MOST)).mappings()]


def _counting(*conditions: sa.ColumnElement[bool]) -> list[sa.ColumnElement[bool]]:
    """The conditions that a result counts and has values, and these."""
    return [
        results.c.status == "stored",
        results.c.enabled == sa.literal(True, results.c.enabled.type),
        results.c.path.is_not(None),
        results.c.kind.in_((BENCHMARKS, CALIBRATE)),
        *conditions,
    ]


def _of_commit(conn: sa.Connection, wanted: Selector) -> Sequence[Result]:
    rows = _with_commit(conn, wanted, wanted.name)
    commits = sorted({str(row.commit) for row in rows})
    if any(not commits[-1].startswith(commit) for commit in commits):
        shown = ", ".join(commit[:12] for commit in commits[:_NAMED])
        raise Unclear(f"{wanted.text!r} is the beginning of several commits ({shown}): give more of it")
    return rows


def _with_commit(conn: sa.Connection, wanted: Selector, name: str) -> Sequence[Result]:
    return _newest(conn, wanted, with_commit(results.c.commit, name))


def _of_version(version: str) -> sa.ColumnElement[bool]:
    below = version if version.endswith(".") else f"{version}."
    return sa.or_(results.c.version == version, results.c.version.startswith(below, autoescape=True))


def _of_branch(conn: sa.Connection, wanted: Selector) -> Sequence[Result]:
    """The results of upstream's branch, or else of the fork's; Unclear where several forks have such a branch."""
    rows = _of_upstream(conn, wanted, is_branch(conn, wanted.name))
    if rows and fork_of(rows[0].interpreter) is not None:
        forks = sorted(fork for fork in _forks(conn, is_branch(conn, wanted.name)) if fork is not None)
        if len(forks) > 1:
            shown = ", ".join(f"{fork}/{wanted.name}" for fork in forks[:_NAMED])
            raise Unclear(f"{wanted.text!r} is a branch of several forks: say {shown}")
    return rows


def _of_upstream(conn: sa.Connection, wanted: Selector, condition: sa.ColumnElement[bool]) -> Sequence[Result]:
    """The newest results without those of forks, unless upstream has none at all, of whatever host and flags."""
    rows = _newest(conn, wanted, condition)
    upstream = [row for row in rows if fork_of(row.interpreter) is None]
    if rows and not upstream and None in _forks(conn, condition):
        return _newest(conn, wanted, condition, fork_in(conn).is_(None))
    return upstream or rows


def _forks(conn: sa.Connection, condition: sa.ColumnElement[bool]) -> set[str | None]:
    """The forks that have such results, None for upstream."""
    return set(conn.execute(sa.select(fork_in(conn)).where(*_counting(condition)).distinct()).scalars())


def _last(rows: Sequence[Result]) -> Sequence[Result]:
    """Those of the interpreter's source that was measured last."""
    return [row for row in rows if _source(row) == _source(rows[0])]


def _source(row: Result) -> str:
    """What an interpreter was made from, as short as any tool says it; an installed one was made from itself."""
    return row.commit[:SHORT] if row.commit else str((row.interpreter or {}).get("id"))


def _interpreter(row: Result) -> tuple[str, ...]:
    """What makes two results those of one interpreter; the id of one that was added is that of its file."""
    known = row.interpreter or {}
    patch = str(known.get("patch") or "")
    made = str(known.get("id")) if row.job_id is not None or row.commit is None else str(known.get("configure_args"))
    return (str(row.host), _source(row), patch, made, str(row.version), *sorted(row.flags))


def _one_interpreter(rows: Sequence[Result], wanted: Selector) -> tuple[Result, ...]:
    groups: dict[tuple[str, ...], list[Result]] = {}
    for row in rows:
        groups.setdefault(_interpreter(row), []).append(row)
    if len(groups) > 1:
        named = [_named(group[0]) for group in groups.values()]
        more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
        raise Unclear(
            f"{wanted.text!r} could be {', '.join(named[:_NAMED])}{more}: "
            "add @HOST or +FLAG,... (+none for none), or give a result's number"
        )
    return tuple(row for row in rows if _conditions(row) == _conditions(rows[0]))


def _conditions(row: Result) -> tuple[object, ...]:
    """What results have in common that are taken together."""
    return (row.epoch, row.foreign_print, row.suite, row.suite_version, row.mode, row.grade, row.target)


def _named(row: Result) -> str:
    flags = ",".join(sorted(variant_of(row.flags)) or [NONE])
    patch = ", patched" if (row.interpreter or {}).get("patch") else ""
    return f"result {row.id} ({(row.commit or row.version or '')[:10]}@{row.host}+{flags}{patch})"


def _nothing(wanted: Selector) -> tuple[Result, ...]:
    if wanted.name == "last":
        raise NotFound("there is no result yet that could be compared; make one with `benchyard submit`")
    raise NotFound(
        f"there is no enabled result {wanted.text!r}: name one by its number, `last`, a commit's beginning, a tag, "
        "a branch, or python:VERSION"
    )
