"""Upgrading a database of the version before, with what a lab has in it."""

from collections.abc import Sequence
from importlib import resources
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from benchyard.store import attempts, epochs, hosts, jobs, queues, results, users
from benchyard.store.migrate import VERSION_TABLE, migrate
from benchyard.store.rows import JOB_STATUSES

Rows = dict[str, list[dict[str, Any]]]

# (status, target, request id) of the jobs with ids 1, 2, ...: one of each status, then a queue out of order.
_JOBS: Sequence[tuple[str, str, int | None]] = (
    *((status, "a", 100 + number) for number, status in enumerate(JOB_STATUSES)),
    ("queued", "a", 50),
    ("queued", "a", None),
    ("queued", "b", 7),
    ("queued", "b", 6),
)

_QUEUE_A = [3, 4, 11, 2, 12]
_QUEUE_B = [14, 13]


@pytest.fixture
def before(engine: sa.Engine) -> Rows:
    """A database at 0001 with rows in every table; the rows by table."""
    with engine.begin() as conn:
        _upgrade_to(conn, "0001")
        tables = _tables(conn)
        for name, rows in _data().items():
            conn.execute(sa.insert(tables[name]), rows)
        if conn.dialect.name == "postgresql":
            # The rows brought their ids along; the sequences must not give them again.
            for name in ("users", "tokens", "jobs", "results", "history"):
                conn.exec_driver_sql(f"SELECT setval(pg_get_serial_sequence('benchyard_{name}', 'id'), 100)")
        return _rows(conn)


def test_nothing_is_lost(engine: sa.Engine, before: Rows) -> None:
    """Every row is there with every value it had."""
    assert migrate(engine) == "0009"
    with engine.connect() as conn:
        after = _rows(conn)
    assert {name: len(rows) for name, rows in before.items()} == {name: len(after[name]) for name in before}
    for name, rows in before.items():
        assert [{key: new[key] for key in old} for old, new in zip(rows, after[name], strict=True)] == rows, name
    assert after["benchyard_queues"] == after["benchyard_answers"] == []


def test_queue_keeps_its_order(engine: sa.Engine, before: Rows) -> None:
    """The queue of each target are its jobs that have begun, then those that wait, by request; no other has a place."""
    migrate(engine)
    with engine.begin() as conn:
        assert [job.id for job in queues.list_queue(conn, "a")] == _QUEUE_A
        assert [job.id for job in queues.list_queue(conn, "b")] == _QUEUE_B
        off = [jobs.get_job(conn, number).place for number in range(1, len(_JOBS) + 1)]
        assert sum(place is not None for place in off) == len(_QUEUE_A) + len(_QUEUE_B)
        assert queues.move(conn, 12, "2", now=9.0, who="ada") == 2
        assert [job.id for job in queues.list_queue(conn, "a")] == [3, 12, 4, 11, 2]
        assert queues.push(conn, 1, now=9.0, who="ada").status == "queued"
        assert queues.position_of(conn, 1) == 6


def test_lab_goes_on(engine: sa.Engine, before: Rows) -> None:
    """What was there is of use: results with their owners, attempts, tokens, and ids that were not given before."""
    migrate(engine)
    with engine.begin() as conn:
        result = results.get_result(conn, 1)
        assert (result.owner, result.note, result.trashed, result.flags) == ("owner7", "", None, ("jit",))
        assert (result.kind, result.grade, result.grade_reasons) == ("benchmarks", None, ())
        assert (result.fingerprint, result.epoch) == (None, None)
        assert results.result_of_attempt(conn, 7, 1) == result
        host = hosts.enable_host(conn, "sulaco", True, now=9.0, who="ada")
        assert (host.quarantined, host.band_since) == (None, None)
        assert epochs.list_epochs(conn, "sulaco") == ()
        attempt = attempts.current_attempt(conn, 7)
        assert attempt is not None
        assert attempt.report == {"benchmarks": []}
        found = users.identify(conn, "f00d", 10.0)
        assert found is not None
        assert (found[0].name, found[1].name) == ("ada", "ci")
        assert found[0].password_hash == "$argon2id$x"
        made = results.new_result(
            conn, now=9.0, who="ada", owner="ada", host="h", target=None, commit=None, branch=None
        )
        assert made.id > 1


def test_ids_of_jobs_are_still_given_once(engine: sa.Engine, before: Rows) -> None:
    """The table of jobs keeps its counter: the id of a deleted job is not given again."""
    migrate(engine)
    with engine.begin() as conn:
        conn.exec_driver_sql("DELETE FROM benchyard_results")
        conn.exec_driver_sql("DELETE FROM benchyard_attempts")
        conn.exec_driver_sql("DELETE FROM benchyard_jobs")
    with engine.begin() as conn:
        job = jobs.create_job(
            conn, now=1.0, who="x", kind="k", target="a", host=None, spec={}, owner="x", origin="rest", reason=""
        )
    assert job.id > len(_JOBS)


def _upgrade_to(conn: sa.Connection, version: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(resources.files("benchyard.store") / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes.update(connection=conn, version_table=VERSION_TABLE)
    command.upgrade(config, version)


def _tables(conn: sa.Connection) -> dict[str, sa.Table]:
    metadata = sa.MetaData()
    metadata.reflect(conn)
    return {name: table for name, table in metadata.tables.items() if name != VERSION_TABLE}


def _rows(conn: sa.Connection) -> Rows:
    return {
        name: [dict(row) for row in conn.execute(sa.select(table).order_by(*table.primary_key.columns)).mappings()]
        for name, table in _tables(conn).items()
    }


def _data() -> Rows:
    """Rows as version 0001 kept them."""
    changed = {"created": 1.25, "changed": 2.5, "changed_by": "root"}
    host = {"name": "sulaco", "enabled": 0, "reason": "fan"}
    user = {"role": "member", "enabled": 1, **changed}
    job = {
        "kind": "benchmarks",
        "host": "sulaco",
        "enabled": 1,
        "spec": '{"python": "/p ü"}',
        "origin": "rest",
        "reason": "why",
        "error": None,
        "pushes": 2,
        "progress": '{"index": 1}',
        "cancel_by": "bob",
        **changed,
        "queued": 3.0,
        "started": 4.0,
        "finished": None,
    }
    attempt = {"host": "sulaco", "cause": "why", "started": 1.0, "finished": 2.0}
    result = {
        "id": 1,
        "job_id": 7,
        "attempt": 1,
        "status": "stored",
        "enabled": 1,
        "host": "sulaco",
        "target": "a",
        "interpreter": '{"id": "x"}',
        "commit": "ab" * 20,
        "branch": "main",
        "version": "3.15.0",
        "flags": '["jit"]',
        "suite": "pyperformance",
        "suite_version": "1.14.0",
        "mode": "default",
        "path": "p/q.json",
        "sha256": "00" * 32,
        "size": 5_000_000_000,
        "benchmarks": 3,
        "failed": '[{"name": "dask", "error": "x"}]',
        **changed,
    }
    return {
        "benchyard_users": [
            {"id": 1, "name": "ada", "password_hash": "$argon2id$x", "status": "active", **user},
            {"id": 2, "name": "eve", "password_hash": None, "status": "removed", **user},
        ],
        "benchyard_tokens": [
            {
                "id": 1,
                "user_id": 1,
                "name": "ci",
                "token_hash": "f00d",
                "created": 1.0,
                "expires": 99.0,
                "revoked": None,
                "read_only": 1,
            }
        ],
        "benchyard_hosts": [{**host, **changed}],
        "benchyard_jobs": [
            {"id": number, "status": status, "target": target, "request_id": request, "owner": f"owner{number}", **job}
            for number, (status, target, request) in enumerate(_JOBS, 1)
        ],
        "benchyard_attempts": [
            {"job_id": 7, "number": 1, "status": "success", "report": '{"benchmarks": []}', **attempt},
            {"job_id": 5, "number": 1, "status": "lost", "report": None, **attempt},
        ],
        "benchyard_results": [result, {**result, "id": 2, "attempt": 2}],
        "benchyard_history": [
            {"id": 1, "entity": "job", "entity_id": "1", "time": 1.0, "who": "ada", "change": '{"status": "created"}'}
        ],
    }
