"""What the lab keeps: uploads that do not get in each other's way, sums, and room."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from benchyard.steps.archives import Archives, _ArchiveWriter
from benchyard.store import interpreters, jobs
from benchyard.store.migrate import migrate
from benchyard.store.rows import Job
from benchyard.tasks.suitemaking import MadeSuite, write_made
from benchyard.tasks.sums import drop_archive, keep_sum, kept_sum
from benchyard.tasks.trees import TreeStore

ONE, TWO, THREE, FOUR = (digit * 64 for digit in "1234")


def test_two_uploads_of_the_same(tmp_path: Path) -> None:
    """What the first has put into its place is not touched by the second; what a dead master left is swept."""
    target = tmp_path / "x.tar.gz"
    left = tmp_path / f".{target.name}.dead.part"
    left.write_bytes(b"half")
    first, second = _ArchiveWriter(target), _ArchiveWriter(target)
    assert not left.exists()
    first.remote_write(b"whole")
    second.remote_write(b"wh")
    first.remote_close()
    first.partial.replace(target)
    second.remote_write(b"at else")
    second.discard()
    assert (target.read_bytes(), first.sum.hexdigest()) == (b"whole", hashlib.sha256(b"whole").hexdigest())
    assert list(tmp_path.iterdir()) == [target]


def test_sums(tmp_path: Path) -> None:
    """An archive without its sum is not whole; both go together."""
    archive = tmp_path / "x.tar.gz"
    archive.write_bytes(b"x")
    assert kept_sum(archive) is None
    keep_sum(archive, ONE)
    assert kept_sum(archive) == ONE
    drop_archive(archive)
    assert list(tmp_path.iterdir()) == []
    keep_sum(archive, ONE)
    assert kept_sum(archive) is None


@pytest.fixture
def conn(tmp_path: Path) -> sa.Connection:
    """A connection to a datastore."""
    engine = sa.create_engine(f"sqlite:///{tmp_path}/state.sqlite")
    migrate(engine)
    return engine.connect()


def waiting_job(conn: sa.Connection, **spec: Any) -> Job:
    """A job in the queue."""
    asked: dict[str, Any] = {"kind": "benchmarks", "target": "t", "host": None, "reason": "", "who": "ada", "now": 1.0}
    asked |= {"owner": "ada", "origin": "rest", "status": "queued"}
    return jobs.create_job(conn, **asked, spec={"python": "/p", "benchmarks": ["nbody"], **spec})


def test_room(tmp_path: Path, conn: sa.Connection) -> None:
    """Wheels and interpreters share the limit, those used least recently go; what a waiting job needs stays."""
    archives = Archives(tmp_path / "archives", 250, tmp_path / "suites")
    (archives.root / "wheels").mkdir(parents=True)
    (archives.root / "interpreters").mkdir()

    def wheels(id: str, used: float) -> None:
        archives.path("wheels", id).write_bytes(b"x" * 100)
        keep_sum(archives.path("wheels", id), id)
        os.utime(archives.path("wheels", id), (used, used))

    def interpreter(id: str, used: float) -> None:
        archives.path("interpreters", id).write_bytes(b"x" * 100)
        parts: dict[str, Any] = {"target": "t", "recipe": "r", "toolchain": "c", "record": {}}
        interpreters.add_interpreter(conn, id, **parts, sha256=id, size=100, job_id=1, now=used)

    def kept() -> list[str]:
        return sorted(
            path.name[0] for kind in ("wheels", "interpreters") for path in (archives.root / kind).glob("*.gz")
        )

    job = waiting_job(conn)
    jobs.set_prepared(conn, job.id, {"interpreter": ONE, "wheels": TWO})
    for number, (make, id) in enumerate(((interpreter, ONE), (wheels, TWO), (interpreter, THREE), (wheels, FOUR))):
        make(id, 1000.0 + number)
    archives.drop_old(conn)
    assert kept() == ["1", "2"], "the others do not fit, even together with nothing else"
    assert not archives.has(interpreters.find_interpreter(conn, THREE))
    assert not archives.has_wheels(FOUR)
    assert archives.has_wheels(TWO)
    wheels(FOUR, 10.0)
    jobs.set_status(conn, job.id, "canceled", now=2.0, who="ada")
    archives.drop_old(conn)
    assert kept() == ["1", "2"], "least recently used is the new one"


def test_room_for_suites(tmp_path: Path, conn: sa.Connection) -> None:
    """Suites count, with their directories, and go as all else does: but none that the settings name or a job needs."""
    archives = Archives(tmp_path / "archives", 100, tmp_path / "suites", ("ours", "not made yet"))
    store = TreeStore(archives.suites)
    (archives.root / "suites").mkdir(parents=True)

    def suite(id: str, used: float) -> None:
        store.tree(id).mkdir(parents=True)
        (store.tree(id) / "MANIFEST").write_bytes(b"x" * 60)
        archives.path("suites", id).write_bytes(b"x" * 60)
        keep_sum(archives.path("suites", id), id)
        os.utime(archives.path("suites", id), (used, used))

    def kept() -> str:
        here = [id[0] for id in (ONE, TWO, THREE, FOUR) if store.has(id)]
        assert here == [id[0] for id in (ONE, TWO, THREE, FOUR) if archives.path("suites", id).exists()]
        return "".join(here)

    for number, id in enumerate((ONE, TWO, THREE, FOUR)):
        suite(id, 1000.0 + number)
    write_made(archives.suites, "ours", MadeSuite("of this", ONE))
    write_made(archives.suites, "of an earlier time", MadeSuite("of that", TWO))
    job = waiting_job(conn, suite_id=THREE)
    archives.drop_old(conn)
    assert kept() == "13"
    jobs.set_status(conn, job.id, "canceled", now=2.0, who="ada")
    archives.drop_old(conn)
    assert kept() == "1"
    suite(FOUR, 1004.0)
    archives._replace(limit=240).drop_old(conn)
    assert kept() == "14", "there is room for both"
    with store.use(FOUR):
        archives.drop_old(conn)
    assert kept() == "14", "it was in use"
