"""Jobs: their statuses, their lists, their requests, their history."""

import threading
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from benchyard.store import attempts, jobs, queues, results
from benchyard.store.errors import Conflict, NotFound, Stale, StoreError
from benchyard.store.history import history_of
from benchyard.store.migrate import migrate
from benchyard.store.rows import FINAL_JOB_STATUSES, JOB_STATUSES, Job
from benchyard.store.tables import jobs as table

MakeJob = Callable[..., Job]


def test_created_job_is_read_back(conn: sa.Connection, make_job: MakeJob) -> None:
    """A job comes back as it was made, spec and microseconds included."""
    spec = {"python": "/opt/p", "benchmarks": ["nbody", "2to3"], "nested": {"n": [1, 2.5, None, True]}}
    job = make_job(conn, now=1795345200.123456, spec=spec, reason="why ü", host="sulaco")
    assert jobs.get_job(conn, job.id) == job
    assert (job.spec, job.reason, job.host, job.created) == (spec, "why ü", "sulaco", 1795345200.123456)
    assert (job.status, job.enabled, job.pushes, job.queued, job.error) == ("created", True, 0, None, None)


def test_unstorable_characters(conn: sa.Connection, make_job: MakeJob) -> None:
    """NUL and lone surrogates, which a crashed program may print, are replaced and stop nothing."""
    job = make_job(conn, reason="a\x00b", spec={"python": "/p\udc80"})
    other = make_job(conn, spec={"a\x00": ["/p\x00", "\\u0000"]})
    assert other.spec == {"a\ufffd": ["/p\ufffd", "\\u0000"]}
    assert job.reason == "a\ufffdb"
    assert job.spec == {"python": "/p?"}


def test_unknown_job(conn: sa.Connection) -> None:
    """Every function says which job there is not."""
    calls: list[Callable[[], object]] = [
        lambda: jobs.get_job(conn, 77),
        lambda: jobs.set_status(conn, 77, "ready", now=1.0, who="ada"),
        lambda: jobs.tie_request(conn, 77, 1, push=0),
        lambda: jobs.count_push(conn, 77),
        lambda: jobs.set_progress(conn, 77, None),
        lambda: jobs.ask_cancel(conn, 77, now=1.0, who="ada"),
    ]
    for call in calls:
        with pytest.raises(NotFound, match=r"^there is no job 77$"):
            call()


def test_times_are_kept_when_first_reached(conn: sa.Connection, make_job: MakeJob) -> None:
    """A new attempt goes from running back to ready; the job was queued and started once."""
    job = make_job(conn, now=1.0)
    for now, status in enumerate(["queued", "building", "ready", "running", "ready", "running", "storing"], 2):
        jobs.set_status(conn, job.id, status, now=float(now), who="lab")
    job = jobs.set_status(conn, job.id, "success", now=20.0, who="lab")
    assert (job.created, job.queued, job.started, job.finished) == (1.0, 2.0, 5.0, 20.0)
    assert (job.changed, job.changed_by) == (20.0, "lab")


def test_job_made_queued(conn: sa.Connection, make_job: MakeJob) -> None:
    """A job that a door of Buildbot's made is queued from its beginning."""
    assert make_job(conn, now=3.0, status="queued", request_id=9).queued == 3.0


@pytest.mark.parametrize("final", sorted(FINAL_JOB_STATUSES))
def test_final_status_never_changes(conn: sa.Connection, make_job: MakeJob, final: str) -> None:
    """After a final status no status, progress, or wish to cancel changes the row or its history."""
    job = make_job(conn)
    jobs.set_progress(conn, job.id, {"index": 1, "total": 2})
    ended = jobs.set_status(conn, job.id, final, now=5.0, who="lab", error="why")
    assert (ended.status, ended.error, ended.finished, ended.progress) == (final, "why", 5.0, None)
    for status in JOB_STATUSES:
        assert jobs.set_status(conn, job.id, status, now=6.0, who="eve", error="other") == ended
    jobs.set_progress(conn, job.id, {"index": 2, "total": 2})
    assert jobs.ask_cancel(conn, job.id, now=6.0, who="eve") == ended
    assert jobs.get_job(conn, job.id) == ended
    assert len(history_of(conn, "job", job.id)) == 2


def test_same_status_again(conn: sa.Connection, make_job: MakeJob) -> None:
    """Setting a status twice is one change: a retried build does everything again."""
    job = make_job(conn)
    first = jobs.set_status(conn, job.id, "ready", now=5.0, who="lab")
    assert jobs.set_status(conn, job.id, "ready", now=6.0, who="lab") == first
    assert len(history_of(conn, "job", job.id)) == 2


def test_unknown_status(conn: sa.Connection, make_job: MakeJob) -> None:
    """A misspelt status is refused wherever it comes in, and the known ones are named."""
    job = make_job(conn)
    with pytest.raises(StoreError, match="unknown job status 'succes'; known are created, queued"):
        jobs.set_status(conn, job.id, "succes", now=1.0, who="ada")
    with pytest.raises(StoreError, match="unknown job status"):
        jobs.list_jobs(conn, status=["qeued"])
    with pytest.raises(StoreError, match="unknown job status"):
        make_job(conn, status="new")


def test_one_job_for_each_request(conn: sa.Connection, make_job: MakeJob) -> None:
    """Two doors that make a job for one request make one job, and leave the transaction usable."""
    first = make_job(conn, request_id=4, owner="ada")
    second = make_job(conn, request_id=4, owner="bob")
    assert second == first
    assert jobs.job_of_request(conn, 4) == first
    assert jobs.job_of_request(conn, 5) is None
    assert len(jobs.list_jobs(conn)) == 1
    assert len(history_of(conn, "job", first.id)) == 1


def test_request_of_a_push(conn: sa.Connection, make_job: MakeJob) -> None:
    """Only the request of its last push stands for a job, the first of them, and only while it is on the queue."""
    job, off = make_job(conn, status="queued"), make_job(conn)
    assert jobs.tie_request(conn, job.id, 4, push=0).request_id is None
    assert jobs.tie_request(conn, job.id, 5, push=1).request_id == 5
    assert jobs.tie_request(conn, job.id, 6, push=1).request_id == 5
    assert jobs.tie_request(conn, off.id, 7, push=0).request_id is None
    jobs.untie_request(conn, job.id)
    assert jobs.job_of_request(conn, 5) is None
    assert jobs.tie_request(conn, job.id, 6, push=1).request_id == 6


def test_pushes_are_counted(conn: sa.Connection, make_job: MakeJob) -> None:
    """Each push has a number of its own."""
    job = make_job(conn)
    assert [jobs.count_push(conn, job.id) for _ in range(3)] == [1, 2, 3]
    assert jobs.get_job(conn, job.id).pushes == 3


def test_first_to_cancel_is_remembered(conn: sa.Connection, make_job: MakeJob) -> None:
    """Asking twice is asking once."""
    job = make_job(conn)
    jobs.ask_cancel(conn, job.id, now=2.0, who="ada")
    asked = jobs.ask_cancel(conn, job.id, now=3.0, who="bob")
    assert (asked.cancel_by, asked.changed, asked.status) == ("ada", 2.0, "created")


def test_lists(conn: sa.Connection, make_job: MakeJob) -> None:
    """Lists are newest first, filtered by status, target and owner, and paged by id."""
    made = [make_job(conn, target=target, owner=owner) for target in "ab" for owner in ("ada", "bob", "ada")]
    ids = [job.id for job in made]
    jobs.set_status(conn, ids[0], "queued", now=2.0, who="lab")
    jobs.set_status(conn, ids[1], "failed", now=2.0, who="lab")

    def listed(**filters: object) -> list[int]:
        return [job.id for job in jobs.list_jobs(conn, **filters)]  # type: ignore[arg-type]

    assert listed() == ids[::-1]
    assert listed(limit=2) == [ids[5], ids[4]]
    assert listed(limit=2, before=ids[4]) == [ids[3], ids[2]]
    assert listed(before=ids[0]) == []
    assert listed(status=["queued", "failed"]) == [ids[1], ids[0]]
    assert listed(target="a", owner="ada") == [ids[2], ids[0]]
    assert [job.id for job in jobs.unfinished_jobs(conn)] == [ids[0], *ids[2:]]


def test_filters(conn: sa.Connection, make_job: MakeJob) -> None:
    """Jobs are found by the host asked for or used, the time of their making, and what their results are of."""
    asked = make_job(conn, now=1.0, host="sulaco").id
    used = make_job(conn, now=2.0).id
    attempts.new_attempt(conn, used, now=2.0)
    attempts.place_attempt(conn, used, 1, host="sulaco", now=2.0)
    other = make_job(conn, now=3.0).id
    for number, job_id in enumerate((used, other)):
        shown = {"suite": "s", "suite_version": "1", "mode": "fast", "version": "3.15", "path": "p", "size": 1}
        results.add_result(
            conn,
            now=4.0,
            who="lab",
            job_id=job_id,
            attempt=1,
            host="sulaco",
            target="t",
            interpreter={},
            commit=f"abc{number}" + "0" * 36,
            branch="main",
            flags=(),
            sha256="00",
            benchmarks=1,
            **shown,  # type: ignore[arg-type]
        )

    def listed(**filters: object) -> list[int]:
        return [job.id for job in jobs.list_jobs(conn, **filters)]  # type: ignore[arg-type]

    assert listed(host="sulaco") == [used, asked]
    assert listed(since=2.0) == [other, used]
    assert listed(since=1.0, until=2.0) == [asked]
    assert listed(commit="abc") == listed(branch="main") == [other, used]
    assert listed(commit="abc0", branch="main") == [used]
    assert listed(commit="abc0", branch="3.14") == []


def test_modified_job(conn: sa.Connection, make_job: MakeJob) -> None:
    """What a job measures changes until it has begun, its reason at any time; the host may be taken away."""
    job = make_job(conn, host="sulaco")
    changed = jobs.modify_job(conn, job.id, now=2.0, who="bob", reason="try", spec={"python": "/p"})
    assert (changed.reason, changed.spec, changed.host, changed.changed_by) == (
        "try",
        {"python": "/p"},
        "sulaco",
        "bob",
    )
    queues.push(conn, job.id, now=3.0, who="bob")
    assert jobs.modify_job(conn, job.id, now=4.0, who="bob", host=None).host is None
    building = jobs.set_status(conn, job.id, "building", now=5.0, who="lab")
    assert jobs.modify_job(conn, job.id, now=6.0, who="bob", host=None, reason="try", spec={"python": "/p"}) == building
    for values in ({"host": "sulaco"}, {"spec": {"python": "/q"}}):
        with pytest.raises(Conflict, match=rf"^job {job.id} is building; what it measures can change while"):
            jobs.modify_job(conn, job.id, now=6.0, who="bob", reason="other", **values)
    jobs.set_status(conn, job.id, "success", now=7.0, who="lab")
    assert jobs.modify_job(conn, job.id, now=8.0, who="bob", reason="done").reason == "done"
    assert history_of(conn, "job", job.id)[-1].change == {"reason": "done"}


def test_job_changed_meanwhile(conn: sa.Connection, make_job: MakeJob) -> None:
    """Who changes what they read before somebody else's change is told so, and nothing is changed."""
    job = make_job(conn, now=1.0)
    jobs.modify_job(conn, job.id, now=2.0, who="bob", reason="first")
    with pytest.raises(Stale, match=rf"^job {job.id} was changed by bob: read it again$"):
        jobs.modify_job(conn, job.id, now=3.0, who="eve", reason="second", expected_changed=1.0)
    assert jobs.modify_job(conn, job.id, now=3.0, who="eve", reason="third", expected_changed=2.0).reason == "third"


def test_disabled_job_keeps_its_place(conn: sa.Connection, make_job: MakeJob) -> None:
    """Disabling is one change, and none of the queue."""
    job, other = make_job(conn, status="queued"), make_job(conn, status="queued")
    version = queues.get_queue(conn, job.target).version
    disabled = jobs.enable_job(conn, job.id, False, now=2.0, who="bob")
    assert jobs.enable_job(conn, job.id, False, now=3.0, who="eve") == disabled
    assert queues.list_queue(conn, job.target) == (disabled, other)
    assert queues.get_queue(conn, job.target).version == version


@pytest.mark.parametrize("status", JOB_STATUSES)
def test_removed_job(conn: sa.Connection, make_job: MakeJob, status: str) -> None:
    """A job that has not begun or has ended can be removed, and is in no list and no get; another cannot."""
    job = make_job(conn, status=status, request_id=7)
    if status != "created" and status not in FINAL_JOB_STATUSES:
        with pytest.raises(Conflict, match=rf"^job {job.id} is {status}; cancel it before it is removed$"):
            jobs.remove_job(conn, job.id, now=2.0, who="bob")
        return
    jobs.remove_job(conn, job.id, now=2.0, who="bob")
    assert jobs.list_jobs(conn) == jobs.unfinished_jobs(conn) == ()
    assert jobs.job_of_request(conn, 7) is None
    assert sum(jobs.count_by_status(conn).values()) == 0
    calls: list[Callable[[], object]] = [
        lambda: jobs.get_job(conn, job.id),
        lambda: jobs.remove_job(conn, job.id, now=3.0, who="bob"),
        lambda: jobs.set_status(conn, job.id, "queued", now=3.0, who="bob"),
        lambda: jobs.modify_job(conn, job.id, now=3.0, who="bob", reason="x"),
        lambda: jobs.enable_job(conn, job.id, False, now=3.0, who="bob"),
        lambda: queues.push(conn, job.id, now=3.0, who="bob"),
        lambda: queues.position_of(conn, job.id),
    ]
    for call in calls:
        with pytest.raises(NotFound, match=rf"^there is no job {job.id}$"):
            call()
    assert history_of(conn, "job", job.id)[-1].change == {"removed": 2.0}


def test_count_by_status(conn: sa.Connection, make_job: MakeJob) -> None:
    """Statuses that no job has are counted as zero."""
    for status in ("queued", "queued", "lost"):
        make_job(conn, status=status)
    assert jobs.count_by_status(conn) == dict.fromkeys(JOB_STATUSES, 0) | {"queued": 2, "lost": 1}


def test_history_tells_who_and_when(conn: sa.Connection, make_job: MakeJob) -> None:
    """Every change of a job is one row, oldest first."""
    job = make_job(conn, now=1.0)
    jobs.set_status(conn, job.id, "queued", now=2.0, who="bob")
    jobs.ask_cancel(conn, job.id, now=3.0, who="eve")
    jobs.set_status(conn, job.id, "canceled", now=4.0, who="lab", error="canceled by eve")
    changes = history_of(conn, "job", job.id)
    assert [(change.time, change.who) for change in changes] == [
        (1.0, "ada"),
        (2.0, "bob"),
        (3.0, "eve"),
        (4.0, "lab"),
    ]
    assert changes[-1].change == {"status": "canceled", "error": "canceled by eve"}


def test_rolled_back_transaction_leaves_nothing(store: sa.Engine, make_job: MakeJob) -> None:
    """What happens in a transaction that fails did not happen: Buildbot runs the same call again."""
    with store.connect() as conn:
        make_job(conn, request_id=1)
        make_job(conn, request_id=1)
        conn.rollback()
    with store.begin() as conn:
        assert jobs.list_jobs(conn) == ()


def test_id_is_not_given_twice(store: sa.Engine, make_job: MakeJob) -> None:
    """A host remembers runs by JOB.ATTEMPT, so the id of a deleted job is not used again."""
    with store.begin() as conn:
        first = make_job(conn)
    with store.begin() as conn:
        conn.exec_driver_sql("DELETE FROM benchyard_jobs")
    with store.begin() as conn:
        assert make_job(conn).id > first.id


def test_concurrent_ends(store: sa.Engine, make_job: MakeJob) -> None:
    """Of two masters that end a job at the same time, one wins and the other sees the winner's row."""
    with store.begin() as conn:
        job = make_job(conn)
    start = threading.Barrier(4)
    ends: list[Job] = []

    def end(status: str) -> None:
        start.wait(10)
        with store.begin() as conn:
            ends.append(jobs.set_status(conn, job.id, status, now=2.0, who=status))

    threads = [threading.Thread(target=end, args=(status,)) for status in sorted(FINAL_JOB_STATUSES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(ends) == 4
    assert len({end.status for end in ends}) == 1
    with store.begin() as conn:
        assert len(history_of(conn, "job", job.id)) == 2


@pytest.mark.parametrize(
    ("where", "index"),
    [
        ((table.c.status == "queued") & (table.c.target == "a"), "benchyard_jobs_status"),
        (table.c.owner == "ada", "benchyard_jobs_owner"),
        (table.c.request_id == 4, "benchyard_jobs_request"),
    ],
)
def test_indexes_are_used(where: sa.ColumnElement[bool], index: str) -> None:
    """The queries of the queue and the lists go by an index, without sorting."""
    engine = sa.create_engine("sqlite://")
    migrate(engine)
    with engine.connect() as conn:
        query = sa.select(table).where(where).order_by(table.c.id)
        text = query.compile(engine, compile_kwargs={"literal_binds": True})
        steps = conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")
        plan = " ".join(str(step[3]) for step in steps)
    engine.dispose()
    assert index in plan
    assert "TEMP B-TREE" not in plan
