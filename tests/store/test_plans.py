"""How the databases answer the questions that are asked all the time: by an index, without sorting."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from benchyard.queueing.order import started_jobs
from benchyard.store import jobs, maintenance, queues, results, senders, uploads
from benchyard.store.places import STEP, after_last, before_first
from benchyard.store.tables import jobs as jobs_table
from benchyard.store.tables import results as results_table
from benchyard.store.tables import uploads as uploads_table

_JOBS = 4000
_EXPLAIN = {"sqlite": "EXPLAIN QUERY PLAN ", "postgresql": "EXPLAIN "}


@pytest.fixture
def full(store: sa.Engine) -> sa.Engine:
    """A store with many jobs on two targets, half of them waiting, and as many results."""
    with store.begin() as conn:
        conn.execute(sa.insert(jobs_table), [_job(number) for number in range(1, _JOBS + 1)])
        conn.execute(sa.insert(results_table), [_result(number) for number in range(1, _JOBS + 1)])
        conn.execute(sa.insert(uploads_table), [_upload(number) for number in range(1, _JOBS + 1)])
    if store.dialect.name == "postgresql":
        with store.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.exec_driver_sql("ANALYZE")
    return store


@pytest.mark.parametrize(
    ("ask", "index"),
    [
        (lambda conn: queues.first(conn, "a"), "benchyard_jobs_place"),
        (lambda conn: queues.list_queue(conn, "a", limit=50, offset=100), "benchyard_jobs_place"),
        (lambda conn: after_last(conn, "a"), "benchyard_jobs_place"),
        (lambda conn: before_first(conn, "a"), "benchyard_jobs_place"),
        (lambda conn: started_jobs(conn, "a"), "benchyard_jobs_status"),
        (maintenance.wanted, "benchyard_jobs_kind"),
        (lambda conn: jobs.list_jobs(conn, status=["failed"]), "benchyard_jobs_"),
        (lambda conn: jobs.list_jobs(conn, target="a", status=["success"]), "benchyard_jobs_"),
        (lambda conn: results.list_results(conn, branch="rare"), "benchyard_results_branch"),
        (lambda conn: senders.next_due(conn, "busy", now=1e9), "benchyard_uploads_due"),
        (lambda conn: senders.next_due(conn, "busy", now=1e9), "benchyard_uploads_slot"),
        (lambda conn: senders.next_time(conn, "busy", now=1.0), "benchyard_uploads_due"),
        (lambda conn: uploads.list_uploads(conn, state=uploads.OUTSTANDING), "benchyard_uploads_"),
        (lambda conn: uploads.list_uploads(conn, state=["failed"]), "benchyard_uploads_"),
        (lambda conn: uploads.list_uploads(conn, destination="busy"), "benchyard_uploads_"),
    ],
)
def test_index_is_used(full: sa.Engine, ask: Callable[[sa.Connection], object], index: str) -> None:
    """The plan of a question names the index, and what may be long is not sorted."""
    plan = _plan(full, ask)
    assert index in plan
    assert "TEMP B-TREE" not in plan
    # PostgreSQL sorts by id what is rare; a queue is long, and must come in order from the index.
    assert "place" not in index or "Sort" not in plan
    assert "uploads" not in index or "Seq Scan" not in plan


def test_moved_in_a_long_queue(full: sa.Engine) -> None:
    """A move within a long queue changes one job: no other is written."""
    with full.begin() as conn:
        before = {job.id: job.place for job in queues.list_queue(conn, "a")}
        last = list(before)[-1]
        assert queues.move(conn, last, "100", now=1.0, who="ada") == 100
        after = {job.id: job.place for job in queues.list_queue(conn, "a")}
    assert [job for job in after if after[job] != before[job]] == [last]
    assert list(after)[99] == last


def _plan(engine: sa.Engine, ask: Callable[[sa.Connection], object]) -> str:
    """The plan of the one statement that `ask` sends."""
    sent: list[tuple[str, Any]] = []

    def keep(conn: sa.Connection, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        sent.append((statement, parameters))

    with engine.connect() as conn:
        sa.event.listen(conn, "before_cursor_execute", keep)
        ask(conn)
        sa.event.remove(conn, "before_cursor_execute", keep)
        assert len(sent) == 1
        rows = conn.exec_driver_sql(_EXPLAIN[engine.dialect.name] + sent[0][0], sent[0][1]).all()
    return "\n".join(str(row[-1]) for row in rows)


def _job(number: int) -> dict[str, Any]:
    queued = number % 2 == 0
    return {
        "id": number,
        "kind": "benchmarks",
        "target": "ab"[number // 2 % 2],
        "status": "queued" if queued else "success" if number % 399 else "failed",
        "place": (_JOBS - number) * STEP if queued else None,
        "enabled": True,
        "spec": {},
        "owner": f"user{number % 7}",
        "origin": "rest",
        "reason": "",
        "pushes": 1,
        "created": 1.0,
        "changed": 1.0,
        "changed_by": "ada",
    }


def _upload(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "result_id": number,
        "destination": "busy" if number % 2 else "calm",
        "action": "publish",
        "state": "pending" if number % 4 == 1 else "failed" if number % 400 == 0 else "sent",
        "words": "",
        "slot": f"slot {number // 3}",
        "asks": 1,
        "attempts": 0,
        "asked": float(number),
        "asked_by": "ada",
        "next_try": float(number),
        "deadline": 1e9,
        "changed": 1.0,
    }


def _result(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "status": "stored",
        "enabled": True,
        "host": "h",
        "branch": "main" if number % 400 else "rare",
        "flags": (),
        "benchmarks": 0,
        "failed": (),
        "created": 1.0,
        "changed": 1.0,
        "changed_by": "ada",
        "owner": "ada",
        "note": "",
        "kind": "benchmarks",
        "grade_reasons": (),
    }
