"""What a check of a host is kept as, and what has changed since the one before."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from benchyard.steps.hostcheck import _note, report_place
from benchyard.store import hosts, jobs, maintenance
from benchyard.store.history import history_of
from benchyard.store.migrate import migrate
from benchyard.store.rows import Job
from benchyard.store.tables import epochs
from benchyard.tasks.host.checks import Finding
from benchyard.tasks.host.fingerprint import HostPrint
from benchyard.tasks.host.guard import GuardReport
from benchyard.tasks.host.lookover import LookOver


@pytest.fixture
def conn() -> Iterator[sa.Connection]:
    """A store in memory with one host."""
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    migrate(engine)
    with engine.begin() as conn:
        hosts.ensure_host(conn, "bench", now=1.0, who="ada")
        yield conn
    engine.dispose()


def check(
    conn: sa.Connection,
    *findings: Finding,
    made: float = 9.0,
    after: int | None = None,
    job: Job | None = None,
    **more: Any,
) -> str:
    """Check the host, which is such a machine; gives what is said of it."""
    host = HostPrint(**{"cpu": "X", "cpus": 2, "kernel": "6.1", "governor": "powersave", **more})
    guard = GuardReport(passed=not findings, waited_s=0.0, findings=findings)
    report = LookOver(made=made, cpus="1", checks=("disk",), guard=guard, knobs=(), host=host, versions={})
    job = job or maintenance.create(conn, "check", host="bench", target="linux", owner="ada", now=2.0, after=after)
    said = _note(conn, job, report, 3.0)
    assert jobs.get_job(conn, job.id).prepared == {"summary": said}
    assert (hosts.get_host(conn, "bench").fitness or {})["job"] == job.id
    return said


def open_epoch(conn: sa.Connection, **host: Any) -> None:
    """As a first result does that was measured on a tuned host."""
    print_ = HostPrint(**{"cpu": "X", "cpus": 2, "kernel": "6.1", "governor": "performance", "boost": "off", **host})
    values = {"host": "bench", "number": 1, "host_fingerprint": print_.id, "since": 1.0, "result_id": 1}
    conn.execute(sa.insert(epochs).values(**values, fingerprint=msgspec.to_builtins(print_)))


def test_reports_do_not_pile_up(conn: sa.Connection) -> None:
    """A host keeps its newest report alone, however often it is checked; one of its machine keeps its own."""
    how: dict[str, Any] = {"target": "linux", "owner": "ada", "now": 2.0}
    jobs = [maintenance.create(conn, "check", host=host, **how) for host in ("bench", "bench", "prep")]
    first, second, other = (report_place("/state", job) for job in jobs)
    assert first == second == ("/state/checks", "bench.json")
    assert other == ("/state/checks", "prep.json")


def test_first_check(conn: sa.Connection) -> None:
    """There is nothing to compare with; what refuses is told."""
    assert check(conn) == "fit to measure"
    unfit = Finding("disk", "refuse", "3 MiB are free")
    assert check(conn, unfit, Finding("clock source", "warn", "slow")) == "not fit to measure: 3 MiB are free"


def test_what_has_changed(conn: sa.Connection) -> None:
    """What differs from the check before is told and noted; it opens an epoch where tuning would not have hidden it."""
    open_epoch(conn)
    assert check(conn) == "fit to measure"
    assert check(conn, governor="schedutil") == "fit to measure; changed since the check before: governor"
    said = check(conn, governor="schedutil", kernel="6.2", mitigations={"spectre_v2": "on"})
    changed = "kernel, mitigations.spectre_v2"
    expected = f"fit to measure; changed since the check before: {changed}; the next result opens an epoch: {changed}"
    assert said == expected
    assert history_of(conn, "host", "bench")[-1].change["changed"] == ["kernel", "mitigations.spectre_v2"]
    fitness = hosts.get_host(conn, "bench").fitness or {}
    assert fitness["changed"] == fitness["opens_epoch"] == ["kernel", "mitigations.spectre_v2"]


def change(conn: sa.Connection, *, checked: bool = True, fails: bool = False, **more: Any) -> int:
    """Change the host by a job, behind a check that finds such a machine; gives the job's number."""
    how: dict[str, Any] = {"host": "bench", "target": "linux", "owner": "ada", "now": 2.0, "checked": checked}
    *before, job = maintenance.create_checked(conn, "configure", **how)
    if before and not fails:
        check(conn, job=before[0], **more)
    maintenance.begin_changes(conn, job, now=2.0)
    return job.id


def test_a_change_is_compared_with_the_check_before_it(conn: sa.Connection) -> None:
    """Whatever else was checked before or since; isolation is a part of it, though it opens no epoch."""
    open_epoch(conn)
    check(conn, kernel="5.10", made=1.0)
    job = change(conn, made=90000.0)
    check(conn, isolation="kernel", made=90001.0)
    said = check(conn, isolation="kernel", made=90002.0, after=job)
    assert said == "fit to measure; changed since the check before: isolation"
    assert (hosts.get_host(conn, "bench").fitness or {})["changed"] == ["isolation"]
    assert check(conn, isolation="kernel") == "fit to measure"


def test_what_a_change_did_is_not_guessed(conn: sa.Connection) -> None:
    """A check that follows a change says so where none was made before that; one by itself does not."""
    unknown = "fit to measure; what the change did is not known"
    away = f"{unknown}: the host was not connected before it"
    assert check(conn, after=change(conn, checked=False)) == away
    failed = change(conn, fails=True)
    assert check(conn, after=failed) == f"{unknown}: the check before it, job {failed - 1}, was not made"
    assert check(conn, after=change(conn)) == "fit to measure"
    assert check(conn, after=change(conn, checked=False)) == away
    assert check(conn, after=99) == check(conn) == "fit to measure"


def test_what_has_changed_before_the_first_check(conn: sa.Connection) -> None:
    """The epoch is what a first check can be compared with, but for what tuning sets."""
    open_epoch(conn, kernel="5.10")
    assert check(conn) == "fit to measure; the next result opens an epoch: kernel"
