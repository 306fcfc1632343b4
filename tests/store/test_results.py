"""The index of results: one row for each run."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from benchyard.store import attempts, filed, results, trashed
from benchyard.store.errors import Conflict, NotFound, Stale, StoreError
from benchyard.store.history import history_of
from benchyard.store.rows import Job, Result

MakeJob = Callable[..., Job]


def _add(conn: sa.Connection, job: Job, attempt: int = 1, **given: Any) -> Result:
    values: dict[str, Any] = {
        "now": 5.0,
        "who": "lab",
        "host": "sulaco",
        "target": "linux-x86_64",
        "interpreter": {"id": "abc", "flags": ["jit"]},
        "commit": None,
        "branch": None,
        "version": "3.15.0a1+",
        "flags": ("jit", "lto"),
        "suite": "pyperformance",
        "suite_version": "1.14.0",
        "mode": "default",
        "path": "bm-1/bm-2.json",
        "sha256": "00" * 32,
        "size": 5_000_000_000,
        "benchmarks": 97,
        "failed": [{"name": "dask", "error": "killed by signal 11"}],
    }
    return results.add_result(conn, job_id=job.id, attempt=attempt, **values | given)


def test_added_result_is_read_back(conn: sa.Connection, make_job: MakeJob) -> None:
    """A result comes back as it was added, by its id and by its run."""
    job = make_job(conn)
    result = _add(conn, job)
    assert results.get_result(conn, result.id) == result
    assert results.result_of_attempt(conn, job.id, 1) == result
    assert results.result_of_attempt(conn, job.id, 2) is None
    assert result.flags == ("jit", "lto")
    assert result.failed == ({"name": "dask", "error": "killed by signal 11"},)
    assert (result.size, result.status, result.enabled) == (5_000_000_000, "stored", True)


def test_added_twice(conn: sa.Connection, make_job: MakeJob) -> None:
    """The same upload again is the same row; another file for the same run is refused and changes nothing."""
    job = make_job(conn)
    result = _add(conn, job)
    assert _add(conn, job, now=9.0, path="elsewhere.json") == result
    assert len(history_of(conn, "result", result.id)) == 1
    with pytest.raises(Conflict, match=rf"^run {job.id}\.1 has result {result.id} already"):
        _add(conn, job, sha256="11" * 32)
    assert results.list_results(conn) == (result,)


def test_unknown_result(conn: sa.Connection) -> None:
    """A result that is not there is named."""
    with pytest.raises(NotFound, match=r"^there is no result 5$"):
        results.get_result(conn, 5)


def test_lists(conn: sa.Connection, make_job: MakeJob) -> None:
    """Lists are newest first, filtered by job, host and target, and paged by id."""
    job, other = make_job(conn), make_job(conn)
    attempts.new_attempt(conn, job.id, now=1.0)
    ids = [
        _add(conn, job, 1).id,
        _add(conn, job, 2, host="nostromo").id,
        _add(conn, other, 1, target="linux-aarch64").id,
    ]

    def listed(**filters: Any) -> list[int]:
        return [result.id for result in results.list_results(conn, **filters)]

    assert listed() == ids[::-1]
    assert listed(job=job.id) == [ids[1], ids[0]]
    assert listed(host="sulaco") == [ids[2], ids[0]]
    assert listed(target="linux-x86_64", before=ids[1]) == [ids[0]]
    assert listed(limit=1) == [ids[2]]


def _attach(conn: sa.Connection, id: int, **given: Any) -> Result:
    values: dict[str, Any] = {
        "now": 6.0,
        "who": "ada",
        "path": "bm-3/bm-4.json",
        "sha256": "22" * 32,
        "size": 7,
        "version": "3.14.0",
        "interpreter": {"id": "def"},
        "flags": ("pgo",),
        "suite": "pyperformance",
        "suite_version": None,
        "mode": None,
        "benchmarks": 2,
    }
    return filed.attach_file(conn, id, **values | given)


def _new(conn: sa.Connection, **given: Any) -> Result:
    values: dict[str, Any] = {
        "now": 5.0,
        "who": "ada",
        "owner": "ada",
        "host": "home",
        "target": None,
        "commit": None,
        "branch": None,
    }
    return results.new_result(conn, **values | given)


def test_owner(conn: sa.Connection, make_job: MakeJob) -> None:
    """A measured result belongs to the owner of its job, unless somebody else is named."""
    assert _add(conn, make_job(conn, owner="bob")).owner == "bob"
    assert _add(conn, make_job(conn, owner="bob"), owner="eve").owner == "eve"


def test_file_is_attached_once(conn: sa.Connection) -> None:
    """An added result gets its file once: the same bytes again change nothing, others are refused."""
    result = _new(conn, commit="ab" * 20)
    assert (result.path, result.sha256, result.version, result.job_id, result.flags) == (None, None, None, None, ())
    attached = _attach(conn, result.id)
    assert (attached.path, attached.size, attached.version, attached.flags) == ("bm-3/bm-4.json", 7, "3.14.0", ("pgo",))
    assert (attached.commit, attached.interpreter, attached.benchmarks) == ("ab" * 20, {"id": "def"}, 2)
    assert _attach(conn, result.id, now=9.0, path="elsewhere.json") == attached
    with pytest.raises(Conflict, match=rf"^result {result.id} has a file already, with other bytes: bm-3/bm-4.json$"):
        _attach(conn, result.id, sha256="33" * 32)
    assert [change.change for change in history_of(conn, "result", result.id)] == [
        {"status": "stored", "host": "home", "target": None, "owner": "ada"},
        {"path": "bm-3/bm-4.json", "sha256": "22" * 32},
    ]


def test_two_results_of_one_file(conn: sa.Connection) -> None:
    """A file that another result has is refused: removing one would take the other's."""
    first, second = _attach(conn, _new(conn).id), _new(conn)
    with pytest.raises(Conflict, match=rf"^result {first.id} has this very file already: use that one$"):
        _attach(conn, second.id, path="bm-3/other.json")
    assert results.get_result(conn, second.id) == second


def test_two_results_without_a_job(conn: sa.Connection) -> None:
    """Added results have no run, so none is in another's way."""
    assert _new(conn).id != _new(conn).id


def test_measured_result_takes_no_other_file(conn: sa.Connection, make_job: MakeJob) -> None:
    """What a run left is never replaced."""
    result = _add(conn, make_job(conn))
    assert _attach(conn, result.id, sha256=result.sha256) == result
    with pytest.raises(Conflict):
        _attach(conn, result.id)


def test_modified_result(conn: sa.Connection) -> None:
    """Commit, branch and note change where given; commit and branch may be taken away."""
    result = _new(conn, commit="ab" * 20, branch="main")
    noted = results.modify_result(conn, result.id, now=6.0, who="bob", note="fan was loud")
    assert (noted.note, noted.commit, noted.branch, noted.changed_by) == ("fan was loud", "ab" * 20, "main", "bob")
    bare = results.modify_result(conn, result.id, now=7.0, who="bob", commit=None, branch="3.14")
    assert (bare.note, bare.commit, bare.branch) == ("fan was loud", None, "3.14")
    assert results.modify_result(conn, result.id, now=8.0, who="eve", branch="3.14", note="fan was loud") == bare
    assert history_of(conn, "result", result.id)[-1].change == {"commit": None, "branch": "3.14"}
    with pytest.raises(Stale, match=rf"^result {result.id} was changed by bob: read it again$"):
        results.modify_result(conn, result.id, now=8.0, who="eve", note="", expected_changed=6.0)


def test_disabled_result(conn: sa.Connection) -> None:
    """A result is disabled and enabled again; saying it twice is one change."""
    result = _new(conn)
    disabled = results.enable_result(conn, result.id, False, now=6.0, who="bob")
    assert (disabled.enabled, disabled.changed) == (False, 6.0)
    assert results.enable_result(conn, result.id, False, now=7.0, who="eve") == disabled
    assert results.enable_result(conn, result.id, True, now=8.0, who="bob").enabled


def test_trash(conn: sa.Connection, make_job: MakeJob) -> None:
    """A trashed result is out of the lists, can be read, changes no more, and is done with when its file is gone."""
    job = make_job(conn)
    result = _add(conn, job)
    with pytest.raises(Conflict, match="is not in the trash, its file is kept"):
        trashed.forget_file(conn, result.id, now=6.0, who="lab")
    row = trashed.trash_result(conn, result.id, now=10.0, who="ada")
    assert (row.status, row.trashed, row.path) == ("trashed", 10.0, result.path)
    assert trashed.trash_result(conn, result.id, now=11.0, who="eve") == row
    assert results.get_result(conn, result.id) == row
    assert results.list_results(conn) == results.list_results(conn, job=job.id) == ()
    assert results.list_results(conn, status=["trashed"]) == (row,)
    assert _add(conn, job) == row
    calls: list[Callable[[], object]] = [
        lambda: results.modify_result(conn, result.id, now=12.0, who="ada", note="x"),
        lambda: results.enable_result(conn, result.id, False, now=12.0, who="ada"),
        lambda: _attach(conn, result.id),
    ]
    for call in calls:
        with pytest.raises(Conflict, match=r"is in the trash and cannot be changed any more$"):
            call()
    assert trashed.expired_trash(conn, 10.0) == ()
    assert trashed.expired_trash(conn, 10.1) == trashed.expired_trash(conn, 10.1, limit=1) == (row,)
    gone = trashed.forget_file(conn, result.id, now=20.0, who="lab")
    assert (gone.path, gone.sha256, gone.status) == (None, row.sha256, "trashed")
    assert trashed.forget_file(conn, result.id, now=21.0, who="lab") == gone
    assert trashed.expired_trash(conn, 100.0) == ()


def test_a_commit_that_is_cut_short(conn: sa.Connection) -> None:
    """What another tool has measured is found by the whole commit as well."""
    short = _new(conn, commit="abe" + "1" * 7, now=1.5).id

    def listed(commit: str) -> list[int]:
        return [result.id for result in results.list_results(conn, commit=commit)]

    assert listed("abe" + "1" * 37) == listed("abe1111") == [short]
    assert listed("abe" + "1" * 6 + "2" * 31) == []


def test_filters(conn: sa.Connection) -> None:
    """Results are found by owner, beginning of the commit, branch, version and time of their making."""
    one = _new(conn, commit="abc" + "1" * 37, branch="main", now=1.0).id
    two = _new(conn, commit="abf" + "f" * 37, branch="3.14", owner="bob", now=2.0).id
    three = _new(conn, commit="100%_", now=3.0).id
    _attach(conn, two, version="3.14.0")

    def listed(**filters: Any) -> list[int]:
        return [result.id for result in results.list_results(conn, **filters)]

    assert listed(commit="ab") == [two, one]
    assert listed(commit="abf") == listed(commit="abf" + "f" * 37) == [two]
    assert listed(commit="abc12") == listed(commit="%") == listed(commit="") == listed(commit="ABF") == []
    assert listed(commit="100%_") == [three]
    assert listed(branch="main") == [one]
    assert listed(owner="bob") == listed(version="3.14.0") == [two]
    assert listed(since=2.0) == [three, two]
    assert listed(until=2.0) == [one]
    assert listed(since=2.0, until=3.0, status=["stored"]) == [two]
    with pytest.raises(StoreError, match="unknown result status 'gone'; known are stored, trashed"):
        listed(status=["gone"])
