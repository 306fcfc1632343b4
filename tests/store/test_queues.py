"""Queues: their order, their pause, their versions."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from benchyard.store import jobs, queues
from benchyard.store.errors import BadPosition, Conflict, NotFound, Stale
from benchyard.store.history import history_of
from benchyard.store.places import STEP
from benchyard.store.rows import JOB_STATUSES, QUEUED_JOB_STATUSES, Job, Queue
from benchyard.store.tables import jobs as table

MakeJob = Callable[..., Job]

_TARGET = "linux-x86_64"


@pytest.fixture
def five(conn: sa.Connection, make_job: MakeJob) -> list[int]:
    """The ids of a queue of five jobs, in order."""
    return [queues.push(conn, make_job(conn).id, now=2.0, who="ada").id for _ in range(5)]


def _ids(conn: sa.Connection, target: str = _TARGET) -> list[int]:
    return [job.id for job in queues.list_queue(conn, target)]


def _move(conn: sa.Connection, job_id: int, to: str, expected_version: int | None = None) -> int:
    return queues.move(conn, job_id, to, now=3.0, who="ada", expected_version=expected_version)


def test_untouched_queue(conn: sa.Connection) -> None:
    """A queue that nothing has happened to is empty, not paused, and at version 0; reading makes no row."""
    assert queues.get_queue(conn, "any") == Queue("any", False, None, None, "", 0)
    assert (queues.first(conn, "any"), queues.length(conn, "any"), queues.list_queue(conn, "any")) == (None, 0, ())
    assert conn.exec_driver_sql("SELECT count(*) FROM benchyard_queues").scalar() == 0


def test_pushed_jobs_line_up(conn: sa.Connection, five: list[int], make_job: MakeJob) -> None:
    """Each pushed job is the last of its target's queue, queued, with one push more; other targets are apart."""
    assert _ids(conn) == five
    assert [queues.position_of(conn, job_id) for job_id in five] == [1, 2, 3, 4, 5]
    first = queues.first(conn, _TARGET)
    assert first is not None
    assert (first.id, first.status, first.pushes, first.queued) == (five[0], "queued", 1, 2.0)
    assert queues.length(conn, _TARGET) == 5
    assert [job.id for job in queues.list_queue(conn, _TARGET, limit=2, offset=3)] == five[3:]
    created = make_job(conn)
    assert queues.position_of(conn, created.id) is None
    assert _ids(conn, "other") == []


@pytest.mark.parametrize("status", [status for status in JOB_STATUSES if status != "created"])
def test_only_created_jobs_are_pushed(conn: sa.Connection, make_job: MakeJob, status: str) -> None:
    """A job that was pushed or is past the queue is refused, and nothing is counted."""
    job = make_job(conn, status=status)
    version = queues.get_queue(conn, _TARGET).version
    with pytest.raises(Conflict, match=rf"^job {job.id} is {status}; only a created job can be put on the queue$"):
        queues.push(conn, job.id, now=2.0, who="ada")
    assert jobs.get_job(conn, job.id) == job
    assert queues.get_queue(conn, _TARGET).version == version


@pytest.mark.parametrize(
    ("index", "to", "new", "order"),
    [
        (4, "1", 1, [4, 0, 1, 2, 3]),
        (0, "3", 3, [1, 2, 0, 3, 4]),
        (0, "5", 5, [1, 2, 3, 4, 0]),
        (3, "first", 1, [3, 0, 1, 2, 4]),
        (1, "last", 5, [0, 2, 3, 4, 1]),
        (1, "+2", 4, [0, 2, 3, 1, 4]),
        (3, "-1", 3, [0, 1, 3, 2, 4]),
        (2, "+0", 3, [0, 1, 2, 3, 4]),
        (0, "first", 1, [0, 1, 2, 3, 4]),
        (4, "last", 5, [0, 1, 2, 3, 4]),
        (2, "3", 3, [0, 1, 2, 3, 4]),
    ],
)
def test_moves(conn: sa.Connection, five: list[int], index: int, to: str, new: int, order: list[int]) -> None:
    """A job is then at the position that was named; where it was there already, the version stays."""
    version = queues.get_queue(conn, _TARGET).version
    assert _move(conn, five[index], to) == new
    assert _ids(conn) == [five[number] for number in order]
    changed = order != [0, 1, 2, 3, 4]
    assert queues.get_queue(conn, _TARGET).version == version + changed
    if changed:
        assert history_of(conn, "queue", _TARGET)[-1].change == {"job": five[index], "position": new}


@pytest.mark.parametrize("to", ["0", "6", "+3", "-3", "", "1.5", "--1", " 1", "third", "٣", "9" * 40, "1\n"])
def test_bad_positions(conn: sa.Connection, five: list[int], to: str) -> None:
    """A position outside the queue, and what is none, is refused and moves nothing."""
    with pytest.raises(BadPosition, match="position"):
        _move(conn, five[2], to)
    assert _ids(conn) == five


def test_moves_of_others(conn: sa.Connection, five: list[int], make_job: MakeJob) -> None:
    """A job that is in no queue cannot be moved, one that does not exist is named."""
    running = jobs.set_status(conn, five[0], "running", now=3.0, who="lab")
    with pytest.raises(Conflict, match=rf"^job {running.id} is not in the queue of {_TARGET}: it is running$"):
        _move(conn, running.id, "1")
    with pytest.raises(NotFound, match=r"^there is no job 99$"):
        _move(conn, 99, "1")


def test_expected_version(conn: sa.Connection, five: list[int]) -> None:
    """Who has read another version than there is moves nothing, and is told both."""
    version = queues.get_queue(conn, _TARGET).version
    _move(conn, five[4], "first", version)
    message = rf"^the queue of {_TARGET} is at version {version + 1}, not at {version}: read it again$"
    with pytest.raises(Stale, match=message):
        _move(conn, five[3], "first", version)
    assert _ids(conn)[:2] == [five[4], five[0]]


def test_many_moves_into_one_gap(conn: sa.Connection, five: list[int]) -> None:
    """When there is no room between two jobs, all get room anew, and the order is as if there had been."""
    order = list(five)
    for turn in range(60):
        moved = order[2 + turn % 3]
        _move(conn, moved, "2")
        order.remove(moved)
        order.insert(1, moved)
        assert _ids(conn) == order
    places = [job.place or 0 for job in queues.list_queue(conn, _TARGET)]
    assert sorted(set(places)) == places


def test_equal_places_are_told_apart(conn: sa.Connection, five: list[int]) -> None:
    """Should places ever be equal, ids decide, and a move between them finds room."""
    conn.execute(sa.update(table).where(table.c.place.is_not(None)).values(place=STEP))
    assert _ids(conn) == five
    assert [queues.position_of(conn, job_id) for job_id in five] == [1, 2, 3, 4, 5]
    assert _move(conn, five[0], "3") == 3
    assert _ids(conn) == [five[1], five[2], five[0], five[3], five[4]]


@pytest.mark.parametrize("status", JOB_STATUSES)
def test_place_goes_with_status(conn: sa.Connection, five: list[int], status: str) -> None:
    """A job is in the queue exactly while it is queued, building or ready."""
    version = queues.get_queue(conn, _TARGET).version
    jobs.set_status(conn, five[1], status, now=3.0, who="lab")
    stays = status in QUEUED_JOB_STATUSES
    assert _ids(conn) == (five if stays else [five[0], *five[2:]])
    assert queues.get_queue(conn, _TARGET).version == version + (not stays)


@pytest.mark.parametrize("began", ["running", "storing"])
def test_another_attempt_goes_first(conn: sa.Connection, five: list[int], began: str) -> None:
    """A job whose run was lost is in front of those that have not run."""
    jobs.set_status(conn, five[3], began, now=3.0, who="lab")
    jobs.set_status(conn, five[3], "ready", now=4.0, who="lab")
    assert _ids(conn) == [five[3], five[0], five[1], five[2], five[4]]


def test_doors_of_buildbot(conn: sa.Connection, five: list[int], make_job: MakeJob) -> None:
    """A job made with a status of the queue is its last; the same request again makes no change."""
    made = make_job(conn, status="queued", request_id=9)
    assert _ids(conn) == [*five, made.id]
    version = queues.get_queue(conn, _TARGET).version
    assert make_job(conn, status="queued", request_id=9) == made
    assert queues.get_queue(conn, _TARGET).version == version


@pytest.mark.parametrize("status", sorted(QUEUED_JOB_STATUSES))
def test_taken_off(conn: sa.Connection, five: list[int], status: str) -> None:
    """A job taken off is created again, without its request; pushed again, it is the last, with a push more."""
    jobs.tie_request(conn, five[2], 70, push=1)
    jobs.set_status(conn, five[2], status, now=3.0, who="lab")
    off = queues.take_off(conn, five[2], now=4.0, who="bob")
    assert (off.status, off.request_id, off.place, off.changed_by) == ("created", None, None, "bob")
    assert _ids(conn) == [five[0], five[1], five[3], five[4]]
    again = queues.push(conn, five[2], now=5.0, who="bob")
    assert (again.pushes, again.queued) == (2, 2.0)
    assert _ids(conn)[-1] == five[2]


@pytest.mark.parametrize("status", sorted(set(JOB_STATUSES) - QUEUED_JOB_STATUSES))
def test_not_taken_off(conn: sa.Connection, make_job: MakeJob, status: str) -> None:
    """A job that is in no queue is not taken off one."""
    job = make_job(conn, status=status, request_id=70)
    with pytest.raises(Conflict, match=rf"^job {job.id} is not in the queue of {_TARGET}: it is {status}$"):
        queues.take_off(conn, job.id, now=2.0, who="ada")
    assert jobs.get_job(conn, job.id) == job


def test_pause(conn: sa.Connection, five: list[int]) -> None:
    """A pause keeps who, when and why, is there once, and is one more version, as its end is."""
    version = queues.get_queue(conn, _TARGET).version
    paused = queues.pause(conn, _TARGET, now=7.0, who="ada", reason="new fan")
    assert paused == Queue(_TARGET, True, "ada", 7.0, "new fan", version + 1)
    assert queues.get_queue(conn, _TARGET) == paused
    assert queues.paused_targets(conn) == {_TARGET}
    with pytest.raises(Conflict, match=rf"^the queue of {_TARGET} is paused already, by ada$"):
        queues.pause(conn, _TARGET, now=8.0, who="bob", reason="")
    assert _move(conn, five[4], "1", version + 1) == 1
    assert queues.unpause(conn, _TARGET, now=9.0, who="bob") == Queue(_TARGET, False, None, None, "", version + 3)
    with pytest.raises(Conflict, match=rf"^the queue of {_TARGET} is not paused$"):
        queues.unpause(conn, _TARGET, now=9.0, who="bob")
    changes = [(change.who, change.change) for change in history_of(conn, "queue", _TARGET)]
    assert changes[-3:] == [
        ("ada", {"paused": True, "reason": "new fan"}),
        ("ada", {"job": five[4], "position": 1}),
        ("bob", {"paused": False}),
    ]


def test_empty_queue_is_paused(conn: sa.Connection) -> None:
    """A target's queue can be paused before it ever had a job."""
    assert queues.pause(conn, "new", now=1.0, who="ada").version == 1
