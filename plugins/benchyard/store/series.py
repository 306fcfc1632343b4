"""What a series is made of: the measurements of a benchmark, or of all, over the results that count."""

from collections.abc import Iterable, Sequence
from typing import Any, TypedDict, Unpack

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by

from benchyard.store.forks import fork_in, in_interpreter, is_branch
from benchyard.store.rows import BENCHMARKS
from benchyard.store.tables import measurements, noise, results

#: Results that a series looks back at, the newest ones.
MOST_RESULTS = 5000

# What a series needs of a result: not its long columns.
_OF_RESULT = ("id", "host", "branch", "commit", "suite", "suite_version", "mode", "epoch", "created", "flags")
_IN_INTERPRETER = ("commit_date", "build_date", "implementation", "patch")
_TOLD = (*_IN_INTERPRETER, "foreign_print", "fork")
_MEASURED = [measurements.c[name] for name in ("benchmark", "unit", "version", "mean", "n", "stdev")]


class Which(TypedDict, total=False):
    """Which results a series is of; what is not given, or None, is any.

    Flags have to be the same ones; those made at `since` or later are taken.
    """

    host: str | None
    branch: str | None
    flags: Sequence[str] | None
    target: str | None
    since: float | None
    ids: Sequence[int] | None


def measured_values(
    conn: sa.Connection,
    *,
    benchmark: str | None = None,
    most: int = MOST_RESULTS,
    **wanted: Unpack[Which],
) -> list[sa.Row[Any]]:
    """Rows of a benchmark, or of all, over the enabled results of commits without a patch, by result, in one query.

    The newest `most` results are taken.
    """
    where = _counting(conn, wanted)
    facts = [*(results.c[name] for name in _OF_RESULT), *_facts(conn)]
    if benchmark is None:
        chosen = sa.select(*facts).where(*where).order_by(results.c.id.desc()).limit(most).subquery()
        columns = [chosen.c[name] for name in (*_OF_RESULT, *_TOLD)]
        joined = sa.select(*columns, *_MEASURED).join_from(
            chosen, measurements, measurements.c.result_id == chosen.c.id
        )
        return list(conn.execute(joined.order_by(chosen.c.id)))
    where.append(measurements.c.benchmark == benchmark)
    joined = sa.select(*facts, *_MEASURED).join_from(measurements, results, measurements.c.result_id == results.c.id)
    newest = joined.where(*where).order_by(measurements.c.result_id.desc()).limit(most)
    return list(reversed(conn.execute(newest).all()))


def measured_means(
    conn: sa.Connection,
    *,
    most: int = MOST_RESULTS,
    **wanted: Unpack[Which],
) -> list[tuple[sa.Row[Any], Sequence[str]]]:
    """What the same results are of, and the benchmarks, units, versions and means of all that each has.

    Each of these is a list in JSON, which the database makes: as rows of their own they took ten times as long.
    """
    where = _counting(conn, wanted)
    newest = sa.select(results.c.id).where(*where).order_by(results.c.id.desc()).limit(most).subquery()
    facts = sa.select(*(results.c[name] for name in _OF_RESULT), *_facts(conn))
    told = conn.execute(facts.join_from(results, newest, newest.c.id == results.c.id).order_by(results.c.id))
    lists = [_as_list(conn, measurements.c[name]) for name in ("benchmark", "unit", "version", "mean")]
    of_result = measurements.c.result_id
    gave = sa.select(of_result, *lists).where(of_result.in_(sa.select(newest.c.id))).group_by(of_result)
    # Joined here: SQLite goes through all of the one for each of the other.
    found = {id: values for id, *values in conn.execute(gave)}
    return [(row, found[row.id]) for row in told if row.id in found]


def measured_results(conn: sa.Connection, *, host: str, flags: Sequence[str]) -> list[sa.Row[Any]]:
    """The ids and commits of all results of a host and flags that count, with when both were made."""
    dates = [fact for fact in _facts(conn) if fact.name in ("commit_date", "build_date")]
    columns = sa.select(results.c.id, results.c.commit, results.c.created, *dates)
    return list(conn.execute(columns.where(*_counting(conn, {"host": host, "flags": flags})).order_by(results.c.id)))


def measured_benchmarks(conn: sa.Connection, *, host: str, flags: Sequence[str]) -> list[str]:
    """The names of the benchmarks that any of these results has."""
    names = sa.select(measurements.c.benchmark).distinct()
    joined = names.join_from(results, measurements, measurements.c.result_id == results.c.id)
    return sorted(conn.execute(joined.where(*_counting(conn, {"host": host, "flags": flags}))).scalars())


def _counting(conn: sa.Connection, wanted: Which) -> list[sa.ColumnElement[bool]]:
    """Which results count, of those that are wanted."""
    where: list[sa.ColumnElement[bool]] = [
        results.c.status == "stored",
        results.c.enabled == sa.literal(True, results.c.enabled.type),
        results.c.kind == BENCHMARKS,
        results.c.commit.is_not(None),
    ]
    if (host := wanted.get("host")) is not None:
        where.append(results.c.host == host)
    if (target := wanted.get("target")) is not None:
        where.append(results.c.target == target)
    if (branch := wanted.get("branch")) is not None:
        where.append(is_branch(conn, branch))
    if (flags := wanted.get("flags")) is not None:
        where.append(results.c.flags == tuple(flags))
    if (since := wanted.get("since")) is not None:
        where.append(results.c.created >= since)
    if (ids := wanted.get("ids")) is not None:
        where.append(results.c.id.in_(ids))
    return where


def known_floors(conn: sa.Connection, hosts: Iterable[str]) -> dict[tuple[str, int | None, str], float]:
    """The noise floors of hosts, by host, epoch and benchmark."""
    where = noise.c.host.in_(sorted(set(hosts)))
    rows = conn.execute(sa.select(noise.c.host, noise.c.epoch, noise.c.benchmark, noise.c.floor).where(where))
    return {(row.host, row.epoch, row.benchmark): row.floor for row in rows}


def _facts(conn: sa.Connection) -> list[sa.Label[Any]]:
    """What the interpreter's JSON tells, and the fingerprint's id where a foreign tool has given it: it is all then."""
    foreign = sa.case((results.c.fingerprint.is_(None), results.c.fingerprint_id))
    others = [foreign.label("foreign_print"), fork_in(conn).label("fork")]
    return [*(in_interpreter(conn, name).label(name) for name in _IN_INTERPRETER), *others]


def _as_list(conn: sa.Connection, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """The values of a group in JSON, those of several columns in the same order."""
    if conn.dialect.name == "sqlite":
        return sa.func.json_group_array(column)
    return sa.cast(sa.func.json_agg(aggregate_order_by(column, measurements.c.benchmark)), sa.Text)
