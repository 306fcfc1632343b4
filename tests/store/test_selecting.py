"""Names of results: what each stands for, and what is refused because it could be several."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import sqlalchemy as sa

from benchyard.store import results, trashed
from benchyard.store.errors import NotFound, Unclear
from benchyard.store.rows import Job, Result
from benchyard.store.selecting import read_selector, select_results
from benchyard.store.tables import results as table

MakeJob = Callable[..., Job]
Add = Callable[..., Result]
MAIN, OLD = "1a2b3c4d" * 5, "1a2b3cff" * 5


def no_tags(name: str) -> Iterable[str]:
    """No remote has any tag."""
    return ()


@pytest.fixture
def add(conn: sa.Connection, make_job: MakeJob) -> Add:
    """A function that adds a result of which only what matters is named; each is newer than the one before."""
    count = 0

    def make(commit: str | None = MAIN, *, epoch: int | None = 1, enabled: bool = True, **given: Any) -> Result:
        nonlocal count
        count += 1
        values: dict[str, Any] = {
            "host": "sulaco",
            "target": "linux-x86_64",
            "branch": "main",
            "version": "3.15.0a1+",
            "flags": ("lto", "pgo"),
            "suite": "pyperformance",
            "suite_version": "1.14.0",
            "mode": "default",
            "path": f"bm-{count}/bm.json",
            "sha256": f"{count:064x}",
            "size": 5,
            "benchmarks": 97,
            **given,
        }
        values.setdefault("interpreter", {"id": f"{commit} {values['flags']}"})
        job = make_job(conn)
        row = results.add_result(
            conn, now=100.0 + count, who="lab", job_id=job.id, attempt=1, commit=commit, failed=[], **values
        )
        conn.execute(sa.update(table).where(table.c.id == row.id).values(epoch=epoch))
        return results.enable_result(conn, row.id, enabled, now=200.0, who="ada")

    return make


def found(conn: sa.Connection, text: str, **kwargs: Any) -> list[int]:
    """The numbers of the results that a name stands for."""
    return [row.id for row in select_results(conn, text, **{"tags": no_tags, **kwargs})]


def many_more(conn: sa.Connection, like: Result) -> None:
    """Add more newer results than are looked at, all of them like this one."""
    row = dict(conn.execute(sa.select(table).where(table.c.id == like.id)).mappings().one())
    del row["id"]
    conn.execute(sa.insert(table), [{**row, "job_id": None, "created": 1000.0 + number} for number in range(501)])


def test_a_number_is_that_result(conn: sa.Connection, add: Add) -> None:
    """A number means one result, also among several of its interpreter; one that there is not is said so."""
    one, other = add(), add()
    assert found(conn, str(one.id)) == [one.id]
    assert found(conn, str(other.id)) == [other.id]
    with pytest.raises(NotFound, match="there is no result 77777"):
        found(conn, "77777")


def test_last_is_the_newest_that_counts(conn: sa.Connection, add: Add) -> None:
    """`last` leaves out what is disabled, in the trash, without values or without a file; it may be narrowed."""
    with pytest.raises(NotFound, match="there is no result yet"):
        found(conn, "last")
    one = add()
    add(kind="profile")
    add(enabled=False)
    trashed.trash_result(conn, add().id, now=300.0, who="ada")
    results.new_result(conn, now=400.0, who="a", owner="a", host="h", target=None, commit=None, branch=None)
    assert found(conn, "last") == [one.id]
    jit = add(flags=("jit", "lto", "pgo"))
    assert (found(conn, "last"), found(conn, "last+none")) == ([jit.id], [one.id])


def test_results_of_an_interpreter_are_taken_together(conn: sa.Connection, add: Add) -> None:
    """The beginning of a commit, a branch, a version and a tag mean all results of the interpreter, newest first, but
    not those of another epoch or suite; `single` means the newest alone.
    """
    old_epoch, one, other_suite, other = add(epoch=1), add(epoch=2), add(epoch=2, suite_version="1.13.0"), add(epoch=2)
    for name in ("1a2b3c4d1a", MAIN, "main", "branch:main", "python:3.15", "python:3.15.0a1+", "commit:1a2b3c4"):
        assert found(conn, name) == [other.id, one.id], name
        assert found(conn, name, single=True) == [other.id], name
    assert found(conn, "v3.15.0a1", tags=lambda name: [MAIN] if name == "v3.15.0a1" else []) == [other.id, one.id]
    assert {old_epoch.id, other_suite.id}.isdisjoint(found(conn, "main"))


@pytest.mark.parametrize("other", [{"grade": "C"}, {"mode": "fast"}, {"grade": None}])
def test_only_what_is_alike_is_taken_together(conn: sa.Connection, add: Add, other: dict[str, Any]) -> None:
    """A disturbed result, or a quick one, is no part of what was measured well; where it is the newest it is alone."""
    good, odd, newest = add(grade="A"), add(**{"grade": "A", **other}), add(grade="A")
    assert found(conn, "main") == [newest.id, good.id]
    last = add(**{"grade": "A", **other})
    assert found(conn, "main") == [last.id, odd.id]


def test_fingerprints_of_other_tools_are_apart(conn: sa.Connection, add: Add) -> None:
    """What another tool says was measured under other conditions is not taken together; the lab has its epochs."""
    old, new, like_new = (add(epoch=None, fingerprint_id=f"portal:{id}") for id in ("42d6dd", "b2cf91", "b2cf91"))
    assert found(conn, "main") == [like_new.id, new.id]
    last = add(epoch=None, fingerprint_id="portal:42d6dd")
    assert found(conn, "main") == [last.id, old.id]
    own = [add(fingerprint={"host": {}}, fingerprint_id=id) for id in ("ab", "cd")]
    assert found(conn, "main") == [own[1].id, own[0].id]


def test_the_latest_of_a_branch_and_of_a_version(conn: sa.Connection, add: Add) -> None:
    """Of a branch and of a version, the commit that was measured last is meant."""
    add(OLD, version="3.14.2", branch="3.14")
    add(OLD)
    newest = add()
    assert found(conn, "main") == [newest.id]
    installed = [add(None, branch=None, version="3.12.1", interpreter={"id": "abc"}) for _ in range(2)]
    assert found(conn, "python:3.12") == [installed[1].id, installed[0].id]
    with pytest.raises(NotFound, match="there is no enabled result 'python:3.1'"):
        found(conn, "python:3.1")
    with pytest.raises(NotFound, match="'python:3_1'"):
        found(conn, "python:3_1")


def test_branches_of_forks(conn: sa.Connection, add: Add) -> None:
    """A branch is upstream's, however new a fork's of that name is; the fork's is FORK/BRANCH, or is the only one."""
    upstream = add(interpreter={"id": "a", "remote": "upstream"})
    fork = add(OLD, version="3.15.0a9", interpreter={"id": "b", "remote": "ada"})
    idea = add(OLD, branch="idea", interpreter={"id": "b", "remote": "ada"})
    assert found(conn, "main") == found(conn, "branch:main") == found(conn, "python:3.15") == [upstream.id]
    assert found(conn, "ada/main") == [fork.id]
    assert found(conn, "idea") == found(conn, "ada/idea") == [idea.id]
    add(branch="idea", interpreter={"id": "c", "remote": "bob"})
    with pytest.raises(Unclear, match=r"^'idea' is a branch of several forks: say ada/idea, bob/idea$"):
        found(conn, "idea")


def test_a_narrowed_name_finds_what_is_behind_many_others(conn: sa.Connection, add: Add) -> None:
    """However many newer results other hosts and other flags have, it means those of its host and flags."""
    old, jit = add(host="nostromo"), add(flags=("jit", "lto", "pgo"))
    many_more(conn, add(OLD))
    for name in ("main@nostromo", "last@nostromo+pgo", "python:3.15@nostromo", f"{MAIN}@nostromo"):
        assert found(conn, name) == [old.id], name
    for name in ("main+jit", "last+jit", "python:3.15+jit", "main@sulaco+jit", f"{MAIN}+jit"):
        assert found(conn, name) == [jit.id], name
    for name in ("main@lv426", "last+nogil", "main@nostromo+jit", "python:3.15+jit,nogil"):
        with pytest.raises(NotFound):
            found(conn, name)


def test_narrowing_makes_no_branch_a_forks(conn: sa.Connection, add: Add) -> None:
    """Where upstream has a result of a branch, on whatever host, the fork's is never meant without its name."""
    upstream = add(host="nostromo")
    fork = add(OLD, interpreter={"id": "b", "remote": "ada"})
    many_more(conn, fork)
    assert found(conn, "main") == found(conn, "main@nostromo") == [upstream.id]
    assert fork.commit == select_results(conn, "ada/main@sulaco", tags=no_tags)[0].commit
    for name in ("main@sulaco", "main+jit"):
        with pytest.raises(NotFound):
            found(conn, name)


def test_several_interpreters_are_refused_with_their_names(conn: sa.Connection, add: Add) -> None:
    """What could be several is told apart by host and flags, as the refusal says."""
    plain, jit = add(), add(flags=("jit", "lto", "pgo"))
    elsewhere = add(host="nostromo")
    with pytest.raises(Unclear) as caught:
        found(conn, "main")
    advice = "add @HOST or +FLAG,... (+none for none), or give a result's number"
    assert str(caught.value) == (
        f"'main' could be result {elsewhere.id} (1a2b3c4d1a@nostromo+none), result {jit.id} (1a2b3c4d1a@sulaco+jit), "
        f"result {plain.id} (1a2b3c4d1a@sulaco+none): {advice}"
    )
    assert found(conn, "main@nostromo") == [elsewhere.id]
    assert found(conn, "main+jit") == [jit.id]
    assert found(conn, "main@sulaco+jit,lto") == [jit.id]
    assert found(conn, "main@sulaco+none") == found(conn, "main@sulaco+pgo") == [plain.id]
    with pytest.raises(NotFound):
        found(conn, "main@nostromo+jit")
    with pytest.raises(Unclear):
        found(conn, "main@sulaco")


@pytest.mark.parametrize("flag", ["clang", "python_uops", "tier2"])
def test_flags_that_only_other_tools_have(conn: sa.Connection, add: Add, flag: str) -> None:
    """They make another interpreter as well: it is named with them, and the usual build is meant by `none`."""
    plain, other = add(flags=()), add(flags=(flag,))
    with pytest.raises(
        Unclear, match=rf"result {other.id} \(1a2b3c4d1a@sulaco\+{flag}\), result {plain.id} .*\+none\)"
    ):
        found(conn, "main")
    assert found(conn, f"main+{flag}") == [other.id]
    assert found(conn, "main@sulaco+none") == [plain.id]


def test_a_patch_is_another_interpreter(conn: sa.Connection, add: Add) -> None:
    """A commit with a patch on top is never taken for the commit."""
    add()
    add(interpreter={"id": "patched", "patch": "00ff"})
    with pytest.raises(Unclear, match=r"\+none, patched\), result"):
        found(conn, "1a2b3c4d")


def test_the_beginning_of_several_commits(conn: sa.Connection, add: Add) -> None:
    """It must be one commit; one that another tool has cut short is the same commit."""
    add(OLD)
    add()
    with pytest.raises(Unclear, match=r"^'1a2b3c' is the beginning of several commits \(1a2b3c4d1a2b, 1a2b3cff1a2b\)"):
        found(conn, "1a2b3c")
    with pytest.raises(NotFound):
        found(conn, "1a2b3e")
    short = add("7654321")
    assert found(conn, "7654321") == [short.id]
    assert found(conn, "7654321" + "0" * 33) == [short.id]


def test_a_commit_that_is_cut_short_is_the_same_interpreter(conn: sa.Connection, add: Add) -> None:
    """Tools say a commit whole or not, and may call its tag a branch: all that is of one commit is taken together."""
    made: dict[str, Any] = {"version": "3.14.0", "interpreter": {"id": "one"}}
    whole = add(**made, branch=None)
    short = add(MAIN[:7], **made, branch="v3.14.0")
    longer = add(MAIN[:10], **made)
    for name in (MAIN[:7], MAIN, f"commit:{MAIN[:10]}@sulaco+none", "python:3.14"):
        assert found(conn, name) == [longer.id, short.id, whole.id], name
    assert found(conn, "v3.14.0@sulaco", tags=lambda _: [MAIN]) == [longer.id, short.id, whole.id]


def test_a_name_of_several_kinds(conn: sa.Connection, add: Add) -> None:
    """A branch that is called as a commit or a tag must be said to be one."""
    commit, branch = add("abcdef1" + "0" * 33), add(branch="abcdef1")
    with pytest.raises(Unclear, match="'abcdef1' is a commit and a branch: say commit:abcdef1"):
        found(conn, "abcdef1")
    with pytest.raises(Unclear, match=r"say commit:abcdef1@sulaco\+none or another$"):
        found(conn, "abcdef1@sulaco+none")
    assert found(conn, "branch:abcdef1") == [branch.id]
    assert found(conn, "commit:abcdef1") == [commit.id]


def test_parts_of_a_name() -> None:
    """Host and flags are what comes after the last @ and +; the + at the end of a version is its own."""
    wanted = read_selector("branch:fix@home@quiet-1+jit,nogil")
    assert (wanted.kind, wanted.name, wanted.host) == ("branch", "fix@home", "quiet-1")
    assert wanted.flags == frozenset({"jit", "nogil"})
    assert read_selector("python:3.15.0a1+").name == "3.15.0a1+"
    assert read_selector("main+none").flags == frozenset()
    assert (read_selector("odd:name").kind, read_selector("odd:name").name) == ("", "odd:name")
    assert read_selector("").name == ""
