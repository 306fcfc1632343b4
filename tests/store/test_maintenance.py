"""What jobs that look after a host mean for it."""

from typing import Any

import pytest
import sqlalchemy as sa

from benchyard.store import attempts, hosts, jobs, maintenance, queues
from benchyard.store.errors import Conflict
from benchyard.store.history import history_of
from benchyard.store.rows import Job


def make(conn: sa.Connection, kind: str = "configure", **more: Any) -> Job:
    how: dict[str, Any] = {"host": "sulaco", "target": "linux", "owner": "ada", "now": 1.0, **more}
    return maintenance.create(conn, kind, **how)


def measure(conn: sa.Connection) -> Job:
    return jobs.create_job(
        conn,
        now=1.0,
        who="bob",
        kind="benchmarks",
        target="linux",
        host=None,
        spec={},
        owner="bob",
        origin="rest",
        reason="",
        status="queued",
    )


def test_they_stand_before_measurements(conn: sa.Connection) -> None:
    """They go to the front of their target's queue, in the order in which they were asked for."""
    first, second = measure(conn), measure(conn)
    wanted = [make(conn), make(conn, "update"), make(conn, "check")]
    last = measure(conn)
    line = [job.id for job in queues.list_queue(conn, "linux")]
    assert line == [*(job.id for job in wanted), first.id, second.id, last.id]
    queues.take_off(conn, wanted[0].id, now=2.0, who="ada")
    queues.push(conn, wanted[0].id, now=3.0, who="ada")
    assert queues.position_of(conn, wanted[0].id) == 3
    assert [job.id for job in maintenance.wanted(conn)] == [job.id for job in wanted]
    assert maintenance.wanted(conn, "nostromo") == ()
    assert [job.reason for job in wanted] == [
        "configure of host sulaco",
        "update of host sulaco",
        "check of host sulaco",
    ]


def test_one_that_ends_well(conn: sa.Connection) -> None:
    """While it changes the host that measures nothing; afterwards it does, and is checked."""
    job = make(conn)
    maintenance.begin_changes(conn, job, now=2.0)
    maintenance.begin_changes(conn, job, now=2.5)
    host = hosts.get_host(conn, "sulaco")
    assert (host.maintained, host.may_measure(3.0)) == (job.id, False)
    check = maintenance.end(conn, job.id, "success", now=3.0)
    assert check is not None
    assert (check.kind, check.host, check.owner, check.spec["after"]) == ("check", "sulaco", "ada", job.id)
    assert hosts.get_host(conn, "sulaco").may_measure(3.0)
    assert maintenance.end(conn, job.id, "success", now=4.0) is None


def test_a_change_is_behind_a_check(conn: sa.Connection) -> None:
    """How the host was before is kept with the job, of the check before it or a later one; of none from before that."""
    how: dict[str, Any] = {"host": "sulaco", "target": "linux", "owner": "ada", "now": 1.0, "reason": "new kernel"}
    (alone,) = maintenance.create_checked(conn, "configure", **how, checked=False)
    assert alone.spec["before"] is None
    check, job = maintenance.create_checked(conn, "update", **how, checked=True, reboot=True)
    assert (check.kind, check.reason, check.owner, check.origin) == ("check", "before update", "ada", "lab")
    assert (job.spec["before"], job.spec["reboot"], job.reason) == (check.id, True, "new kernel")
    assert [found.id for found in queues.list_queue(conn, "linux")] == [alone.id, check.id, job.id]
    hosts.set_fitness(conn, "sulaco", {"job": alone.id, "host": {"kernel": "6.1"}})
    for number, known in ((alone.id, None), (check.id, {"kernel": "6.2"})):
        jobs.set_prepared(conn, job.id, {"begun": 1})
        hosts.set_fitness(conn, "sulaco", {"job": number, "host": known or {"kernel": "6.1"}})
        maintenance.begin_changes(conn, job, now=2.0)
        assert (jobs.get_job(conn, job.id).prepared or {}).get("before") == known
        maintenance.give_up(conn, job)
    maintenance.begin_changes(conn, job, now=3.0)
    hosts.set_fitness(conn, "sulaco", {"job": check.id, "host": {"kernel": "6.3"}})
    maintenance.begin_changes(conn, job, now=4.0)  # a second try: what the first has changed is not how it was before
    assert jobs.get_job(conn, job.id).prepared == {"begun": 1, "before": {"kernel": "6.2"}}


@pytest.mark.parametrize(
    ("status", "why"),
    [("failed", "configure failed: no route to host (job 1)"), ("canceled", "configure was canceled halfway (job 1)")],
)
def test_one_that_stops_halfway(conn: sa.Connection, status: str, why: str) -> None:
    """The host is disabled, with the reason, until another one ends well."""
    job = make(conn)
    maintenance.begin_changes(conn, job, now=2.0)
    error = "no route to host" if status == "failed" else None
    assert maintenance.end(conn, job.id, status, error=error, now=3.0) is None
    host = hosts.get_host(conn, "sulaco")
    assert (host.enabled, host.reason, host.maintained, host.broken_by) == (False, why, None, job.id)
    assert history_of(conn, "host", "sulaco")[-1].change["enabled"] is False
    other = make(conn, "update")
    maintenance.begin_changes(conn, other, now=4.0)
    maintenance.end(conn, other.id, "success", now=5.0)
    host = hosts.get_host(conn, "sulaco")
    assert (host.enabled, host.reason, host.broken_by) == (True, "", None)


def test_what_a_person_has_disabled_stays_so(conn: sa.Connection) -> None:
    """A host that somebody had disabled is not enabled by a job; why it failed is added once to the reason."""
    hosts.ensure_host(conn, "sulaco", now=1.0, who="ada")
    hosts.enable_host(conn, "sulaco", False, now=1.0, who="ada", reason="new fan")
    job = make(conn)
    maintenance.begin_changes(conn, job, now=2.0)
    maintenance.end(conn, job.id, "failed", error="boom", now=3.0)
    assert hosts.get_host(conn, "sulaco").reason == "new fan; configure failed: boom (job 1)"
    job = make(conn)
    maintenance.begin_changes(conn, job, now=4.0)
    maintenance.end(conn, job.id, "success", now=5.0)
    assert not hosts.get_host(conn, "sulaco").enabled


def test_a_quarantine_is_not_ended_by_a_job(conn: sa.Connection) -> None:
    """What was measured while a job had left the host halfway may quarantine it: no other job enables it then."""
    for status, error in (("failed", "boom"), ("failed", "bang"), ("success", None)):
        job = make(conn)
        maintenance.begin_changes(conn, job, now=2.0)
        maintenance.end(conn, job.id, status, error=error, now=3.0)
        hosts.quarantine_host(conn, "sulaco", now=4.0, who="lab", reason="off by +5.0 %")
    host = hosts.get_host(conn, "sulaco")
    assert (host.enabled, host.quarantined, host.broken_by) == (False, 4.0, None)
    assert host.reason == "quarantined: off by +5.0 %; configure failed: bang (job 2)"


def test_one_that_changes_nothing(conn: sa.Connection) -> None:
    """One that only showed what would change, or could not begin, leaves the host as it was."""
    shown = make(conn, check=True)
    assert maintenance.end(conn, shown.id, "failed", error="boom", now=2.0) is None
    job = make(conn)
    maintenance.begin_changes(conn, job, now=3.0)
    maintenance.give_up(conn, job)
    maintenance.end(conn, job.id, "failed", error="not installed", now=4.0)
    host = hosts.get_host(conn, "sulaco")
    assert (host.enabled, host.maintained, host.broken_by) == (True, None, None)


def test_one_that_cannot_begin_again(conn: sa.Connection) -> None:
    """A try that was cut off may have changed the host: that the next could not begin does not make it whole."""
    job = make(conn)
    jobs.set_prepared(conn, job.id, {"begun": 1})
    maintenance.begin_changes(conn, job, now=2.0)
    jobs.set_prepared(conn, job.id, {"begun": 2})
    maintenance.give_up(conn, job)
    maintenance.end(conn, job.id, "failed", error="not installed", now=3.0)
    host = hosts.get_host(conn, "sulaco")
    assert (host.enabled, host.maintained, host.broken_by) == (False, None, job.id)


def test_who_enables_it_takes_it_as_it_is(conn: sa.Connection) -> None:
    """A person may enable a host that a job has left halfway."""
    job = make(conn)
    maintenance.begin_changes(conn, job, now=2.0)
    maintenance.end(conn, job.id, "failed", error="boom", now=3.0)
    host = hosts.enable_host(conn, "sulaco", True, now=4.0, who="ada")
    assert (host.enabled, host.broken_by, host.may_measure(5.0)) == (True, None, True)


def test_check_of_a_host_that_has_moved(conn: sa.Connection) -> None:
    """The check that follows is one of the target that the host has by then."""
    job = make(conn)
    maintenance.begin_changes(conn, job, now=2.0)
    check = maintenance.end(conn, job.id, "success", now=3.0, target="linux-arm")
    assert check is not None
    assert (job.target, check.target) == ("linux", "linux-arm")


def test_host_that_is_to_leave(conn: sa.Connection) -> None:
    """Once let go it begins nothing; neither what only waits nor what is left of a canceled job holds it."""
    job = make(conn)
    jobs.set_status(conn, job.id, "building", now=2.0, who="lab")
    with pytest.raises(Conflict, match=f"busy with job {job.id}"):
        maintenance.close_host(conn, "sulaco", now=2.0, who="ada")
    assert hosts.get_host(conn, "sulaco").may_measure(2.0)
    maintenance.end(conn, job.id, "success", now=3.0)
    run = measure(conn)
    attempts.new_attempt(conn, run.id, now=3.0)
    attempts.place_attempt(conn, run.id, 1, host="sulaco", now=3.0)
    with pytest.raises(Conflict, match=f"busy with job {run.id}"):
        maintenance.close_host(conn, "sulaco", now=3.0, who="ada")
    assert maintenance.measured_hosts(conn) == {"sulaco": run.id}
    jobs.set_status(conn, run.id, "canceled", now=4.0, who="bob")
    assert maintenance.measured_hosts(conn) == {}
    make(conn, "check")
    maintenance.close_host(conn, "sulaco", now=4.0, who="ada")
    host = hosts.get_host(conn, "sulaco")
    assert (host.enabled, host.reason, host.changed_by) == (False, "it leaves the lab", "ada")


def test_host_that_has_left(conn: sa.Connection) -> None:
    """The end of a job whose host is gone is the job's alone."""
    job = make(conn)
    maintenance.begin_changes(conn, job, now=2.0)
    hosts.remove_host(conn, "sulaco", now=2.5, who="ada")
    assert maintenance.end(conn, job.id, "failed", error="gone", now=3.0) is None
    assert jobs.get_job(conn, job.id).error == "gone"
    assert hosts.find_host(conn, "sulaco") is None
