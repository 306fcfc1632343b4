"""Several masters on one database: no change of a queue is lost, none waits for ever, no change goes untold."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from benchyard.store import history, jobs, queues
from benchyard.store.errors import Conflict, Stale
from benchyard.store.migrate import migrate
from benchyard.store.rows import Job

MakeJob = Callable[..., Job]

_TARGET = "linux-x86_64"
_WAIT_S = 30.0


@pytest.fixture
def postgresql(new_database: Callable[[], str]) -> Iterator[sa.Engine]:
    """An engine on a PostgreSQL database with our tables."""
    engine = sa.create_engine(new_database(), pool_size=10)
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """What plays the other masters."""
    with ThreadPoolExecutor(8) as pool:
        yield pool


def _fill(engine: sa.Engine, make_job: MakeJob, count: int) -> list[int]:
    with engine.begin() as conn:
        return [make_job(conn, status="queued").id for _ in range(count)]


def _order(engine: sa.Engine) -> list[int]:
    with engine.connect() as conn:
        return [job.id for job in queues.list_queue(conn, _TARGET)]


def _version(engine: sa.Engine) -> int:
    with engine.connect() as conn:
        return queues.get_queue(conn, _TARGET).version


def _await_blocked(engine: sa.Engine, waiting: Future[object]) -> None:
    """Wait until another transaction waits for a lock."""
    blocked = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    deadline = time.monotonic() + _WAIT_S
    with engine.connect() as conn:
        while not conn.execute(blocked).scalar():
            assert not waiting.done(), waiting.result()
            assert time.monotonic() < deadline, "nothing waits for a lock"
            conn.rollback()
            time.sleep(0.02)


def _do(engine: sa.Engine, function: Callable[..., object], *args: object, **kwargs: object) -> object:
    """Call a function of the store in a transaction of its own."""
    with engine.begin() as conn:
        return function(conn, *args, **kwargs)


def test_second_move_is_stale(postgresql: sa.Engine, make_job: MakeJob, threads: ThreadPoolExecutor) -> None:
    """Of two who move what they read at one version, the later waits for the earlier and is told so."""
    one, two, three = _fill(postgresql, make_job, 3)
    version = _version(postgresql)

    def move(conn: sa.Connection) -> int:
        return queues.move(conn, two, "last", now=3.0, who="bob", expected_version=version)

    with postgresql.begin() as conn:
        assert queues.move(conn, three, "first", now=3.0, who="ada", expected_version=version) == 1
        late = threads.submit(_do, postgresql, move)
        _await_blocked(postgresql, late)
    with pytest.raises(Stale, match=f"is at version {version + 1}, not at {version}"):
        late.result(_WAIT_S)
    assert _order(postgresql) == [three, one, two]
    assert _version(postgresql) == version + 1


def test_second_move_goes_by_the_new_order(
    postgresql: sa.Engine, make_job: MakeJob, threads: ThreadPoolExecutor
) -> None:
    """A move that expects no version is done on what the earlier one has left, not on what it could see."""
    one, two, three, four = _fill(postgresql, make_job, 4)
    with postgresql.begin() as conn:
        queues.move(conn, four, "first", now=3.0, who="ada")
        late = threads.submit(_do, postgresql, queues.move, one, "+1", now=3.0, who="bob")
        _await_blocked(postgresql, late)
    assert late.result(_WAIT_S) == 3
    assert _order(postgresql) == [four, two, one, three]


def test_job_that_starts_meanwhile(postgresql: sa.Engine, make_job: MakeJob, threads: ThreadPoolExecutor) -> None:
    """A job that begins to run while somebody moves it gets no place again."""
    one, two = _fill(postgresql, make_job, 2)
    with postgresql.begin() as conn:
        jobs.set_status(conn, one, "running", now=3.0, who="lab")
        late = threads.submit(_do, postgresql, queues.move, one, "last", now=3.0, who="bob")
        _await_blocked(postgresql, late)
    with pytest.raises(Conflict, match=r"it is running$"):
        late.result(_WAIT_S)
    assert _order(postgresql) == [two]


def test_many_masters_with_versions(store: sa.Engine, make_job: MakeJob, threads: ThreadPoolExecutor) -> None:
    """Of all who move at one version at the same time, exactly one does."""
    ids = _fill(store, make_job, 9)
    version = _version(store)
    start = threading.Barrier(8)

    def move(conn: sa.Connection, job: int) -> bool:
        start.wait(_WAIT_S)
        try:
            queues.move(conn, job, "3", now=3.0, who="ada", expected_version=version)
        except Stale:
            return False
        return True

    # Not the third, which is at that position already: to leave it there changes nothing.
    moves = [threads.submit(_do, store, move, job) for job in ids[:2] + ids[3:]]
    assert sum(bool(done.result(_WAIT_S)) for done in moves) == 1
    assert _version(store) == version + 1


def test_everything_at_once(store: sa.Engine, make_job: MakeJob, threads: ThreadPoolExecutor) -> None:
    """Moves, pushes, pops and status changes of many masters all end, and each change is one version."""
    ids = _fill(store, make_job, 12)
    with store.begin() as conn:
        created = [make_job(conn).id for _ in range(8)]
    before = _version(store)

    def work(number: int) -> None:
        chance = random.Random(number)  # noqa: S311 - for a mixture that can be repeated, no secret
        for _ in range(10):
            moved = chance.choice(ids[4:])
            _do(store, queues.move, moved, "2", now=3.0, who="ada")
        _do(store, queues.push, created[number], now=4.0, who="ada")
        if number < 4:
            for status in ("building", "ready", "running", "ready", "running", "success"):
                _do(store, jobs.set_status, ids[number], status, now=5.0, who="lab")
        else:
            _do(store, queues.take_off, created[number], now=6.0, who="ada")

    for done in [threads.submit(work, number) for number in range(8)]:
        done.result(2 * _WAIT_S)
    order = _order(store)
    assert sorted(order) == sorted(ids[4:] + created[:4])
    with store.connect() as conn:
        places = [job.place for job in queues.list_queue(conn, _TARGET)]
        assert len(set(places)) == len(places)
        changes = history.history_of(conn, "queue", _TARGET)
    assert _version(store) == len(changes) > before


def test_no_change_is_missed(postgresql: sa.Engine, make_job: MakeJob, threads: ThreadPoolExecutor) -> None:
    """Who reads on from the last change waits for one that got its id earlier and is not there yet."""
    with postgresql.begin() as conn:
        first = history.last_id(conn)
    with postgresql.begin() as slow:
        early = make_job(slow)
        with postgresql.begin() as conn:
            late = make_job(conn)
        reader = threads.submit(_do, postgresql, history.since, first, 10)
        _await_blocked(postgresql, reader)
    changes = reader.result(_WAIT_S)
    assert isinstance(changes, tuple)
    assert [int(change.entity_id) for change in changes] == [early.id, late.id]


def test_reading_on(store: sa.Engine, make_job: MakeJob) -> None:
    """Changes of all entities come in order of id, page by page; what was rolled back is not among them."""
    with store.connect() as conn:
        assert history.last_id(conn) == 0
        assert history.since(conn, 0) == ()
    _fill(store, make_job, 2)
    with store.connect() as conn:
        make_job(conn)
        conn.rollback()
    with store.begin() as conn:
        queues.pause(conn, _TARGET, now=2.0, who="ada", reason="")
    with store.connect() as conn:
        first = history.since(conn, 0, 3)
        rest = history.since(conn, first[-1].id, 100)
        assert history.since(conn, rest[-1].id) == ()
        assert history.last_id(conn) == rest[-1].id
    assert [change.entity for change in first + rest] == ["queue", "job", "queue", "job", "queue"]
    assert rest[-1].change == {"paused": True, "reason": ""}
